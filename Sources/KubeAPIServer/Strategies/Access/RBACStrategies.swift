import KubeAPI

/// Roles and ClusterRoles. Upstream: rbac/validation.ValidateRole, ValidateClusterRole.
struct RoleStrategy: ResourceStrategy {
    let isNamespaced: Bool

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        for (index, view) in object["rules"].elements.enumerated() { rule(PolicyRule(view: view), "rules[\(index)]", &errors) }
        if !isNamespaced, let aggregation = object["aggregationRule"].present {
            let selectors = aggregation["clusterRoleSelectors"].elements
            if selectors.isEmpty {
                errors.required("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required if aggregationRule is non-nil")
            }
            for (index, selector) in selectors.enumerated() { errors.labelSelector("aggregationRule.clusterRoleSelectors[\(index)]", selector) }
        }
        return errors.causes
    }

    private func rule(_ rule: PolicyRule, _ place: String, _ errors: inout FieldErrors) {
        if rule.verbs.isEmpty { errors.required("\(place).verbs", "verbs must contain at least one value") }
        if !rule.nonResourceURLs.isEmpty {
            if isNamespaced {
                errors.invalid("\(place).nonResourceURLs", Value(rule.nonResourceURLs), "namespaced rules cannot apply to non-resource URLs")
            }
            if !rule.apiGroups.isEmpty || !rule.resources.isEmpty || !rule.resourceNames.isEmpty {
                errors.invalid(
                    "\(place).nonResourceURLs", Value(rule.nonResourceURLs), "rules cannot apply to both regular resources and non-resource URLs")
            }
            return
        }
        if rule.apiGroups.isEmpty { errors.required("\(place).apiGroups", "resource rules must supply at least one api group") }
        if rule.resources.isEmpty { errors.required("\(place).resources", "resource rules must supply at least one resource") }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }
}

/// RoleBindings and ClusterRoleBindings. Upstream: rbac/validation.ValidateRoleBinding, ValidateClusterRoleBinding.
struct RoleBindingStrategy: ResourceStrategy {
    let isNamespaced: Bool
    private static let group = "rbac.authorization.k8s.io"

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let reference = object["roleRef"]
        if (reference["apiGroup"].string ?? "") != Self.group {
            errors.notSupported("roleRef.apiGroup", reference["apiGroup"].string ?? "", [Self.group])
        }
        let kinds = isNamespaced ? ["Role", "ClusterRole"] : ["ClusterRole"]
        if !kinds.contains(reference["kind"].string ?? "") { errors.notSupported("roleRef.kind", reference["kind"].string ?? "", kinds) }
        let role = reference["name"].string ?? ""
        if role.isEmpty { errors.required("roleRef.name") } else { errors.name("roleRef.name", role, .pathSegment) }
        for (index, subject) in object["subjects"].elements.enumerated() { self.subject(subject, "subjects[\(index)]", &errors) }
        return errors.causes
    }

    private func subject(_ subject: JSONView, _ place: String, _ errors: inout FieldErrors) {
        let name = subject["name"].string ?? ""
        if name.isEmpty { errors.required("\(place).name") }
        let group = subject["apiGroup"].string ?? ""
        switch subject["kind"].string ?? "" {
        case "ServiceAccount":
            if !name.isEmpty { errors.name("\(place).name", name, .dnsSubdomain) }
            if !group.isEmpty { errors.notSupported("\(place).apiGroup", group, [""]) }
            if !isNamespaced, (subject["namespace"].string ?? "").isEmpty { errors.required("\(place).namespace") }
        case "User", "Group": if group != Self.group { errors.notSupported("\(place).apiGroup", group, [Self.group]) }
        case let other: errors.notSupported("\(place).kind", other, ["ServiceAccount", "User", "Group"])
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.append(validate(object))
        if object["roleRef"].value != old["roleRef"].value { errors.invalid("roleRef", object["roleRef"].value ?? .null, "cannot change roleRef") }
        return errors.causes
    }
}
