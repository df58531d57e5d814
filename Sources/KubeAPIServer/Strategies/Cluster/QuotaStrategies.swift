import KubeAPI

/// Upstream: pkg/registry/core/resourcequota with core/validation.ValidateResourceQuota.
struct ResourceQuotaStrategy: ResourceStrategy {
    private static let scopes: Set<String> = [
        "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity", "VolumeAttributesClass",
    ]
    private static let podObjects: Set<String> = [
        "pods", "cpu", "memory", "requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
        "limits.ephemeral-storage", "ephemeral-storage",
    ]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        amounts("spec.hard", spec["hard"], &errors)
        let hard = (spec["hard"]?.members.map(\.key) ?? []).sorted()
        scopeList(spec, hard, &errors)
        scopeSelector(spec, hard, &errors)
        return errors.causes
    }

    private func amounts(_ path: String, _ view: JSONView?, _ errors: inout FieldErrors) {
        for (name, quantity) in view?.members.map({ $0 }) ?? [] {
            ResourceRules.quotaName("\(path)[\(name)]", name, &errors)
            ResourceRules.quantity("\(path)[\(name)]", name, quantity, &errors)
        }
    }

    /// Upstream: helper.IsResourceQuotaScopeValidForResource.
    private static func applies(_ scope: String, to resource: String) -> Bool {
        switch scope {
        case "BestEffort": resource == "pods"
        case "VolumeAttributesClass": ["persistentvolumeclaims", "requests.storage"].contains(resource)
        case "Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity":
            podObjects.contains(resource) || ResourceRules.isQuotaHugePage(resource)
        default: true
        }
    }

    private func scopeList(_ spec: JSONView?, _ hard: [String], _ errors: inout FieldErrors) {
        let scopes = spec["scopes"].strings
        guard !scopes.isEmpty else { return }
        for scope in scopes {
            if !Self.scopes.contains(scope) { errors.invalid("spec.scopes", Value(scopes), "unsupported scope") }
            for name in hard where ResourceRules.isStandardQuota(name) && !Self.applies(scope, to: name) {
                errors.invalid("spec.scopes", Value(scopes), "unsupported scope applied to resource")
            }
        }
        conflicts(Set(scopes), "spec.scopes", scopes, &errors)
    }

    private func conflicts(_ found: Set<String>, _ field: String, _ shown: [String], _ errors: inout FieldErrors) {
        for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] where found.isSuperset(of: pair) {
            errors.invalid(field, Value(shown), "conflicting scopes")
        }
    }

    private func scopeSelector(_ spec: JSONView?, _ hard: [String], _ errors: inout FieldErrors) {
        guard let selector = spec["scopeSelector"].present else { return }
        let path = "spec.scopeSelector.matchExpressions"
        var found: Set<String> = []
        for requirement in selector["matchExpressions"].elements {
            let scope = requirement["scopeName"].text
            let operation = requirement["operator"].text
            let values = requirement["values"].strings
            if !Self.scopes.contains(scope) { errors.invalid("\(path).scopeName", text: scope, "unsupported scope") }
            for name in hard where ResourceRules.isStandardQuota(name) && !Self.applies(scope, to: name) {
                errors.invalid(path, selector.value, "unsupported scope applied to resource")
            }
            if Self.scopes.contains(scope), scope != "PriorityClass", scope != "VolumeAttributesClass", operation != "Exists" {
                errors.invalid(
                    "\(path).operator", text: operation,
                    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                        + "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity")
            }
            switch operation {
            case "In", "NotIn":
                if values.isEmpty {
                    errors.required("\(path).values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
                }
            case "Exists", "DoesNotExist":
                if !values.isEmpty {
                    errors.invalid(
                        "\(path).values", Value(values), "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
                }
            default: errors.invalid("\(path).operator", text: operation, "not a valid selector operator")
            }
            found.insert(scope)
        }
        conflicts(found, path, spec["scopes"].strings, &errors)
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        guard subresource.isEmpty else {
            for list in ["hard", "used"] { amounts("status.\(list)", object["status"][list], &errors) }
            return errors.causes
        }
        errors.append(validate(object))
        let scopes = object["spec"]["scopes"].strings
        if Set(scopes) != Set(old["spec"]["scopes"].strings) { errors.invalid("spec.scopes", Value(scopes), "field is immutable") }
        return errors.causes
    }
}

/// Upstream: pkg/registry/core/limitrange with core/validation.ValidateLimitRange.
struct LimitRangeStrategy: ResourceStrategy {
    private static let types: Set<String> = ["Pod", "Container", "PersistentVolumeClaim"]

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var seen: Set<String> = []
        for (index, limit) in object["spec"]["limits"].elements.enumerated() {
            let place = "spec.limits[\(index)]"
            let type = limit["type"].text
            let problems = Names.qualifiedNameProblems(type)
            if !problems.isEmpty {
                errors.invalid("\(place).type", type, problems)
            } else if !type.contains("/"), !Self.types.contains(type) {
                errors.invalid("\(place).type", text: type, "must be a standard limit type or fully qualified")
            }
            if !seen.insert(type).inserted { errors.duplicate("\(place).type", .string(type)) }
            names(limit, type, place, &errors)
            bounds(limit, type, place, &errors)
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }

    private func names(_ limit: JSONView, _ type: String, _ place: String, _ errors: inout FieldErrors) {
        func check(_ list: String) {
            for (name, _) in limit[list]?.members.map({ $0 }) ?? [] {
                let field = "\(place).\(list)[\(name)]"
                if type == "Pod" || type == "Container" {
                    ResourceRules.containerName(field, name, &errors)
                } else {
                    ResourceRules.name(field, name, &errors)
                }
            }
        }
        check("max")
        check("min")
        for list in ["default", "defaultRequest"] {
            if type == "Pod" {
                if limit[list].hasElements { errors.forbidden("\(place).\(list)", "may not be specified when `type` is 'Pod'") }
            } else {
                check(list)
            }
        }
        if type == "PersistentVolumeClaim", limit["min"]["storage"] == nil, limit["max"]["storage"] == nil {
            errors.required("\(place).limits", "either minimum or maximum storage value is required, but neither was provided")
        }
        check("maxLimitRequestRatio")
    }

    private func bounds(_ limit: JSONView, _ type: String, _ place: String, _ errors: inout FieldErrors) {
        let min = limit["min"].resourceList
        let max = limit["max"].resourceList
        let defaults = type == "Pod" ? [:] : limit["default"].resourceList
        let requests = type == "Pod" ? [:] : limit["defaultRequest"].resourceList
        let ratios = limit["maxLimitRequestRatio"].resourceList
        let names = Set(min.keys).union(max.keys).union(defaults.keys).union(requests.keys).union(ratios.keys)
        for name in names.sorted() {
            func tooLarge(_ smaller: Quantity?, _ what: String, _ larger: Quantity?, _ than: String, _ list: String, shown: Quantity?) {
                guard let smaller, let larger, smaller > larger else { return }
                errors.invalid(
                    "\(place).\(list)[\(name)]", text: (shown ?? smaller).description, "\(what) \(smaller) is greater than \(than) \(larger)")
            }
            let request = requests[name]
            let own = defaults[name]
            tooLarge(min[name], "min value", max[name], "max value", "min", shown: min[name])
            tooLarge(min[name], "min value", request, "default request value", "defaultRequest", shown: request)
            tooLarge(request, "default request value", max[name], "max value", "defaultRequest", shown: request)
            tooLarge(request, "default request value", own, "default limit value", "defaultRequest", shown: request)
            tooLarge(min[name], "min value", own, "default value", "default", shown: min[name])
            tooLarge(own, "default value", max[name], "max value", "default", shown: max[name])
            if let ratio = ratios[name] {
                let field = "\(place).maxLimitRequestRatio[\(name)]"
                if ratio < Quantity(1) { errors.invalid(field, text: ratio.description, "ratio \(ratio) is less than 1") }
                if let low = min[name], let high = max[name], low.sign > 0, ratio.double > high.double / low.double {
                    errors.invalid(
                        field, text: ratio.description, "ratio \(ratio) is greater than max/min = \((high.double / low.double).sixDigits)")
                }
            }
            if !ResourceRules.isOvercommitAllowed(name), let own, let request, own != request {
                errors.invalid(
                    "\(place).defaultRequest[\(name)]", text: request.description,
                    "default value \(own) must equal to defaultRequest value \(request) in \(name)")
            }
        }
    }
}
