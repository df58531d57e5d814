import KubeAPI

/// Upstream: discovery/validation.ValidateEndpointSlice.
struct EndpointSliceStrategy: ResourceStrategy {
    static let maximumEndpoints = 1000
    static let maximumAddresses = 100
    static let maximumPorts = 20000
    private static let maximumHints = 8
    private static let maximumTopology = 16

    func validate(_ object: Object) -> [StatusError.Cause] { validate(object, old: nil) }

    private func validate(_ object: Object, old: Object?) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.oneOf("addressType", object["addressType"], ["FQDN", "IPv4", "IPv6"], isRequired: true)
        let type = object["addressType"].text
        let endpoints = object["endpoints"].elements
        if endpoints.count > Self.maximumEndpoints {
            errors.tooMany("endpoints", endpoints.count, maximum: Self.maximumEndpoints)
        } else {
            let known = old == nil ? [] : Set(old?["endpoints"].elements.flatMap { $0["addresses"].strings } ?? [])
            for (index, endpoint) in endpoints.enumerated() { self.endpoint(endpoint, "endpoints[\(index)]", type, known, &errors) }
        }
        ports(object["ports"].elements, &errors)
        return errors.causes
    }

    private func endpoint(_ endpoint: JSONView, _ place: String, _ type: String, _ known: Set<String>, _ errors: inout FieldErrors) {
        let addresses = endpoint["addresses"].strings
        if addresses.isEmpty { errors.required("\(place).addresses", "must contain at least 1 address") }
        if addresses.count > Self.maximumAddresses { errors.tooMany("\(place).addresses", addresses.count, maximum: Self.maximumAddresses) }
        for (position, address) in addresses.enumerated() {
            let field = "\(place).addresses[\(position)]"
            switch type {
            case "FQDN": DomainRules.qualifiedDomain(field, address, &errors)
            case "IPv4", "IPv6": EndpointRules.address(field, address, family: type, known, &errors)
            default: break
            }
        }
        errors.optionalName("\(place).nodeName", endpoint["nodeName"], .dnsSubdomain)
        if let topology = endpoint["deprecatedTopology"].present {
            let count = topology.members.reduce(0) { count, _ in count + 1 }
            if count > Self.maximumTopology { errors.tooMany("\(place).deprecatedTopology", count, maximum: Self.maximumTopology) }
            errors.labels("\(place).deprecatedTopology", topology)
        }
        if let hostname = endpoint["hostname"].string { errors.name("\(place).hostname", hostname, .dnsLabel) }
        hints(endpoint["hints"]["forZones"].elements, "\(place).hints.forZones", &errors) { Names.labelValueProblems($0) }
        hints(endpoint["hints"]["forNodes"].elements, "\(place).hints.forNodes", &errors) { Names.problems($0, .dnsSubdomain) }
    }

    private func hints(_ hints: [JSONView], _ field: String, _ errors: inout FieldErrors, _ problems: (String) -> [String]) {
        if hints.count > Self.maximumHints { return errors.tooMany(field, hints.count, maximum: Self.maximumHints) }
        var seen: Set<String> = []
        for (index, hint) in hints.enumerated() {
            let name = hint["name"].text
            if !seen.insert(name).inserted { errors.duplicate("\(field)[\(index)].name", .string(name)) }
            errors.invalid("\(field)[\(index)].name", name, problems(name))
        }
    }

    private func ports(_ ports: [JSONView], _ errors: inout FieldErrors) {
        if ports.count > Self.maximumPorts { return errors.tooMany("ports", ports.count, maximum: Self.maximumPorts) }
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let place = "ports[\(index)]"
            let name = port["name"].text
            if !name.isEmpty { errors.name("\(place).name", name, .dnsLabel) }
            if !names.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
            errors.oneOf("\(place).protocol", port["protocol"], EndpointRules.protocols)
            if let number = port["port"].int { errors.port("\(place).port", number) }
            if let name = port["appProtocol"].string { errors.qualifiedName("\(place).appProtocol", name) }
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.append(validate(object, old: old))
        errors.immutable("addressType", object["addressType"], old["addressType"])
        return errors.causes
    }
}

/// Rules of both kinds of endpoints. Upstream: core/validation.ValidateEndpointIP and what calls it.
enum EndpointRules {
    static let protocols = ["SCTP", "TCP", "UDP"]

    /// Addresses of `known` were there before and may keep their form.
    static func address(_ field: String, _ text: String, family: String?, _ known: Set<String>, _ errors: inout FieldErrors) {
        let problems = known.contains(text) ? [] : AddressRules.legacyProblems(text)
        errors.invalid(field, text, problems)
        if let family, problems.isEmpty, let address = AddressRules.parse(text), address.isIPv6 != (family == "IPv6") {
            errors.invalid(field, text: text, "must be an \(family) address")
        }
        if family == nil || problems.isEmpty { errors.invalid(field, text, AddressRules.specialProblems(text)) }
    }
}

/// Upstream: pkg/registry/core/endpoint with core/validation.ValidateEndpoints.
struct EndpointsStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] { validate(object, known: []) }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        let subsets = old["subsets"].elements
        return validate(
            object,
            known: Set(subsets.flatMap { subset in Self.lists.flatMap { subset[$0].elements.map { $0["ip"].text } } }))
    }

    private static let lists = ["addresses", "notReadyAddresses"]

    private func validate(_ object: Object, known: Set<String>) -> [StatusError.Cause] {
        var errors = FieldErrors()
        for (index, subset) in object["subsets"].elements.enumerated() {
            let path = "subsets[\(index)]"
            if !Self.lists.contains(where: { subset[$0].hasElements }) {
                errors.required(path, "must specify `addresses` or `notReadyAddresses`")
            }
            for list in Self.lists {
                for (position, address) in subset[list].elements.enumerated() {
                    let place = "\(path).\(list)[\(position)]"
                    let text = address["ip"].text
                    EndpointRules.address("\(place).ip", text, family: nil, known, &errors)
                    errors.optionalName("\(place).hostname", address["hostname"], .dnsLabel)
                    if let name = address["nodeName"].string { errors.name("\(place).nodeName", name, .dnsSubdomain) }
                }
            }
            let ports = subset["ports"].elements
            for (position, port) in ports.enumerated() { self.port(port, "\(path).ports[\(position)]", isNamed: ports.count > 1, &errors) }
        }
        return errors.causes
    }

    private func port(_ port: JSONView, _ place: String, isNamed: Bool, _ errors: inout FieldErrors) {
        if isNamed { errors.requireText("\(place).name", port["name"]) }
        errors.optionalName("\(place).name", port["name"], .dnsLabel)
        errors.port("\(place).port", port["port"].int ?? 0)
        errors.oneOf("\(place).protocol", port["protocol"], EndpointRules.protocols, isRequired: true)
        if let name = port["appProtocol"].string { errors.qualifiedName("\(place).appProtocol", name) }
    }
}
