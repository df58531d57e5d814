import KubeAPI

/// The rules of a claim's spec, of a claim or in a template. Upstream: core/validation.ValidatePersistentVolumeClaimSpec.
enum PersistentVolumeClaimValidation {
    static let accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]

    static func spec(_ path: String, _ spec: JSONView?, _ errors: inout FieldErrors) {
        if !spec["accessModes"].hasElements { errors.required("\(path).accessModes", "at least 1 access mode is required") }
        errors.labelSelector("\(path).selector", spec["selector"])
        modes("\(path).accessModes", spec, &errors)
        storage("\(path).resources[storage]", spec["resources"]["requests"]["storage"], &errors)
        errors.optionalName("\(path).storageClassName", spec["storageClassName"], .dnsSubdomain)
        errors.oneOf("\(path).volumeMode", spec["volumeMode"], ["Block", "Filesystem"])
        for field in ["dataSource", "dataSourceRef"] {
            if let source = spec[field].present { self.source("\(path).\(field)", source, &errors) }
        }
        if let source = spec["dataSource"].present, let reference = spec["dataSourceRef"].present {
            if !reference["namespace"].text.isEmpty {
                errors.invalid(path, text: "\(path).dataSource", "may not be specified when dataSourceRef.namespace is specified")
            } else if ["apiGroup", "kind", "name"].contains(where: { source[$0].string != reference[$0].string }) {
                errors.invalid(path, text: "\(path).dataSource", "must match dataSourceRef")
            }
        }
        errors.optionalName("\(path).volumeAttributesClassName", spec["volumeAttributesClassName"], .dnsSubdomain)
    }

    static func modes(_ field: String, _ spec: JSONView?, _ errors: inout FieldErrors) {
        let modes = spec["accessModes"].strings
        for mode in modes where !accessModes.contains(mode) { errors.notSupported(field, mode, accessModes) }
        if modes.contains("ReadWriteOncePod"), modes.contains(where: { $0 != "ReadWriteOncePod" && accessModes.contains($0) }) {
            errors.forbidden(field, "may not use ReadWriteOncePod with other access modes")
        }
    }

    private static func storage(_ field: String, _ view: JSONView?, _ errors: inout FieldErrors) {
        guard let view = view.present else { return errors.required(field) }
        if let quantity = view.quantity, quantity.sign <= 0 {
            errors.invalid(field, text: quantity.description, "must be greater than zero")
        }
    }

    private static func source(_ path: String, _ source: JSONView, _ errors: inout FieldErrors) {
        errors.requireText("\(path).name", source["name"])
        errors.requireText("\(path).kind", source["kind"])
        let group = source["apiGroup"].text
        if group.isEmpty {
            if source["kind"].text != "PersistentVolumeClaim" {
                errors.invalid(path, text: source["kind"].text, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
            }
        } else {
            errors.name("\(path).apiGroup", group, .dnsSubdomain)
        }
        errors.optionalName("\(path).namespace", source["namespace"], .dnsLabel)
    }
}

/// Claims begin pending. Upstream: pkg/registry/core/persistentvolumeclaim with core/validation.ValidatePersistentVolumeClaimUpdate.
struct PersistentVolumeClaimStrategy: ResourceStrategy {
    private static let classAnnotation = "volume.beta.kubernetes.io/storage-class"
    private static let resizeStates = [
        "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending",
    ]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["phase": "Pending"]
        guard var spec = object["spec"] else { return }
        // The two ways to name a source are kept equal. Upstream: persistentvolumeclaim.NormalizeDataSources.
        if let source = spec["dataSource"], spec["dataSourceRef"] == nil {
            spec["dataSourceRef"] = source
        } else if let reference = spec["dataSourceRef"], spec["dataSource"] == nil, (reference["namespace"]?.string ?? "").isEmpty {
            spec["dataSource"] = reference
        }
        object["spec"] = spec
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        PersistentVolumeClaimValidation.spec("spec", object["spec"], &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return validateStatus(object) }
        var errors = FieldErrors()
        let annotations = object.metadata.annotations[Self.classAnnotation] ?? ""
        if annotations != old.metadata.annotations[Self.classAnnotation] ?? "" {
            errors.invalid("metadata.annotations.\(Self.classAnnotation)", text: annotations, "field is immutable")
        }
        let spec = object["spec"]
        let before = old["spec"]
        guard FieldErrors.differ(spec, before) else { return errors.causes }
        errors.append(validate(object))
        if comparable(object, old: old) != comparable(old, old: old) {
            errors.forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims")
        }
        let size = spec["resources"]["requests"]["storage"].quantity ?? .zero
        if size < before["resources"]["requests"]["storage"].quantity ?? .zero, size <= old["status"]["capacity"]["storage"].quantity ?? .zero {
            errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
        }
        errors.immutable("volumeMode", spec["volumeMode"], before["volumeMode"])
        if before["volumeAttributesClassName"].string != nil, spec["volumeAttributesClassName"].text.isEmpty {
            let what = spec["volumeAttributesClassName"].string == nil ? "nil" : "an empty string"
            errors.forbidden("spec.volumeAttributesClassName", "update from non-nil value to \(what) is forbidden")
        }
        return errors.causes
    }

    /// The spec without what may differ: the volume, once; the size and the class of a bound claim; a class that was not named.
    private func comparable(_ claim: Object, old: Object) -> Value {
        var spec = claim["spec"].value ?? .null
        if old["spec"]["volumeName"].text.isEmpty { spec["volumeName"] = nil }
        if old["spec"]["storageClassName"].string == nil { spec["storageClassName"] = nil }
        if old["status"]["phase"].string == "Bound" {
            spec[path: "resources", "requests", "storage"] = nil
            spec["volumeAttributesClassName"] = nil
        }
        return spec.pruned
    }

    private func validateStatus(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let status = object["status"]
        for list in ["capacity", "allocatedResources"] {
            for (name, view) in status[list]?.members.map({ $0 }) ?? [] {
                if list == "allocatedResources", !key(name, "status.allocatedResources", &errors) { continue }
                if let quantity = view.quantity, quantity.sign < 0 {
                    errors.invalid("status.\(list)[\(name)]", .int(quantity.value), "must be a valid resource quantity")
                }
            }
        }
        for (name, view) in status["allocatedResourceStatuses"]?.members.map({ $0 }) ?? [] {
            key(name, "status.allocatedResourceStatus", &errors)
            if !Self.resizeStates.contains(view.text) { errors.notSupported("status.allocatedResourceStatus", name, Self.resizeStates) }
        }
        return errors.causes
    }

    @discardableResult
    private func key(_ name: String, _ field: String, _ errors: inout FieldErrors) -> Bool {
        let problems = Names.qualifiedNameProblems(name)
        errors.invalid(field, name, problems)
        guard problems.isEmpty else { return false }
        if ResourceRules.isNative(name), name != "storage" {
            errors.notSupported(field, name, ["storage"])
            return false
        }
        return true
    }
}

/// The rules of a volume's spec, its own or inline in an attachment. Upstream: core/validation.ValidatePersistentVolumeSpec.
enum PersistentVolumeValidation {
    private static let policies = ["Delete", "Recycle", "Retain"]

    static func spec(_ path: String, _ spec: JSONView?, name: String, isInline: Bool, _ errors: inout FieldErrors) {
        let inline = "may not be specified in the context of inline volumes"
        if isInline {
            for field in ["claimRef", "capacity"] where spec[field].present.map({ $0.members.hasNext }) ?? false {
                errors.forbidden("\(path).\(field)", inline)
            }
            if spec["csi"].present == nil { errors.required("\(path).csi", "has to be specified in the context of inline volumes") }
        }
        if !spec["accessModes"].hasElements { errors.required("\(path).accessModes") }
        PersistentVolumeClaimValidation.modes("\(path).accessModes", spec, &errors)
        if !isInline { capacity("\(path).capacity", spec["capacity"], &errors) }
        let policy = spec["persistentVolumeReclaimPolicy"]
        if isInline {
            if !policy.text.isEmpty, policy.text != "Retain" {
                errors.forbidden("\(path).persistentVolumeReclaimPolicy", "may only be Retain in the context of inline volumes")
            }
        } else {
            errors.oneOf("\(path).persistentVolumeReclaimPolicy", policy, policies)
        }
        let affinity = spec["nodeAffinity"].present
        if let affinity {
            if isInline {
                errors.forbidden("\(path).nodeAffinity", inline)
            } else if let required = affinity["required"].present {
                NodeSelectorValidation.selector("\(path).nodeAffinity.required", required, &errors)
            } else {
                errors.required("\(path).nodeAffinity.required", "must specify required node constraints")
            }
        }
        source(path, spec, name: name, hasAffinity: affinity != nil, &errors)
        if spec["hostPath"]["path"].string.map({ isRoot($0) }) ?? false, policy.text == "Recycle" {
            errors.forbidden("\(path).persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
        }
        classes(path, spec, isInline: isInline, inline, &errors)
    }

    private static func isRoot(_ path: String) -> Bool { path.hasPrefix("/") && path.split(separator: "/").allSatisfy { $0 == "." } }

    private static func capacity(_ field: String, _ view: JSONView?, _ errors: inout FieldErrors) {
        if !view.hasElements { errors.required(field) }
        let list = view?.members.map { $0 } ?? []
        if list.count != 1 || list.first?.key != "storage" {
            errors.append([
                StatusError.Cause(
                    reason: "FieldValueNotSupported",
                    message: "Unsupported value: \((view.value ?? .null).jsonString): supported values: \"storage\"", field: field)
            ])
        }
        for (name, quantity) in list {
            guard let quantity = quantity.quantity else { continue }
            if quantity.value < 0 { errors.invalid("\(field)[\(name)]", .int(quantity.value), "must be a valid resource quantity") }
            if quantity.sign <= 0 { errors.invalid("\(field)[\(name)]", text: quantity.description, "must be greater than zero") }
        }
    }

    private static func source(_ path: String, _ spec: JSONView?, name: String, hasAffinity: Bool, _ errors: inout FieldErrors) {
        var found = false
        for kind in VolumeSourceRules.persistentKinds {
            guard let source = spec[kind].present else { continue }
            if found, kind != "flexVolume" {
                errors.forbidden("\(path).\(kind == "cephfs" ? "cephFS" : kind)", "may not specify more than 1 volume type")
                continue
            }
            found = true
            let place = kind == "gcePersistentDisk" ? "\(path).persistentDisk" : "\(path).\(kind)"
            VolumeSourceRules.validate(kind, source, place, isPersistent: true, &errors)
            if kind == "iscsi", source["initiatorName"].present != nil, "\(name):\(source["targetPortal"].text)".utf8.count > 64 {
                errors.invalid("\(place).targetportal", text: source["targetPortal"].text, VolumeSourceRules.longPortal)
            }
            if kind == "local", !hasAffinity { errors.required("\(path).nodeAffinity", "Local volume requires node affinity") }
        }
        if !found { errors.required(path, "must specify a volume type") }
    }

    private static func classes(_ path: String, _ spec: JSONView?, isInline: Bool, _ inline: String, _ errors: inout FieldErrors) {
        if isInline {
            if !spec["storageClassName"].text.isEmpty { errors.forbidden("\(path).storageClassName", inline) }
            if let mode = spec["volumeMode"].string, mode != "Filesystem" {
                errors.forbidden("\(path).volumeMode", "may not specify volumeMode other than Filesystem in the context of inline volumes")
            }
        } else {
            errors.optionalName("\(path).storageClassName", spec["storageClassName"], .dnsSubdomain)
            errors.oneOf("\(path).volumeMode", spec["volumeMode"], ["Block", "Filesystem"])
        }
        guard let name = spec["volumeAttributesClassName"].string else { return }
        if name.isEmpty {
            errors.required("\(path).volumeAttributesClassName", "an empty string is disallowed")
        } else {
            errors.name("\(path).volumeAttributesClassName", name, .dnsSubdomain)
        }
        if spec["csi"].present == nil { errors.required("\(path).csi", "has to be specified when using volumeAttributesClassName") }
    }
}

/// Upstream: pkg/registry/core/persistentvolume with core/validation.ValidatePersistentVolumeUpdate.
struct PersistentVolumeStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["phase": "Pending", "lastPhaseTransitionTime": .string(Timestamp.now.rfc3339)]
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        guard subresource == "status", object[path: "status", "phase"]?.string != old["status"]["phase"].string else { return }
        object[path: "status", "lastPhaseTransitionTime"] = .string(Timestamp.now.rfc3339)
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        PersistentVolumeValidation.spec("spec", object["spec"], name: object.metadata.name, isInline: false, &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        let spec = object["spec"]
        let before = old["spec"]
        guard subresource.isEmpty, FieldErrors.differ(spec, before) else { return [] }
        var errors = FieldErrors()
        errors.append(validate(object))
        if VolumeSourceRules.persistentKinds.contains(where: { source($0, spec, before) != source($0, before, before) }) {
            errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
        }
        errors.immutable("volumeMode", spec["volumeMode"], before["volumeMode"])
        if before["nodeAffinity"].present != nil, FieldErrors.differ(spec["nodeAffinity"], before["nodeAffinity"]) {
            errors.invalid(
                "nodeAffinity", spec["nodeAffinity"].value ?? .null, "field is immutable, except for updating from beta label to GA")
        }
        if before["volumeAttributesClassName"].string != nil, spec["volumeAttributesClassName"].string == nil {
            errors.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")
        }
        return errors.causes
    }

    /// A source to be compared: the secret for growing a CSI volume may still be named.
    private func source(_ kind: String, _ spec: JSONView?, _ before: JSONView?) -> Value {
        var source = spec[kind].value ?? .null
        if kind == "csi", before["csi"]["controllerExpandSecretRef"].present == nil { source["controllerExpandSecretRef"] = nil }
        return source.pruned
    }
}
