import AWSServices

/// Begins the end of an instance that EC2 takes back: its node is drained, and its group launches another at once. Upstream: EKS User Guide, "Managed
/// node groups", Spot capacity rebalancing: the notice comes with the recommendation here, so that nothing waits for the other node.
struct InterruptInstanceStep {
    /// Returns who launched it; nil when there is nothing to do.
    func run(_ id: String, _ context: StepContext) async throws -> ReconcileKey? {
        guard let interruption = await context.network.launched(id)?.interruption else { return nil }
        let found = try await context.state.update { tables -> InstanceRecord? in
            guard var instance = tables.instances[id], instance.interruption == nil, instance.phase != .terminating else { return nil }
            instance.interruption = interruption
            // It does not come again.
            instance.repair = nil
            instance.phase = instance.phase == .launching ? .terminating : .draining
            tables.instances[id] = instance
            return instance
        }
        guard let found else { return nil }
        context.logger.info("a spot instance is taken back", metadata: ["instance": "\(id)", "node": "\(found.nodeName)"])
        return ReconcileKey.owner(of: found)
    }
}
