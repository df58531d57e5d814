import AWSServices

/// Gives a cluster the authentication mode that its update names. With its first entries come those of whom the cluster knew without: its creator
/// and the roles of its managed node groups. Upstream: EKS User Guide, "Legacy cluster access configuration".
struct AccessConfigUpdateStep: ClusterUpdateStep {
    let type = "AccessConfigUpdate"
    static let modeParameter = "AuthenticationMode"

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard let value = update.parameters.first(where: { $0.type == Self.modeParameter })?.value,
            let mode = AuthenticationMode(rawValue: value.filter { $0 != "\"" })
        else { return }
        let creatorID = await context.identities.principalID(arn: cluster.access.creatorARN)
        let creator = context.creatorEntry(cluster, principalID: creatorID)
        let roles = try await context.state.update { tables -> [String] in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return [] }
            let isFirst = !current.access.mode.hasEntries && mode.hasEntries
            current.access.authenticationMode = mode.rawValue
            tables.clusters[cluster.name] = current
            if isFirst, let creator { tables.set(creator) }
            return mode.hasEntries ? tables.nodegroups(of: cluster.name).map(\.nodeRoleARN) : []
        }
        try await NodeRoleAccessStep.addEntries(roles, cluster.name, context)
        await context.publishAccess(of: cluster.name)
    }
}
