/// What a node group needs next. A pure function of its record and its instances.
struct NodegroupPlan: Equatable {
    /// Instances to launch.
    var launch = 0
    /// Instances to drain and end.
    var drain: [String] = []
    /// Instances to drain and take back into the warm pool.
    var giveBack: [String] = []
    /// Instances to end without draining: their node never was.
    var terminate: [String] = []
    /// All wanted instances are there and Ready.
    var isSettled = false
    /// A group being deleted has no instances left.
    var isGone = false

    /// `all` are its instances with those of its warm pool, which count for nothing until the group goes.
    static func plan(_ group: NodegroupRecord, _ all: [InstanceRecord]) -> NodegroupPlan {
        var plan = NodegroupPlan()
        let instances = all.filter { !$0.isInPool }
        let live = instances.filter { $0.phase == .launching || $0.phase == .joining || $0.phase == .ready || $0.isRebooting }
        switch group.status {
        case .deleting, .deleteFailed:
            for instance in live { plan.remove(instance) }
            plan.terminate += all.filter(\.isInPool).map(\.instanceID)
            plan.isGone = all.isEmpty
        case .createFailed:
            // EKS leaves a failed group as it is, for its owner to look at and delete.
            break
        case .creating, .active, .updating, .degraded:
            if let rollout = group.rollout { return RolloutPlan.plan(group, rollout, instances) }
            let surplus = live.count - group.scaling.desiredSize
            if surplus < 0 { plan.launch = -surplus }
            if surplus > 0 {
                for instance in victims(live, surplus, wanted: group.generation) { plan.remove(instance, isReused: group.reuses(instance)) }
            }
            plan.isSettled = surplus == 0 && live.allSatisfy { $0.phase == .ready }
        }
        return plan
    }

    /// Who goes first: nodes of another generation (a rollout that failed left them), nodes that are not Ready, then those in the fullest zone, then the oldest. Upstream: EC2 Auto Scaling, "Default termination
    /// policy".
    static func victims(_ live: [InstanceRecord], _ count: Int, wanted: LaunchGeneration? = nil) -> [InstanceRecord] {
        var remaining = live
        var chosen: [InstanceRecord] = []
        while chosen.count < count {
            var perZone: [String: Int] = [:]
            for instance in remaining { perZone[instance.zone, default: 0] += 1 }
            let next = remaining.min { a, b in
                let (aStranger, bStranger) = (isStranger(a, wanted), isStranger(b, wanted))
                if aStranger != bStranger { return aStranger }
                let (aReady, bReady) = (a.phase == .ready, b.phase == .ready)
                if aReady != bReady { return bReady }
                let (aZone, bZone) = (perZone[a.zone] ?? 0, perZone[b.zone] ?? 0)
                if aZone != bZone { return aZone > bZone }
                return a.createdAt == b.createdAt ? a.instanceID < b.instanceID : a.createdAt < b.createdAt
            }
            guard let next else { break }
            chosen.append(next)
            remaining.removeAll { $0.instanceID == next.instanceID }
        }
        return chosen
    }

    private static func isStranger(_ instance: InstanceRecord, _ wanted: LaunchGeneration?) -> Bool {
        guard let wanted, let own = instance.generation else { return false }
        return own != wanted
    }

    mutating func remove(_ instance: InstanceRecord, isReused: Bool = false) {
        switch instance.phase {
        case .launching: terminate.append(instance.instanceID)
        default: if isReused { giveBack.append(instance.instanceID) } else { drain.append(instance.instanceID) }
        }
    }
}
