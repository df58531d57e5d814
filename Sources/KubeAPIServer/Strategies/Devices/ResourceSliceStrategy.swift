import KubeAPI

/// The devices of a driver. Upstream: pkg/registry/resource/resourceslice with resource/validation.ValidateResourceSlice.
struct ResourceSliceStrategy: ResourceStrategy {
    private static let maximumDevices = 128
    /// With taints or counters.
    private static let maximumRichDevices = 64
    private static let maximumMembers = 32
    private static let maximumText = 64
    private static let maximumTaints = 16
    private static let maximumCounterSets = 8

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        spec(object["spec"], old: nil, &errors)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        spec(object["spec"], old: old["spec"], &errors)
        return errors.causes
    }

    private func spec(_ spec: JSONView?, old: JSONView?, _ errors: inout FieldErrors) {
        DomainRules.driverName("spec.driver", spec["driver"].text, &errors)
        let pool = spec["pool"]
        DeviceRules.poolName("spec.pool.name", pool["name"], &errors)
        let count = pool["resourceSliceCount"].int ?? 0
        if count <= 0 { errors.invalid("spec.pool.resourceSliceCount", .int(count), "must be greater than zero") }
        if let generation = pool["generation"].int, generation < 0 {
            errors.invalid("spec.pool.generation", .int(generation), "must be greater than or equal to zero")
        }
        if let old {
            errors.immutable("spec.pool.name", pool["name"], old["pool"]["name"])
            for field in ["driver", "nodeName"] { errors.immutable("spec.\(field)", spec[field], old[field]) }
        }
        let isPerDevice = spec["perDeviceNodeSelection"].bool == true
        let choices = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        let members = self.nodes(spec, "spec", "must be either unset or set to a non-empty string", &errors)
        let set = members + (flag(spec["perDeviceNodeSelection"], "spec.perDeviceNodeSelection", &errors) ? ["`perDeviceNodeSelection`"] : [])
        if set.isEmpty { errors.required("spec", choices) }
        if set.count > 1 { errors.invalid("spec", text: "{\(set.joined(separator: ", "))}", "\(choices), but multiple fields are set") }
        if spec["sharedCounters"].present != nil, spec["devices"].present != nil {
            errors.invalid("spec", text: "", "only one of `sharedCounters` or `devices` is allowed")
        }
        let devices = spec["devices"].elements
        let isRich = devices.contains { $0["taints"].hasElements || $0["consumesCounters"].hasElements }
        DeviceRules.list("spec.devices", spec["devices"], maximum: isRich ? Self.maximumRichDevices : Self.maximumDevices, &errors) {
            self.device($0, $1, isPerDevice: isPerDevice, &$2)
        }
        DeviceRules.unique("spec.devices", devices.map { $0["name"].text }, &errors)
        DeviceRules.list("spec.sharedCounters", spec["sharedCounters"], maximum: Self.maximumCounterSets, &errors) { set, place, errors in
            counters(set, place, name: "name", &errors)
        }
        DeviceRules.unique("spec.sharedCounters", spec["sharedCounters"].elements.map { $0["name"].text }, &errors)
    }

    /// The members that say which nodes reach the devices, as texts quote them.
    private func nodes(_ view: JSONView?, _ path: String, _ empty: String, _ errors: inout FieldErrors) -> [String] {
        var set: [String] = []
        if let name = view["nodeName"].string {
            if name.isEmpty {
                errors.invalid("\(path).nodeName", text: name, empty)
            } else {
                set.append("`nodeName`")
                errors.name("\(path).nodeName", name, .dnsSubdomain)
            }
        }
        if let selector = view["nodeSelector"].present {
            set.append("`nodeSelector`")
            NodeSelectorValidation.selector("\(path).nodeSelector", selector, &errors)
            if path == "spec", selector["nodeSelectorTerms"].elements.count != 1 {
                errors.invalid(
                    "\(path).nodeSelector.nodeSelectorTerms", selector["nodeSelectorTerms"].value ?? .null,
                    "must have exactly one node selector term")
            }
        }
        if flag(view["allNodes"], "\(path).allNodes", &errors) { set.append("`allNodes`") }
        return set
    }

    private func flag(_ view: JSONView?, _ field: String, _ errors: inout FieldErrors) -> Bool {
        if view.bool == false { errors.invalid(field, .bool(false), "must be either unset or set to true") }
        return view.bool == true
    }

    private func device(_ device: JSONView, _ place: String, isPerDevice: Bool, _ errors: inout FieldErrors) {
        errors.name("\(place).name", device["name"].text, .dnsLabel)
        let attributes = device["attributes"]?.members.map { $0 } ?? []
        let capacity = device["capacity"]?.members.map { $0 } ?? []
        let count = attributes.count + capacity.count
        if count > Self.maximumMembers {
            errors.invalid(place, .int(Int64(count)), "the total number of attributes and capacities must not exceed \(Self.maximumMembers)")
        }
        for (name, attribute) in attributes {
            DeviceRules.qualifiedName("\(place).attributes", name, needsDomain: false, &errors)
            self.attribute(attribute, "\(place).attributes[\(name)]", &errors)
        }
        for (name, _) in capacity { DeviceRules.qualifiedName("\(place).capacity", name, needsDomain: false, &errors) }
        DeviceRules.list("\(place).taints", device["taints"], maximum: Self.maximumTaints, &errors) { taint, place, errors in
            errors.qualifiedName("\(place).key", taint["key"].text)
            errors.invalid("\(place).value", taint["value"].text, Names.labelValueProblems(taint["value"].text))
            errors.oneOf("\(place).effect", taint["effect"], ["NoExecute", "NoSchedule"], isRequired: true)
        }
        for (index, consumption) in device["consumesCounters"].elements.enumerated() {
            counters(consumption, "\(place).consumesCounters[\(index)]", name: "counterSet", &errors)
        }
        let choices = "`nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        if isPerDevice {
            let set = nodes(device, place, "must not be empty", &errors)
            if set.isEmpty { errors.required(place, "exactly one of \(choices)") }
            if set.count > 1 { errors.invalid(place, text: "{\(set.joined(separator: ", "))}", "exactly one of \(choices)") }
        } else if ["nodeName", "nodeSelector", "allNodes"].contains(where: { device[$0].present != nil }) {
            errors.invalid(
                place, .null,
                "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec")
        }
    }

    private func attribute(_ attribute: JSONView, _ place: String, _ errors: inout FieldErrors) {
        for field in ["string", "version"] where attribute[field].text.utf8.count > Self.maximumText {
            errors.tooLong("\(place).\(field)", maximum: Self.maximumText)
        }
        let set = ["bool", "int", "string", "version", "bools", "ints", "strings", "versions"].filter { attribute[$0].present != nil }
        if set.isEmpty { errors.invalid(place, text: "", "exactly one value must be specified") }
        if set.count > 1 { errors.invalid(place, attribute.value, "exactly one value must be specified") }
    }

    private func counters(_ set: JSONView, _ place: String, name: String, _ errors: inout FieldErrors) {
        errors.requiredName("\(place).\(name)", set[name], .dnsLabel)
        guard set["counters"].hasElements, let counters = set["counters"] else { return errors.required("\(place).counters") }
        for (counter, _) in counters.members { errors.name("\(place).counters", counter, .dnsLabel) }
    }
}
