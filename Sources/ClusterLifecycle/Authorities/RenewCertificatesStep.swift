internal import ControlPlane

/// Gives nodes certificates by the authorities of their cluster's record, while they run.
struct RenewCertificatesStep {
    /// A node that does not take its certificates.
    struct NotTaken: Error, CustomStringConvertible {
        var description: String
    }

    /// Whether a node is behind its cluster's record. While an update is under way the nodes are the update's.
    static func isDue(_ instance: InstanceRecord, _ cluster: ClusterRecord) -> Bool {
        cluster.status == .active && (instance.authorities ?? ClusterAuthorities.initial.revision) != cluster.clusterAuthorities.revision
    }

    /// All nodes that have others. Throws for the first that does not take them.
    func run(onNodesOf cluster: ClusterRecord, _ context: StepContext) async throws {
        let revision = cluster.clusterAuthorities.revision
        let running = await context.machines.running()
        let instances = await context.state.read { tables in
            tables.instances.values.filter { instance in
                instance.clusterName == cluster.name && [.joining, .ready, .draining].contains(instance.phase)
                    && (instance.authorities ?? ClusterAuthorities.initial.revision) != revision
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Machines that have died are replaced, or started again with files of that moment.
            for instance in instances where running.contains(instance.instanceID) { group.addTask { try await run(instance, cluster, context) } }
            try await group.waitForAll()
        }
    }

    /// One node. That it goes by them is its own word; one that has not joined yet will start from its files.
    func run(_ instance: InstanceRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        let authorities = cluster.clusterAuthorities
        try await context.machines.renew(instance.instanceID, try await context.controlPlanes.nodeBootstrap(cluster, instance))
        let patience = context.configuration.certificatePatience
        let name = instance.nodeName
        if instance.phase != .joining {
            let isTaken = try await context.controlPlanes.node(name, of: cluster.name, goesBy: authorities, patience: patience)
            guard isTaken else { throw NotTaken(description: "node \(name) has not taken its new certificates within \(patience)") }
        }
        try await context.state.update { $0.instances[instance.instanceID]?.authorities = authorities.revision }
    }
}
