import AWSServices
import ControlPlane

/// Lets the nodes of a managed node group join: by an access entry of its role where the cluster has entries, else by the `aws-auth` ConfigMap.
/// Upstream: EKS User Guide, "Create access entries": EKS makes the entry of a managed node group's role itself.
struct NodeRoleAccessStep {
    /// Nothing to do when the role has its place already, or the cluster's API server is not there to be told.
    func run(_ group: NodegroupRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard cluster.access.mode.hasEntries else {
            return try await context.controlPlanes.mapNodeRole(group.nodeRoleARN, isWanted: true, in: cluster.name)
        }
        try await NodeRoleAccessStep.addEntries([group.nodeRoleARN], cluster.name, context)
    }

    /// Makes the entries that the roles lack.
    static func addEntries(_ roles: [String], _ cluster: String, _ context: StepContext) async throws {
        var entries: [AccessEntryRecord] = []
        for role in Set(roles).sorted() {
            let id = await context.identities.principalID(arn: role)
            if let entry = context.nodeRoleEntry(cluster, roleARN: role, principalID: id) { entries.append(entry) }
        }
        let wanted = entries
        let isChanged = try await context.state.update { tables in
            let missing = wanted.filter { tables.accessEntries[LifecycleTables.key(cluster, $0.principalARN)] == nil }
            for entry in missing { tables.set(entry) }
            return !missing.isEmpty
        }
        if isChanged { await context.publishAccess(of: cluster) }
    }

    /// After the last group of a role has gone: what EKS made for it goes too.
    static func remove(_ group: NodegroupRecord, isServing: Bool, _ context: StepContext) async throws {
        let read = try await context.state.update { tables -> ClusterRecord? in
            let isUsed = tables.nodegroups(of: group.clusterName).contains { $0.nodeRoleARN == group.nodeRoleARN }
            guard !isUsed, let cluster = tables.clusters[group.clusterName] else { return nil }
            let key = LifecycleTables.key(cluster.name, group.nodeRoleARN)
            if tables.accessEntries[key]?.isOfNodegroups ?? false { tables.accessEntries[key] = nil }
            return cluster
        }
        guard let cluster = read else { return }
        await context.publishAccess(of: cluster.name)
        guard isServing, cluster.access.mode.hasConfigMap else { return }
        try await context.controlPlanes.mapNodeRole(group.nodeRoleARN, isWanted: false, in: cluster.name)
    }
}
