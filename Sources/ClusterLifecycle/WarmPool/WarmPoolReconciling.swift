import AWSProtocol

/// The part of warm pools: prepared instances of a node group beside those in service.
///
/// ```
/// launched ─▶ warming ─▶ warmed ─the group grows─▶ launching ─▶ joining ─▶ ready
///                          ▲                                                │
///                          └────────────── draining ◀──it shrinks, reuse────┘
/// ```
extension Reconciler {
    /// A node group: those in service first, then its pool.
    func reconcileNodegroup(_ clusterName: String, _ name: String) async throws {
        try await reconcileMembers(clusterName, name)
        let read = await context.state.read { tables -> (NodegroupRecord, ClusterRecord, [InstanceRecord])? in
            guard let group = tables.nodegroups[LifecycleTables.key(clusterName, name)], let cluster = tables.clusters[clusterName] else {
                return nil
            }
            return (group, cluster, tables.instances(of: group))
        }
        guard let (group, cluster, instances) = read, group.warmPool != nil, [.active, .updating, .degraded].contains(group.status) else { return }
        let plan = WarmPoolPlan.plan(group, instances)
        try await mark(terminate: plan.terminate)
        try await change(plan.change, to: group.warmPool?.state)
        if plan.isFilled { try await note(nil, inPoolOf: group) }
        try await fillPool(of: group, cluster, instances, count: plan.launch)
        for id in await context.state.read({ tables in tables.instances(of: group).filter { $0.phase == .warming }.map(\.instanceID) }) {
            wake(.instance(id))
        }
    }

    private func fillPool(of group: NodegroupRecord, _ cluster: ClusterRecord, _ instances: [InstanceRecord], count: Int) async throws {
        guard count > 0, let state = group.warmPool?.state, serving.contains(cluster.name), !isHeldBack(.warmPool(of: group)) else { return }
        do {
            try await NodeRoleAccessStep().run(group.nodeRoleARN, cluster, context)
            let group = try await RemoteAccessStep().run(group, cluster, context)
            try await LaunchInstancesStep().run(group, cluster, instances, count: count, pool: state, context)
        } catch {
            try Task.checkCancellation()
            try await note(HealthIssue(error, resourceIDs: group.subnetIDs), inPoolOf: group)
        }
    }

    /// Has instances wait in another way. One that was stopped and is to be hibernated, or the other way about, stays as it is.
    private func change(_ ids: [String], to state: WarmPoolState?) async throws {
        guard !ids.isEmpty, let state else { return }
        try await context.state.update { tables in
            for id in ids {
                guard var instance = tables.instances[id], instance.isInPool, let old = instance.pool else { continue }
                if (old == .running) != (state == .running) { (instance.phase, instance.startedAt) = (.warming, nil) }
                instance.pool = state
                tables.instances[id] = instance
            }
        }
    }

    /// Instances of the pool go into service, `count` at most. How many did.
    func takeFromPool(_ group: NodegroupRecord, _ cluster: ClusterRecord, _ count: Int) async throws -> Int {
        guard group.warmPool != nil else { return 0 }
        let now = context.clock.now
        let shifted = await context.state.read { $0.shiftedZones(of: cluster, at: now) }
        let subnets = Set(await context.network.subnets(group.subnetIDs).avoiding(shifted).map(\.id))
        let taken = try await context.state.update { tables -> [InstanceRecord] in
            let taken = WarmPoolPlan.taken(group, tables.instances(of: group), count, subnets: subnets)
            for var instance in taken {
                (instance.phase, instance.pool, instance.startedAt) = (.launching, nil, nil)
                tables.instances[instance.instanceID] = instance
            }
            return taken
        }
        // What was said of the nodes that they were.
        for instance in taken { forgetNode(of: instance) }
        return taken.count
    }

    /// What an instance of a pool needs: to be prepared, and to stay so.
    func keepWarm(_ instance: InstanceRecord, _ cluster: ClusterRecord?, _ group: NodegroupRecord?) async throws {
        let id = instance.instanceID
        forgetNode(of: instance)
        guard instance.phase == .warming else {
            // It may have come back to a pool that is too full, or to a group that goes.
            guard instance.pool == .running, !(await context.machines.running().contains(id)) else { return wake(.owner(of: instance)) }
            return try await giveUp(instance, nil, HealthIssue(code: "InternalFailure", message: "the machine of instance \(id) died"))
        }
        guard let cluster, let group, serving.contains(cluster.name) else { return }
        do {
            if try await WarmInstanceStep().run(instance, cluster, context) { return wake(.owner(of: instance)) }
            let patience = context.configuration.nodeJoinTimeout
            guard let since = instance.startedAt, context.clock.now - since > patience.inSeconds else { return wake(.instance(id)) }
            let report = await context.machines.report(id)
            throw AWSError(
                "NodeCreationFailure",
                "instance \(id) was not prepared for the warm pool within \(patience)" + (report.isEmpty ? "" : "; its log ends: \(report)"))
        } catch {
            try Task.checkCancellation()
            try await note(HealthIssue(error, resourceIDs: [id]), inPoolOf: group)
            try await giveUp(instance, nil, HealthIssue(error, resourceIDs: [id]))
        }
    }

    /// A pool that cannot be filled: its group says so while it is well otherwise, and launches into it again later. Nil: it is full.
    private func note(_ issue: HealthIssue?, inPoolOf group: NodegroupRecord) async throws {
        let key = ReconcileKey.warmPool(of: group)
        if let issue {
            logger.error(
                "a warm pool has a problem",
                metadata: ["cluster": "\(group.clusterName)", "nodegroup": "\(group.name)", "code": "\(issue.code)", "message": "\(issue.message)"])
            holdBack(key)
        } else {
            notBefore[key] = nil
        }
        guard issue != group.warmPoolProblem else { return }
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard tables.nodegroups[key]?.id == group.id else { return }
            tables.nodegroups[key]?.warmPoolProblem = issue
        }
    }
}

extension ReconcileKey {
    /// Launches into a group's pool, held back apart from those into service.
    static func warmPool(of group: NodegroupRecord) -> ReconcileKey { .warmPool(cluster: group.clusterName, name: group.name) }
}
