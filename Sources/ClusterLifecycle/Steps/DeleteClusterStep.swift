/// Removes all that a cluster has: control plane and data, interfaces, security group; its record last.
struct DeleteClusterStep {
    func run(_ cluster: ClusterRecord, _ context: StepContext) async throws {
        try await context.controlPlanes.delete(cluster.name)
        try await context.network.removeInterfaces(ownerTokenPrefix: ControlPlaneInterfacesStep.token(cluster))
        if let group = cluster.network.clusterSecurityGroupID, try await !context.network.removeSecurityGroup(group) {
            // Somebody's own interfaces use it: EKS leaves it behind too.
            context.logger.warning("cluster security group is in use and stays", metadata: ["cluster": "\(cluster.name)", "group": "\(group)"])
        }
        if let grant = cluster.encryption?.grantID { try await context.keys.retire(grant: grant) }
        try await context.state.update { tables in
            guard tables.clusters[cluster.name]?.id == cluster.id else { return }
            tables.clusters[cluster.name] = nil
            for addon in tables.addons(of: cluster.name) { tables.remove(addon) }
            for association in tables.podIdentities(of: cluster.name) { tables.podIdentities[association.id] = nil }
            for provider in tables.identityProviders(of: cluster.name) {
                tables.identityProviders[LifecycleTables.key(cluster.name, provider.name)] = nil
            }
            for entry in tables.accessEntries(of: cluster.name) { tables.accessEntries[LifecycleTables.key(cluster.name, entry.principalARN)] = nil }
            for insight in tables.insights(of: cluster.name) { tables.insights[insight.id] = nil }
            tables.insightRefreshes[cluster.name] = nil
            for shift in tables.zonalShifts(of: cluster.name) { tables.zonalShifts[shift.id] = nil }
            for update in tables.updates.values where update.clusterName == cluster.name { tables.updates[update.id] = nil }
        }
    }
}
