extension Reconciler {
    /// Does what the instances of a simulated group need next; they have no keys of their own.
    func simulate(_ group: NodegroupRecord) async throws {
        let (cluster, key, step) = (group.clusterName, ReconcileKey.nodegroup(cluster: group.clusterName, name: group.name), SimulatedInstancesStep())
        let instances = await context.state.read { $0.instances(of: group) }
        let isServing = serving.contains(cluster)
        if isServing {
            // Said before the look at who is Ready: none that becomes so meanwhile is missed.
            for instance in instances where instance.phase == .launching || instance.phase == .joining {
                awaited[cluster, default: [:]][instance.nodeName] = key
            }
            if try await step.start(group, instances, context) { wake(key) }
            let ready = readiness[cluster] ?? [:]
            if try await step.settle(instances, isReady: { ready[$0] ?? false }, context) { wake(key) }
        }
        let gone = try await step.remove(group, instances, isServing: isServing, context)
        for instance in gone {
            readiness[cluster]?[instance.nodeName] = nil
            awaited[cluster]?[instance.nodeName] = nil
        }
        if !gone.isEmpty { wake(key) }
    }
}
