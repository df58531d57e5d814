import KubeAPI

/// Rules that kinds of storage share. Upstream: storage/validation.
private enum StorageRules {
    static let maximumParameters = 512
    static let maximumParameterBytes = 256 << 10

    static func provisioner(_ field: String, _ view: JSONView?, _ errors: inout FieldErrors) {
        if let name = errors.requireText(field, view) { errors.qualifiedName(field, name.lowercased()) }
    }

    static func parameters(_ view: JSONView?, isRequired: Bool, _ errors: inout FieldErrors) {
        var count = 0
        var bytes = 0
        var hasEmptyKey = false
        if let view {
            for (key, value) in view.members {
                count += 1
                bytes += key.utf8.count + value.text.utf8.count
                if key.isEmpty { hasEmptyKey = true }
            }
        }
        if count > maximumParameters { return errors.tooLong("parameters", maximum: maximumParameters) }
        if hasEmptyKey { errors.invalid("parameters", text: "", "field can not be empty.") }
        if bytes > maximumParameterBytes { errors.tooLong("parameters", maximum: maximumParameterBytes) }
        if isRequired, count == 0 { errors.required("parameters", "must contain at least one key/value pair") }
    }

    /// Members no update may change.
    static func fixed(_ fields: [String], _ object: Object, _ old: Object, _ errors: inout FieldErrors) {
        for field in fields where FieldErrors.differ(object[field], old[field]) {
            errors.forbidden(field, "updates to \(field) are forbidden.")
        }
    }
}

/// Upstream: pkg/registry/storage/storageclass.
struct StorageClassStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        StorageRules.provisioner("provisioner", object["provisioner"], &errors)
        StorageRules.parameters(object["parameters"], isRequired: false, &errors)
        errors.oneOf("reclaimPolicy", object["reclaimPolicy"], ["Delete", "Retain"])
        errors.oneOf("volumeBindingMode", object["volumeBindingMode"], ["Immediate", "WaitForFirstConsumer"], isRequired: true)
        let terms = object["allowedTopologies"].elements
        // Upstream's list begins with an empty entry for each term.
        var known: [[String: Set<String>]] = Array(repeating: [:], count: terms.count)
        for (index, term) in terms.enumerated() {
            let values = topology(term, "allowedTopologies[\(index)]", &errors)
            for other in known where other == values { errors.duplicate("allowedTopologies[\(index)].matchLabelExpressions", .string("")) }
            known.append(values)
        }
        return errors.causes
    }

    /// Upstream: core/validation.ValidateTopologySelectorTerm.
    private func topology(_ term: JSONView, _ path: String, _ errors: inout FieldErrors) -> [String: Set<String>] {
        var terms: [String: Set<String>] = [:]
        for (index, expression) in term["matchLabelExpressions"].elements.enumerated() {
            let place = "\(path).matchLabelExpressions[\(index)]"
            let values = expression["values"].strings
            if values.isEmpty { errors.required("\(place).values") }
            var seen: Set<String> = []
            for (position, value) in values.enumerated() where !seen.insert(value).inserted {
                errors.duplicate("\(place).values[\(position)]", .string(value))
            }
            let key = expression["key"].text
            errors.qualifiedName("\(place).key", key)
            if terms.updateValue(seen, forKey: key) != nil { errors.duplicate("\(place).key", .string(key)) }
        }
        return terms
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.append(validate(object))
        StorageRules.fixed(["parameters", "provisioner", "reclaimPolicy"], object, old, &errors)
        errors.immutable("volumeBindingMode", object["volumeBindingMode"], old["volumeBindingMode"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/storage/volumeattributesclass.
struct VolumeAttributesClassStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        StorageRules.provisioner("driverName", object["driverName"], &errors)
        StorageRules.parameters(object["parameters"], isRequired: true, &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        StorageRules.fixed(["driverName", "parameters"], object, old, &errors)
        errors.append(validate(object))
        return errors.causes
    }
}

/// Upstream: pkg/registry/storage/volumeattachment.
struct VolumeAttachmentStrategy: ResourceStrategy {
    private static let maximumMetadata = 256 << 10
    private static let maximumMessage = 1024

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["attached": false] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        common(object, &errors)
        let spec = object["spec"]
        DomainRules.driverName("spec.attacher", spec["attacher"].text, &errors)
        if let name = spec["source"]["persistentVolumeName"].string { errors.name("spec.source.persistentVolumeName", name, .dnsSubdomain) }
        return errors.causes
    }

    private func common(_ object: Object, _ errors: inout FieldErrors) {
        let spec = object["spec"]
        errors.requireText("spec.attacher", spec["attacher"])
        let name = spec["source"]["persistentVolumeName"].string
        let inline = spec["source"]["inlineVolumeSpec"].present
        let exactly = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        switch (inline, name) {
        case (nil, nil): errors.required("spec.source", exactly)
        case (.some, .some): errors.forbidden("spec.source", exactly)
        case (nil, .some(let name)):
            if name.isEmpty { errors.required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName") }
        case (.some(let inline), nil):
            PersistentVolumeValidation.spec("spec.source.inlineVolumeSpec", inline, name: "", isInline: true, &errors)
        }
        errors.name("spec.nodeName", spec["nodeName"].text, .dnsSubdomain)
        let status = object["status"]
        var bytes = 0
        if let metadata = status["attachmentMetadata"].present {
            for (key, value) in metadata.members { bytes += key.utf8.count + value.text.utf8.count }
        }
        if bytes > Self.maximumMetadata { errors.tooLong("status.attachmentMetadata", maximum: Self.maximumMetadata) }
        for field in ["attachError", "detachError"] {
            guard let problem = status[field].present else { continue }
            if problem["message"].text.utf8.count > Self.maximumMessage { errors.tooLong("status.\(field).message", maximum: Self.maximumMetadata) }
            if let code = problem["errorCode"].int, code < 0 {
                errors.invalid("status.\(field).errorCode", .int(code), "must be between 0 and 2147483647, inclusive")
            }
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        common(object, &errors)
        errors.immutable("spec", object["spec"], old["spec"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/storage/csinode.
struct CSINodeStrategy: ResourceStrategy {
    /// Upstream: validation.csiNodeIDLongerMaxLength.
    private static let maximumID = 256

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var seen: Set<String> = []
        for (index, driver) in object["spec"]["drivers"].elements.enumerated() {
            let path = "spec.drivers[\(index)]"
            let name = driver["name"].text
            DomainRules.driverName("\(path).name", name, &errors)
            if let id = errors.requireText("\(path).nodeID", driver["nodeID"]), id.utf8.count > Self.maximumID {
                errors.invalid("\(path).nodeID", text: id, "must be \(Self.maximumID) characters or less")
            }
            errors.nonnegative("\(path).allocatable.count", driver["allocatable"]["count"])
            if !seen.insert(name).inserted { errors.duplicate("\(path).name", .string(name)) }
            var keys: Set<String> = []
            for key in driver["topologyKeys"].strings {
                if key.isEmpty { errors.required(path) }
                if !keys.insert(key).inserted { errors.duplicate(path, .string(key)) }
                errors.qualifiedName(path, key)
            }
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.append(validate(object))
        func fixed(_ driver: JSONView) -> Value {
            var value = driver.value
            value["allocatable"] = nil
            return value
        }
        let drivers = object["spec"]["drivers"].elements
        for before in old["spec"]["drivers"].elements {
            guard let driver = drivers.first(where: { $0["name"].text == before["name"].text }) else { continue }
            let value = fixed(driver)
            if value.pruned != fixed(before).pruned { errors.invalid("spec.drivers", value, "field is immutable") }
        }
        return errors.causes
    }
}

/// Upstream: pkg/registry/storage/csidriver.
struct CSIDriverStrategy: ResourceStrategy {
    private static let shortestToken: Int64 = 600

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        // Upstream calls the first by a name that is not quite its own.
        for (member, field) in [("attachRequired", "attachedRequired"), ("podInfoOnMount", "podInfoOnMount"), ("storageCapacity", "storageCapacity")]
        where spec[member].bool == nil { errors.required("spec.\(field)") }
        if let policy = spec["fsGroupPolicy"].string, !["File", "None", "ReadWriteOnceWithFSType"].contains(policy) {
            errors.notSupported("spec.fsGroupPolicy", policy, ["File", "None", "ReadWriteOnceWithFSType"])
        }
        var audiences: Set<String> = []
        for (index, request) in spec["tokenRequests"].elements.enumerated() {
            let path = "spec.tokenRequests[\(index)]"
            let audience = request["audience"].text
            guard audiences.insert(audience).inserted else {
                errors.duplicate("\(path).audience", .string(audience))
                continue
            }
            guard let seconds = request["expirationSeconds"].int else { continue }
            if seconds < Self.shortestToken {
                errors.invalid("\(path).expirationSeconds", .int(seconds), "may not specify a duration less than 10 minutes")
            }
            if seconds > 1 << 32 {
                errors.invalid("\(path).expirationSeconds", .int(seconds), "may not specify a duration larger than 2^32 seconds")
            }
        }
        for mode in spec["volumeLifecycleModes"].strings where mode != "Persistent" && mode != "Ephemeral" {
            errors.notSupported("spec.volumeLifecycleModes", mode, ["Persistent", "Ephemeral"])
        }
        if spec["seLinuxMount"].bool == nil { errors.required("spec.seLinuxMount") }
        if let seconds = spec["nodeAllocatableUpdatePeriodSeconds"].int, seconds < 10 {
            errors.invalid("spec.nodeAllocatableUpdatePeriodSeconds", .int(seconds), "must be greater than or equal to 10 seconds")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.append(validate(object))
        let (spec, before) = (object["spec"], old["spec"])
        errors.immutable("spec.attachedRequired", spec["attachRequired"], before["attachRequired"])
        errors.immutable("spec.volumeLifecycleModes", spec["volumeLifecycleModes"], before["volumeLifecycleModes"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/storage/csistoragecapacity.
struct CSIStorageCapacityStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.labelSelector("nodeTopology", object["nodeTopology"])
        errors.name("storageClassName", object["storageClassName"].text, .dnsSubdomain)
        if let capacity = object["capacity"].present { ResourceRules.quantity("capacity", "storage", capacity, &errors) }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        for field in ["nodeTopology", "storageClassName"] { errors.immutable(field, object[field], old[field]) }
        return errors.causes
    }
}
