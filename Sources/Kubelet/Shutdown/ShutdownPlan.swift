/// How long pods of a priority, and of those above it up to the next period's, have to end when their node shuts down. Upstream:
/// ShutdownGracePeriodByPodPriority.
package struct ShutdownPeriod: Sendable, Equatable {
    package var priority: Int64
    package var seconds: Int64

    package init(priority: Int64, seconds: Int64) {
        self.priority = priority
        self.seconds = seconds
    }
}

/// Which pods end when, as their node shuts down: pure. Upstream: nodeshutdown's podManager.
enum ShutdownPlan {
    /// Pods that end at the same time.
    struct Group: Sendable {
        /// The next group comes no later.
        var seconds: Int64
        var pods: [Pod] = []
    }

    /// The groups that have pods, the least important first. A pod below all periods is of the lowest. Upstream: groupByPriority.
    static func groups(_ periods: [ShutdownPeriod], _ pods: [Pod]) -> [Group] {
        let periods = periods.sorted { $0.priority < $1.priority }
        var groups = periods.map { Group(seconds: $0.seconds) }
        for pod in pods {
            let priority = pod.spec["priority"].int ?? 0
            guard let index = periods.lastIndex(where: { $0.priority <= priority }) ?? periods.indices.first else { continue }
            groups[index].pods.append(pod)
        }
        return groups.filter { !$0.pods.isEmpty }
    }

    /// How a pod of such a group is ended.
    static func ending(_ pod: Pod, of group: Group) -> PodEnding {
        let message = "Pod was terminated in response to imminent node shutdown."
        return PodEnding(
            reason: "Terminated", message: message, grace: min(group.seconds, pod.terminationGracePeriodSeconds), disruption: message)
    }
}
