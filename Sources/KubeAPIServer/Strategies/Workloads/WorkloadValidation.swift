import KubeAPI

/// What the workload kinds share: a selector, a template, a number of replicas. Upstream: apps/validation and core/validation.
enum WorkloadValidation {
    /// A label selector that is there and not empty. `kind` as messages name it: `deployment`.
    static func selector(_ selector: JSONView?, kind: String, _ errors: inout FieldErrors) {
        guard let present = selector.present else { return errors.required("spec.selector") }
        errors.labelSelector("spec.selector", present)
        if !present["matchLabels"].hasElements, !present["matchExpressions"].hasElements {
            errors.invalid("spec.selector", present.value, "empty selector is invalid for \(kind)")
        }
    }

    /// The selector picks the template's pods.
    static func selectorMatches(_ selector: JSONView?, _ template: JSONView?, _ errors: inout FieldErrors) {
        guard let selector = selector.present else { return }
        let labels = template["metadata"]["labels"].stringMap
        // A selector that does not read was complained of elsewhere.
        if let parsed = try? LabelSelector(object: selector), !parsed.isEverything, !parsed.matches(labels) {
            errors.invalid("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`")
        }
    }

    /// A template of pods that run on and on. `kind` as messages name it: `ReplicaSet`.
    static func longRunningTemplate(_ template: JSONView?, kind: String, _ errors: inout FieldErrors) {
        PodTemplateValidation(path: "spec.template").validate(template, &errors)
        let spec = template["spec"]
        let policy = spec["restartPolicy"].text
        if policy != "Always", !policy.isEmpty { errors.notSupported("spec.template.spec.restartPolicy", policy, ["Always"]) }
        if spec["activeDeadlineSeconds"].present != nil {
            errors.forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in \(kind) is not Supported")
        }
    }

    /// The part of a spec that may not change, compared without what says nothing.
    static func without(_ fields: [String], _ object: Object) -> Value {
        var spec = object["spec"].value ?? .null
        for field in fields { spec[field] = nil }
        return spec.pruned
    }

    /// Numbers of a status: none below zero, none of `parts` above the replicas, none available that is not ready. Upstream: ValidateDeploymentStatus
    /// and its like.
    static func statusCounts(_ object: Object, _ fields: [String], parts: [String], availableText: String = "cannot be greater than readyReplicas")
        -> FieldErrors
    {
        var errors = FieldErrors()
        let status = object["status"]
        for field in fields { errors.nonnegative("status.\(field)", status[field]) }
        let replicas = status["replicas"].int ?? 0
        for field in parts {
            if let count = status[field].int, count > replicas {
                errors.invalid("status.\(field)", .int(count), "cannot be greater than status.replicas")
            }
        }
        if parts.contains("availableReplicas"), let count = status["availableReplicas"].int, count > status["readyReplicas"].int ?? 0 {
            errors.invalid("status.availableReplicas", .int(count), availableText)
        }
        return errors
    }

    /// Upstream: apivalidation.IsDecremented of a collision count.
    static func collisions(_ new: Object, _ old: Object, _ errors: inout FieldErrors) {
        guard let before = old["status"]["collisionCount"].int else { return }
        let now = new["status"]["collisionCount"].int ?? 0
        if now < before { errors.invalid("status.collisionCount", .int(now), "cannot be decremented") }
    }

    static func templateWarnings(_ object: Object, old: Object?) -> [String] {
        let template = object["spec"]["template"]
        return PodWarnings.warnings(template["spec"], template["metadata"], path: "spec.template", old: old?["spec"]["template"]["spec"])
    }
}

/// Upstream: core/validation.ValidatePodTemplateSpec.
struct PodTemplateValidation {
    let path: String

    func validate(_ template: JSONView?, _ errors: inout FieldErrors) {
        let metadata = template["metadata"]
        errors.labels("\(path).labels", metadata["labels"])
        var size = 0
        for (key, value) in metadata["annotations"]?.members.map({ $0 }) ?? [] {
            errors.qualifiedName("\(path).annotations", key.lowercased())
            size += key.utf8.count + value.text.utf8.count
        }
        if size > MetadataValidation.maximumAnnotationBytes {
            errors.tooLong("\(path).annotations", maximum: MetadataValidation.maximumAnnotationBytes)
        }
        PodAnnotationValidation.validate(metadata["annotations"], template["spec"], "\(path).annotations", &errors)
        PodSpecValidation(path: "\(path).spec").validate(template["spec"], &errors)
        PodAnnotationValidation.profilesMatch(metadata["annotations"], template["spec"], "\(path).spec", &errors)
        if template["spec"]["ephemeralContainers"].hasElements {
            errors.forbidden("\(path).spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
        }
    }
}
