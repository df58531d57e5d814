import KubeAPI

/// What a node's kubelet is told beyond its defaults. Upstream: the members of KubeletConfiguration of these names.
package struct NodeKubelet: Codable, Sendable, Equatable {
    /// Processes and threads that each pod may have; nil or not positive: as many as the node.
    package var podPidsLimit: Int64?
    /// A quantity of bytes at which a container's log goes on in another file, negative: never; nil: 10Mi.
    package var containerLogMaxSize: String?
    /// Files of each container's log; nil: 5.
    package var containerLogMaxFiles: Int64?
    /// `NoSwap` or `LimitedSwap`; nil: the first.
    package var swapBehavior: String?
    /// True: it does not start where the host has swap. Nil: it does.
    package var failSwapOn: Bool?
    /// True: of a container that runs out of memory one process alone is killed. Nil: with cgroup v1.
    package var singleProcessOOMKill: Bool?
    /// What all pods have to end in when the node shuts down, and how much of it is for critical pods alone, in seconds. Nil or 0: the node does not wait.
    package var shutdownGracePeriod: Double?
    package var shutdownGracePeriodCriticalPods: Double?
    /// In place of these two.
    package var shutdownGracePeriodByPodPriority: [PriorityPeriod]?

    /// When pods are evicted, as amounts by signal; signals that are not named keep the machine image's. Nil: none is named.
    package var evictionHard: [String: String]?
    package var evictionSoft: [String: String]?
    /// Seconds by signal.
    package var evictionSoftGracePeriod: [String: Double]?
    package var evictionMinimumReclaim: [String: String]?
    /// Seconds that the node is under pressure after it was last; nil: 300.
    package var evictionPressureTransitionPeriod: Double?
    /// Seconds that pods have to end in at a soft threshold; nil: none.
    package var evictionMaxPodGracePeriod: Int64?

    /// Upstream: ShutdownGracePeriodByPodPriority.
    package struct PriorityPeriod: Codable, Sendable, Equatable {
        package var priority: Int64
        package var seconds: Int64

        package init(priority: Int64, seconds: Int64) {
            self.priority = priority
            self.seconds = seconds
        }
    }

    package init() {}

    /// How long pods have by their priority; empty: the node does not wait for them. Upstream: nodeshutdown's migrateConfig.
    package var shutdownPeriods: [PriorityPeriod] {
        if let periods = shutdownGracePeriodByPodPriority, !periods.isEmpty { return periods }
        guard let whole = shutdownGracePeriod, whole > 0, let ordinary = Int64(exactly: (whole - critical).rounded(.down)), ordinary >= 0 else {
            return []
        }
        let system = Int64(exactly: critical.rounded(.down)) ?? 0
        return [PriorityPeriod(priority: 0, seconds: ordinary), PriorityPeriod(priority: Self.systemCritical, seconds: system)]
    }

    private var critical: Double { max(0, shutdownGracePeriodCriticalPods ?? 0) }

    /// Upstream: scheduling.SystemCriticalPriority.
    private static let systemCritical: Int64 = 2_000_000_000

    /// As the node's agent reads it.
    var value: Value {
        var value: Value = [:]
        if let podPidsLimit { value["podPidsLimit"] = .int(podPidsLimit) }
        if let containerLogMaxSize { value["containerLogMaxSize"] = .string(containerLogMaxSize) }
        if let containerLogMaxFiles { value["containerLogMaxFiles"] = .int(containerLogMaxFiles) }
        if let swapBehavior { value["memorySwap"] = ["swapBehavior": .string(swapBehavior)] }
        if let failSwapOn { value["failSwapOn"] = .bool(failSwapOn) }
        if let singleProcessOOMKill { value["singleProcessOOMKill"] = .bool(singleProcessOOMKill) }
        if let evictionHard { value["evictionHard"] = Value(evictionHard) }
        if let evictionSoft { value["evictionSoft"] = Value(evictionSoft) }
        if let evictionSoftGracePeriod { value["evictionSoftGracePeriod"] = .object(Members(evictionSoftGracePeriod.map { ($0, .double($1)) })) }
        if let evictionMinimumReclaim { value["evictionMinimumReclaim"] = Value(evictionMinimumReclaim) }
        if let evictionPressureTransitionPeriod { value["evictionPressureTransitionPeriod"] = .double(evictionPressureTransitionPeriod) }
        if let evictionMaxPodGracePeriod { value["evictionMaxPodGracePeriod"] = .int(evictionMaxPodGracePeriod) }
        if !shutdownPeriods.isEmpty {
            value["shutdownGracePeriodByPodPriority"] = .array(
                shutdownPeriods.map { ["priority": .int($0.priority), "shutdownGracePeriodSeconds": .int($0.seconds)] })
        }
        return value
    }
}
