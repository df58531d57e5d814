import KubeAPI

/// Which nodes a pod may go to, or likes. Upstream: core/v1 NodeSelectorTerm, component-helpers/scheduling/corev1/nodeaffinity.
struct NodeSelectorTerm: Sendable, Hashable {
    struct Requirement: Sendable, Hashable {
        var key: String
        /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`.
        var op: String
        var values: [String]

        init(_ view: JSONView) {
            key = view["key"].string ?? ""
            op = view["operator"].string ?? ""
            values = view["values"].strings
        }

        func matches(_ value: String?) -> Bool {
            switch op {
            case "In": return value.map(values.contains) ?? false
            case "NotIn": return value.map { !values.contains($0) } ?? true
            case "Exists": return value != nil
            case "DoesNotExist": return value == nil
            case "Gt", "Lt":
                guard let number = value.flatMap({ Int64($0) }), values.count == 1, let bound = values.first.flatMap({ Int64($0) }) else {
                    return false
                }
                return op == "Gt" ? number > bound : number < bound
            default: return false
            }
        }
    }

    var expressions: [Requirement]
    var fields: [Requirement]

    init(_ view: JSONView) {
        expressions = view["matchExpressions"].map { $0.elements.map(Requirement.init) } ?? []
        fields = view["matchFields"].map { $0.elements.map(Requirement.init) } ?? []
    }

    /// A term without conditions matches nothing, as upstream has it.
    func matches(_ node: NodeInfo) -> Bool {
        guard !expressions.isEmpty || !fields.isEmpty else { return false }
        return fields.allSatisfy { $0.key == "metadata.name" && $0.matches(node.name) } && expressions.allSatisfy { $0.matches(node.labels[$0.key]) }
    }

    /// The nodes the term names outright; nil when it names none.
    var nodeNames: Set<String>? {
        var names: Set<String>?
        for field in fields where field.key == "metadata.name" && field.op == "In" {
            names = names.map { $0.intersection(field.values) } ?? Set(field.values)
        }
        return names
    }
}

/// `nodeSelector` and `requiredDuringSchedulingIgnoredDuringExecution`. Upstream: nodeaffinity.RequiredNodeAffinity.
struct RequiredNodeAffinity: Sendable, Hashable {
    var selector: [String: String]
    /// Nil: no affinity is asked for. Any one must match.
    var terms: [NodeSelectorTerm]?

    init(_ spec: JSONView?) {
        selector = spec["nodeSelector"].stringMap
        terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"].map { required in
            required["nodeSelectorTerms"].elements.map(NodeSelectorTerm.init)
        }
    }

    var isEmpty: Bool { selector.isEmpty && terms == nil }

    func matches(_ node: NodeInfo) -> Bool {
        guard selector.allSatisfy({ node.labels[$0.key] == $0.value }) else { return false }
        return terms?.contains { $0.matches(node) } ?? true
    }

    /// The nodes that can match at all, where every term names some; nil when any node can.
    var nodeNames: Set<String>? {
        guard let terms, !terms.isEmpty else { return nil }
        var all: Set<String> = []
        for term in terms {
            guard let names = term.nodeNames else { return nil }
            all.formUnion(names)
        }
        return all
    }
}

/// Nodes that a pod would rather have. Upstream: core/v1 PreferredSchedulingTerm.
struct PreferredNodes: Sendable, Hashable {
    var weight: Int64
    var term: NodeSelectorTerm
}
