import AWSProtocol

/// How an update names its provider: `[{"type":"oidc","name":"…"}]`. Upstream: eks UpdateParamType.IdentityProviderConfig.
enum IdentityProviderUpdate {
    static let parameterType = "IdentityProviderConfig"

    static func parameter(_ name: String) -> UpdateParameter {
        let value: AWSJSON = [["type": .string(IdentityProviderRecord.type), "name": .string(name)]]
        return UpdateParameter(type: parameterType, value: String(decoding: value.encoded, as: UTF8.self))
    }

    static func name(in update: UpdateRecord) -> String? {
        guard let text = update.parameters.first(where: { $0.type == parameterType })?.value else { return nil }
        // Our own text.
        return (try? AWSJSON(parsing: Array(text.utf8)))?.arrayValue?.first?["name"]?.stringValue
    }
}

/// Has a cluster's API server believe a provider: CREATING becomes ACTIVE. Its keys are fetched when the first of its tokens comes.
struct AssociateIdentityProviderStep: ClusterUpdateStep {
    let type = "AssociateIdentityProviderConfig"

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard let name = IdentityProviderUpdate.name(in: update) else { return }
        try await context.state.update { tables in
            let key = LifecycleTables.key(cluster.name, name)
            guard tables.identityProviders[key]?.status == .creating else { return }
            tables.identityProviders[key]?.status = .active
        }
        await context.publishAccess(of: cluster.name)
    }
}

/// Has a cluster's API server forget a provider.
struct DisassociateIdentityProviderStep: ClusterUpdateStep {
    let type = "DisassociateIdentityProviderConfig"

    func run(_ update: UpdateRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        guard let name = IdentityProviderUpdate.name(in: update) else { return }
        try await context.state.update { tables in
            let key = LifecycleTables.key(cluster.name, name)
            guard tables.identityProviders[key]?.status == .deleting else { return }
            tables.identityProviders[key] = nil
        }
        await context.publishAccess(of: cluster.name)
    }
}
