import KubeAPI

/// Asks authorisers in turn; the first that allows or denies decides. Upstream: authorizer/union.
package struct UnionAuthorizer: Authorizer {
    let authorizers: [any Authorizer]

    package init(_ authorizers: [any Authorizer]) { self.authorizers = authorizers }

    package func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        var reasons: [String] = []
        for authorizer in authorizers {
            let decision = authorizer.authorize(attributes)
            guard case .noOpinion(let reason) = decision else { return decision }
            if !reason.isEmpty { reasons.append(reason) }
        }
        return .noOpinion(reason: reasons.joined(separator: "\n"))
    }
}

/// Allows members of privileged groups everything. Upstream: authorizerfactory.NewPrivilegedGroups.
package struct PrivilegedGroupsAuthorizer: Authorizer {
    let groups: [String]

    package init(_ groups: [String] = [Self.masters]) { self.groups = groups }

    /// Upstream: user.SystemPrivilegedGroup.
    package static let masters = "system:masters"

    package func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        attributes.user.groups.contains { groups.contains($0) } ? .allow(reason: "") : .noOpinion(reason: "")
    }
}

/// The authorisers of a cluster in their order, with the parts that others need too.
package struct ClusterAuthorization: Sendable {
    package let authorizer: any Authorizer
    package let rbac: RBACAuthorizer

    /// `system:masters`, then the Node authoriser, then `extra` (EKS access policies), then RBAC. Reads roles, bindings and pods and follows them.
    package init(reader: any ObjectReader, extra: [any Authorizer] = []) {
        rbac = RBACAuthorizer(reader: reader)
        authorizer = UnionAuthorizer([PrivilegedGroupsAuthorizer(), NodeAuthorizer(reader: reader)] + extra + [rbac])
    }
}
