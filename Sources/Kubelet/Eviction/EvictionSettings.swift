package import KubeAPI

/// The eviction members of a kubelet's file, as they stand there. Upstream: KubeletConfiguration.
package struct EvictionSettings: Sendable, Equatable {
    /// Amounts by signal, at which pods go at once; signals that are not named keep the machine image's.
    package var hard: [String: String] = [:]
    /// Amounts by signal, at which pods go after a while, and how long that is, in seconds.
    package var soft: [String: String] = [:]
    package var softGrace: [String: Double] = [:]
    /// Amounts by signal.
    package var minimumReclaim: [String: String] = [:]
    /// Seconds.
    package var transitionPeriod: Double?
    package var maximumPodGrace: Int64?

    package init() {}
}

extension EvictionPolicy {
    /// What EKS's machine images set. Upstream: amazon-eks-ami, nodeadm's evictionHard.
    private static let imageDefaults = ["memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"]

    /// The policy of a node with these settings. What is no signal or amount is left out: who takes settings from users has checked them. Upstream:
    /// eviction.ParseThresholdConfig.
    package init(_ settings: EvictionSettings) {
        func thresholds(_ amounts: [String: String], grace: (String) -> Double?) -> [EvictionThreshold] {
            EvictionSignal.allCases.compactMap { signal in
                guard signal != .allocatableMemoryAvailable, let amount = amounts[signal.rawValue].flatMap(EvictionAmount.init), amount.isThreshold,
                    let grace = grace(signal.rawValue)
                else { return nil }
                return EvictionThreshold(
                    signal, amount, grace: grace, minimumReclaim: settings.minimumReclaim[signal.rawValue].flatMap(EvictionAmount.init))
            }
        }
        var hard = thresholds(Self.imageDefaults.merging(settings.hard) { $1 }) { _ in 0 }
        // What pods have of the memory is watched by the same measure. Upstream: getAllocatableThreshold.
        if let memory = hard.firstIndex(where: { $0.signal == .memoryAvailable }) {
            var allocatable = hard[memory]
            allocatable.signal = .allocatableMemoryAvailable
            hard.insert(allocatable, at: memory + 1)
        }
        self.init(thresholds: hard + thresholds(settings.soft) { settings.softGrace[$0] })
        if let period = settings.transitionPeriod { transitionPeriod = period }
        if let grace = settings.maximumPodGrace { maximumPodGrace = grace }
    }
}
