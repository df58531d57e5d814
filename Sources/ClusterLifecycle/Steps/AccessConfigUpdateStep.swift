/// Gives a cluster the authentication mode that its update names.
struct AccessConfigUpdateStep: ClusterUpdateStep {
    let type = "AccessConfigUpdate"
    static let modeParameter = "AuthenticationMode"

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard let value = update.parameters.first(where: { $0.type == Self.modeParameter })?.value else { return }
        let mode = AuthenticationMode(rawValue: value.filter { $0 != "\"" }) ?? .configMap
        try await context.state.update { tables in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return }
            current.access.authenticationMode = mode.rawValue
            tables.clusters[cluster.name] = current
        }
    }
}
