/// Prepares an instance for its group's warm pool: its machine starts and makes everything ready but for joining the cluster, then it is stopped
/// where the pool's instances are. Warming becomes warmed.
struct WarmInstanceStep {
    /// One round is short, so that what changes meanwhile (the group is deleted) is heard of.
    private static let round = Duration.seconds(5)

    /// Whether the instance is prepared; false: it is not yet.
    func run(_ instance: InstanceRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws -> Bool {
        let id = instance.instanceID
        let bootstrap = try await context.controlPlanes.nodeBootstrap(cluster, instance)
        try await context.machines.start(StartMachineStep.spec(instance, bootstrap))
        try await context.network.setInstanceState(id, "running")
        let now = context.clock.now
        try await context.state.update { tables in
            guard tables.instances[id]?.phase == .warming, tables.instances[id]?.startedAt == nil else { return }
            tables.instances[id]?.startedAt = now
        }
        guard try await context.machines.isPrepared(id, patience: Self.round) else { return false }
        if instance.pool != .running { try await Self.stop(instance, context) }
        try await context.state.update { tables in
            // Its pool may be another by now, or none.
            guard tables.instances[id]?.phase == .warming, tables.instances[id]?.pool == instance.pool else { return }
            tables.instances[id]?.phase = .warmed
            tables.instances[id]?.startedAt = nil
        }
        return true
    }

    /// Ends an instance's machine and keeps its disk and addresses.
    static func stop(_ instance: InstanceRecord, _ context: StepContext) async throws {
        try await context.network.setInstanceState(instance.instanceID, "stopping")
        try await context.machines.halt(instance.instanceID)
        try await context.network.setInstanceState(instance.instanceID, "stopped")
    }
}

/// Takes a drained instance back into its group's warm pool: draining becomes warmed, or warming where the pool's instances run. Its node goes after
/// its agent, which would bring it back. Upstream: EC2 Auto Scaling User Guide, instance reuse policy.
struct ReturnToPoolStep {
    func run(_ instance: InstanceRecord, _ context: StepContext) async throws {
        try await WarmInstanceStep.stop(instance, context)
        try await context.controlPlanes.deleteNode(instance.clusterName, nodeName: instance.nodeName)
        try await context.state.update { tables in
            guard var current = tables.instances[instance.instanceID], current.phase == .draining else { return }
            current.phase = current.pool == .running ? .warming : .warmed
            (current.drainingSince, current.startedAt, current.repairedAt) = (nil, nil, nil)
            tables.instances[current.instanceID] = current
        }
    }
}
