import KubeAPI

/// Upstream: pkg/registry/apps/deployment.deploymentStrategy with apps/validation.ValidateDeployment.
struct DeploymentStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.nonnegative("spec.replicas", spec["replicas"])
        WorkloadValidation.selector(spec["selector"], kind: "deployment", &errors)
        WorkloadValidation.selectorMatches(spec["selector"], spec["template"], &errors)
        WorkloadValidation.longRunningTemplate(spec["template"], kind: "ReplicaSet", &errors)
        strategy(spec["strategy"], &errors)
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        errors.nonnegative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        errors.nonnegative("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"])
        if let deadline = spec["progressDeadlineSeconds"].int, deadline <= spec["minReadySeconds"].int ?? 0 {
            errors.invalid("spec.progressDeadlineSeconds", .int(deadline), "must be greater than minReadySeconds")
        }
        return errors.causes
    }

    private func strategy(_ strategy: JSONView?, _ errors: inout FieldErrors) {
        let path = "spec.strategy"
        let rolling = strategy["rollingUpdate"].present
        switch strategy["type"].text {
        case "Recreate":
            if rolling != nil { errors.forbidden("\(path).rollingUpdate", "may not be specified when strategy `type` is 'Recreate'") }
        case "RollingUpdate":
            guard let rolling else { return errors.required("\(path).rollingUpdate", "this should be defaulted and never be nil") }
            errors.intOrPercent("\(path).rollingUpdate.maxUnavailable", rolling["maxUnavailable"])
            errors.intOrPercent("\(path).rollingUpdate.maxSurge", rolling["maxSurge"])
            if IntOrPercent.value(rolling["maxUnavailable"]) == 0, IntOrPercent.value(rolling["maxSurge"]) == 0 {
                errors.invalid("\(path).rollingUpdate.maxUnavailable", rolling["maxUnavailable"].value ?? 0, "may not be 0 when `maxSurge` is 0")
            }
            errors.notMoreThanAll("\(path).rollingUpdate.maxUnavailable", rolling["maxUnavailable"])
        case let other: errors.notSupported("\(path).type", other, ["Recreate", "RollingUpdate"])
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else {
            var errors = WorkloadValidation.statusCounts(
                object,
                [
                    "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas",
                    "terminatingReplicas", "collisionCount",
                ], parts: ["updatedReplicas", "readyReplicas", "availableReplicas"])
            WorkloadValidation.collisions(object, old, &errors)
            return errors.causes
        }
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        return errors.causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] { WorkloadValidation.templateWarnings(object, old: old) }
}

/// Upstream: pkg/registry/apps/replicaset.rsStrategy with apps/validation.ValidateReplicaSet.
struct ReplicaSetStrategy: ResourceStrategy {
    fileprivate static let counts = [
        "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration", "terminatingReplicas",
    ]
    fileprivate static let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["replicas": 0] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.nonnegative("spec.replicas", spec["replicas"])
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        // Upstream's words: a replica set's selector is told of as a deployment's.
        WorkloadValidation.selector(spec["selector"], kind: "deployment", &errors)
        WorkloadValidation.selectorMatches(spec["selector"], spec["template"], &errors)
        WorkloadValidation.longRunningTemplate(spec["template"], kind: "ReplicaSet", &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return WorkloadValidation.statusCounts(object, Self.counts, parts: Self.parts).causes }
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        return errors.causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] { WorkloadValidation.templateWarnings(object, old: old) }
}

/// Upstream: pkg/registry/core/replicationcontroller.rcStrategy with core/validation.ValidateReplicationController; its selector is a plain map.
struct ReplicationControllerStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["replicas": 0] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        let selector = spec["selector"].stringMap
        if selector.isEmpty { errors.required("spec.selector") }
        errors.nonnegative("spec.replicas", spec["replicas"])
        guard let template = spec["template"].present else {
            errors.required("spec.template")
            return errors.causes
        }
        let labels = template["metadata"]["labels"].stringMap
        if !selector.isEmpty, !LabelSelector(matching: selector).matches(labels) {
            errors.invalid("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`")
        }
        WorkloadValidation.longRunningTemplate(template, kind: "ReplicationController", &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        subresource.isEmpty
            ? validate(object) : WorkloadValidation.statusCounts(object, ReplicaSetStrategy.counts, parts: ReplicaSetStrategy.parts).causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] { WorkloadValidation.templateWarnings(object, old: old) }
}

/// Upstream: pkg/registry/core/podtemplate with core/validation.ValidatePodTemplate.
struct PodTemplateStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        PodTemplateValidation(path: "template").validate(object["template"], &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }

    func warnings(_ object: Object, old: Object?) -> [String] {
        PodWarnings.warnings(object["template"]["spec"], object["template"]["metadata"], path: "template", old: old?["template"]["spec"])
    }
}

/// Upstream: pkg/registry/apps/controllerrevision with apps/validation.ValidateControllerRevisionCreate.
struct ControllerRevisionStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.nonnegative("revision", object["revision"])
        switch object["data"].present?.kind {
        case nil: errors.required("data", "data is mandatory")
        case .object: break
        default: errors.required("data", "data must be a valid JSON object")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.nonnegative("revision", object["revision"])
        errors.immutable("data", object["data"], old["data"])
        return errors.causes
    }
}
