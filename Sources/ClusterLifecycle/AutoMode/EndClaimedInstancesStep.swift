/// Ends the instances of EKS Auto Mode of a cluster that has it no more, or goes. Upstream: EKS User Guide, "Disable EKS Auto Mode": "EKS will terminate
/// all EC2 instances operated by EKS Auto Mode".
struct EndClaimedInstancesStep {
    /// The ids of those that are being ended; none: there are no more.
    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws -> [String] {
        guard cluster.autoMode == nil || cluster.status == .deleting else { return [] }
        guard await context.state.read({ tables in !tables.claimedInstances(of: cluster.name).isEmpty }) else { return [] }
        return try await context.state.update { tables in
            let instances = tables.claimedInstances(of: cluster.name)
            for var instance in instances where instance.phase != .terminating {
                instance.phase = .terminating
                tables.instances[instance.instanceID] = instance
            }
            return instances.map(\.instanceID)
        }
    }
}
