/// A node group on its way to another release, or to another version of its launch template. Kept with the group so that it goes on after a crash; gone when it has succeeded or failed.
package struct NodegroupRollout: Codable, Sendable, Equatable {
    /// `1.36`
    package var version: String
    /// `1.36.2-20260901`
    package var releaseVersion: String
    /// Nodes whose pods cannot be evicted go all the same.
    package var isForced: Bool
    /// Of its update.
    package var updateID: String
    /// The launch template in the version it goes to; nil for a group without one.
    package var template: NodegroupTemplate?
}

/// What a node group on its way to another release needs next. A pure function. Upstream: EKS User Guide, "Understand each phase of node updates":
/// by default new nodes come before old ones go; with the strategy MINIMAL old ones go first.
enum RolloutPlan {
    /// Upstream: eks NodegroupUpdateConfig.maxUnavailable.
    static let mostAtOnce = 100

    /// How many nodes may be on their way at once.
    static func width(_ config: NodegroupUpdateConfig, desired: Int) -> Int {
        let share = config.maxUnavailablePercentage.map { (desired * min($0, 100) + 99) / 100 }
        return max(1, min(config.maxUnavailable ?? share ?? 1, mostAtOnce))
    }

    static func plan(_ group: NodegroupRecord, _ rollout: NodegroupRollout, _ instances: [InstanceRecord]) -> NodegroupPlan {
        var plan = NodegroupPlan()
        let desired = group.scaling.desiredSize
        let width = width(group.updateConfig, desired: desired)
        let isMinimal = group.updateConfig.updateStrategy == "MINIMAL"
        let live = instances.filter { $0.phase == .launching || $0.phase == .joining || $0.phase == .ready }
        let leaving = instances.count - live.count
        let new = live.filter { $0.generation == rollout.generation }
        let old = live.filter { $0.generation != rollout.generation }
        // Nodes that never were have nothing to drain.
        plan.terminate = old.filter { $0.phase != .ready }.map(\.instanceID)
        let oldReady = old.filter { $0.phase == .ready }
        let newReady = new.filter { $0.phase == .ready }.count
        let room = desired + (isMinimal ? 0 : width) - live.count - leaving
        plan.launch = max(0, min(desired - new.count, room))
        // The group shrinks to its size when it was changed meanwhile, and never below while old nodes wait for new ones.
        let spare = oldReady.count + newReady - desired + (isMinimal ? width - (new.count - newReady) - leaving : 0)
        let going = max(0, min(oldReady.count, spare, width - leaving))
        plan.drain = NodegroupPlan.victims(oldReady, going).map(\.instanceID)
        if old.isEmpty, new.count > desired { for instance in NodegroupPlan.victims(new, new.count - desired) { plan.remove(instance) } }
        plan.isSettled = old.isEmpty && leaving == 0 && new.count == desired && newReady == desired
        return plan
    }
}
