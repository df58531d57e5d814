import AWSServices

/// Gives a cluster the authentication mode that its update names. With its first entries come those of whom the cluster knew without: its creator
/// and the roles of its managed node groups and Fargate profiles. Upstream: EKS User Guide, "Legacy cluster access configuration".
struct AccessConfigUpdateStep: ClusterUpdateStep {
    let type = "AccessConfigUpdate"
    static let modeParameter = "AuthenticationMode"

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard let value = update.parameters.first(where: { $0.type == Self.modeParameter })?.value,
            let mode = AuthenticationMode(rawValue: value.filter { $0 != "\"" })
        else { return }
        let creatorID = await context.identities.principalID(arn: cluster.access.creatorARN)
        let creator = context.creatorEntry(cluster, principalID: creatorID)
        let roles = try await context.state.update { tables -> (instances: [String], fargate: [String]) in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return ([], []) }
            let isFirst = !current.access.mode.hasEntries && mode.hasEntries
            current.access.authenticationMode = mode.rawValue
            tables.clusters[cluster.name] = current
            if isFirst, let creator { tables.set(creator) }
            guard mode.hasEntries else { return ([], []) }
            return (tables.nodegroups(of: cluster.name).map(\.nodeRoleARN), tables.fargateProfiles(of: cluster.name).map(\.roleARN))
        }
        try await NodeRoleAccessStep().addEntries(roles.instances, cluster.name, context)
        try await NodeRoleAccessStep(kind: .fargate).addEntries(roles.fargate, cluster.name, context)
        await context.publishAccess(of: cluster.name)
    }
}
