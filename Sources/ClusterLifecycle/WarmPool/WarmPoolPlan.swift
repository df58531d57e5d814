/// What a node group's warm pool needs next. A pure function of the group's record and its instances.
struct WarmPoolPlan: Equatable {
    /// Instances to launch into the pool.
    var launch = 0
    /// Instances of the pool to end.
    var terminate: [String] = []
    /// Instances of the pool that are to wait otherwise than they do.
    var change: [String] = []
    /// All that belong into the pool are there and ready.
    var isFilled = false

    /// How many instances belong into the pool. Upstream: EC2 Auto Scaling User Guide, "Warm pool size"; autoscaling PutWarmPool.
    static func size(_ config: WarmPoolConfig, _ scaling: ScalingConfig) -> Int {
        guard config.isEnabled else { return 0 }
        return max(config.minSize, (config.maxPrepared ?? scaling.maxSize) - scaling.desiredSize, 0)
    }

    /// Of a group that is neither being made nor going.
    static func plan(_ group: NodegroupRecord, _ instances: [InstanceRecord]) -> WarmPoolPlan {
        var plan = WarmPoolPlan()
        let config = group.warmPool ?? .disabled
        let size = size(config, group.scaling)
        let pool = instances.filter(\.isInPool)
        // Nobody wants those of an earlier release, or of an earlier version of the launch template.
        let fitting = pool.filter { $0.generation == group.launchGeneration }
        let returning = instances.count { $0.phase == .draining && $0.pool != nil }
        let surplus = max(0, fitting.count + returning - size)
        let going = fitting.sorted(by: isLess).prefix(surplus).map(\.instanceID)
        plan.terminate = pool.filter { $0.generation != group.launchGeneration }.map(\.instanceID) + going
        plan.launch = max(0, size - fitting.count - returning)
        let staying = fitting.filter { !going.contains($0.instanceID) }
        plan.change = staying.filter { $0.pool != config.state }.map(\.instanceID)
        plan.isFilled = plan.launch == 0 && plan.terminate.isEmpty && plan.change.isEmpty && staying.allSatisfy { $0.phase == .warmed }
        return plan
    }

    /// The `count` instances that the pool gives when the group needs more: ready ones first, from the zones that have the fewest in service, the
    /// oldest first. Those that are still being prepared are further than new ones would be. Those outside `subnets`, where the
    /// group launches now, stay.
    static func taken(_ group: NodegroupRecord, _ instances: [InstanceRecord], _ count: Int, subnets: Set<String>) -> [InstanceRecord] {
        guard group.warmPool?.isEnabled ?? false else { return [] }
        var perZone: [String: Int] = [:]
        for instance in instances where !instance.isInPool { perZone[instance.zone, default: 0] += 1 }
        var pool = instances.filter { $0.isInPool && $0.generation == group.launchGeneration && subnets.contains($0.subnetID) }
        var taken: [InstanceRecord] = []
        while taken.count < count {
            let next = pool.min { a, b in
                let (aWarm, bWarm) = (a.phase == .warmed, b.phase == .warmed)
                if aWarm != bWarm { return aWarm }
                let (aZone, bZone) = (perZone[a.zone] ?? 0, perZone[b.zone] ?? 0)
                if aZone != bZone { return aZone < bZone }
                return a.createdAt == b.createdAt ? a.instanceID < b.instanceID : a.createdAt < b.createdAt
            }
            guard let next else { break }
            taken.append(next)
            perZone[next.zone, default: 0] += 1
            pool.removeAll { $0.instanceID == next.instanceID }
        }
        return taken
    }

    /// Who goes first: those that are not ready, then the oldest.
    private static func isLess(_ a: InstanceRecord, _ b: InstanceRecord) -> Bool {
        let (aWarm, bWarm) = (a.phase == .warmed, b.phase == .warmed)
        if aWarm != bWarm { return bWarm }
        return a.createdAt == b.createdAt ? a.instanceID < b.instanceID : a.createdAt < b.createdAt
    }
}

extension NodegroupRecord {
    /// What instances are launched as now.
    var launchGeneration: LaunchGeneration { rollout?.generation ?? generation }

    /// Whether an instance that is drained because the group shrinks goes back into the pool.
    func reuses(_ instance: InstanceRecord) -> Bool {
        guard let warmPool, warmPool.isEnabled, warmPool.reusesOnScaleIn else { return false }
        return instance.phase == .ready && instance.generation == launchGeneration
    }
}

extension InstanceRecord {
    /// Whether it stands in its group's warm pool: it is not in service, and has no node.
    var isInPool: Bool { phase == .warming || phase == .warmed }

    /// Where it begins again when its machine went with the host; nil for one that needs none, or begins there anyway.
    var phaseWithoutMachine: InstancePhase? {
        switch phase {
        case .joining, .ready: .launching
        case .warmed: pool == .running ? .warming : nil
        default: nil
        }
    }
}
