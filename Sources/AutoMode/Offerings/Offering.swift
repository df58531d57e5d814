/// An instance type under a way of paying for it. Upstream: karpenter cloudprovider.Offering.
struct Offering: Sendable, Equatable {
    let type: InstanceType
    /// `on-demand` or `spot`.
    let capacityType: String

    /// What spot instances cost less: there is no market here, only the order of prices counts.
    private static let spotDiscount = 0.35

    var price: Double { capacityType == "spot" ? type.price * Self.spotDiscount : type.price }

    func labels(zone: String, region: String) -> [String: String] {
        var labels = type.labels
        labels[Names.capacityType] = capacityType
        labels[Names.zone] = zone
        labels["topology.kubernetes.io/region"] = region
        return labels
    }

    /// All offerings, the cheapest first; of equal price the smaller, then by name.
    static func all(_ types: [InstanceType]) -> [Offering] {
        let offerings = types.flatMap { [Offering(type: $0, capacityType: "on-demand"), Offering(type: $0, capacityType: "spot")] }
        return offerings.sorted { a, b in
            if a.price != b.price { return a.price < b.price }
            if a.type.memoryMiB != b.type.memoryMiB { return a.type.memoryMiB < b.type.memoryMiB }
            return a.type.name < b.type.name
        }
    }
}
