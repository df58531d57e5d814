/// Makes a change of a cluster true: what it needs beside the control plane first, then the control plane by the changed record, then the record.
struct ClusterChangeStep: ClusterUpdateStep {
    let change: any ClusterUpdate
    var type: String { change.type }

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        var changed = cluster
        change.apply(to: &changed, now: update.createdAt)
        changed = try await change.prepare(changed, context)
        do {
            changed.endpoint = try await context.controlPlanes.start(changed)
        } catch {
            try Task.checkCancellation()
            // The cluster goes on as it was; when that fails too, the next round of the reconciler says so.
            _ = try? await context.controlPlanes.start(cluster)
            throw error
        }
        let result = changed
        try await context.state.update { tables in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return }
            // Tags may have changed meanwhile: only what the update is about is written.
            change.apply(to: &current, now: update.createdAt)
            current.network.networkInterfaceIDs = result.network.networkInterfaceIDs
            current.endpoint = result.endpoint
            tables.clusters[current.name] = current
        }
        try await change.tidy(result, context)
    }
}
