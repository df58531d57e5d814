internal import KubeAPI
internal import KubeAPIServer

/// Allows what the access policies of a user's access entry allow; what they do not allow, RBAC may. Upstream: EKS User Guide, "Associate access
/// policies with access entries": policies add to RBAC, are not shown by `kubectl auth can-i --list`, and do not count for who acts as another.
struct AccessPolicyAuthorizer: Authorizer {
    let book: AccessBook

    func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        guard let uid = Self.uid(of: attributes.user) else { return .noOpinion(reason: "") }
        for grant in book.grants(uid: uid) where grant.allows(attributes) { return .allow(reason: grant.reason) }
        return .noOpinion(reason: "")
    }

    /// The UID that a user's token gave him; nil for everybody else. Extension servers that ask on a user's behalf may know his extra values alone,
    /// with their keys in lower case.
    private static func uid(of user: UserInfo) -> String? {
        guard !user.isImpersonated else { return nil }
        if user.uid.hasPrefix("aws-iam-authenticator:") { return user.uid }
        guard user.uid.isEmpty, !user.extra.isEmpty else { return nil }
        func extra(_ key: String) -> String? { user.extra.first { $0.key.lowercased() == key }?.value.first }
        guard let principal = extra("principalid"), let arn = extra("canonicalarn") else { return nil }
        let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count > 4 ? "aws-iam-authenticator:\(parts[4]):\(principal)" : nil
    }
}

extension AccessBook.Grant {
    func allows(_ attributes: AuthorizationAttributes) -> Bool { isInScope(attributes) && rules.contains { $0.allows(attributes) } }

    /// A policy of namespaces says nothing of what is in none, and of paths.
    private func isInScope(_ attributes: AuthorizationAttributes) -> Bool {
        guard let namespaces else { return true }
        guard attributes.isResourceRequest, !attributes.namespace.isEmpty else { return false }
        return namespaces.contains { WildcardPattern.matches($0, attributes.namespace) }
    }

    /// As EKS's audit log has it.
    var reason: String {
        let kind = namespaces == nil ? "ClusterRoleBinding" : "RoleBinding"
        return "EKS Access Policy: allowed by \(kind) \("\(principalARN)+\(policyARN)".goQuoted) of ClusterRole \(policyARN.goQuoted) to User "
            + principalID.goQuoted
    }
}
