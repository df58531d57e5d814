import KubeAPI

/// Upstream: pkg/registry/core/namespace.namespaceStrategy.
struct NamespaceStrategy: ResourceStrategy {
    static let finalizer = "kubernetes"
    static let nameLabel = "kubernetes.io/metadata.name"

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["phase": "Active"]
        var finalizers = (object[path: "spec", "finalizers"]?.array ?? []).compactMap(\.string)
        if !finalizers.contains(Self.finalizer) { finalizers.append(Self.finalizer) }
        object[path: "spec", "finalizers"] = Value(finalizers)
        object[path: "metadata", "labels", Self.nameLabel] = object[path: "metadata", "name"]
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        if subresource.isEmpty { object[path: "spec", "finalizers"] = old["spec"]["finalizers"].value }
        object[path: "metadata", "labels", Self.nameLabel] = .string(old.metadata.name)
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        switch subresource {
        case "finalize":
            for (index, finalizer) in object["spec"]["finalizers"].strings.enumerated() {
                for problem in Names.qualifiedNameProblems(finalizer) { errors.invalid("spec.finalizers[\(index)]", .string(finalizer), problem) }
            }
        case "status":
            let phase = object["status"]["phase"].string ?? ""
            if object.metadata.isBeingDeleted {
                if phase != "Terminating" {
                    errors.invalid("status.Phase", .string(phase), "may only be 'Terminating' if `deletionTimestamp` is not empty")
                }
            } else if phase != "Active" {
                errors.invalid("status.Phase", .string(phase), "may only be 'Active' if `deletionTimestamp` is empty")
            }
        default: break
        }
        return errors.causes
    }
}

/// Upstream: pkg/registry/core/node.nodeStrategy with core/validation.ValidateNode, ValidateNodeUpdate.
struct NodeStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        taints(object, &errors)
        let cidrs = object["spec"]["podCIDRs"].strings
        if let single = object["spec"]["podCIDR"].string, !single.isEmpty, !cidrs.isEmpty, cidrs[0] != single {
            errors.invalid("spec.podCIDRs", Value(cidrs), "podCIDRs[0] must match podCIDR")
        }
        return errors.causes
    }

    private func taints(_ node: Object, _ errors: inout FieldErrors) {
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
        var seen: Set<String> = []
        for (index, taint) in node["spec"]["taints"].elements.enumerated() {
            let place = "spec.taints[\(index)]"
            let key = taint["key"].string ?? ""
            for problem in Names.qualifiedNameProblems(key) { errors.invalid("\(place).key", .string(key), problem) }
            for problem in Names.labelValueProblems(taint["value"].string ?? "") {
                errors.invalid("\(place).value", .string(taint["value"].string ?? ""), problem)
            }
            let effect = taint["effect"].string ?? ""
            if effect.isEmpty {
                errors.required("\(place).effect")
            } else if !effects.contains(effect) {
                errors.notSupported("\(place).effect", effect, effects)
            }
            if !seen.insert("\(key):\(effect)").inserted { errors.duplicate(place, .string("taints must be unique by key and effect pair")) }
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        let before = old["spec"]["podCIDRs"].strings
        if !before.isEmpty, object["spec"]["podCIDRs"].strings != before {
            errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid")
        }
        let provider = old["spec"]["providerID"].string ?? ""
        if !provider.isEmpty, object["spec"]["providerID"].string != provider {
            errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid")
        }
        errors.append(validate(object))
        return errors.causes
    }
}

/// Upstream: pkg/registry/coordination/lease with coordination/validation.ValidateLeaseSpec.
struct LeaseStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if let seconds = object["spec"]["leaseDurationSeconds"].int, seconds <= 0 {
            errors.invalid("spec.leaseDurationSeconds", .int(seconds), "must be greater than 0")
        }
        errors.nonnegative("spec.leaseTransitions", object["spec"]["leaseTransitions"])
        if object["spec"]["holderIdentity"].string == "" { errors.invalid("spec.holderIdentity", "", "must not be empty") }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }
}

/// Events of both groups. Upstream: core/validation.ValidateEventCreate.
struct EventStrategy: ResourceStrategy {
    /// Cluster-scoped objects have their events here.
    private static let clusterNamespaces = ["default", "kube-system"]

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let field = object["involvedObject"] != nil ? "involvedObject" : "regarding"
        let named = object[field]["namespace"].string ?? ""
        let own = object.metadata.namespace
        if named.isEmpty ? !Self.clusterNamespaces.contains(own) : named != own {
            errors.invalid("\(field).namespace", .string(named), "does not match event.namespace")
        }
        return errors.causes
    }
}

/// Upstream: pkg/registry/scheduling/priorityclass with scheduling/validation.
struct PriorityClassStrategy: ResourceStrategy {
    /// Upstream: scheduling.HighestUserDefinablePriority.
    static let highestUserValue: Int64 = 1_000_000_000
    static let systemPrefix = "system-"

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let name = object.metadata.name
        let value = object["value"].int ?? 0
        if name.hasPrefix(Self.systemPrefix) {
            let known = ClusterDefaults.priorityClasses().first { $0[path: "metadata", "name"]?.string == name }
            let why: String? =
                known == nil
                ? "\(name) is not a known system priority class"
                : known?["value"]?.int != value ? "value of \(name) PriorityClass must be \(known?["value"]?.int ?? 0)" : nil
            if let why {
                errors.forbidden(
                    "metadata.name", "priority class names with '\(Self.systemPrefix)' prefix are reserved for system use only. error: \(why)")
            }
        } else if value > Self.highestUserValue {
            errors.forbidden("value", "maximum allowed value of a user defined priority is \(Self.highestUserValue)")
        }
        errors.oneOf("preemptionPolicy", object["preemptionPolicy"], ["PreemptLowerPriority", "Never"])
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if (object["value"].int ?? 0) != (old["value"].int ?? 0) { errors.forbidden("value", "may not be changed in an update.") }
        errors.immutable("preemptionPolicy", object["preemptionPolicy"], old["preemptionPolicy"])
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
        errors.intOrPercent("spec.minAvailable", spec["minAvailable"], maximumPercent: 100)
        errors.intOrPercent("spec.maxUnavailable", spec["maxUnavailable"], maximumPercent: 100)
        if spec["selector"].present != nil { errors.labelSelector("spec.selector", spec["selector"]) }
        errors.oneOf("spec.unhealthyPodEvictionPolicy", spec["unhealthyPodEvictionPolicy"], ["AlwaysAllow", "IfHealthyBudget"])
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { subresource.isEmpty ? validate(object) : [] }
}
