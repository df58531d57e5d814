import KubeAPI

/// Rules that the kinds of resource.k8s.io share. Upstream: resource/validation.
enum DeviceRules {
    static let maximumRequests = 32
    private static let maximumSelectors = 32
    private static let maximumAlternatives = 8
    private static let maximumExpression = 10 << 10
    private static let maximumParameters = 10 << 10
    private static let maximumIdentifier = 32

    /// A list of at most so many entries. Upstream: validateSlice.
    static func list(
        _ field: String, _ view: JSONView?, maximum: Int, _ errors: inout FieldErrors, _ check: (JSONView, String, inout FieldErrors) -> Void
    ) {
        let entries = view.elements
        if entries.count > maximum { errors.tooMany(field, entries.count, maximum: maximum) }
        for (index, entry) in entries.enumerated() { check(entry, "\(field)[\(index)]", &errors) }
    }

    /// No two entries have the same key. Upstream: validateSet.
    static func unique(_ field: String, _ keys: [String], _ errors: inout FieldErrors) {
        var seen: Set<String> = []
        for (index, key) in keys.enumerated() where !seen.insert(key).inserted { errors.duplicate("\(field)[\(index)]", .string(key)) }
    }

    /// Upstream: validatePoolName.
    static func poolName(_ field: String, _ view: JSONView?, _ errors: inout FieldErrors) {
        guard let name = errors.requireText(field, view) else { return }
        if name.utf8.count > Names.subdomainMaximum { errors.tooLong(field, maximum: Names.subdomainMaximum) }
        for part in name.split(separator: "/", omittingEmptySubsequences: false) {
            errors.invalid(field, String(part), Names.problems(String(part), .dnsSubdomain))
        }
    }

    /// A C identifier, maybe behind a domain. Upstream: validateQualifiedName, validateFullyQualifiedName.
    static func qualifiedName(_ field: String, _ name: String, needsDomain: Bool, _ errors: inout FieldErrors) {
        if name.isEmpty { return errors.required(field, "name required") }
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2 {
            if parts[0].isEmpty {
                errors.required(field, "the domain must not be empty")
            } else {
                DomainRules.driverName(field, parts[0], &errors)
            }
            if parts[1].isEmpty { return errors.required(field, "the name must not be empty") }
        }
        let identifier = parts[parts.count - 1]
        if identifier.utf8.count > maximumIdentifier { errors.tooLong(field, maximum: maximumIdentifier) }
        if !isIdentifier(identifier) {
            errors.invalid(
                field, text: identifier,
                "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' "
                    + "(e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')")
        }
        if needsDomain, parts.count == 1 { errors.invalid(field, text: name, "must include a domain") }
    }

    private static func isIdentifier(_ text: String) -> Bool {
        func isLetter(_ c: UInt8) -> Bool { (c | 0x20 >= UInt8(ascii: "a") && c | 0x20 <= UInt8(ascii: "z")) || c == UInt8(ascii: "_") }
        guard let first = text.utf8.first, isLetter(first) else { return false }
        return text.utf8.allSatisfy { isLetter($0) || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) }
    }

    /// Upstream: validateSelectorSlice. What the expressions say is checked where devices are allocated.
    static func selectors(_ field: String, _ view: JSONView?, _ errors: inout FieldErrors) {
        list(field, view, maximum: maximumSelectors, &errors) { selector, place, errors in
            guard let expression = selector["cel"].present else { return errors.required("\(place).cel") }
            let text = expression["expression"].text
            if text.utf8.count > maximumExpression { errors.tooLong("\(place).cel.expression", maximum: maximumExpression) }
        }
    }

    /// Upstream: validateDeviceConfiguration.
    static func configuration(_ config: JSONView, _ place: String, _ errors: inout FieldErrors) {
        guard let opaque = config["opaque"].present else { return errors.required("\(place).opaque") }
        DomainRules.driverName("\(place).opaque.driver", opaque["driver"].text, &errors)
        guard let parameters = opaque["parameters"].present else { return errors.required("\(place).opaque.parameters") }
        if parameters.rawBytes.count > maximumParameters { errors.tooLong("\(place).opaque.parameters", maximum: maximumParameters) }
    }

    /// Upstream: validateDeviceToleration.
    static func toleration(_ toleration: JSONView, _ place: String, _ errors: inout FieldErrors) {
        if let key = toleration["key"].string, !key.isEmpty { errors.qualifiedName("\(place).key", key) }
        let value = toleration["value"].text
        switch toleration["operator"].text {
        case "Exists": if !value.isEmpty { errors.invalid("\(place).value", text: value, "must be empty for operator `Exists`") }
        case "Equal": errors.invalid("\(place).value", value, Names.labelValueProblems(value))
        case "": errors.required("\(place).operator")
        case let other: errors.notSupported("\(place).operator", other, ["Equal", "Exists"])
        }
        errors.oneOf("\(place).effect", toleration["effect"], ["NoExecute", "NoSchedule"])
    }

    // MARK: Claims

    /// What a claim asks for. Upstream: validateDeviceClaim.
    static func claim(_ path: String, _ devices: JSONView?, _ errors: inout FieldErrors) {
        let requests = "\(path).requests"
        list(requests, devices["requests"], maximum: maximumRequests, &errors, request)
        unique(requests, devices["requests"].elements.map { $0["name"].text }, &errors)
        let known = requestNames(devices)
        list("\(path).constraints", devices["constraints"], maximum: maximumRequests, &errors) { constraint, place, errors in
            references("\(place).requests", constraint["requests"].strings, known, &errors)
            if let name = constraint["matchAttribute"].string {
                qualifiedName("\(place).matchAttribute", name, needsDomain: true, &errors)
            } else if let name = constraint["distinctAttribute"].string {
                qualifiedName("\(place).distinctAttribute", name, needsDomain: true, &errors)
            } else {
                errors.required(place, #"exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set"#)
            }
        }
        list("\(path).config", devices["config"], maximum: maximumRequests, &errors) { config, place, errors in
            references("\(place).requests", config["requests"].strings, known, &errors)
            configuration(config, place, &errors)
        }
    }

    /// The names of requests, and of the alternatives in them behind a slash.
    static func requestNames(_ devices: JSONView?) -> Set<String> {
        var names: Set<String> = []
        for request in devices["requests"].elements {
            let name = request["name"].text
            names.insert(name)
            for alternative in request["firstAvailable"].elements { names.insert("\(name)/\(alternative["name"].text)") }
        }
        return names
    }

    static func references(_ field: String, _ names: [String], _ known: Set<String>, _ errors: inout FieldErrors) {
        if names.count > maximumRequests { errors.tooMany(field, names.count, maximum: maximumRequests) }
        for (index, name) in names.enumerated() { reference("\(field)[\(index)]", name, known, &errors) }
        unique(field, names, &errors)
    }

    /// Upstream: validateRequestNameRef.
    static func reference(_ field: String, _ name: String, _ known: Set<String>, _ errors: inout FieldErrors) {
        let unknown = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
        let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.count > 2 { return errors.invalid(field, text: name, unknown) }
        for part in parts { errors.name(field, part, .dnsLabel) }
        if !known.contains(name) { errors.invalid(field, text: name, unknown) }
    }

    private static func request(_ request: JSONView, _ place: String, _ errors: inout FieldErrors) {
        errors.name("\(place).name", request["name"].text, .dnsLabel)
        let alternatives = request["firstAvailable"].elements
        let exactly = request["exactly"].present
        switch (exactly, alternatives.isEmpty) {
        case (nil, true): errors.required(place, "exactly one of `exactly` or `firstAvailable` is required")
        case (.some, false):
            errors.invalid(place, .null, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set")
        case (.some(let exactly), true): asked(exactly, "\(place).exactly", &errors)
        case (nil, false):
            let field = "\(place).firstAvailable"
            list(field, request["firstAvailable"], maximum: maximumAlternatives, &errors) { alternative, place, errors in
                errors.name("\(place).name", alternative["name"].text, .dnsLabel)
                asked(alternative, place, &errors)
            }
            unique(field, alternatives.map { $0["name"].text }, &errors)
        }
    }

    /// Upstream: validateExactDeviceRequest.
    private static func asked(_ request: JSONView, _ place: String, _ errors: inout FieldErrors) {
        errors.requiredName("\(place).deviceClassName", request["deviceClassName"], .dnsSubdomain)
        selectors("\(place).selectors", request["selectors"], &errors)
        let count = request["count"].int ?? 0
        switch request["allocationMode"].text {
        case "All": if count != 0 { errors.invalid("\(place).count", .int(count), "must not be specified when allocationMode is 'All'") }
        case "ExactCount": if count <= 0 { errors.invalid("\(place).count", .int(count), "must be greater than zero") }
        case let other: errors.notSupported("\(place).allocationMode", other, ["All", "ExactCount"])
        }
        for (index, toleration) in request["tolerations"].elements.enumerated() {
            Self.toleration(toleration, "\(place).tolerations[\(index)]", &errors)
        }
    }
}
