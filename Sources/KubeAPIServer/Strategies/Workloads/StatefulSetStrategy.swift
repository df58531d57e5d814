import KubeAPI

/// Upstream: pkg/registry/apps/statefulset.statefulSetStrategy with apps/validation.ValidateStatefulSet.
struct StatefulSetStrategy: ResourceStrategy {
    static let mutable = [
        "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    ]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["replicas": 0, "availableReplicas": 0] }

    func validate(_ object: Object) -> [StatusError.Cause] { validate(object, isNew: true, checksTemplate: true) }

    private func validate(_ object: Object, isNew: Bool, checksTemplate: Bool) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        switch spec["podManagementPolicy"].text {
        case "": errors.required("spec.podManagementPolicy")
        case "OrderedReady", "Parallel": break
        case let other: errors.invalid("spec.podManagementPolicy", text: other, "must be 'OrderedReady' or 'Parallel'")
        }
        updateStrategy(spec["updateStrategy"], &errors)
        if let retention = spec["persistentVolumeClaimRetentionPolicy"].present {
            for field in ["whenDeleted", "whenScaled"] {
                errors.oneOf("spec.persistentVolumeClaimRetentionPolicy.\(field)", retention[field], ["Retain", "Delete"])
            }
        }
        if isNew {
            for (index, claim) in spec["volumeClaimTemplates"].elements.enumerated() {
                PersistentVolumeClaimValidation.spec("spec.volumeClaimTemplates[\(index)].spec", claim["spec"], &errors)
            }
        }
        errors.nonnegative("spec.replicas", spec["replicas"])
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        errors.nonnegative("spec.ordinals.start", spec["ordinals"]["start"])
        if isNew { errors.optionalName("spec.serviceName", spec["serviceName"], .dnsLabel) }
        WorkloadValidation.selector(spec["selector"], kind: "statefulset", &errors)
        WorkloadValidation.selectorMatches(spec["selector"], spec["template"], &errors)
        if checksTemplate { template(spec, &errors) }
        let pod = spec["template"]["spec"]
        let policy = pod["restartPolicy"].text
        if policy != "Always", !policy.isEmpty { errors.notSupported("spec.template.spec.restartPolicy", policy, ["Always"]) }
        if pod["activeDeadlineSeconds"].present != nil {
            errors.forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in StatefulSet is not Supported")
        }
        return errors.causes
    }

    private func updateStrategy(_ update: JSONView?, _ errors: inout FieldErrors) {
        let path = "spec.updateStrategy"
        switch update["type"].text {
        case "": errors.required(path)
        case "OnDelete":
            if let rolling = update["rollingUpdate"].present {
                errors.invalid("\(path).rollingUpdate", rolling.value, "only allowed for updateStrategy 'RollingUpdate'")
            }
        case "RollingUpdate":
            errors.nonnegative("\(path).rollingUpdate.partition", update["rollingUpdate"]["partition"])
            guard let unavailable = update["rollingUpdate"]["maxUnavailable"].present else { return }
            errors.intOrPercent("\(path).rollingUpdate.maxUnavailable", unavailable)
            if IntOrPercent.value(unavailable) == 0 { errors.invalid("\(path).rollingUpdate.maxUnavailable", unavailable.value, "cannot be 0") }
            errors.notMoreThanAll("\(path).rollingUpdate.maxUnavailable", unavailable)
        default: errors.invalid(path, update.value ?? .null, "must be 'RollingUpdate' or 'OnDelete'")
        }
    }

    /// The template as its pods will be: with the volumes of the claims, and with the name and domain the controller gives them.
    private func template(_ spec: JSONView?, _ errors: inout FieldErrors) {
        let claims = spec["volumeClaimTemplates"].elements.map { $0["metadata"]["name"].text }
        let template = spec["template"]
        if claims.isEmpty, template["spec"]["hostname"] == nil, template["spec"]["subdomain"] == nil {
            return PodTemplateValidation(path: "spec.template").validate(template, &errors)
        }
        var tree = template.value ?? .null
        for field in ["hostname", "subdomain"] { tree[path: "spec", field] = nil }
        let own = (tree[path: "spec", "volumes"]?.array ?? []).filter { !claims.contains($0["name"]?.string ?? "") }
        let made: [Value] = claims.map { ["name": .string($0), "persistentVolumeClaim": ["claimName": .string($0)]] }
        if !claims.isEmpty { tree[path: "spec", "volumes"] = .array(made + own) }
        // A tree of a parsed object is one again.
        if let whole = try? Object(tree) { PodTemplateValidation(path: "spec.template").validate(whole.root, &errors) }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else {
            var errors = WorkloadValidation.statusCounts(
                object,
                [
                    "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount",
                ], parts: ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
                availableText: "cannot be greater than status.readyReplicas")
            WorkloadValidation.collisions(object, old, &errors)
            return errors.causes
        }
        var errors = FieldErrors()
        errors.append(validate(object, isNew: false, checksTemplate: FieldErrors.differ(object["spec"]["template"], old["spec"]["template"])))
        if WorkloadValidation.without(Self.mutable, object) != WorkloadValidation.without(Self.mutable, old) {
            errors.forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
                    + "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")
        }
        return errors.causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] { WorkloadValidation.templateWarnings(object, old: old) }
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
        if let selector = spec["selector"].present {
            errors.labelSelector("spec.selector", selector)
            WorkloadValidation.selectorMatches(selector, spec["template"], &errors)
            if !selector["matchLabels"].hasElements, !selector["matchExpressions"].hasElements {
                errors.invalid("spec.selector", selector.value, "empty selector is invalid for daemonset")
            }
        } else {
            // A selector that is not there picks nothing.
            errors.invalid(
                "spec.template.metadata.labels", Value(spec["template"]["metadata"]["labels"].stringMap),
                "`selector` does not match template `labels`")
        }
        WorkloadValidation.longRunningTemplate(spec["template"], kind: "DaemonSet", &errors)
        errors.nonnegative("spec.minReadySeconds", spec["minReadySeconds"])
        updateStrategy(spec["updateStrategy"], &errors)
        errors.nonnegative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        return errors.causes
    }

    private func updateStrategy(_ update: JSONView?, _ errors: inout FieldErrors) {
        let path = "spec.updateStrategy.rollingUpdate"
        switch update["type"].text {
        case "OnDelete": break
        case "RollingUpdate":
            guard let rolling = update["rollingUpdate"].present else { return errors.required(path) }
            let fields = ["maxUnavailable", "maxSurge"]
            for field in fields { errors.intOrPercent("\(path).\(field)", rolling[field]) }
            for field in fields { errors.notMoreThanAll("\(path).\(field)", rolling[field]) }
            switch (IntOrPercent.value(rolling["maxUnavailable"]) != 0, IntOrPercent.value(rolling["maxSurge"]) != 0) {
            case (true, true):
                errors.invalid("\(path).maxSurge", rolling["maxSurge"].value ?? 0, "may not be set when maxUnavailable is non-zero")
            case (false, false): errors.required("\(path).maxUnavailable", "cannot be 0 when maxSurge is 0")
            default: break
            }
        case let other: errors.notSupported("spec.updateStrategy.type", other, ["RollingUpdate", "OnDelete"])
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        guard subresource.isEmpty else {
            for field in [
                "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
                "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
            ] {
                errors.nonnegative("status.\(field)", object["status"][field])
            }
            WorkloadValidation.collisions(object, old, &errors)
            return errors.causes
        }
        errors.immutable("spec.selector", object["spec"]["selector"], old["spec"]["selector"])
        errors.append(validate(object))
        return errors.causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] { WorkloadValidation.templateWarnings(object, old: old) }
}
