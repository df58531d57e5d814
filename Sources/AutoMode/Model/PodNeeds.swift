import KubeAPI

/// What pods mean to nodes that come and go. Upstream: karpenter pkg/utils/pod.
enum PodNeeds {
    /// Finds no node, ever: its pods get machines of their own.
    private static let fargateScheduler = "fargate-scheduler"

    /// Whether the scheduler has found no node for it, and another one would help. Upstream: pod.IsProvisionable.
    static func isWaiting(_ pod: Object) -> Bool {
        guard (pod["spec"]["nodeName"].string ?? "").isEmpty, !pod.metadata.isBeingDeleted, pod["status"]["nominatedNodeName"].string == nil,
            !isOfDaemonSet(pod), pod["spec"]["schedulerName"].string != fargateScheduler
        else { return false }
        return pod["status"]["conditions"].elements.contains {
            $0["type"].string == "PodScheduled" && $0["status"].string == "False" && $0["reason"].string == "Unschedulable"
        }
    }

    static func isOfDaemonSet(_ pod: Object) -> Bool { pod.metadata.controller?.kind == "DaemonSet" }

    /// Whether it is put elsewhere when its node goes: pods of DaemonSets and those of the node itself are not. Upstream: pod.IsReschedulable.
    static func isReschedulable(_ pod: Object) -> Bool {
        !pod.metadata.isBeingDeleted && !isOfDaemonSet(pod) && pod.metadata.controller?.kind != "Node"
    }

    /// Whether a drain has to wait for it. Upstream: terminator.Drain.
    static func mustGo(_ pod: Object) -> Bool {
        !isOfDaemonSet(pod) && pod.metadata.controller?.kind != "Node" && pod.metadata.annotations["kubernetes.io/config.mirror"] == nil
    }

    /// Upstream: pod.HasDoNotDisrupt.
    static func mayNotBeDisrupted(_ pod: Object) -> Bool { pod.metadata.annotations[Names.doNotDisrupt] == "true" }
}

/// What a node says of itself.
enum NodeFacts {
    static func isReady(_ node: Object) -> Bool {
        node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
    }

    static func hasTaint(_ key: String, _ node: Object) -> Bool { node["spec"]["taints"].elements.contains { $0["key"].string == key } }
}
