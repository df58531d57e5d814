import KubeAPI

/// What of a pod may change once it exists. Upstream: core/validation.ValidatePodUpdate, ValidatePodStatusUpdate,
/// ValidatePodEphemeralContainersUpdate.
enum PodUpdateValidation {
    static let immutableMessage =
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        + "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

    static func validate(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        for list in ["containers", "initContainers"] {
            let containers = new["spec"][list].elements
            guard containers.count == old["spec"][list].elements.count else {
                errors.forbidden("spec.\(list)", "pod updates may not add or remove containers")
                return errors.causes
            }
            for (index, container) in containers.enumerated() {
                PodSpecValidation(path: "spec").validateImage(container["image"], "spec.\(list)[\(index)].image", &errors)
            }
        }
        deadline(new["spec"]["activeDeadlineSeconds"], old["spec"]["activeDeadlineSeconds"], &errors)
        tolerations(new["spec"]["tolerations"].elements, old["spec"]["tolerations"].elements, &errors)
        gates(new, old, &errors)
        guard errors.causes.isEmpty else { return errors.causes }
        let wasScheduled = !(old["spec"]["nodeName"].string ?? "").isEmpty
        let isGated = !old["spec"]["schedulingGates"].elements.isEmpty
        if comparable(new.value, isGated: isGated, wasScheduled: wasScheduled) != comparable(old.value, isGated: isGated, wasScheduled: wasScheduled)
        {
            errors.forbidden("spec", immutableMessage)
        }
        return errors.causes
    }

    /// The spec without what may change.
    private static func comparable(_ pod: Value, isGated: Bool, wasScheduled: Bool) -> Value {
        var spec = pod["spec"] ?? .null
        for list in ["containers", "initContainers"] {
            guard let containers = spec[list]?.array else { continue }
            spec[list] = .array(
                containers.map { container in
                    var container = container
                    container["image"] = nil
                    return container
                })
        }
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds", "ephemeralContainers"] {
            spec[field] = nil
        }
        // Pods held back by gates may still be sent elsewhere.
        if isGated, !wasScheduled {
            spec["nodeSelector"] = nil
            spec[path: "affinity", "nodeAffinity"] = nil
        }
        return spec.pruned
    }

    private static func deadline(_ new: JSONView?, _ old: JSONView?, _ errors: inout FieldErrors) {
        let path = "spec.activeDeadlineSeconds"
        if let seconds = new.int {
            if seconds < 0 || seconds > Int64(Int32.max) {
                errors.invalid(path, .int(seconds), "must be between 0 and 2147483647, inclusive")
            } else if let before = old.int, before < seconds {
                errors.invalid(path, .int(seconds), "must be less than or equal to previous value")
            }
        } else if old.int != nil {
            errors.invalid(path, .null, "must not update from a positive integer to nil value")
        }
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
            errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
            return
        }
        PodSpecValidation(path: "spec").validateTolerations(new, &errors)
    }

    private static func gates(_ new: Object, _ old: Object, _ errors: inout FieldErrors) {
        let before = Set(old["spec"]["schedulingGates"].elements.compactMap { $0["name"]?.string })
        for (index, gate) in new["spec"]["schedulingGates"].elements.enumerated() {
            let name = gate["name"].string ?? ""
            if !before.contains(name) {
                errors.forbidden("spec.schedulingGates[\(index)]", "only deletion is allowed, but found new scheduling gate '\(name)'")
            }
        }
    }

    static func validateStatus(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        // A container that has ended for good may not run again. Upstream: ValidateContainerStateTransition.
        let policy = old["spec"]["restartPolicy"].string ?? "Always"
        guard policy != "Always" else { return [] }
        let ended = old["status"]["containerStatuses"].elements.filter { status in
            guard let terminated = status["state"]["terminated"].present else { return false }
            return policy == "Never" || (terminated["exitCode"]?.int ?? 0) == 0
        }.compactMap { $0["name"]?.string }
        for (index, status) in new["status"]["containerStatuses"].elements.enumerated() {
            guard let name = status["name"].string, ended.contains(name), status["state"]["terminated"].present == nil else { continue }
            errors.forbidden("status.containerStatuses[\(index)].state", "may not be transitioned to non-terminated state")
        }
        return errors.causes
    }

    static func validateEphemeralContainers(_ new: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let containers = new["spec"]["ephemeralContainers"].elements
        for container in old["spec"]["ephemeralContainers"].elements {
            let name = container["name"].string ?? ""
            guard let kept = containers.first(where: { $0["name"]?.string == name }) else {
                errors.forbidden("spec.ephemeralContainers", "existing ephemeral containers \(name.goQuoted) may not be removed\n")
                continue
            }
            if kept.value.pruned != container.value.pruned {
                errors.forbidden("spec.ephemeralContainers", "existing ephemeral containers \(name.goQuoted) may not be changed\n")
            }
        }
        PodSpecValidation(path: "spec").validateEphemeralContainers(new["spec"], &errors)
        return errors.causes
    }
}
