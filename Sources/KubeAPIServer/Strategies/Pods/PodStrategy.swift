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
        AppArmorAnnotations.apply(&spec, object[path: "metadata", "annotations"])
        object["spec"] = spec
    }

    func warningsBeforeCreate(_ object: Value) -> [String] {
        AppArmorAnnotations.warnings(object["spec"] ?? .null, object[path: "metadata", "annotations"])
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
            keepObservedGenerations(&object, old)
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

    /// A status that says nothing of what was observed keeps what it said, each condition too. Upstream: preserveOldObservedGeneration.
    private func keepObservedGenerations(_ object: inout Value, _ old: Object) {
        func isUnset(_ status: Value?) -> Bool { status?["observedGeneration"]?.int ?? 0 == 0 }
        let before = old["status"]
        if isUnset(object["status"]), let generation = before["observedGeneration"].int, generation != 0 {
            object[path: "status", "observedGeneration"] = .int(generation)
        }
        // Mostly each says its own.
        guard var conditions = object[path: "status", "conditions"]?.array, conditions.contains(where: { isUnset($0) }) else { return }
        // Conditions of one type may be several: they follow each other in their order.
        var earlier: [String: [Int64]] = [:]
        for condition in before["conditions"].elements {
            earlier[condition["type"].text, default: []].append(condition["observedGeneration"].int ?? 0)
        }
        guard earlier.values.contains(where: { $0.contains { $0 != 0 } }) else { return }
        for index in conditions.indices {
            let type = conditions[index]["type"]?.string ?? ""
            guard let generation = earlier[type]?.first else { continue }
            earlier[type]?.removeFirst()
            if generation != 0, isUnset(conditions[index]) { conditions[index]["observedGeneration"] = .int(generation) }
        }
        object[path: "status", "conditions"] = .array(conditions)
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

    /// Of updates nobody is warned: they are seldom people's, and many. Upstream: WarningsOnCreate, WarningsOnUpdate.
    func warnings(_ object: Object, old: Object?) -> [String] {
        guard old == nil else { return [] }
        var found: [String] = []
        let problems = Names.problems(object.metadata.name, .dnsLabel)
        if !problems.isEmpty {
            found.append(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: "
                    + "[\(problems.joined(separator: " "))]")
        }
        return found + PodWarnings.warnings(object["spec"], object["metadata"], path: "", old: nil)
    }
}
