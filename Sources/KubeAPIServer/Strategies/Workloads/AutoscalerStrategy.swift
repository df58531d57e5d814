import KubeAPI

/// Upstream: pkg/registry/autoscaling/horizontalpodautoscaler with autoscaling/validation. Both versions are stored, and checked, as v2.
struct HorizontalPodAutoscalerStrategy: ResourceStrategy {
    /// Upstream: MaxPeriodSeconds, MaxStabilizationWindowSeconds.
    static let maximumPeriod: Int64 = 1800
    static let maximumWindow: Int64 = 3600
    /// In upstream's order of looking: the first that is there is checked.
    private static let sources = ["object", "external", "pods", "resource", "containerResource"]
    private static let types = ["ContainerResource", "External", "Object", "Pods", "Resource"]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["desiredReplicas": 0, "currentMetrics": .null]
    }

    func validate(_ object: Object) -> [StatusError.Cause] { validate(object, lowest: 1) }

    private func validate(_ object: Object, lowest: Int64) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let minimum = spec["minReplicas"].int
        let maximum = spec["maxReplicas"].int ?? 0
        if let minimum, minimum < lowest { errors.invalid("spec.minReplicas", .int(minimum), "must be greater than or equal to \(lowest)") }
        if maximum < 1 { errors.invalid("spec.maxReplicas", .int(maximum), "must be greater than 0") }
        if let minimum, maximum < minimum {
            errors.invalid("spec.maxReplicas", .int(maximum), "must be greater than or equal to `minReplicas`")
        }
        reference(spec["scaleTargetRef"], "spec.scaleTargetRef", &errors)
        // Only replication controllers are in no group.
        let target = spec["scaleTargetRef"]
        if !target["apiVersion"].text.contains("/"), target["kind"].text != "ReplicationController" {
            errors.invalid("spec.scaleTargetRef.apiVersion", text: target["apiVersion"].text, "apiVersion must specify API group")
        }
        var hasForeign = false
        for (index, metric) in spec["metrics"].elements.enumerated() {
            self.metric(metric, "spec.metrics[\(index)]", &errors)
            if ["Object", "External"].contains(metric["type"].text) { hasForeign = true }
        }
        if minimum == 0, !hasForeign {
            errors.forbidden("spec.metrics", "must specify at least one Object or External metric to support scaling to zero replicas")
        }
        for field in ["scaleUp", "scaleDown"] {
            if let rules = spec["behavior"][field].present { self.rules(rules, "spec.behavior.\(field)", &errors) }
        }
        return errors.causes
    }

    private func reference(_ reference: JSONView?, _ path: String, _ errors: inout FieldErrors) {
        errors.requiredName("\(path).kind", reference["kind"], .pathSegment)
        errors.requiredName("\(path).name", reference["name"], .pathSegment)
    }

    private func rules(_ rules: JSONView, _ path: String, _ errors: inout FieldErrors) {
        if let seconds = rules["stabilizationWindowSeconds"].int {
            let field = "\(path).stabilizationWindowSeconds"
            if seconds < 0 { errors.invalid(field, .int(seconds), "must be greater than or equal to zero") }
            if seconds > Self.maximumWindow { errors.invalid(field, .int(seconds), "must be less than or equal to \(Self.maximumWindow)") }
        }
        errors.oneOf("\(path).selectPolicy", rules["selectPolicy"], ["Disabled", "Max", "Min"])
        if let tolerance = rules["tolerance"].quantity, tolerance.sign < 0 {
            errors.invalid("\(path).tolerance", text: tolerance.description, "must be greater than or equal to 0")
        }
        let policies = rules["policies"].elements
        if policies.isEmpty { errors.required("\(path).policies", "must specify at least one Policy") }
        for (index, policy) in policies.enumerated() {
            let place = "\(path).policies[\(index)]"
            if !["Pods", "Percent"].contains(policy["type"].text) { errors.notSupported("\(place).type", policy["type"].text, ["Percent", "Pods"]) }
            for field in ["value", "periodSeconds"] {
                let number = policy[field].int ?? 0
                if number <= 0 { errors.invalid("\(place).\(field)", .int(number), "must be greater than zero") }
            }
            if let period = policy["periodSeconds"].int, period > Self.maximumPeriod {
                errors.invalid("\(place).periodSeconds", .int(period), "must be less than or equal to \(Self.maximumPeriod)")
            }
        }
    }

    private func metric(_ metric: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let type = metric["type"].text
        if type.isEmpty { errors.required("\(path).type", "must specify a metric source type") }
        let isKnown = Self.types.contains(type)
        if !isKnown { errors.notSupported("\(path).type", type, Self.types) }
        let present = Self.sources.filter { metric[$0].present != nil }
        if let first = present.first, let source = metric[first].present { self.source(first, source, "\(path).\(first)", &errors) }
        let expected = type.prefix(1).lowercased() + type.dropFirst()
        if isKnown, !present.contains(expected) {
            errors.required("\(path).\(expected)", "must populate information for the given metric source")
        } else if !isKnown {
            errors.notSupported("\(path).type", type, Self.types)
        }
        if present.count != 1 {
            for other in present where other != expected { errors.forbidden("\(path).\(other)", "must populate the given metric source only") }
        }
    }

    private func source(_ kind: String, _ source: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let target = source["target"]
        let hasValue = target["value"].present != nil
        let hasAverage = target["averageValue"].present != nil
        switch kind {
        case "object":
            reference(source["describedObject"], "\(path).describedObject", &errors)
            identifier(source["metric"], "\(path).metric", &errors)
            self.target(target, "\(path).target", &errors)
            if !hasValue, !hasAverage { errors.required("\(path).target.averageValue", "must set either a target value or averageValue") }
        case "external":
            identifier(source["metric"], "\(path).metric", &errors)
            self.target(target, "\(path).target", &errors)
            if !hasValue, !hasAverage {
                errors.required("\(path).target.averageValue", "must set either a target value for metric or a per-pod target")
            }
            if hasValue, hasAverage {
                errors.forbidden("\(path).target.value", "may not set both a target value for metric and a per-pod target")
            }
        case "pods":
            identifier(source["metric"], "\(path).metric", &errors)
            self.target(target, "\(path).target", &errors)
            if !hasAverage { errors.required("\(path).target.averageValue", "must specify a positive target averageValue") }
        default:
            if let name = errors.requireText("\(path).name", source["name"], "must specify a resource name"), kind == "containerResource" {
                ResourceRules.containerName("\(path).name", name, &errors)
            }
            if kind == "containerResource",
                let container = errors.requireText("\(path).container", source["container"], "must specify a container")
            {
                errors.name("\(path).container", container, .dnsLabel)
            }
            self.target(target, "\(path).target", &errors)
            let hasUtilization = target["averageUtilization"].present != nil
            if !hasUtilization, !hasAverage {
                errors.required("\(path).target.averageUtilization", "must set either a target raw value or a target utilization")
            }
            if hasUtilization, hasAverage {
                errors.forbidden("\(path).target.averageValue", "may not set both a target raw value and a target utilization")
            }
        }
    }

    private func identifier(_ metric: JSONView?, _ path: String, _ errors: inout FieldErrors) {
        if let name = errors.requireText("\(path).name", metric["name"], "must specify a metric name") {
            errors.name("\(path).name", name, .pathSegment)
        }
    }

    private func target(_ target: JSONView?, _ path: String, _ errors: inout FieldErrors) {
        let type = target["type"].text
        if type.isEmpty { errors.required("\(path).type", "must specify a metric target type") }
        if !["Utilization", "Value", "AverageValue"].contains(type) {
            errors.invalid("\(path).type", text: type, "must be either Utilization, Value, or AverageValue")
        }
        for field in ["value", "averageValue"] {
            if let quantity = target[field].quantity, quantity.sign <= 0 {
                errors.invalid("\(path).\(field)", text: quantity.description, "must be positive")
            }
        }
        if let percent = target["averageUtilization"].int, percent < 1 {
            errors.invalid("\(path).averageUtilization", .int(percent), "must be greater than 0")
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard !subresource.isEmpty else { return validate(object, lowest: old["spec"]["minReplicas"].int == 0 ? 0 : 1) }
        var errors = FieldErrors()
        for field in ["currentReplicas", "desiredReplicas"] { errors.nonnegative("status.\(field)", object["status"][field]) }
        return errors.causes
    }
}

/// Upstream: pkg/registry/policy/poddisruptionbudget with policy/validation.
struct PodDisruptionBudgetStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0]
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        if spec["minAvailable"].present != nil, spec["maxUnavailable"].present != nil {
            errors.invalid("spec", spec.value ?? .null, "minAvailable and maxUnavailable cannot be both set")
        }
        for field in ["minAvailable", "maxUnavailable"] {
            errors.intOrPercent("spec.\(field)", spec[field])
            errors.notMoreThanAll("spec.\(field)", spec[field])
        }
        errors.labelSelector("spec.selector", spec["selector"])
        errors.oneOf("spec.unhealthyPodEvictionPolicy", spec["unhealthyPodEvictionPolicy"], ["AlwaysAllow", "IfHealthyBudget"])
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard !subresource.isEmpty else { return validate(object) }
        var errors = FieldErrors()
        errors.conditions("status.conditions", object["status"]["conditions"])
        for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            errors.nonnegative("status.\(field)", object["status"][field])
        }
        return errors.causes
    }
}
