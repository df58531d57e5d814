import KubeAPI

/// Claims and volumes begin pending. Upstream: pkg/registry/core/persistentvolumeclaim and persistentvolume.
struct PersistentVolumeClaimStrategy: ResourceStrategy {
    static let accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["phase": "Pending"] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let modes = spec["accessModes"].strings
        if modes.isEmpty { errors.required("spec.accessModes", "at least 1 access mode is required") }
        for mode in modes where !Self.accessModes.contains(mode) { errors.notSupported("spec.accessModes", mode, Self.accessModes) }
        if modes.contains("ReadWriteOncePod"), modes.count > 1 {
            errors.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes")
        }
        guard let storage = spec["resources"]["requests"]["storage"] else {
            errors.required("spec.resources[storage]")
            return errors.causes
        }
        if let quantity = storage.quantity, quantity.sign <= 0 {
            errors.invalid("spec.resources[storage]", .string(quantity.description), "must be greater than zero")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource.isEmpty else { return [] }
        var errors = FieldErrors()
        errors.append(validate(object))
        let isBound = old["status"]["phase"].string == "Bound"
        // The binder writes volumeName once; afterwards only the size may grow.
        var mutable = ["resources", "volumeAttributesClassName"]
        if (old["spec"]["volumeName"].string ?? "").isEmpty { mutable.append("volumeName") }
        if WorkloadValidation.without(mutable, object) != WorkloadValidation.without(mutable, old) {
            errors.forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims")
        }
        let before = old["spec"]["resources"]["requests"]["storage"].quantity
        let now = object["spec"]["resources"]["requests"]["storage"].quantity
        if let before, let now {
            if now < before { errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity") }
            if now > before, !isBound {
                errors.forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims")
            }
        }
        return errors.causes
    }
}

/// Upstream: persistentvolume strategy.
struct PersistentVolumeStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = ["phase": "Pending", "lastPhaseTransitionTime": .string(Timestamp.now.rfc3339)]
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if object["spec"]["accessModes"].strings.isEmpty { errors.required("spec.accessModes") }
        if object["spec"]["capacity"]["storage"] == nil { errors.required("spec.capacity") }
        errors.oneOf("spec.persistentVolumeReclaimPolicy", object["spec"]["persistentVolumeReclaimPolicy"], ["Delete", "Recycle", "Retain"])
        return errors.causes
    }
}
