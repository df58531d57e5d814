package import KubeAPI

/// One rule of a webhook or an admission policy: operations on resources. Compiled once from its object. Upstream: rules.Matcher over
/// admissionregistration's RuleWithOperations and NamedRuleWithOperations.
package struct AdmissionRule: Sendable {
    private enum Scope { case all, cluster, namespaced }

    private let operations: Set<String>
    private let groups: Set<String>
    private let versions: Set<String>
    /// Resource and subresource, each a name or `*`; an empty subresource is the resource itself.
    private let resources: [(resource: String, subresource: String)]
    private let scope: Scope
    /// Empty: every name.
    private let resourceNames: Set<String>

    package init(_ view: JSONView) {
        operations = Set(view["operations"].strings)
        groups = Set(view["apiGroups"].strings)
        versions = Set(view["apiVersions"].strings)
        resources = view["resources"].strings.map { text in
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
        }
        switch view["scope"].string {
        case "Cluster": scope = .cluster
        case "Namespaced": scope = .namespaced
        default: scope = .all
        }
        resourceNames = Set(view["resourceNames"].strings)
    }

    /// Whether the rule is about this request, seen as one on `resource`.
    package func matches(_ attributes: AdmissionAttributes, as resource: GroupVersionResource) -> Bool {
        func names(_ set: Set<String>, _ wanted: String) -> Bool { set.contains(wanted) || set.contains("*") }
        guard names(operations, attributes.operation.rawValue), names(groups, resource.group), names(versions, resource.version),
            resources.contains(where: { rule in
                (rule.resource == "*" || rule.resource == resource.resource)
                    && (rule.subresource == "*" || rule.subresource == attributes.subresource)
            })
        else { return false }
        let isNamespaceItself = attributes.resource.groupResource == .namespaces
        switch scope {
        case .all: break
        case .namespaced: if isNamespaceItself || attributes.namespace.isEmpty { return false }
        case .cluster: if !isNamespaceItself && !attributes.namespace.isEmpty { return false }
        }
        return resourceNames.isEmpty || resourceNames.contains(attributes.name)
    }
}

/// What a matching rule makes of a request: the version of the resource in which the webhook or policy sees it.
package struct MatchedResource: Sendable, Equatable {
    package var resource: GroupVersionResource
    package var kind: GroupVersionKind
}

/// Rules, selectors and match policy of one webhook, policy or binding. Upstream: generic.Webhook.ShouldCallHook and matching.Matcher.
package struct RuleMatcher: Sendable {
    private let rules: [AdmissionRule]
    private let excluded: [AdmissionRule]
    private let namespaceSelector: LabelSelector
    private let objectSelector: LabelSelector
    /// `matchPolicy: Equivalent`: other versions of a resource count as it.
    private let isEquivalent: Bool
    /// Whether a missing list of rules matches everything, as in a binding's matchResources.
    private let matchesWithoutRules: Bool

    /// A webhook: `rules`, `namespaceSelector`, `objectSelector`, `matchPolicy`. Throws `SelectorError` for a selector that is none.
    package init(webhook view: JSONView) throws(SelectorError) {
        try self.init(rules: view["rules"], excluded: nil, of: view, matchesWithoutRules: false)
    }

    /// A webhook by its `rules` and `matchPolicy` alone.
    package init(rulesOf view: JSONView) {
        rules = view["rules"].elements.map(AdmissionRule.init)
        excluded = []
        namespaceSelector = .everything
        objectSelector = .everything
        isEquivalent = view["matchPolicy"].string != "Exact"
        matchesWithoutRules = false
    }

    /// A policy's `matchConstraints` or a binding's `matchResources`. A binding without rules matches what its policy matches. Throws
    /// `SelectorError`.
    package init(matchResources view: JSONView?, isBinding: Bool) throws(SelectorError) {
        try self.init(
            rules: view["resourceRules"], excluded: view["excludeResourceRules"], of: view, matchesWithoutRules: isBinding)
    }

    private init(rules: JSONView?, excluded: JSONView?, of view: JSONView?, matchesWithoutRules: Bool) throws(SelectorError) {
        self.rules = rules.elements.map(AdmissionRule.init)
        self.excluded = excluded.elements.map(AdmissionRule.init)
        namespaceSelector = try Self.selector(view["namespaceSelector"])
        objectSelector = try Self.selector(view["objectSelector"])
        isEquivalent = view["matchPolicy"].string != "Exact"
        self.matchesWithoutRules = matchesWithoutRules
    }

    /// A missing selector selects everything here: defaulting writes it as the empty one.
    private static func selector(_ view: JSONView?) throws(SelectorError) -> LabelSelector {
        guard let view, !view.isNull else { return .everything }
        return try LabelSelector(object: view)
    }

    /// In which version the request is meant, nil when it is not meant at all. Rules first: selectors cost look-ups.
    package func match(_ attributes: AdmissionAttributes, catalog: AdmissionCatalog) -> MatchedResource? {
        guard let matched = matchedResource(attributes, catalog: catalog) else { return nil }
        return matchesSelectors(attributes, catalog: catalog) ? matched : nil
    }

    /// By rules alone.
    package func matchedResource(_ attributes: AdmissionAttributes, catalog: AdmissionCatalog) -> MatchedResource? {
        if isExcluded(attributes, catalog) { return nil }
        if rules.isEmpty, matchesWithoutRules {
            return MatchedResource(resource: attributes.resource, kind: catalog.kind(of: attributes.resource, attributes))
        }
        if rules.contains(where: { $0.matches(attributes, as: attributes.resource) }) {
            return MatchedResource(resource: attributes.resource, kind: catalog.kind(of: attributes.resource, attributes))
        }
        guard isEquivalent, !rules.isEmpty else { return nil }
        let others = catalog.equivalents(of: attributes.resource)
        for rule in rules {
            for other in others where rule.matches(attributes, as: other) {
                return MatchedResource(resource: other, kind: catalog.kind(of: other, attributes))
            }
        }
        return nil
    }

    private func isExcluded(_ attributes: AdmissionAttributes, _ catalog: AdmissionCatalog) -> Bool {
        guard !excluded.isEmpty else { return false }
        if excluded.contains(where: { $0.matches(attributes, as: attributes.resource) }) { return true }
        guard isEquivalent else { return false }
        let others = catalog.equivalents(of: attributes.resource)
        return excluded.contains { rule in others.contains { rule.matches(attributes, as: $0) } }
    }

    /// By the labels of the namespace and of the object. Upstream: predicates/namespace.Matcher and predicates/object.Matcher.
    package func matchesSelectors(_ attributes: AdmissionAttributes, catalog: AdmissionCatalog) -> Bool {
        if !namespaceSelector.isEverything, let labels = catalog.namespaceLabels(attributes), !namespaceSelector.matches(labels) { return false }
        if objectSelector.isEverything { return true }
        if let labels = Self.labels(attributes.object), objectSelector.matches(labels) { return true }
        return attributes.oldObject.map { objectSelector.matches($0) } ?? false
    }

    /// The labels of an object; nil for what is none.
    private static func labels(_ object: Value) -> [String: String]? {
        guard case .object(let metadata)? = object["metadata"] else { return nil }
        var labels: [String: String] = [:]
        for (key, value) in metadata["labels"]?.object ?? Members() { if let text = value.string { labels[key] = text } }
        return labels
    }
}

/// What matching needs to know of the resources served and of namespaces. Upstream: runtime.EquivalentResourceMapper and the namespace lister.
package struct AdmissionCatalog: Sendable {
    private let reader: any ObjectReader
    /// The resources served now.
    package let table: @Sendable () -> ResourceTable

    /// The reader of a server knows what it serves; another (a test's) stands for the built-in resources.
    package init(reader: any ObjectReader) {
        self.reader = reader
        if let registry = reader as? ResourceRegistry { table = { registry.table } } else { table = { .shared } }
    }

    package init(reader: any ObjectReader, table: @escaping @Sendable () -> ResourceTable) {
        self.reader = reader
        self.table = table
    }

    /// The other versions in which the objects of a resource are served, events of the other group included.
    package func equivalents(of resource: GroupVersionResource) -> [GroupVersionResource] {
        let table = table()
        var rows = table[resource.groupResource]
        if resource.resource == "events", resource.group.isEmpty || resource.group == "events.k8s.io" {
            rows += table[GroupResource(group: resource.group.isEmpty ? "events.k8s.io" : "", resource: "events")]
        }
        return rows.map(\.groupVersionResource).filter { $0 != resource }
    }

    /// The kind of a request on `resource`: its subresource's where it has one of its own.
    package func kind(of resource: GroupVersionResource, _ attributes: AdmissionAttributes) -> GroupVersionKind {
        guard let row = table()[resource] else { return attributes.kind }
        if attributes.subresource.isEmpty { return row.groupVersionKind }
        return row.subresource(attributes.subresource)?.kind ?? row.groupVersionKind
    }

    /// The labels that a namespace selector looks at; nil for requests of no namespace, which are always meant. A namespace that is made or changed
    /// is judged by what it will be.
    package func namespaceLabels(_ attributes: AdmissionAttributes) -> [String: String]? {
        let isNamespaceItself = attributes.resource.groupResource == .namespaces
        if attributes.namespace.isEmpty, !isNamespaceItself { return nil }
        if isNamespaceItself, attributes.subresource.isEmpty, attributes.operation == .create || attributes.operation == .update {
            var labels: [String: String] = [:]
            for (key, value) in attributes.object[path: "metadata", "labels"]?.object ?? Members() { labels[key] = value.string }
            return labels
        }
        return reader.get(.namespaces, namespace: "", name: attributes.namespace)?.metadata.labels ?? [:]
    }
}

extension AdmissionAttributes {
    /// Webhook configurations and policies are never judged by others of their kind: nobody can lock an administrator out. Upstream:
    /// rules.IsExemptAdmissionConfigurationResource.
    package var isAdmissionConfiguration: Bool {
        guard resource.group == "admissionregistration.k8s.io" else { return false }
        return [
            "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
            "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
        ].contains(resource.resource)
    }
}
