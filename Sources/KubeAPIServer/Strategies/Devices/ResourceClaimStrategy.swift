import KubeAPI

/// Upstream: pkg/registry/resource/resourceclaim with resource/validation.
struct ResourceClaimStrategy: ResourceStrategy {
    private static let maximumConsumers = 256

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        DeviceRules.claim("spec.devices", object["spec"]["devices"], &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if subresource == "status" {
            status(object, old, &errors)
        } else {
            errors.immutable("spec", object["spec"], old["spec"])
        }
        return errors.causes
    }

    private func status(_ object: Object, _ old: Object, _ errors: inout FieldErrors) {
        let (status, before) = (object["status"], old["status"])
        let field = "status.reservedFor"
        let consumers = status["reservedFor"].elements
        DeviceRules.list(field, status["reservedFor"], maximum: Self.maximumConsumers, &errors) { consumer, place, errors in
            for member in ["resource", "name", "uid"] { errors.requireText("\(place).\(member)", consumer[member]) }
        }
        DeviceRules.unique(field, consumers.map { $0["uid"].text }, &errors)
        let allocation = status["allocation"].present
        DeviceRules.unique("status.devices", status["devices"].elements.map(Self.device), &errors)
        let allocated = Set(allocation["devices"]["results"].elements.map(Self.device))
        for (index, device) in status["devices"].elements.enumerated() {
            self.device(device, "status.devices[\(index)]", allocated, &errors)
        }
        if !consumers.isEmpty {
            if allocation == nil {
                errors.forbidden(field, "may not be specified when `allocated` is not set")
            } else if object.metadata.isBeingDeleted {
                let known = Set(before["reservedFor"].elements.map { $0["uid"].text })
                if consumers.contains(where: { !known.contains($0["uid"].text) }) {
                    errors.forbidden(field, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set")
                }
            }
        }
        guard let allocation else { return }
        if before["allocation"].present != nil {
            errors.immutable("status.allocation", allocation, before["allocation"])
        } else {
            self.allocation(allocation, DeviceRules.requestNames(object["spec"]["devices"]), &errors)
        }
    }

    private static func device(_ device: JSONView) -> String {
        let share = device["shareID"].text
        return ["driver", "pool", "device"].map { device[$0].text }.joined(separator: "/") + (share.isEmpty ? "" : "/\(share)")
    }

    /// Upstream: validateDeviceStatus.
    private func device(_ device: JSONView, _ place: String, _ allocated: Set<String>, _ errors: inout FieldErrors) {
        DomainRules.driverName("\(place).driver", device["driver"].text, &errors)
        DeviceRules.poolName("\(place).pool", device["pool"], &errors)
        errors.name("\(place).device", device["device"].text, .dnsLabel)
        if !allocated.contains(Self.device(device)) {
            errors.invalid(place, text: Self.device(device), "must be an allocated device in the claim")
        }
        errors.conditions("\(place).conditions", device["conditions"])
    }

    /// Upstream: validateAllocationResult.
    private func allocation(_ allocation: JSONView, _ known: Set<String>, _ errors: inout FieldErrors) {
        let path = "status.allocation.devices"
        let maximum = DeviceRules.maximumRequests
        DeviceRules.list("\(path).results", allocation["devices"]["results"], maximum: maximum, &errors) { result, place, errors in
            DeviceRules.reference("\(place).request", result["request"].text, known, &errors)
            DomainRules.driverName("\(place).driver", result["driver"].text, &errors)
            DeviceRules.poolName("\(place).pool", result["pool"], &errors)
            errors.name("\(place).device", result["device"].text, .dnsLabel)
            for (index, toleration) in result["tolerations"].elements.enumerated() {
                DeviceRules.toleration(toleration, "\(place).tolerations[\(index)]", &errors)
            }
        }
        DeviceRules.list("\(path).config", allocation["devices"]["config"], maximum: 2 * maximum, &errors) { config, place, errors in
            errors.oneOf("\(place).source", config["source"], ["FromClaim", "FromClass"], isRequired: true)
            DeviceRules.references("\(place).requests", config["requests"].strings, known, &errors)
            DeviceRules.configuration(config, place, &errors)
        }
        if let selector = allocation["nodeSelector"].present {
            NodeSelectorValidation.selector("status.allocation.nodeSelector", selector, &errors)
        }
    }
}

/// Upstream: pkg/registry/resource/resourceclaimtemplate.
struct ResourceClaimTemplateStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        errors.labels("spec.metadata.labels", spec["metadata"]["labels"])
        DeviceRules.claim("spec.spec.devices", spec["spec"]["devices"], &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.immutable("spec", object["spec"], old["spec"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/resource/deviceclass.
struct DeviceClassStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        DeviceRules.selectors("spec.selectors", spec["selectors"], &errors)
        DeviceRules.list("spec.config", spec["config"], maximum: DeviceRules.maximumRequests, &errors, DeviceRules.configuration)
        if let name = spec["extendedResourceName"].string, !ResourceRules.isExtended(name) {
            errors.invalid("spec.extendedResourceName", text: name, "must be a valid extended resource name")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object) }
}
