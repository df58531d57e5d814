/// Holds pods back until their scheduling gates are removed: they never enter the queue before. Upstream: plugins/schedulinggates.
enum SchedulingGates {
    static let name = "SchedulingGates"

    /// Nil: the pod may be scheduled. Upstream: PreEnqueue.
    static func reasonToWait(_ pod: PodInfo) -> String? {
        pod.schedulingGates.isEmpty ? nil : "waiting for scheduling gates: [\(pod.schedulingGates.joined(separator: " "))]"
    }
}
