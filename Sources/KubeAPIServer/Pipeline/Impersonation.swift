import HTTPTransport
import KubeAPI

/// Acting as another user by `Impersonate-*` headers. Upstream: endpoints/filters.WithImpersonation.
enum Impersonation {
    private static let extraPrefix = "impersonate-extra-"

    /// The user the request is to be made as: `requestor` itself when no header asks for another. Throws 403 when the requestor may not impersonate
    /// any one of the user, the groups, the UID or the extra values named.
    static func user(for head: HTTPRequestHead, requestor: UserInfo, _ components: APIServer.Components) async throws -> UserInfo {
        // Most requests have none of the headers: one look finds out.
        guard isAsked(head) else { return requestor }
        let name = head.fields["Impersonate-User"] ?? ""
        let groups = head.fields.all("Impersonate-Group").filter { !$0.isEmpty }
        let uid = head.fields["Impersonate-Uid"] ?? ""
        var extra: [String: [String]] = [:]
        for (field, value) in head.fields.fields where field.utf8.count > extraPrefix.utf8.count {
            let lower = field.lowercased()
            guard lower.hasPrefix(extraPrefix) else { continue }
            let raw = String(lower.dropFirst(extraPrefix.count))
            extra[PercentEncoding.decode(raw) ?? raw, default: []].append(value)
        }
        guard !name.isEmpty else {
            guard groups.isEmpty, uid.isEmpty, extra.isEmpty else {
                throw StatusError.internalError("requested groups, a uid or extra values without impersonating a user")
            }
            return requestor
        }

        func require(
            _ resource: GroupResource, version: String = "v1", namespace: String = "", name: String, subresource: String = ""
        ) async throws {
            let attributes = AuthorizationAttributes(
                user: requestor, verb: "impersonate", apiGroup: resource.group, apiVersion: version, resource: resource.resource,
                subresource: subresource,
                namespace: namespace, name: name)
            try await Authorization.require(attributes, components)
        }

        var user = UserInfo(name: name, uid: uid, groups: groups, extra: extra)
        user.isImpersonated = true
        if let (namespace, account) = serviceAccount(name) {
            try await require(GroupResource(group: "", resource: "serviceaccounts"), namespace: namespace, name: account)
            if groups.isEmpty { user.groups = ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"] }
        } else {
            try await require(GroupResource(group: "", resource: "users"), name: name)
        }
        for group in groups { try await require(GroupResource(group: "", resource: "groups"), name: group) }
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            for value in values {
                try await require(GroupResource(group: "authentication.k8s.io", resource: "userextras"), name: value, subresource: key)
            }
        }
        if !uid.isEmpty { try await require(GroupResource(group: "authentication.k8s.io", resource: "uids"), name: uid) }

        let authenticated = "system:authenticated"
        let unauthenticated = "system:unauthenticated"
        if name == UserInfo.anonymous.name {
            if !user.groups.contains(unauthenticated) { user.groups.append(unauthenticated) }
        } else if !user.groups.contains(authenticated), !user.groups.contains(unauthenticated) {
            user.groups.append(authenticated)
        }
        return user
    }

    /// Whether any header asks to act as another.
    static func isAsked(_ head: HTTPRequestHead) -> Bool { head.fields.fields.contains { isImpersonation($0.name) } }

    private static func isImpersonation(_ field: String) -> Bool {
        field.utf8.count > 12 && field.prefix(12).lowercased() == "impersonate-"
    }

    /// Namespace and name of `system:serviceaccount:NAMESPACE:NAME`. Upstream: serviceaccount.SplitUsername.
    static func serviceAccount(_ user: String) -> (namespace: String, name: String)? {
        let prefix = "system:serviceaccount:"
        guard user.hasPrefix(prefix) else { return nil }
        let parts = user.dropFirst(prefix.count).split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (String(parts[0]), String(parts[1]))
    }
}

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
