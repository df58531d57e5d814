/// Starts the control plane and waits until it serves. Its own readiness decides when the cluster is ACTIVE.
struct StartControlPlaneStep: ClusterStep {
    let name = "control plane"

    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord {
        var cluster = cluster
        await context.publishAccess(of: cluster.name)
        cluster.endpoint = try await context.controlPlanes.start(cluster)
        return cluster
    }
}
