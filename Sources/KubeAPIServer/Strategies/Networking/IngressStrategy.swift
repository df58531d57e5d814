import KubeAPI

/// Upstream: pkg/registry/networking/ingress with networking/validation.
struct IngressStrategy: ResourceStrategy {
    static let classAnnotation = "kubernetes.io/ingress.class"
    private static let forbiddenParts = ["//", "/./", "/../", "%2f", "%2F"]
    private static let forbiddenEnds = ["/..", "/."]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = ["loadBalancer": [:]] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        spec(object["spec"], old: nil, &errors)
        let annotation = object["metadata"]["annotations"][Self.classAnnotation].string
        if let annotation, let name = object["spec"]["ingressClassName"].string, name != annotation {
            errors.invalid("annotations.\(Self.classAnnotation)", text: annotation, "must match `ingressClassName` when both are specified")
        }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        if subresource == "status" {
            status(object["status"]["loadBalancer"]["ingress"].elements, old["status"]["loadBalancer"]["ingress"].elements, &errors)
        } else {
            spec(object["spec"], old: old["spec"], &errors)
        }
        return errors.causes
    }

    func warnings(_ object: Object, old: Object?) -> [String] {
        guard old == nil, object["metadata"]["annotations"][Self.classAnnotation].string != nil else { return [] }
        return ["annotation \"\(Self.classAnnotation)\" is deprecated, please use 'spec.ingressClassName' instead"]
    }

    private func spec(_ spec: JSONView?, old: JSONView?, _ errors: inout FieldErrors) {
        let rules = spec["rules"].elements
        let backend = spec["defaultBackend"].present
        if rules.isEmpty, backend == nil { errors.invalid("spec", .null, "either `defaultBackend` or `rules` must be specified") }
        if let backend { self.backend(backend, "spec.defaultBackend", &errors) }
        for (index, rule) in rules.enumerated() { self.rule(rule, "spec.rules[\(index)]", &errors) }
        // A secret's name of an older rule stays as it is.
        let allowsSecret = old["tls"].elements.contains {
            !Names.problems($0["secretName"].text, .dnsSubdomain).isEmpty && !$0["secretName"].text.isEmpty
        }
        for (index, tls) in spec["tls"].elements.enumerated() {
            for (place, host) in tls["hosts"].strings.enumerated() { self.host("spec.tls[\(index)].hosts[\(place)]", host, &errors) }
            if !allowsSecret { errors.optionalName("spec.tls[\(index)].secretName", tls["secretName"], .dnsSubdomain) }
        }
        if let name = spec["ingressClassName"].string { errors.name("spec.ingressClassName", name, .dnsSubdomain) }
    }

    private func host(_ field: @autoclosure () -> String, _ host: String, _ errors: inout FieldErrors) {
        errors.invalid(field(), host, host.contains("*") ? DomainRules.wildcardProblems(host) : Names.problems(host, .dnsSubdomain))
    }

    private func rule(_ rule: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let host = rule["host"].text
        if !host.isEmpty {
            if AddressRules.parse(host) != nil { errors.invalid("\(path).host", text: host, "must be a DNS name, not an IP address") }
            self.host("\(path).host", host, &errors)
        }
        guard let http = rule["http"].present else { return }
        let paths = http["paths"].elements
        if paths.isEmpty { errors.required("\(path).http.paths") }
        for (index, entry) in paths.enumerated() { self.path(entry, "\(path).http.paths[\(index)]", &errors) }
    }

    private func path(_ entry: JSONView, _ place: String, _ errors: inout FieldErrors) {
        guard let type = entry["pathType"].string else { return errors.required("\(place).pathType", "pathType must be specified") }
        let path = entry["path"].text
        switch type {
        case "Exact", "Prefix":
            if !path.hasPrefix("/") { errors.invalid("\(place).path", text: path, "must be an absolute path") }
            for part in Self.forbiddenParts where path.contains(part) {
                errors.invalid("\(place).path", text: path, "must not contain '\(part)'")
            }
            for end in Self.forbiddenEnds where path.hasSuffix(end) {
                errors.invalid("\(place).path", text: path, "cannot end with '\(end)'")
            }
        case "ImplementationSpecific":
            if !path.isEmpty, !path.hasPrefix("/") { errors.invalid("\(place).path", text: path, "must be an absolute path") }
        default: errors.notSupported("\(place).pathType", type, ["Exact", "ImplementationSpecific", "Prefix"])
        }
        if let backend = entry["backend"].present {
            self.backend(backend, "\(place).backend", &errors)
        } else {
            errors.invalid("\(place).backend", text: "", "resource or service backend is required")
        }
    }

    private func backend(_ backend: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let resource = backend["resource"].present
        let service = backend["service"].present
        switch (resource, service) {
        case (.some, .some): errors.invalid(path, text: "", "cannot set both resource and service backends")
        case (.some(let resource), nil): ObjectReferenceRules.typed("\(path).resource", resource, &errors)
        case (nil, .some(let service)):
            errors.requiredName("\(path).service.name", service["name"], .dnsLabel)
            let name = service["port"]["name"].text
            let number = service["port"]["number"].int ?? 0
            if !name.isEmpty, number != 0 {
                errors.invalid(path, text: "", "cannot set both port name & port number")
            } else if !name.isEmpty {
                errors.invalid("\(path).service.port.name", name, PortNames.problems(name))
            } else if number != 0 {
                errors.port("\(path).service.port.number", number)
            } else {
                errors.required(path, "port name or number is required")
            }
        case (nil, nil): errors.invalid(path, text: "", "resource or service backend is required")
        }
    }

    private func status(_ ingress: [JSONView], _ old: [JSONView], _ errors: inout FieldErrors) {
        let known = Set(old.map { $0["ip"].text })
        for (index, point) in ingress.enumerated() {
            let place = "status.loadBalancer.ingress[\(index)]"
            let address = point["ip"].text
            if !address.isEmpty, !known.contains(address) { errors.invalid("\(place).ip", address, AddressRules.legacyProblems(address)) }
            ServiceValidation.hostname(point["hostname"].text, "\(place).hostname", &errors)
        }
    }
}

/// References to objects of any kind. Upstream: networking/validation.validateIngressTypedLocalObjectReference and its like.
enum ObjectReferenceRules {
    static func typed(_ path: String, _ reference: JSONView, _ errors: inout FieldErrors) {
        if let group = reference["apiGroup"].string { errors.name("\(path).apiGroup", group, .dnsSubdomain) }
        errors.requiredName("\(path).kind", reference["kind"], .pathSegment)
        errors.requiredName("\(path).name", reference["name"], .pathSegment)
    }
}

/// Upstream: pkg/registry/networking/ingressclass.
struct IngressClassStrategy: ResourceStrategy {
    /// Upstream: validation.maxLenIngressClassController.
    private static let maximumController = 250

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        if let controller = errors.requireText("spec.controller", spec["controller"]) {
            if controller.utf8.count > Self.maximumController { errors.tooLong("spec.controller", maximum: Self.maximumController) }
            DomainRules.prefixedPath("spec.controller", controller, &errors)
        }
        if let parameters = spec["parameters"].present { self.parameters(parameters, &errors) }
        return errors.causes
    }

    private func parameters(_ parameters: JSONView, _ errors: inout FieldErrors) {
        let path = "spec.parameters"
        ObjectReferenceRules.typed(path, parameters, &errors)
        guard let scope = parameters["scope"].string else { return errors.required("\(path).scope") }
        let namespace = parameters["namespace"].string
        switch scope {
        case "Namespace":
            if let namespace {
                errors.name("\(path).namespace", namespace, .dnsLabel)
            } else {
                errors.required("\(path).namespace", "`parameters.scope` is set to 'Namespace'")
            }
        case "Cluster": if namespace != nil { errors.forbidden("\(path).namespace", "`parameters.scope` is set to 'Cluster'") }
        default: errors.notSupported("\(path).scope", scope, ["Cluster", "Namespace"])
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.immutable("spec.controller", object["spec"]["controller"], old["spec"]["controller"])
        errors.append(validate(object))
        return errors.causes
    }
}
