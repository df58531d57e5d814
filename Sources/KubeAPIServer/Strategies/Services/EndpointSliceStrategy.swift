import KubeAPI

/// Upstream: discovery/validation.ValidateEndpointSlice.
struct EndpointSliceStrategy: ResourceStrategy {
    static let maximumEndpoints = 1000
    static let maximumAddresses = 100
    static let maximumPorts = 20000

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.oneOf("addressType", object["addressType"], ["IPv4", "IPv6", "FQDN"], isRequired: true)
        let endpoints = object["endpoints"].elements
        if endpoints.count > Self.maximumEndpoints { errors.tooMany("endpoints", endpoints.count, maximum: Self.maximumEndpoints) }
        for (index, endpoint) in endpoints.prefix(Self.maximumEndpoints).enumerated() {
            let place = "endpoints[\(index)]"
            let addresses = endpoint["addresses"].strings
            if addresses.isEmpty { errors.required("\(place).addresses", "must contain at least 1 address") }
            if addresses.count > Self.maximumAddresses { errors.tooMany("\(place).addresses", addresses.count, maximum: Self.maximumAddresses) }
            for (position, address) in addresses.enumerated() {
                self.address(address, object["addressType"].string ?? "", "\(place).addresses[\(position)]", &errors)
            }
        }
        let ports = object["ports"].elements
        if ports.count > Self.maximumPorts { errors.tooMany("ports", ports.count, maximum: Self.maximumPorts) }
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let name = port["name"].string ?? ""
            if !names.insert(name).inserted { errors.duplicate("ports[\(index)].name", .string(name)) }
            if !name.isEmpty { errors.name("ports[\(index)].name", name, .dnsLabel) }
            errors.oneOf("ports[\(index)].protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
            if let number = port["port"].int { errors.port("ports[\(index)].port", number) }
        }
        return errors.causes
    }

    private func address(_ text: String, _ type: String, _ field: String, _ errors: inout FieldErrors) {
        let parsed = IPAddress(text)
        switch type {
        case "IPv4":
            if parsed == nil {
                errors.invalid(field, .string(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
            } else if parsed?.isIPv6 == true {
                errors.invalid(field, .string(text), "must be an IPv4 address")
            }
        case "IPv6":
            if parsed == nil {
                errors.invalid(field, .string(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
            } else if parsed?.isIPv6 == false {
                errors.invalid(field, .string(text), "must be an IPv6 address")
            }
        case "FQDN": errors.name(field, text, .dnsSubdomain)
        default: break
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.append(validate(object))
        errors.immutable("addressType", object["addressType"], old["addressType"])
        return errors.causes
    }
}
