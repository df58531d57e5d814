import KubeAPI

/// Keeps users from granting rights they do not have: who writes a role or a binding must hold all it grants, or the verb `escalate` on the role,
/// or `bind` on the role bound. Runs with the validating plug-ins. Upstream: the policybased storages of pkg/registry/rbac.
struct RBACEscalationCheck: AdmissionPlugin {
    let name = "RBACEscalationCheck"
    let authorizer: any Authorizer
    let rbac: RBACAuthorizer

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.resource.group == GroupResource.roles.group, attributes.subresource.isEmpty else { return }
        guard attributes.operation == .create || attributes.operation == .update else { return }
        guard !attributes.user.groups.contains(PrivilegedGroupsAuthorizer.masters) else { return }
        if let old = attributes.oldObject, onlyGarbageCollectionFieldsDiffer(attributes.object, old.value) { return }
        let object = try Object(attributes.object)
        switch attributes.resource.groupResource {
        case .roles: try checkRole(object, attributes)
        case .clusterRoles:
            try checkRole(object, attributes)
            try checkAggregation(object, attributes)
        case .roleBindings, .clusterRoleBindings: try checkBinding(object, attributes)
        default: break
        }
    }

    private func may(_ verb: String, _ resource: GroupResource, namespace: String, name: String, _ user: UserInfo) -> Bool {
        let asked = AuthorizationAttributes(
            user: user, verb: verb, apiGroup: resource.group, apiVersion: "v1", resource: resource.resource, namespace: namespace, name: name)
        if case .allow = authorizer.authorize(asked) { return true }
        return false
    }

    private func checkRole(_ role: Object, _ attributes: AdmissionAttributes) throws {
        let resource = attributes.resource.groupResource
        let name = role.metadata.name
        if may("escalate", resource, namespace: attributes.namespace, name: name, attributes.user) { return }
        try confirmNoEscalation(PolicyRule.rules(of: role), resource, name, attributes)
    }

    private func checkAggregation(_ role: Object, _ attributes: AdmissionAttributes) throws {
        func aggregates(_ object: Object?) -> Bool { object?["aggregationRule"].map { !$0["clusterRoleSelectors"].elements.isEmpty } ?? false }
        guard aggregates(role) || aggregates(attributes.oldObject) else { return }
        if may("escalate", .clusterRoles, namespace: "", name: role.metadata.name, attributes.user) { return }
        let held = rbac.rules(for: attributes.user, namespace: "").rules
        guard RBACRules.covers(held, RBACRules.fullAuthority).covered else {
            throw StatusError.forbidden(.clusterRoles, role.metadata.name, "must have cluster-admin privileges to use the aggregationRule")
        }
    }

    private func checkBinding(_ binding: Object, _ attributes: AdmissionAttributes) throws {
        let kind = binding["roleRef"]["kind"].string ?? ""
        let role = binding["roleRef"]["name"].string ?? ""
        let resource: GroupResource = kind == "ClusterRole" ? .clusterRoles : .roles
        if may("bind", resource, namespace: attributes.namespace, name: role, attributes.user) { return }
        let rules = try rbac.rules(roleKind: kind, roleName: role, namespace: attributes.namespace)
        try confirmNoEscalation(rules, attributes.resource.groupResource, binding.metadata.name, attributes)
    }

    /// Upstream: rbac/validation.ConfirmNoEscalation.
    private func confirmNoEscalation(_ rules: [PolicyRule], _ resource: GroupResource, _ name: String, _ attributes: AdmissionAttributes) throws {
        let held = rbac.rules(for: attributes.user, namespace: attributes.namespace)
        let missing = RBACRules.covers(held.rules, rules).missing
        guard !missing.isEmpty else { return }
        let shown = Set(RBACRules.compact(missing).map(\.compactString)).sorted().joined(separator: "\n")
        var message =
            "user \(attributes.user.name.goQuoted) (groups=\(quotedList(attributes.user.groups))) is attempting to grant RBAC permissions not currently held:\n"
        message += shown
        if !held.errors.isEmpty { message += "; resolution errors: [\(held.errors.joined(separator: ", "))]" }
        throw StatusError.forbidden(resource, name, message)
    }
}

/// Whether two states of an object differ only in what the garbage collector changes, finalizers and owners. Upstream: rbac.IsOnlyMutatingGCFields.
func onlyGarbageCollectionFieldsDiffer(_ new: Value, _ old: Value) -> Bool {
    func stripped(_ value: Value) -> Value {
        var value = value
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] { value[path: "metadata", field] = nil }
        return value
    }
    return stripped(new) == stripped(old)
}
