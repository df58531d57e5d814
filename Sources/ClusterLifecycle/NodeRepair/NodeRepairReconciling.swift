/// The part of nodes' health: what they say of themselves, and the repairs that follow.
///
/// ```
/// conditions of a node ──note──▶ .nodegroup: repair ──drain──▶ .instance ──▶ ended, and the group launches another
///                                                                       └──▶ halted and started again
/// ```
extension Reconciler {
    /// Keeps what a node says, and wakes whom it concerns.
    func note(_ change: NodeReadiness) async {
        let (cluster, node) = (change.clusterName, change.nodeName)
        readiness[cluster, default: [:]][node] = change.isReady
        let isChanged = (problems[cluster]?[node] ?? []) != change.problems
        problems[cluster, default: [:]][node] = change.problems
        let instances = await context.state.read { tables in tables.instances.values.filter { $0.clusterName == cluster && $0.nodeName == node } }
        for instance in instances where instance.phase == .joining { wake(.instance(instance.instanceID)) }
        for instance in instances where isChanged { wake(ReconcileKey.owner(of: instance)) }
    }

    /// Begins the repairs that are due, and looks again when others are. Whether there are any.
    func repair(_ group: NodegroupRecord, _ instances: [InstanceRecord]) async throws -> Bool {
        guard serving.contains(group.clusterName) else { return false }
        let key = ReconcileKey.nodegroup(cluster: group.clusterName, name: group.name)
        let (begun, next) = try await NodeRepairStep().run(group, instances, problems[group.clusterName] ?? [:], context)
        for id in begun { wake(.instance(id)) }
        if let next { lookAgain(key, at: next) }
        // The one that goes has to be replaced.
        if !begun.isEmpty { wake(key) }
        return !begun.isEmpty
    }

    /// A key is looked at often: one timer is enough. It comes a little late, so that the moment is over by whatever clock.
    func lookAgain(_ key: ReconcileKey, at wished: Double) {
        let now = context.clock.now
        // A user's wait may be longer than a clock can sleep: the group is then looked at in between.
        let moment = min(wished, now + 86_400)
        if let planned = timersAhead[key], planned > now, planned <= moment { return }
        timersAhead[key] = moment
        wake(key, after: .seconds(max(0, moment - now) + 2))
    }
}
