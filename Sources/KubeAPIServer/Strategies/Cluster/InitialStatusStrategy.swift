import KubeAPI

/// For kinds whose only code is the status they begin with: what Go's types write when nothing is set.
struct InitialStatusStrategy: ResourceStrategy {
    let status: Value

    init(_ status: Value) { self.status = status }

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = status }
}

/// Upstream: apiextensions-apiserver/pkg/registry/customresourcedefinition.strategy; the stored version is one from the start.
struct CustomResourceDefinitionStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        let versions = object[path: "spec", "versions"]?.array ?? []
        let stored = versions.filter { $0["storage"]?.bool == true }.compactMap { $0["name"]?.string }
        object["status"] = ["conditions": .null, "acceptedNames": ["plural": "", "kind": ""], "storedVersions": Value(stored)]
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        guard subresource.isEmpty else { return }
        // A version that objects were once stored in stays listed until they are rewritten.
        var stored = (object[path: "status", "storedVersions"]?.array ?? []).compactMap(\.string)
        for version in object[path: "spec", "versions"]?.array ?? [] where version["storage"]?.bool == true {
            if let name = version["name"]?.string, !stored.contains(name) { stored.append(name) }
        }
        object[path: "status", "storedVersions"] = Value(stored)
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let group = spec["group"].string ?? ""
        let plural = spec["names"]["plural"].string ?? ""
        if object.metadata.name != "\(plural).\(group)" {
            errors.invalid("metadata.name", .string(object.metadata.name), "must be spec.names.plural+\".\"+spec.group")
        }
        if group.isEmpty { errors.required("spec.group") } else { errors.name("spec.group", group, .dnsSubdomain) }
        if !group.isEmpty, !group.contains(".") { errors.invalid("spec.group", .string(group), "should be a domain with at least one dot") }
        errors.oneOf("spec.scope", spec["scope"], ["Cluster", "Namespaced"], isRequired: true)
        if plural.isEmpty { errors.required("spec.names.plural") } else { errors.name("spec.names.plural", plural, .dns1035Label) }
        if (spec["names"]["kind"].string ?? "").isEmpty { errors.required("spec.names.kind") }
        let versions = spec["versions"].elements
        if versions.isEmpty { errors.required("spec.versions") }
        var names: Set<String> = []
        for (index, version) in versions.enumerated() {
            let name = version["name"].string ?? ""
            errors.name("spec.versions[\(index)].name", name, .dns1035Label)
            if !names.insert(name).inserted { errors.duplicate("spec.versions[\(index)].name", .string(name)) }
            if version["schema"]["openAPIV3Schema"].present == nil {
                errors.required("spec.versions[\(index)].schema.openAPIV3Schema", "schemas are required")
            }
        }
        if versions.filter({ $0["storage"].bool == true }).count != 1 {
            errors.invalid("spec.versions", spec["versions"].value ?? .null, "must have exactly one version marked as storage version")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("spec.scope", object["spec"]["scope"], old["spec"]["scope"])
        errors.immutable("spec.group", object["spec"]["group"], old["spec"]["group"])
        errors.immutable("spec.names.plural", object["spec"]["names"]["plural"], old["spec"]["names"]["plural"])
        errors.immutable("spec.names.kind", object["spec"]["names"]["kind"], old["spec"]["names"]["kind"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/autoscaling/horizontalpodautoscaler with autoscaling/validation.
struct HorizontalPodAutoscalerStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["desiredReplicas": 0, "currentMetrics": .null]
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let minimum = spec["minReplicas"].int ?? 1
        let maximum = spec["maxReplicas"].int ?? 0
        if minimum < 1 { errors.invalid("spec.minReplicas", .int(minimum), "must be greater than or equal to 1") }
        if maximum < 1 { errors.invalid("spec.maxReplicas", .int(maximum), "must be greater than 0") }
        if maximum < minimum { errors.invalid("spec.maxReplicas", .int(maximum), "must be greater than or equal to `minReplicas`") }
        let target = spec["scaleTargetRef"]
        if (target["kind"].string ?? "").isEmpty { errors.required("spec.scaleTargetRef.kind") }
        if (target["name"].string ?? "").isEmpty { errors.required("spec.scaleTargetRef.name") }
        let version = target["apiVersion"].string ?? ""
        // Only replication controllers are of the group without a name.
        if target["kind"].string != "ReplicationController", !version.contains("/") {
            errors.invalid("spec.scaleTargetRef.apiVersion", .string(version), "apiVersion must specify API group")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { subresource.isEmpty ? validate(object) : [] }
}

/// Upstream: pkg/registry/flowcontrol/prioritylevelconfiguration with flowcontrol/validation.
struct PriorityLevelStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.oneOf("spec.type", spec["type"], ["Exempt", "Limited"], isRequired: true)
        guard spec["type"].string == "Limited" else { return errors.causes }
        guard let limited = spec["limited"].present else {
            errors.required("spec.limited", "must not be empty when type is Limited")
            return errors.causes
        }
        errors.nonnegative("spec.limited.nominalConcurrencyShares", limited["nominalConcurrencyShares"])
        let response = limited["limitResponse"]
        let path = "spec.limited.limitResponse"
        switch response["type"].string ?? "" {
        case "Reject":
            if response["queuing"].present != nil { errors.forbidden("\(path).queuing", "must be nil if limited.limitResponse.type is not Limited") }
        case "Queue":
            if response["queuing"].present == nil { errors.required("\(path).queuing", "must not be empty if limited.limitResponse.type is Limited") }
        case let other: errors.notSupported("\(path).type", other, ["Queue", "Reject"])
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { subresource.isEmpty ? validate(object) : [] }
}
