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
        if subresource == "finalize" { object["status"] = old["status"].value }
        object[path: "metadata", "labels", Self.nameLabel] = .string(old.metadata.name)
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        for finalizer in object["spec"]["finalizers"].strings { Self.finalizer(finalizer, "spec.finalizers", &errors) }
        return errors.causes
    }

    /// Upstream: core/validation.validateFinalizerName.
    private static func finalizer(_ name: String, _ field: String, _ errors: inout FieldErrors) {
        errors.qualifiedName(field, name)
        if !name.contains("/"), !["kubernetes", "orphan", "foregroundDeletion"].contains(name) {
            errors.invalid(field, text: name, "name is neither a standard finalizer name nor is it fully qualified")
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        switch subresource {
        case "finalize":
            for (index, finalizer) in object["spec"]["finalizers"].strings.enumerated() {
                Self.finalizer(finalizer, "spec.finalizers[\(index)]", &errors)
            }
        case "status":
            let phase = object["status"]["phase"].text
            if object.metadata.isBeingDeleted {
                if phase != "Terminating" {
                    errors.invalid("status.Phase", text: phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")
                }
            } else if phase != "Active" {
                errors.invalid("status.Phase", text: phase, "may only be 'Active' if `deletionTimestamp` is empty")
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
        resources(object, &errors)
        let cidrs = object["spec"]["podCIDRs"].strings
        for (index, cidr) in cidrs.enumerated() { errors.invalid("spec.podCIDRs[\(index)]", cidr, AddressRules.legacyRangeProblems(cidr)) }
        guard cidrs.count > 1 else { return errors.causes }
        let families = Set(cidrs.compactMap { AddressRules.range($0)?.address.isIPv6 })
        if families.count < 2 || cidrs.count > 2 {
            errors.invalid("spec.podCIDRs", Value(cidrs), "may specify no more than one CIDR for each IP family")
        }
        var seen: Set<String> = []
        for (index, cidr) in cidrs.enumerated() where !seen.insert(cidr).inserted {
            errors.duplicate("spec.podCIDRs[\(index)]", .string(cidr))
        }
        return errors.causes
    }

    /// Upstream's path of taints is below metadata.
    private func taints(_ node: Object, _ errors: inout FieldErrors) {
        var seen: Set<String> = []
        for (index, taint) in node["spec"]["taints"].elements.enumerated() {
            let place = "metadata.taints[\(index)]"
            let key = taint["key"].text
            errors.qualifiedName("\(place).key", key)
            let problems = Names.labelValueProblems(taint["value"].text)
            if !problems.isEmpty { errors.invalid("\(place).value", text: taint["value"].text, problems.joined(separator: ";")) }
            errors.oneOf("\(place).effect", taint["effect"], PodSchedulingValidation.taintEffects, isRequired: true)
            if !seen.insert("\(key):\(taint["effect"].text)").inserted {
                errors.duplicate(place, taint.value, "taints must be unique by key and effect pair")
            }
        }
    }

    private func resources(_ node: Object, _ errors: inout FieldErrors) {
        for list in ["capacity", "allocatable"] {
            for (name, view) in node["status"][list]?.members.map({ $0 }) ?? [] {
                ResourceRules.quantity("status.\(list).\(name)", name, view, &errors)
            }
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        resources(object, &errors)
        var addresses: Set<String> = []
        for (index, address) in object["status"]["addresses"].elements.enumerated()
        where !addresses.insert("\(address["type"].text) \(address["address"].text)").inserted {
            errors.duplicate("status.addresses[\(index)]", address.value)
        }
        let before = old["spec"]["podCIDRs"].strings
        if !before.isEmpty, object["spec"]["podCIDRs"].strings != before {
            errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid")
        }
        let provider = old["spec"]["providerID"].text
        if !provider.isEmpty, object["spec"]["providerID"].text != provider {
            errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid")
        }
        taints(object, &errors)
        if object["spec"]["externalID"].text != old["spec"]["externalID"].text { errors.forbidden("spec.externalID", "may not be updated") }
        return errors.causes
    }
}

/// Upstream: pkg/registry/coordination/lease with coordination/validation.ValidateLeaseSpec.
struct LeaseStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        if let seconds = spec["leaseDurationSeconds"].int, seconds <= 0 {
            errors.invalid("spec.leaseDurationSeconds", .int(seconds), "must be greater than 0")
        }
        errors.nonnegative("spec.leaseTransitions", spec["leaseTransitions"])
        let strategy = spec["strategy"].string
        if let strategy {
            // Upstream names the field twice.
            if strategy.contains("/") {
                errors.qualifiedName("spec.strategy.strategy", strategy)
            } else if strategy != "OldestEmulationVersion" {
                errors.notSupported("spec.strategy.strategy", strategy, ["OldestEmulationVersion"])
            }
        }
        if !spec["preferredHolder"].text.isEmpty, strategy ?? "" == "" {
            errors.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }
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

/// Upstream: pkg/registry/node/runtimeclass with node/validation.ValidateRuntimeClass.
struct RuntimeClassStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.name("handler", object["handler"].text, .dnsLabel)
        for (name, view) in object["overhead"]["podFixed"]?.members.map({ $0 }) ?? [] {
            ResourceRules.containerName("overhead.limits[\(name)]", name, &errors)
            ResourceRules.quantity("overhead.limits[\(name)]", name, view, &errors)
        }
        errors.labels("scheduling.nodeSelector", object["scheduling"]["nodeSelector"])
        for (index, toleration) in object["scheduling"]["tolerations"].elements.enumerated() {
            PodSchedulingValidation.toleration(toleration, "scheduling.tolerations[\(index)]", &errors)
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.immutable("handler", object["handler"], old["handler"])
        return errors.causes
    }
}
