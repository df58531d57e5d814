import KubeAPI

/// When a pod's change counts as one on its node: a node is left alone for a while after each. Upstream: karpenter nodeclaim/podevents.
enum PodEvents {
    /// Events of one node closer than this are one. Upstream: podevents.dedupeTimeout.
    static let dedupeSeconds = 5.0

    /// Bound, finished, or going.
    static func isEvent(_ old: Object, _ new: Object) -> Bool {
        if old["spec"]["nodeName"].string != new["spec"]["nodeName"].string { return true }
        if old.metadata.isBeingDeleted != new.metadata.isBeingDeleted { return true }
        let finished = ["Succeeded", "Failed"]
        return !finished.contains(old["status"]["phase"].string ?? "") && finished.contains(new["status"]["phase"].string ?? "")
    }

    /// A mark of the pods on a node: differs when one came, went or is going.
    static func mark(_ pods: [Object]) -> String {
        pods.filter { !PodNeeds.isOfDaemonSet($0) }.map { "\($0.metadata.uid)\($0.metadata.isBeingDeleted ? "-" : "+")" }.sorted().joined()
    }
}
