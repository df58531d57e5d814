import KubeAPI

/// Upstream: pkg/registry/core/pod.podStrategy, podStatusStrategy, podEphemeralContainersStrategy, podResizeStrategy.
struct PodStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        keepGracePeriodPositive(&object)
        var status: Value = ["phase": "Pending"]
        if !(object[path: "spec", "schedulingGates"]?.array ?? []).isEmpty {
            status["conditions"] = [
                [
                    "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": .null, "lastTransitionTime": .null,
                ]
            ]
        }
        status["qosClass"] = .string(PodQualityOfService.compute(object))
        object["status"] = status
        guard var spec = object["spec"] else { return }
        object["spec"] = .null
        PodMatchLabelKeys.apply(&spec, labels: object[path: "metadata", "labels"])
        object["spec"] = spec
    }

    private func keepGracePeriodPositive(_ object: inout Value) {
        if let grace = object[path: "spec", "terminationGracePeriodSeconds"]?.int, grace < 0 {
            object[path: "spec", "terminationGracePeriodSeconds"] = 1
        }
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        switch subresource {
        case "": keepGracePeriodPositive(&object)
        case "status":
            // A status without a class keeps the one the pod has: it never changes.
            if (object[path: "status", "qosClass"]?.string ?? "").isEmpty { object[path: "status", "qosClass"] = old["status"]["qosClass"].value }
        case "ephemeralcontainers":
            let containers = object[path: "spec", "ephemeralContainers"]
            restore(&object, old)
            object[path: "spec", "ephemeralContainers"] = containers
        case "resize":
            let asked = object
            restore(&object, old)
            for list in ["containers", "initContainers"] { resize(list, &object, asked) }
        default: break
        }
    }

    /// The old pod, with the managers of the new one's fields.
    private func restore(_ object: inout Value, _ old: Object) {
        let managers = object[path: "metadata", "managedFields"]
        object = old.value
        object[path: "metadata", "managedFields"] = managers
    }

    private func resize(_ list: String, _ object: inout Value, _ asked: Value) {
        let wanted = asked[path: "spec", list]?.array ?? []
        guard let containers = object[path: "spec", list]?.array else { return }
        object[path: "spec", list] = .array(
            containers.map { container in
                guard let new = wanted.first(where: { $0["name"] == container["name"] }) else { return container }
                var container = container
                container["resources"] = new["resources"] ?? [:]
                container["resizePolicy"] = new["resizePolicy"]
                return container
            })
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        PodAnnotationValidation.validate(object["metadata"]["annotations"], spec, "metadata.annotations", &errors)
        PodSpecValidation(path: "spec", isPod: true, podName: object.metadata.name).validate(spec, &errors)
        if spec["ephemeralContainers"].hasElements { errors.forbidden("spec.ephemeralContainers", "cannot be set on create") }
        if spec["schedulingGates"].hasElements, !spec["nodeName"].text.isEmpty {
            errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
        }
        PodAnnotationValidation.profilesMatch(object["metadata"]["annotations"], spec, "spec", &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        switch subresource {
        case "": PodUpdateValidation.validate(object, old: old)
        case "status": PodStatusValidation.validate(object, old: old)
        case "ephemeralcontainers": PodUpdateValidation.validateEphemeralContainers(object, old: old)
        case "resize": PodResizeValidation.validate(object, old: old)
        default: []
        }
    }

    func warnings(_ object: Object, old: Object?) -> [String] {
        PodWarnings.warnings(object["spec"], object["metadata"], path: "", old: old?["spec"])
    }
}

/// Keys of labels whose values a pod's own are, written out as selectors. Upstream: pod.applyMatchLabelKeysAndMismatchLabelKeys,
/// applySchedulingGatedCondition.
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
