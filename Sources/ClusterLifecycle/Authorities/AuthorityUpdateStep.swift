internal import ControlPlane

/// Brings a change of a cluster's authorities to everything that goes by them: the nodes first, which believe the old and the new while both are
/// believed, then the control plane, which is started anew on the same store; nodes that joined meanwhile; the record last. What it finds done it
/// leaves, so it goes on where it was after a crash.
struct AuthorityUpdateStep: ClusterUpdateStep {
    let change: AuthorityUpdate
    var type: String { change.type }

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        do {
            try await carryOut(update, cluster, context)
        } catch {
            try Task.checkCancellation()
            // As it was: the nodes that have changed believe what the others do. When that fails too, the reconciler's next round says so.
            _ = try? await context.controlPlanes.start(cluster)
            try await context.state.update { tables in
                guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return }
                change.fail(in: &current)
                tables.clusters[current.name] = current
            }
            throw error
        }
    }

    private func carryOut(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        var changed = cluster
        if change.action == .append {
            let data = try await context.controlPlanes.makeAuthority(change.id, of: cluster)
            changed.change(authority: change.id) { $0.certificateData = data }
        }
        change.apply(to: &changed, now: context.clock.now)
        let step = RenewCertificatesStep()
        try await step.run(onNodesOf: changed, context)
        changed.endpoint = try await context.controlPlanes.start(changed)
        try await step.run(onNodesOf: changed, context)
        let result = changed
        try await context.state.update { tables in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return }
            // Tags may have changed meanwhile: only what the update is about is written.
            current.authorities = result.authorities
            current.endpoint = result.endpoint
            tables.clusters[current.name] = current
        }
        if change.action == .delete { try await context.controlPlanes.removeAuthority(change.id, of: cluster) }
    }
}
