import KubeAPI

/// Keys of labels whose values a pod's own are, written out as selectors. Upstream: pod.mutatePodAffinity, mutateTopologySpreadConstraints.
enum PodMatchLabelKeys {
    private static let terms = "requiredDuringSchedulingIgnoredDuringExecution"
    private static let preferred = "preferredDuringSchedulingIgnoredDuringExecution"

    static func apply(_ spec: inout Value, labels: Value?) {
        guard spec["affinity"] != nil || spec["topologySpreadConstraints"] != nil else { return }
        for kind in ["podAffinity", "podAntiAffinity"] {
            guard var affinity = spec[path: "affinity", kind] else { continue }
            if let required = affinity[terms]?.array { affinity[terms] = .array(required.map { merged($0, labels) }) }
            if let soft = affinity[preferred]?.array {
                affinity[preferred] = .array(
                    soft.map { weighted in
                        guard let term = weighted["podAffinityTerm"] else { return weighted }
                        var weighted = weighted
                        weighted["podAffinityTerm"] = merged(term, labels)
                        return weighted
                    })
            }
            spec[path: "affinity", kind] = affinity
        }
        if let constraints = spec["topologySpreadConstraints"]?.array {
            spec["topologySpreadConstraints"] = .array(constraints.map { merged($0, labels) })
        }
    }

    private static func merged(_ term: Value, _ labels: Value?) -> Value {
        let match = (term["matchLabelKeys"]?.array ?? []).compactMap(\.string)
        let mismatch = (term["mismatchLabelKeys"]?.array ?? []).compactMap(\.string)
        guard !match.isEmpty || !mismatch.isEmpty, var selector = term["labelSelector"], !selector.isNull else { return term }
        var expressions = selector["matchExpressions"]?.array ?? []
        for (keys, operation) in [(match, "In"), (mismatch, "NotIn")] {
            for key in keys {
                guard let value = labels?[key] else { continue }
                expressions.append(["key": .string(key), "operator": .string(operation), "values": [value]])
            }
        }
        if !expressions.isEmpty { selector["matchExpressions"] = .array(expressions) }
        var term = term
        term["labelSelector"] = selector
        return term
    }
}
