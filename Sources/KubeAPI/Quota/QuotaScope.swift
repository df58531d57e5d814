/// A quota as it is compared with objects. Upstream: corev1.ResourceQuota.
package struct QuotaView: Sendable {
    package let object: Object
    /// One condition on the objects that count. Upstream: corev1.ScopedResourceSelectorRequirement.
    struct Scope: Sendable {
        var name: String
        var op: String
        var values: [String]
    }
    let scopes: [Scope]

    package init(_ object: Object) {
        self.object = object
        let spec = object["spec"]
        scopes =
            spec["scopes"].strings.map { Scope(name: $0, op: "Exists", values: []) }
            + spec["scopeSelector"]["matchExpressions"].elements.map {
                Scope(name: $0["scopeName"].string ?? "", op: $0["operator"].string ?? "", values: $0["values"].strings)
            }
    }

    package var name: String { object.metadata.name }
    /// Whether it counts only some objects.
    package var hasScopes: Bool { !scopes.isEmpty }
    package var specHard: ResourceList { object["spec"]["hard"].resourceList }
    package var hard: ResourceList { object["status"]["hard"].resourceList }
    package var used: ResourceList { object["status"]["used"].resourceList }

    /// Whether an object's scopes are this quota's. Upstream: generic.Matches without the resources.
    package func includes(_ candidate: Object, _ measure: QuotaMeasure) -> Bool { scopes.allSatisfy { $0.matches(candidate, measure) } }

    /// Whether it limits anything that `measure` counts, and the object's scopes are this quota's. `names`: of the status, or of the spec.
    package func matches(_ candidate: Object, _ measure: QuotaMeasure, _ names: some Sequence<String>) -> Bool {
        !measure.matching(names).isEmpty && includes(candidate, measure)
    }
}

extension QuotaView.Scope {
    /// Upstream: podMatchesScopeFunc, pvcMatchesScopeFunc, MatchesNoScopeFunc.
    func matches(_ object: Object, _ measure: QuotaMeasure) -> Bool {
        switch measure {
        case .pods: matchesPod(object)
        case .claims: name == "VolumeAttributesClass" && matchesClaim(object)
        case .services, .objects: false
        }
    }

    private func matchesPod(_ pod: Object) -> Bool {
        switch name {
        case "Terminating": (pod["spec"]["activeDeadlineSeconds"].int ?? -1) >= 0
        case "NotTerminating": (pod["spec"]["activeDeadlineSeconds"].int ?? -1) < 0
        case "BestEffort": Self.isBestEffort(pod)
        case "NotBestEffort": !Self.isBestEffort(pod)
        case "PriorityClass": selects(pod["spec"]["priorityClassName"].string.flatMap { $0.isEmpty ? nil : $0 })
        case "CrossNamespacePodAffinity": Self.reachesOtherNamespaces(pod)
        default: false
        }
    }

    private func matchesClaim(_ claim: Object) -> Bool {
        let names = [
            claim["spec"]["volumeAttributesClassName"].string, claim["status"]["currentVolumeAttributesClassName"].string,
            claim["status"]["modifyVolumeStatus"]["targetVolumeAttributesClassName"].string,
        ].compactMap { $0 }.filter { !$0.isEmpty }
        return names.isEmpty ? selects(nil) : names.contains { selects($0) }
    }

    /// The operator on a value that may be missing. Upstream: ScopedResourceSelectorRequirementsAsSelector over a set of one label.
    private func selects(_ value: String?) -> Bool {
        switch op {
        case "Exists": value != nil
        case "DoesNotExist": value == nil
        case "In": value.map(values.contains) ?? false
        case "NotIn": value.map { !values.contains($0) } ?? true
        default: false
        }
    }

    /// Upstream: qos.GetPodQOS: the status says it, where it is written already.
    private static func isBestEffort(_ pod: Object) -> Bool {
        if let quality = pod["status"]["qosClass"].string, !quality.isEmpty { return quality == "BestEffort" }
        func asks(_ resources: JSONView?) -> Bool {
            ["requests", "limits"].contains { list in
                resources[list].resourceList.contains { ($0.key == "cpu" || $0.key == "memory") && $0.value.sign > 0 }
            }
        }
        if asks(pod["spec"]["resources"]) { return false }
        return !(pod["spec"]["containers"].elements + pod["spec"]["initContainers"].elements).contains { asks($0["resources"]) }
    }

    /// Upstream: usesCrossNamespacePodAffinity.
    private static func reachesOtherNamespaces(_ pod: Object) -> Bool {
        func reaches(_ term: JSONView?) -> Bool {
            !term["namespaces"].elements.isEmpty || term["namespaceSelector"].map { !$0.isNull } ?? false
        }
        let affinity = pod["spec"]["affinity"]
        return ["podAffinity", "podAntiAffinity"].contains { kind in
            affinity[kind]["requiredDuringSchedulingIgnoredDuringExecution"].elements.contains { reaches($0) }
                || affinity[kind]["preferredDuringSchedulingIgnoredDuringExecution"].elements.contains { reaches($0["podAffinityTerm"]) }
        }
    }
}

extension ResourceList {
    /// Those of `names` alone. Upstream: quota.Mask.
    package func masked(_ names: some Sequence<String>) -> ResourceList {
        let names = Set(names)
        return filter { names.contains($0.key) }
    }

    /// `a=1,b=2`, sorted. Upstream: prettyPrint in the quota admission.
    package var prettyPrinted: String { sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",") }

    /// The list as an object of texts, sorted.
    package var value: KubeAPI.Value { KubeAPI.Value(mapValues(\.description)) }
}
