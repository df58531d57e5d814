import KubeAPI

/// A way in which one may be allowed to act as another, in the order in which they are tried. The constrained ones ask for two rights: to be this user
/// (`impersonate:MODE`), and to make this request as such a one (`impersonate-on:MODE:VERB`). Upstream: impersonation.allImpersonationModes.
enum ImpersonationMode: String, CaseIterable {
    case associatedNode = "associated-node"
    case arbitraryNode = "arbitrary-node"
    case serviceAccount = "serviceaccount"
    case userInfo = "user-info"
    case unconstrained = ""

    var isConstrained: Bool { self != .unconstrained }
    var verb: String { isConstrained ? "impersonate:\(rawValue)" : "impersonate" }

    /// Whether the mode is for this user at all. Nodes and service accounts are known by their names alone in constrained modes.
    func applies(to wanted: UserInfo, requestor: UserInfo) -> Bool {
        let nameAlone = wanted.uid.isEmpty && wanted.groups.isEmpty && wanted.extra.isEmpty
        let node = Impersonation.node(wanted.name)
        let account = Impersonation.serviceAccount(wanted.name)
        return switch self {
        case .associatedNode:
            nameAlone && node != nil && Impersonation.serviceAccount(requestor.name) != nil
                && requestor.extra["authentication.kubernetes.io/node-name"] == node.map { [$0] }
        case .arbitraryNode: nameAlone && node != nil
        case .serviceAccount: nameAlone && account != nil
        case .userInfo: node == nil && account == nil
        case .unconstrained: true
        }
    }
}

/// The questions of one mode about one request. Upstream: impersonation.constrainedImpersonationModeState and impersonationModeState.
struct ImpersonationCheck {
    let mode: ImpersonationMode
    let requestor: UserInfo
    let components: APIServer.Components

    /// So many checks of one kind are first asked for at once, as a right to all (`*`). Upstream: manyAuthorizationChecksInLoop.
    private static let manyChecks = 4
    private static let authentication = "authentication.k8s.io"

    /// The wanted user with the groups that belong to him. `attributes`: of the request, as the requestor's own. Throws 403 for the first right
    /// that is missing.
    func user(_ wanted: UserInfo, for attributes: AuthorizationAttributes) async throws -> UserInfo {
        if mode.isConstrained {
            var action = attributes
            action.user = asked
            action.verb = "impersonate-on:\(mode.rawValue):\(attributes.verb)"
            try await Authorization.require(action, components)
        }
        var user = wanted
        user.groups = try await groups(ofName: wanted)
        if !wanted.uid.isEmpty { try await require("uids", group: Self.authentication, name: wanted.uid) }
        try await requireGroups(wanted.groups)
        try await requireExtra(wanted.extra)
        let unauthenticated = "system:unauthenticated"
        if wanted.name == UserInfo.anonymous.name {
            if !user.groups.contains(unauthenticated) { user.groups.append(unauthenticated) }
        } else if !user.groups.contains(unauthenticated), !user.groups.contains("system:authenticated") {
            user.groups.append("system:authenticated")
        }
        return user
    }

    /// The requestor as the authorisers are asked about him. The node an account is on has been compared already: it is nobody's business any more.
    private var asked: UserInfo {
        guard mode == .associatedNode else { return requestor }
        var user = requestor
        user.extra = ["authentication.kubernetes.io/associated-node-keys": requestor.extra.keys.sorted()]
        return user
    }

    /// Asks for the name, and says which groups the user has by it.
    private func groups(ofName wanted: UserInfo) async throws -> [String] {
        let group = mode.isConstrained ? Self.authentication : ""
        if mode.isConstrained, let node = Impersonation.node(wanted.name) {
            try await require("nodes", group: group, name: mode == .associatedNode ? "*" : node)
            return ["system:nodes"]
        }
        guard let (namespace, account) = Impersonation.serviceAccount(wanted.name) else {
            try await require("users", group: group, name: wanted.name)
            return wanted.groups
        }
        try await require("serviceaccounts", group: group, namespace: namespace, name: account)
        return wanted.groups.isEmpty ? ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"] : wanted.groups
    }

    private func requireGroups(_ groups: [String]) async throws {
        let group = mode.isConstrained ? Self.authentication : ""
        if mode.isConstrained {
            if groups.contains("") {
                throw Authorization.forbidden(
                    attributes("groups", group: group), reason: "impersonating the empty string group is not allowed")
            }
            if groups.contains("system:masters") {
                throw Authorization.forbidden(
                    attributes("groups", group: group, name: "system:masters"), reason: "impersonating the system:masters group is not allowed")
            }
            if groups.count >= Self.manyChecks, await may("groups", group: group, name: "*") { return }
        }
        for name in groups { try await require("groups", group: group, name: name) }
    }

    private func requireExtra(_ extra: [String: [String]]) async throws {
        guard !extra.isEmpty else { return }
        if mode.isConstrained {
            if let problem = Self.problem(extra) {
                throw Authorization.forbidden(attributes("userextras", group: Self.authentication), reason: problem)
            }
            let isLarge = extra.count >= Self.manyChecks || extra.values.reduce(0) { $0 + $1.count } >= Self.manyChecks
            if isLarge, await may("userextras", group: Self.authentication, name: "*", subresource: "*") { return }
        }
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            for value in values { try await require("userextras", group: Self.authentication, name: value, subresource: key) }
        }
    }

    /// What a constrained mode has against these extra values. Upstream: validateExtra.
    private static func problem(_ extra: [String: [String]]) -> String? {
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            if key.isEmpty { return "impersonating the empty string key in extra is not allowed" }
            var errors = FieldErrors()
            DomainRules.prefixedPath("extra.key", key, &errors)
            if let cause = errors.causes.first { return "impersonating an invalid key in extra is not allowed: \(cause.field): \(cause.message)" }
            if key != key.lowercased() { return "impersonating a non-lowercase key in extra is not allowed: \(key.goQuoted)" }
            if values.contains("") { return "impersonating the empty string value in extra is not allowed" }
        }
        return nil
    }

    private func attributes(
        _ resource: String, group: String, namespace: String = "", name: String = "", subresource: String = ""
    ) -> AuthorizationAttributes {
        AuthorizationAttributes(
            user: asked, verb: mode.verb, apiGroup: group, apiVersion: "v1", resource: resource, subresource: subresource, namespace: namespace,
            name: name)
    }

    private func require(_ resource: String, group: String, namespace: String = "", name: String, subresource: String = "") async throws {
        try await Authorization.require(
            attributes(resource, group: group, namespace: namespace, name: name, subresource: subresource), components)
    }

    /// A right that spares many questions; without it they are asked one by one.
    private func may(_ resource: String, group: String, name: String, subresource: String = "") async -> Bool {
        guard case .allow? = try? await Authorization.decide(attributes(resource, group: group, name: name, subresource: subresource), components)
        else { return false }
        return true
    }
}
