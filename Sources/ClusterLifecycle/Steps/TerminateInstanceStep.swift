/// Ends an instance's machine, removes its node and releases its addresses; its record last.
struct TerminateInstanceStep {
    /// `isClusterServing` tells whether there is an API server to delete the node from.
    func run(_ instance: InstanceRecord, isClusterServing: Bool, _ context: StepContext) async throws {
        try await context.network.setInstanceState(instance.instanceID, "shutting-down")
        try await context.machines.terminate(instance.instanceID)
        if isClusterServing { try await context.controlPlanes.deleteNode(instance.clusterName, nodeName: instance.nodeName) }
        try await context.network.terminate(instance.instanceID)
        try await context.state.update { $0.instances[instance.instanceID] = nil }
        context.instanceChanges.tell(instance.clusterName)
    }
}
