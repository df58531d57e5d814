import KubeAPI

/// Upstream: pkg/registry/apps/deployment.deploymentStrategy with apps/validation.ValidateDeployment.
struct DeploymentStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.nonnegative("spec.replicas", spec["replicas"])
        WorkloadValidation.selectorAndTemplate(spec, kind: "deployment", &errors)
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
        switch strategy["type"].string ?? "" {
        case "Recreate":
            if rolling != nil { errors.forbidden("\(path).rollingUpdate", "may not be specified when strategy `type` is 'Recreate'") }
        case "RollingUpdate":
            guard let rolling else {
                errors.required("\(path).rollingUpdate", "this should be defaulted and never be nil")
                return
            }
            errors.intOrPercent("\(path).rollingUpdate.maxUnavailable", rolling["maxUnavailable"], maximumPercent: 100)
            errors.intOrPercent("\(path).rollingUpdate.maxSurge", rolling["maxSurge"])
            if WorkloadValidation.isZero(rolling["maxUnavailable"]), WorkloadValidation.isZero(rolling["maxSurge"]) {
                errors.invalid(
                    "\(path).rollingUpdate.maxUnavailable", rolling["maxUnavailable"]?.value ?? .null, "may not be 0 when `maxSurge` is 0")
            }
        case let other: errors.notSupported("\(path).type", other, ["Recreate", "RollingUpdate"])
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return statusCounts(object) }
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        return errors.causes
    }
}

/// The numbers of a workload's status are none below zero, and no more ready than there are. Upstream: ValidateDeploymentStatus and its like.
private func statusCounts(_ object: Object) -> [StatusError.Cause] {
    var errors = FieldErrors()
    for field in [
        "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "fullyLabeledReplicas",
    ] {
        errors.nonnegative("status.\(field)", object["status"][field])
    }
    let replicas = object["status"]["replicas"].int ?? 0
    for field in ["updatedReplicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas"] {
        if let count = object["status"][field].int, count > replicas {
            errors.invalid("status.\(field)", .int(count), "cannot be greater than status.replicas")
        }
    }
    return errors.causes
}

/// Upstream: pkg/registry/apps/replicaset.rsStrategy with apps/validation.ValidateReplicaSet.
struct ReplicaSetStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["replicas": 0] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.nonnegative("spec.replicas", object["spec"]["replicas"])
        errors.nonnegative("spec.minReadySeconds", object["spec"]["minReadySeconds"])
        WorkloadValidation.selectorAndTemplate(object["spec"], kind: "replicaset", &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return statusCounts(object) }
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/core/replicationcontroller.rcStrategy with core/validation.ValidateReplicationController; its selector is a plain map.
struct ReplicationControllerStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["replicas": 0] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.nonnegative("spec.replicas", spec["replicas"])
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        let selector = spec["selector"].stringMap
        if selector.isEmpty { errors.required("spec.selector") }
        guard spec["template"].present != nil else {
            errors.required("spec.template")
            return errors.causes
        }
        WorkloadValidation.template(spec["template"], policies: ["Always"], &errors)
        let labels = spec["template"]["metadata"]["labels"].stringMap
        if !selector.isEmpty, !LabelSelector(matching: selector).matches(labels) {
            errors.invalid("spec.template.metadata.labels", Value(labels), "`selector` does not match template `labels`")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        subresource.isEmpty ? validate(object) : statusCounts(object)
    }
}
