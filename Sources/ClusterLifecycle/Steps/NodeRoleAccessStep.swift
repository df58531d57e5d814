import AWSServices
import ControlPlane

/// Lets the nodes of a managed node group, or of a Fargate profile, join: by an access entry of their role where the cluster has entries, else by the
/// `aws-auth` ConfigMap. Upstream: EKS User Guide, "Create access entries": EKS makes the entries of such roles itself.
struct NodeRoleAccessStep {
    var kind = NodeRoleKind.instances

    /// Nothing to do when the role has its place already, or the cluster's API server is not there to be told.
    func run(_ role: String, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard cluster.access.mode.hasEntries else {
            return try await context.controlPlanes.mapNodeRole(role, of: kind, isWanted: true, in: cluster.name)
        }
        try await addEntries([role], cluster.name, context)
    }

    /// Makes the entries that the roles lack.
    func addEntries(_ roles: [String], _ cluster: String, _ context: StepContext) async throws {
        var entries: [AccessEntryRecord] = []
        for role in Set(roles).sorted() {
            let id = await context.identities.principalID(arn: role)
            if let entry = context.nodeRoleEntry(cluster, roleARN: role, principalID: id, kind) { entries.append(entry) }
        }
        let wanted = entries
        let isChanged = try await context.state.update { tables in
            let missing = wanted.filter { tables.accessEntries[LifecycleTables.key(cluster, $0.principalARN)] == nil }
            for entry in missing { tables.set(entry) }
            return !missing.isEmpty
        }
        if isChanged { await context.publishAccess(of: cluster) }
    }

    /// Takes out with `removal` what used the role; after the last of its users has gone, what EKS made for it goes too.
    func remove(
        _ role: String, of clusterName: String, isServing: Bool, _ context: StepContext,
        _ removal: @escaping @Sendable (inout LifecycleTables) -> Void = { _ in }
    ) async throws {
        let read = try await context.state.update { tables -> ClusterRecord? in
            removal(&tables)
            guard !tables.usesNodeRole(role, in: clusterName), let cluster = tables.clusters[clusterName] else { return nil }
            let key = LifecycleTables.key(cluster.name, role)
            if tables.accessEntries[key]?.isOfNodegroups ?? false { tables.accessEntries[key] = nil }
            return cluster
        }
        guard let cluster = read else { return }
        await context.publishAccess(of: cluster.name)
        guard isServing, cluster.access.mode.hasConfigMap else { return }
        try await context.controlPlanes.mapNodeRole(role, of: kind, isWanted: false, in: cluster.name)
    }
}

extension LifecycleTables {
    fileprivate func usesNodeRole(_ role: String, in cluster: String) -> Bool {
        nodegroups(of: cluster).contains { $0.nodeRoleARN == role } || fargateProfiles(of: cluster).contains { $0.roleARN == role }
            || clusters[cluster]?.autoMode?.nodeRoleARN == role
    }
}
