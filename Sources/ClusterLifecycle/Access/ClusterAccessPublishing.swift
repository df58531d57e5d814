import AWSProtocol
import ControlPlane

extension LifecycleTables {
    /// What a control plane is told of who may enter.
    func accessRules(of cluster: ClusterRecord) -> ClusterAccessRules {
        let access = cluster.access
        var rules = ClusterAccessRules(revision: revision, usesConfigMap: access.mode.hasConfigMap)
        if access.mode.hasEntries {
            rules.entries = accessEntries(of: cluster.name).sorted { $0.principalARN < $1.principalARN }.map { entry in
                ClusterAccessRules.Entry(
                    principalARN: entry.principalARN, principalID: entry.principalID, userName: entry.userName, groups: entry.groups,
                    policies: entry.policies.map { ClusterAccessRules.Policy(arn: $0.arn, namespaces: $0.namespaces) })
            }
        } else if access.bootstrapClusterCreatorAdminPermissions {
            rules.administratorARN = access.creatorARN
        }
        let providers = identityProviders(of: cluster.name).filter { $0.status == .active }.sorted { $0.name < $1.name }
        rules.identityProviders = providers.map { provider in
            var accepted = ClusterAccessRules.IdentityProvider(issuer: provider.issuerURL, clientID: provider.clientID)
            accepted.userNameClaim = provider.userNameClaim
            accepted.userNamePrefix = provider.userNamePrefix
            accepted.groupsClaim = provider.groupsClaim
            accepted.groupsPrefix = provider.groupsPrefix
            accepted.requiredClaims = provider.requiredClaims
            return accepted
        }
        return rules
    }
}

extension StepContext {
    /// Tells the cluster's control plane what the records say now. A cluster that is gone has nobody to tell.
    func publishAccess(of name: String) async {
        guard let rules = await state.read({ tables in tables.clusters[name].map { tables.accessRules(of: $0) } }) else { return }
        await controlPlanes.setAccess(rules, of: name)
    }

    /// The entry that makes the cluster's creator its administrator. Upstream: eks bootstrapClusterCreatorAdminPermissions.
    func creatorEntry(_ cluster: ClusterRecord, principalID: String?) -> AccessEntryRecord? {
        guard cluster.access.bootstrapClusterCreatorAdminPermissions, let principal = IAMPrincipal(cluster.access.creatorARN) else { return nil }
        let policy = ARN(
            partition: configuration.partition, service: "eks", account: "aws", resource: "cluster-access-policy/AmazonEKSClusterAdminPolicy")
        return AccessEntryRecord(
            clusterName: cluster.name, principalARN: principal.arn, principalID: principalID,
            arn: configuration.arn("\(principal.entryResource(cluster.name))/\(AWSIdentifier.uuid())"), type: .standard,
            userName: principal.standardUserName, groups: [],
            policies: [AssociatedPolicy(arn: policy.description, namespaces: nil, associatedAt: clock.now)], createdAt: clock.now)
    }

    /// The entry by which the nodes of a managed node group or of a Fargate profile join.
    func nodeRoleEntry(_ cluster: String, roleARN: String, principalID: String?, _ kind: NodeRoleKind) -> AccessEntryRecord? {
        let type: AccessEntryType =
            switch kind {
            case .instances: .ec2Linux
            case .fargate: .fargateLinux
            }
        return nodeRoleEntry(cluster, roleARN: roleARN, principalID: principalID, type: type)
    }

    /// The entry by which nodes join, as EKS makes it itself.
    func nodeRoleEntry(_ cluster: String, roleARN: String, principalID: String?, type: AccessEntryType) -> AccessEntryRecord? {
        guard let principal = IAMPrincipal(roleARN) else { return nil }
        return AccessEntryRecord(
            clusterName: cluster, principalARN: principal.arn, principalID: principalID,
            arn: configuration.arn("\(principal.entryResource(cluster))/\(AWSIdentifier.uuid())"), type: type,
            userName: type.nodeUserName ?? "", groups: type.nodeGroups, createdAt: clock.now, isOfNodegroups: true)
    }
}
