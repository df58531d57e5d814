import KubeAPI

/// What of a pod may change once it exists. Upstream: core/validation.ValidatePodUpdate, ValidatePodEphemeralContainersUpdate.
enum PodUpdateValidation {
    static let immutableMessage =
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        + "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
        + "(allow it to be set to 1 if it was previously negative)"

    static func validate(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        PodAnnotationValidation.validateUpdate(new, old: old, &errors)
        let spec = new["spec"]
        let before = old["spec"]
        // A spec that is as it was is as valid as it was.
        guard FieldErrors.differ(spec, before) else { return errors.causes }
        PodSpecValidation(path: "spec", isPod: true, podName: new.metadata.name).validate(spec, &errors)
        for list in ["containers", "initContainers"] where spec[list].elements.count != before[list].elements.count {
            errors.forbidden("spec.\(list)", "pod updates may not add or remove containers")
            return errors.causes
        }
        guard deadline(spec["activeDeadlineSeconds"], before["activeDeadlineSeconds"], &errors) else { return errors.causes }
        tolerations(spec["tolerations"].elements, before["tolerations"].elements, &errors)
        gates(spec["schedulingGates"].elements, before["schedulingGates"].elements, &errors)
        let isGated = before["schedulingGates"].hasElements
        if isGated { scheduling(spec, before, &errors) }
        let mayShorten = (before["terminationGracePeriodSeconds"].int ?? 0) < 0 && spec["terminationGracePeriodSeconds"].int == 1
        if comparable(spec, isGated: isGated, mayShorten: mayShorten) != comparable(before, isGated: isGated, mayShorten: mayShorten) {
            errors.forbidden("spec", immutableMessage)
        }
        return errors.causes
    }

    /// The spec without what may change.
    private static func comparable(_ view: JSONView?, isGated: Bool, mayShorten: Bool) -> Value {
        var spec = view.value ?? .null
        for list in ["containers", "initContainers"] {
            guard let containers = spec[list]?.array else { continue }
            spec[list] = .array(
                containers.map { container in
                    var container = container
                    container["image"] = nil
                    return container
                })
        }
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] { spec[field] = nil }
        if mayShorten { spec["terminationGracePeriodSeconds"] = nil }
        // Pods held back by gates may still be sent elsewhere.
        if isGated {
            spec["nodeSelector"] = nil
            spec[path: "affinity", "nodeAffinity"] = nil
        }
        return spec.pruned
    }

    /// Whether the rest is to be looked at.
    private static func deadline(_ new: JSONView?, _ old: JSONView?, _ errors: inout FieldErrors) -> Bool {
        let path = "spec.activeDeadlineSeconds"
        if let seconds = new.int {
            if seconds < 0 || seconds > Int64(Int32.max) {
                errors.invalid(path, .int(seconds), "must be between 0 and 2147483647, inclusive")
                return false
            }
            if let before = old.int, before < seconds {
                errors.invalid(path, .int(seconds), "must be less than or equal to previous value")
                return false
            }
        } else if old.int != nil {
            errors.invalid(path, .null, "must not update from a positive integer to nil value")
        }
        return true
    }

    /// Tolerations may be added, and their seconds changed. Upstream: validateOnlyAddedTolerations.
    private static func tolerations(_ new: [JSONView], _ old: [JSONView], _ errors: inout FieldErrors) {
        func stripped(_ view: JSONView) -> Value {
            var value = view.value
            value["tolerationSeconds"] = nil
            return value.pruned
        }
        let held = new.map(stripped)
        for toleration in old where !held.contains(stripped(toleration)) {
            return errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
        }
    }

    private static func gates(_ new: [JSONView], _ old: [JSONView], _ errors: inout FieldErrors) {
        let before = Set(old.map { $0["name"].text })
        for (index, gate) in new.enumerated() where !before.contains(gate["name"].text) {
            errors.forbidden(
                "spec.schedulingGates[\(index)].name", "only deletion is allowed, but found new scheduling gate '\(gate["name"].text)'")
        }
    }

    /// A gated pod's selectors may only be narrowed. Upstream: validateNodeSelectorMutation, validateNodeAffinityMutation.
    private static func scheduling(_ spec: JSONView?, _ before: JSONView?, _ errors: inout FieldErrors) {
        let selector = spec["nodeSelector"].stringMap
        if before["nodeSelector"].stringMap.contains(where: { selector[$0.key] != $0.value }) {
            errors.invalid(
                "spec.nodeSelector", Value(selector), "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
        }
        let required = "requiredDuringSchedulingIgnoredDuringExecution"
        let path = "spec.affinity.nodeAffinity.\(required).nodeSelectorTerms"
        let oldTerms = before["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"].elements
        let terms = spec["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]
        guard !oldTerms.isEmpty, FieldErrors.differ(spec["affinity"]["nodeAffinity"], before["affinity"]["nodeAffinity"]) else { return }
        let newTerms = terms.elements
        guard oldTerms.count == newTerms.count else {
            return errors.invalid(path, terms.value ?? .null, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        }
        for (index, (new, old)) in zip(newTerms, oldTerms).enumerated() where !hasOnlyAdditions(new, old) {
            errors.invalid("\(path)[\(index)]", new.value, "only additions are allowed (no mutations or deletions)")
        }
    }

    private static func hasOnlyAdditions(_ new: JSONView, _ old: JSONView) -> Bool {
        let fields = ["matchExpressions", "matchFields"]
        if fields.allSatisfy({ !old[$0].hasElements }) { return fields.allSatisfy { !new[$0].hasElements } }
        return fields.allSatisfy { field in
            let before = old[field].elements.map(\.value.pruned)
            return new[field].elements.prefix(before.count).map(\.value.pruned) == before
        }
    }

    static func validateEphemeralContainers(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if old["metadata"]["annotations"][MirrorPod.annotation] != nil {
            errors.forbidden("", "static pods do not support ephemeral containers")
            return errors.causes
        }
        PodSpecValidation(path: "spec", isPod: true, podName: new.metadata.name).validate(new["spec"], &errors)
        let containers = new["spec"]["ephemeralContainers"].elements
        for container in old["spec"]["ephemeralContainers"].elements {
            let name = container["name"].text
            guard let kept = containers.first(where: { $0["name"].text == name }) else {
                errors.forbidden("spec.ephemeralContainers", "existing ephemeral containers \(name.goQuoted) may not be removed\n")
                continue
            }
            if kept.value.pruned != container.value.pruned {
                errors.forbidden("spec.ephemeralContainers", "existing ephemeral containers \(name.goQuoted) may not be changed\n")
            }
        }
        return errors.causes
    }
}

/// Resources of a running pod may change within bounds. Upstream: core/validation.ValidatePodResize.
enum PodResizeValidation {
    static func validate(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = new["spec"]
        let before = old["spec"]
        if let refusal = refusal(old, spec: spec) {
            errors.forbidden("", refusal)
            return errors.causes
        }
        PodSpecValidation(path: "spec", isPod: true, podName: new.metadata.name).validate(spec, &errors)
        if (old["status"]["qosClass"].string ?? PodQualityOfService.compute(old)) != PodQualityOfService.compute(new) {
            errors.invalid("spec", text: new["status"]["qosClass"].text, "Pod QOS Class may not change as a result of resizing")
        }
        if let running = old["status"]["containerStatuses"].elements.first(where: { $0["state"]["running"].present != nil }),
            running["resources"].present == nil
        {
            errors.forbidden("spec", "Pod running on node without support for resize")
        }
        for list in ["initContainers", "containers"] {
            for (index, (container, earlier)) in zip(spec[list].elements, before[list].elements).enumerated() {
                let isSidecar = earlier["restartPolicy"].string == "Always"
                if list == "containers" || isSidecar { resources(container, earlier, "spec.\(list)[\(index)].resources", &errors) }
            }
        }
        for (list, text) in [
            ("containers", "only cpu and memory resources are mutable"),
            ("initContainers", "only cpu and memory resources for sidecar containers are mutable"),
        ] {
            for (container, earlier) in zip(spec[list].elements, before[list].elements) {
                let isFixed = list == "initContainers" && earlier["restartPolicy"].string != "Always"
                if isFixed ? FieldErrors.differ(container, earlier) : others(container) != others(earlier) {
                    errors.forbidden("spec", isFixed ? "resources for non-sidecar init containers are immutable" : text)
                }
            }
        }
        return errors.causes
    }

    private static func refusal(_ old: Object, spec: JSONView?) -> String? {
        func hasOwn(_ spec: JSONView?) -> Bool { spec["resources"]["requests"].hasElements || spec["resources"]["limits"].hasElements }
        if hasOwn(spec) || hasOwn(old["spec"]) { return "pods with pod-level resources cannot be resized" }
        if old["metadata"]["annotations"][MirrorPod.annotation] != nil { return "static pods cannot be resized" }
        return old["spec"]["os"]["name"].string == "windows" ? "windows pods cannot be resized" : nil
    }

    /// A container without the amounts of cpu and memory.
    private static func others(_ container: JSONView) -> Value {
        var value = container.value
        value["resizePolicy"] = nil
        for list in ["requests", "limits"] {
            for name in ["cpu", "memory"] { value[path: "resources", list, name] = nil }
        }
        return value.pruned
    }

    /// Upstream: core/validation.validateContainerResize.
    private static func resources(_ new: JSONView, _ old: JSONView, _ path: String, _ errors: inout FieldErrors) {
        for list in ["requests", "limits"] {
            let kept = new["resources"][list].resourceList
            if old["resources"][list].resourceList.keys.contains(where: { kept[$0] == nil }) {
                errors.forbidden("\(path).\(list)", "resource \(list) cannot be removed")
            }
        }
    }
}
