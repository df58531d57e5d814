import KubeAPI

/// What becomes of a pod on a node that goes. A pure function. Upstream: karpenter node/termination/terminator.
enum DrainPlan {
    enum Action: Equatable {
        case evict
        /// With so many seconds of grace: its node's end comes before its own would.
        case delete(Int64)
        case wait
    }

    /// How soon an eviction that a budget refused is tried again. Upstream: terminator/eviction's queue begins at 100 ms and goes up to 10 s.
    private static let retry = Duration.seconds(2)

    static func action(_ pod: Object, deadline: Timestamp?, now: Timestamp) -> Action {
        let grace = pod["spec"]["terminationGracePeriodSeconds"].int ?? 30
        if let deadline {
            let left = Int64(max(0, deadline.timeInterval(since: now)))
            if left <= grace {
                let isSooner = (pod.metadata.deletionGracePeriodSeconds ?? Int64.max) > left + 1
                return isSooner ? .delete(max(1, left)) : .wait
            }
        }
        if pod.metadata.isBeingDeleted || PodNeeds.mayNotBeDisrupted(pod) { return .wait }
        return .evict
    }

    /// When to look again: pods that are going are heard of when they are gone.
    static func recheck(_ pods: [Object], deadline: Timestamp?, now: Timestamp) -> Duration? {
        if pods.contains(where: { action($0, deadline: deadline, now: now) == .evict }) { return retry }
        guard let deadline else { return nil }
        let longest = pods.map { $0["spec"]["terminationGracePeriodSeconds"].int ?? 30 }.max() ?? 0
        let left = deadline.timeInterval(since: now)
        let next = left > Double(longest) ? left - Double(longest) : left
        return .milliseconds(Int64(max(0, min(next, 86_400)) * 1_000) + 100)
    }
}
