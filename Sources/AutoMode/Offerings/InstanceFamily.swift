/// What a family's name says: `c6a` is category c, generation 6, with AMD's processors. Upstream: EC2 User Guide, "Amazon EC2 instance type naming
/// conventions".
struct InstanceFamily: Sendable, Equatable {
    let name: String
    let category: String
    let generation: String
    private let suffix: String

    init?(_ name: String) {
        let category = name.prefix { !$0.isNumber }
        let generation = name.dropFirst(category.count).prefix { $0.isNumber }
        guard !category.isEmpty, !generation.isEmpty else { return nil }
        self.name = name
        self.category = String(category)
        self.generation = String(generation)
        suffix = String(name.dropFirst(category.count + generation.count))
    }

    var manufacturer: String { suffix.hasPrefix("g") ? "aws" : suffix.hasPrefix("a") ? "amd" : "intel" }

    /// Upstream: EC2 User Guide, "Encryption between instances".
    var encryptsInTransit: Bool { category != "t" && ((Int(generation) ?? 0) >= 7 || (generation == "6" && !suffix.hasPrefix("g"))) }

    /// Dollars an hour of the size `large`, Linux on demand in us-west-2: for choosing the cheapest, nobody pays them here.
    private static let large: [String: Double] = [
        "t2": 0.0928, "t3": 0.0832, "t3a": 0.0752, "t4g": 0.0672, "m5": 0.096, "m5a": 0.086, "m6i": 0.096, "m6a": 0.0864, "m6g": 0.077,
        "m7i": 0.1008, "m7a": 0.11592, "m7g": 0.0816, "c5": 0.085, "c5a": 0.077, "c6i": 0.085, "c6a": 0.0765, "c6g": 0.068, "c7i": 0.08925,
        "c7g": 0.0725, "r5": 0.126, "r6i": 0.126, "r6g": 0.1008, "r7i": 0.1323, "r7g": 0.1071,
    ]
    /// Of a family that is not in the table, for each vCPU and GiB.
    private static let perVCPU = 0.03
    private static let perGiB = 0.005

    /// Prices grow with the size: of burstable families with the memory, of others with the processors.
    func price(vcpus: Int, memoryMiB: Int) -> Double {
        guard let large = Self.large[name] else { return Double(vcpus) * Self.perVCPU + Double(memoryMiB) / 1_024 * Self.perGiB }
        return category == "t" ? large * Double(memoryMiB) / 8_192 : large * Double(vcpus) / 2
    }
}
