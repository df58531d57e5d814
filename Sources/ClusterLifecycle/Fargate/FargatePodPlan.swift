import CloudControllers

/// What is to be done next for one pod on Fargate. A pure function of the pod and of the instances that were made for it.
struct FargatePodPlan: Equatable {
    /// Whether it needs an instance.
    var launches = false
    /// The node it is to be bound to.
    var node: String?
    /// Instances to end: nobody needs them.
    var terminate: [String] = []

    /// `pod` is nil once it is gone. `isRegistered` tells whether a node is known to its cluster: a pod bound to one that is not would be taken for an
    /// orphan.
    static func plan(_ pod: FargatePod?, _ instances: [InstanceRecord], isRegistered: (String) -> Bool) -> FargatePodPlan {
        let live = instances.filter { $0.phase != .terminating }
        var plan = FargatePodPlan()
        guard let pod, pod.isWanted else {
            plan.terminate = live.map(\.instanceID)
            return plan
        }
        if let node = pod.nodeName {
            plan.terminate = live.filter { $0.nodeName != node }.map(\.instanceID)
            return plan
        }
        guard let chosen = live.first else {
            plan.launches = true
            return plan
        }
        plan.terminate = live.dropFirst().map(\.instanceID)
        if chosen.phase != .launching, isRegistered(chosen.nodeName) { plan.node = chosen.nodeName }
        return plan
    }
}
