import KubeAPI

/// Upstream: pkg/registry/apps/statefulset.statefulSetStrategy with apps/validation.ValidateStatefulSet.
struct StatefulSetStrategy: ResourceStrategy {
    static let mutable = [
        "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    ]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["replicas": 0, "availableReplicas": 0] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.oneOf("spec.podManagementPolicy", spec["podManagementPolicy"], ["OrderedReady", "Parallel"], isRequired: true)
        let update = spec["updateStrategy"]
        switch update["type"].string ?? "" {
        case "": errors.required("spec.updateStrategy")
        case "OnDelete":
            if let rolling = update["rollingUpdate"].present {
                errors.invalid("spec.updateStrategy.rollingUpdate", rolling.value, "only allowed for updateStrategy 'RollingUpdate'")
            }
        case "RollingUpdate": errors.nonnegative("spec.updateStrategy.rollingUpdate.partition", update["rollingUpdate"]["partition"])
        case let other: errors.invalid("spec.updateStrategy", .string(other), "must be 'RollingUpdate' or 'OnDelete'")
        }
        errors.nonnegative("spec.replicas", spec["replicas"])
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        errors.nonnegative("spec.ordinals.start", spec["ordinals"]["start"])
        let retention = spec["persistentVolumeClaimRetentionPolicy"]
        for field in ["whenDeleted", "whenScaled"] {
            errors.oneOf("spec.persistentVolumeClaimRetentionPolicy.\(field)", retention[field], ["Retain", "Delete"])
        }
        WorkloadValidation.selectorAndTemplate(spec, kind: "statefulset", &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        errors.append(validate(object))
        if WorkloadValidation.without(Self.mutable, object) != WorkloadValidation.without(Self.mutable, old) {
            errors.forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                    + "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")
        }
        return errors.causes
    }
}

/// Upstream: pkg/registry/apps/daemonset.daemonSetStrategy with apps/validation.ValidateDaemonSet.
struct DaemonSetStrategy: ResourceStrategy {
    /// Counts the template's changes. Upstream: appsv1.DeprecatedTemplateGeneration, where spec.templateGeneration went.
    static let templateGeneration = "deprecated.daemonset.template.generation"

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0]
        let asked = Int64(object[path: "metadata", "annotations", Self.templateGeneration]?.string ?? "") ?? 0
        object[path: "metadata", "annotations", Self.templateGeneration] = .string(String(max(asked, 1)))
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        guard subresource.isEmpty else { return }
        var generation = Int64(old.metadata.annotations[Self.templateGeneration] ?? "") ?? 1
        if (object[path: "spec", "template"] ?? .null).pruned != (old["spec"]["template"].value ?? .null).pruned { generation &+= 1 }
        object[path: "metadata", "annotations", Self.templateGeneration] = .string(String(generation))
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        WorkloadValidation.selectorAndTemplate(spec, kind: "daemonset", &errors)
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        errors.nonnegative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        let update = spec["updateStrategy"]
        switch update["type"].string ?? "" {
        case "OnDelete": break
        case "RollingUpdate":
            guard let rolling = update["rollingUpdate"].present else {
                errors.required("spec.updateStrategy.rollingUpdate")
                break
            }
            errors.intOrPercent("spec.updateStrategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], maximumPercent: 100)
            errors.intOrPercent("spec.updateStrategy.rollingUpdate.maxSurge", rolling["maxSurge"], maximumPercent: 100)
            let noneMissing = WorkloadValidation.isZero(rolling["maxUnavailable"])
            let noneMore = rolling["maxSurge"] == nil || WorkloadValidation.isZero(rolling["maxSurge"])
            if noneMissing, noneMore {
                errors.invalid(
                    "spec.updateStrategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"]?.value ?? .null, "cannot be 0 when maxSurge is 0")
            } else if !noneMissing, !noneMore {
                errors.invalid(
                    "spec.updateStrategy.rollingUpdate.maxSurge", rolling["maxSurge"]?.value ?? .null,
                    "may not be set when maxUnavailable is non-zero")
            }
        case let other: errors.notSupported("spec.updateStrategy.type", other, ["RollingUpdate", "OnDelete"])
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        return errors.causes
    }
}
