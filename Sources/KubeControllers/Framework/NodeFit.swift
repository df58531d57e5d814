import KubeAPI

/// Whether a pod of a template may be on a node at all, as far as names, selectors, affinity and taints say: what daemons and their deletion are
/// decided by.
/// Upstream: daemon.predicates with component-helpers/scheduling/corev1.
enum NodeFit {
    /// `spec.nodeName`, `nodeSelector` and required node affinity.
    static func matches(_ spec: JSONView?, _ node: Object) -> Bool {
        let name = node.metadata.name
        if let wanted = spec["nodeName"].string, !wanted.isEmpty, wanted != name { return false }
        let labels = node.metadata.labels
        guard spec["nodeSelector"].stringMap.allSatisfy({ labels[$0.key] == $0.value }) else { return false }
        guard let required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] else { return true }
        return required["nodeSelectorTerms"]?.elements.contains { term in
            let expressions = term["matchExpressions"].elements
            let fields = term["matchFields"].elements
            guard !expressions.isEmpty || !fields.isEmpty else { return false }
            return expressions.allSatisfy { matches($0, labels[$0["key"].string ?? ""]) }
                && fields.allSatisfy { $0["key"].string == "metadata.name" && matches($0, name) }
        } ?? false
    }

    private static func matches(_ requirement: JSONView, _ value: String?) -> Bool {
        let values = requirement["values"].strings
        switch requirement["operator"].string {
        case "In": return value.map(values.contains) ?? false
        case "NotIn": return value.map { !values.contains($0) } ?? true
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt", "Lt":
            guard let number = value.flatMap({ Int64($0) }), let bound = values.first.flatMap({ Int64($0) }) else { return false }
            return requirement["operator"].string == "Gt" ? number > bound : number < bound
        default: return false
        }
    }

    /// Whether all taints of these effects are tolerated.
    static func tolerates(_ tolerations: [Toleration], _ node: Object, effects: Set<String>) -> Bool {
        node["spec"]["taints"].elements.map(Taint.init(view:)).allSatisfy { taint in
            !effects.contains(taint.effect) || tolerations.contains { $0.tolerates(taint) }
        }
    }
}
