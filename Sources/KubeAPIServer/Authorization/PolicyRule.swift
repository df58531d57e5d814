package import KubeAPI

/// One rule of a Role or ClusterRole: what may be done to which resources, or to which paths. Upstream: rbacv1.PolicyRule.
package struct PolicyRule: Sendable, Hashable {
    package var verbs: [String]
    package var apiGroups: [String]
    package var resources: [String]
    package var resourceNames: [String]
    package var nonResourceURLs: [String]

    package init(verbs: [String], apiGroups: [String] = [], resources: [String] = [], resourceNames: [String] = [], nonResourceURLs: [String] = []) {
        self.verbs = verbs
        self.apiGroups = apiGroups
        self.resources = resources
        self.resourceNames = resourceNames
        self.nonResourceURLs = nonResourceURLs
    }

    package init(view: JSONView) {
        self.init(
            verbs: view["verbs"].strings, apiGroups: view["apiGroups"].strings, resources: view["resources"].strings,
            resourceNames: view["resourceNames"].strings, nonResourceURLs: view["nonResourceURLs"].strings)
    }

    init(object: Object) { self.init(view: object.root) }

    /// The rules of a Role or ClusterRole.
    static func rules(of role: Object) -> [PolicyRule] { role["rules"].elements.map(PolicyRule.init(view:)) }

    package var value: Value {
        var rule: Value = ["verbs": Value(verbs)]
        if !apiGroups.isEmpty { rule["apiGroups"] = Value(apiGroups) }
        if !resources.isEmpty { rule["resources"] = Value(resources) }
        if !resourceNames.isEmpty { rule["resourceNames"] = Value(resourceNames) }
        if !nonResourceURLs.isEmpty { rule["nonResourceURLs"] = Value(nonResourceURLs) }
        return rule
    }

    /// Whether the rule allows what is asked. Upstream: rbac.RuleAllows.
    package func allows(_ attributes: AuthorizationAttributes) -> Bool {
        guard verbs.contains(where: { $0 == "*" || $0 == attributes.verb }) else { return false }
        guard attributes.isResourceRequest else { return nonResourceURLs.contains { Self.pathMatches($0, attributes.path) } }
        guard apiGroups.contains(where: { $0 == "*" || $0 == attributes.apiGroup }) else { return false }
        guard resources.contains(where: { resourceMatches($0, attributes) }) else { return false }
        return resourceNames.isEmpty || resourceNames.contains(attributes.name)
    }

    private func resourceMatches(_ pattern: String, _ attributes: AuthorizationAttributes) -> Bool {
        if pattern == "*" { return true }
        if attributes.subresource.isEmpty { return pattern == attributes.resource }
        return pattern == "\(attributes.resource)/\(attributes.subresource)" || pattern == "*/\(attributes.subresource)"
    }

    /// `*` at the end of a pattern stands for any rest. Upstream: rbac.NonResourceURLMatches.
    static func pathMatches(_ pattern: String, _ path: String) -> Bool {
        if pattern == "*" || pattern == path { return true }
        guard pattern.hasSuffix("*") else { return false }
        return path.hasPrefix(trimmingStars(pattern))
    }

    private static func trimmingStars(_ pattern: String) -> Substring {
        var prefix = pattern[...]
        while prefix.last == "*" { prefix.removeLast() }
        return prefix
    }

    /// `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`, as messages show rules. Upstream: rbachelpers.CompactString.
    var compactString: String {
        var parts: [String] = []
        for (name, list) in [
            ("APIGroups", apiGroups), ("Resources", resources), ("NonResourceURLs", nonResourceURLs), ("ResourceNames", resourceNames),
            ("Verbs", verbs),
        ] where !list.isEmpty {
            parts.append("\(name):\(quotedList(list))")
        }
        return "{\(parts.joined(separator: ", "))}"
    }
}

/// Go's `%q` of a list of strings: `["a" "b"]`.
func quotedList(_ list: [String]) -> String { "[\(list.map(\.goQuoted).joined(separator: " "))]" }
