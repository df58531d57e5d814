import KubeAPI

/// Asking the authorisers, in order: the first that allows or denies decides; no opinion of any is a refusal. Upstream: authorizer union and
/// endpoints/filters.WithAuthorization.
enum Authorization {
    static func decide(_ attributes: AuthorizationAttributes, _ authorizers: [any Authorizer]) -> AuthorizationDecision {
        var reasons: [String] = []
        for authorizer in authorizers {
            switch authorizer.authorize(attributes) {
            case .allow(let reason): return .allow(reason: reason)
            case .deny(let reason): return .deny(reason: reason)
            case .noOpinion(let reason): if !reason.isEmpty { reasons.append(reason) }
            }
        }
        return .noOpinion(reason: reasons.joined(separator: "\n"))
    }

    /// The remote authorisers' decision, `reason` being what the others had to say. One that cannot be reached has no opinion.
    static func decide(_ attributes: AuthorizationAttributes, remote: [any RemoteAuthorizer], reason: String) async throws -> AuthorizationDecision {
        var reasons = reason.isEmpty ? [] : [reason]
        for authorizer in remote {
            let decision = try await authorizer.authorize(attributes)
            guard case .noOpinion(let reason) = decision else { return decision }
            if !reason.isEmpty { reasons.append(reason) }
        }
        return .noOpinion(reason: reasons.joined(separator: "\n"))
    }

    /// All authorisers' decision.
    static func decide(_ attributes: AuthorizationAttributes, _ components: APIServer.Components) async throws -> AuthorizationDecision {
        let decision = decide(attributes, components.authorizers)
        guard case .noOpinion(let reason) = decision, !components.remoteAuthorizers.isEmpty else { return decision }
        return try await decide(attributes, remote: components.remoteAuthorizers, reason: reason)
    }

    /// Throws upstream's 403 unless the attributes are allowed.
    static func require(_ attributes: AuthorizationAttributes, _ components: APIServer.Components) async throws {
        switch try await decide(attributes, components) {
        case .allow: return
        case .deny(let reason), .noOpinion(let reason): throw forbidden(attributes, reason: reason)
        }
    }

    /// Throws upstream's 403 unless the attributes are allowed.
    static func require(_ attributes: AuthorizationAttributes, _ authorizers: [any Authorizer]) throws {
        switch decide(attributes, authorizers) {
        case .allow: return
        case .deny(let reason), .noOpinion(let reason): throw forbidden(attributes, reason: reason)
        }
    }

    /// Upstream: responsewriters.ForbiddenStatusError with forbiddenMessage.
    static func forbidden(_ attributes: AuthorizationAttributes, reason: String) -> StatusError {
        let user = attributes.user.name.goQuoted
        var message: String
        if attributes.isResourceRequest {
            let resource = attributes.subresource.isEmpty ? attributes.resource : "\(attributes.resource)/\(attributes.subresource)"
            message = "User \(user) cannot \(attributes.verb) resource \(resource.goQuoted) in API group \(attributes.apiGroup.goQuoted)"
            message += attributes.namespace.isEmpty ? " at the cluster scope" : " in the namespace \(attributes.namespace.goQuoted)"
        } else {
            message = "User \(user) cannot \(attributes.verb) path \(attributes.path.goQuoted)"
        }
        if !reason.isEmpty { message += ": \(reason)" }
        guard attributes.isResourceRequest else {
            return StatusError(code: 403, reason: "Forbidden", message: "forbidden: \(message)", details: .init())
        }
        return .forbidden(GroupResource(group: attributes.apiGroup, resource: attributes.resource), attributes.name, message)
    }
}
