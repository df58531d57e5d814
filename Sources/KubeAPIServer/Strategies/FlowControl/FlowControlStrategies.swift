import KubeAPI

/// Upstream: pkg/registry/flowcontrol/flowschema with flowcontrol/validation.ValidateFlowSchema.
struct FlowSchemaStrategy: ResourceStrategy {
    /// Upstream: flowcontrol.FlowSchemaMaxMatchingPrecedence.
    static let maximumPrecedence: Int64 = 10_000
    static let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"]

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let name = object.metadata.name
        let precedence = spec["matchingPrecedence"].int ?? 0
        let field = "spec.matchingPrecedence"
        if precedence <= 0 { errors.invalid(field, .int(precedence), "must be a positive value") }
        if precedence > Self.maximumPrecedence {
            errors.invalid(field, .int(precedence), "must not be greater than \(Self.maximumPrecedence)")
        }
        if precedence == 1, name != "exempt" {
            errors.invalid(field, .int(precedence), "only the schema named 'exempt' may have matchingPrecedence 1")
        }
        if let method = spec["distinguisherMethod"].present {
            errors.oneOf("spec.distinguisherMethod.type", method["type"], ["ByNamespace", "ByUser"], isRequired: true)
        }
        let level = "spec.priorityLevelConfiguration.name"
        if let name = errors.requireText(level, spec["priorityLevelConfiguration"]["name"], "must reference a priority level") {
            errors.name(level, name, .dnsSubdomain)
        }
        for (index, rule) in spec["rules"].elements.enumerated() { self.rule(rule, "spec.rules[\(index)]", &errors) }
        return errors.causes
    }

    private func rule(_ rule: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let subjects = rule["subjects"].elements
        if subjects.isEmpty { errors.required("\(path).subjects", "subjects must contain at least one value") }
        for (index, subject) in subjects.enumerated() { self.subject(subject, "\(path).subjects[\(index)]", &errors) }
        let resources = rule["resourceRules"].elements
        let others = rule["nonResourceRules"].elements
        if resources.isEmpty, others.isEmpty {
            errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
        }
        for (index, rule) in resources.enumerated() { resource(rule, "\(path).resourceRules[\(index)]", &errors) }
        for (index, rule) in others.enumerated() { nonResource(rule, "\(path).nonResourceRules[\(index)]", &errors) }
    }

    private static let subjectKinds = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")]

    private func subject(_ subject: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let kind = subject["kind"].text
        guard let member = Self.subjectKinds.first(where: { $0.0 == kind })?.1 else {
            return errors.notSupported("\(path).kind", kind, ["Group", "ServiceAccount", "User"])
        }
        if let part = subject[member].present {
            let name = errors.requireText("\(path).\(member).name", part["name"])
            if kind == "ServiceAccount" {
                if let name, name != "*" { errors.name("\(path).\(member).name", name, .dnsSubdomain) }
                let field = "\(path).\(member).namespace"
                if let namespace = errors.requireText(field, part["namespace"], "must specify namespace for service account") {
                    errors.name(field, namespace, .dnsLabel)
                }
            }
        } else {
            errors.required("\(path).\(member)", "\(member) is required when subject kind is '\(kind)'")
        }
        for (otherKind, other) in Self.subjectKinds where other != member && subject[other].present != nil {
            errors.forbidden("\(path).\(other)", "\(other) is forbidden when subject kind is not '\(otherKind)'")
        }
    }

    private func verbs(_ rule: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let verbs = rule["verbs"].strings
        if verbs.isEmpty {
            errors.required("\(path).verbs", "verbs must contain at least one value")
        } else if verbs.contains("*") {
            if verbs.count > 1 { errors.invalid("\(path).verbs", Value(verbs), "if '*' is present, must not specify other verbs") }
        } else if !Set(verbs).isSubset(of: Self.verbs) {
            let list = Self.verbs.map(\.goQuoted).joined(separator: ", ")
            errors.append([
                StatusError.Cause(
                    reason: "FieldValueNotSupported", message: "Unsupported value: \(Value(verbs).jsonString): supported values: \(list)",
                    field: "\(path).verbs")
            ])
        }
    }

    private func nonResource(_ rule: JSONView, _ path: String, _ errors: inout FieldErrors) {
        verbs(rule, path, &errors)
        let urls = rule["nonResourceURLs"].strings
        if urls.isEmpty {
            errors.required("\(path).nonResourceURLs", "nonResourceURLs must contain at least one value")
        } else if urls.contains("*") {
            if urls.count > 1 {
                errors.invalid("\(path).nonResourceURLs", Value(urls), "if '*' is present, must not specify other non-resource URLs")
            }
        } else {
            for (index, url) in urls.enumerated() {
                if let problem = Self.urlProblem(url) { errors.invalid("\(path).nonResourceURLs[\(index)]", text: url, problem) }
            }
        }
    }

    private static func urlProblem(_ path: String) -> String? {
        if path.isEmpty { return "must not be empty" }
        if path == "/" { return nil }
        if !path.hasPrefix("/") { return "must start with slash" }
        if path.contains(" ") { return "must not contain white-space" }
        if path.contains("//") { return "must not contain double slash" }
        let stars = path.utf8.filter { $0 == UInt8(ascii: "*") }.count
        return stars > 1 || (stars == 1 && !path.hasSuffix("/*")) ? "wildcard can only do suffix matching" : nil
    }

    private func resource(_ rule: JSONView, _ path: String, _ errors: inout FieldErrors) {
        verbs(rule, path, &errors)
        for (field, singular, plural) in [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")] {
            let list = rule[field].strings
            if list.isEmpty {
                errors.required("\(path).\(field)", "resource rules must supply at least one \(singular)")
            } else if list.count > 1, list.contains("*") {
                errors.invalid("\(path).\(field)", Value(list), "if '*' is present, must not specify other \(plural)")
            }
        }
        let namespaces = rule["namespaces"].strings
        if namespaces.isEmpty, rule["clusterScope"].bool != true {
            errors.required(
                "\(path).namespaces", "resource rules that are not cluster scoped must supply at least one namespace")
        } else if namespaces.contains("*") {
            if namespaces.count > 1 {
                errors.invalid("\(path).namespaces", Value(namespaces), "if '*' is present, must not specify other namespaces")
            }
        } else {
            for (index, namespace) in namespaces.enumerated() {
                for problem in Names.problems(namespace, .dnsLabel) {
                    errors.invalid(
                        "\(path).namespaces[\(index)]", text: namespace, "each member of this list must be '*' or a DNS-1123 label; \(problem)")
                }
            }
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard !subresource.isEmpty else { return validate(object) }
        return FlowControlStatus.validate(object)
    }
}

/// Upstream: flowcontrol/validation.ValidateFlowSchemaStatus, ValidatePriorityLevelConfigurationStatus.
enum FlowControlStatus {
    static func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var seen: Set<String> = []
        for (index, condition) in object["status"]["conditions"].elements.enumerated() {
            let field = "status.conditions[\(index)].type"
            if !seen.insert(condition["type"].text).inserted { errors.duplicate(field, .string(condition["type"].text)) }
            errors.requireText(field, condition["type"], "must not be empty")
        }
        return errors.causes
    }
}

/// Upstream: pkg/registry/flowcontrol/prioritylevelconfiguration with flowcontrol/validation.
struct PriorityLevelStrategy: ResourceStrategy {
    /// Upstream: priorityLevelConfigurationQueuingMaxQueues.
    static let maximumQueues: Int64 = 10_000_000
    /// Upstream: shufflesharding.MaxHashBits.
    static let maximumHashBits = 60.0

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let type = spec["type"].text
        if (object.metadata.name == "exempt") != (type == "Exempt") {
            errors.invalid("spec.type", text: type, "type must be 'Exempt' if and only if name is 'exempt'")
        }
        switch type {
        case "Exempt":
            if spec["limited"].present != nil { errors.forbidden("spec.limited", "must be nil if the type is not Limited") }
            if let exempt = spec["exempt"].present { shares(exempt, "spec.exempt", &errors) }
        case "Limited":
            if spec["exempt"].present != nil { errors.forbidden("spec.exempt", "must be nil if the type is Limited") }
            if let limited = spec["limited"].present {
                self.limited(limited, &errors)
            } else {
                errors.required("spec.limited", "must not be empty when type is Limited")
            }
        default: errors.notSupported("spec.type", type, ["Exempt", "Limited"])
        }
        return errors.causes
    }

    private func shares(_ part: JSONView, _ path: String, _ errors: inout FieldErrors) {
        if let shares = part["nominalConcurrencyShares"].int, shares < 0 {
            errors.invalid("\(path).nominalConcurrencyShares", .int(shares), "must be a non-negative integer")
        }
        if let percent = part["lendablePercent"].int, percent < 0 || percent > 100 {
            errors.invalid("\(path).lendablePercent", .int(percent), "must be between 0 and 100, inclusive")
        }
    }

    private func limited(_ limited: JSONView, _ errors: inout FieldErrors) {
        shares(limited, "spec.limited", &errors)
        if let percent = limited["borrowingLimitPercent"].int, percent < 0 {
            errors.invalid("spec.limited.borrowingLimitPercent", .int(percent), "if specified, must be a non-negative integer")
        }
        let response = limited["limitResponse"]
        let path = "spec.limited.limitResponse"
        switch response["type"].text {
        case "Reject":
            if response["queuing"].present != nil { errors.forbidden("\(path).queuing", "must be nil if limited.limitResponse.type is not Limited") }
        case "Queue":
            if let queuing = response["queuing"].present {
                self.queuing(queuing, "\(path).queuing", &errors)
            } else {
                errors.required("\(path).queuing", "must not be empty if limited.limitResponse.type is Limited")
            }
        case let other: errors.notSupported("\(path).type", other, ["Queue", "Reject"])
        }
    }

    private func queuing(_ queuing: JSONView, _ path: String, _ errors: inout FieldErrors) {
        let length = queuing["queueLengthLimit"].int ?? 0
        let queues = queuing["queues"].int ?? 0
        let hand = queuing["handSize"].int ?? 0
        if length <= 0 { errors.invalid("\(path).queueLengthLimit", .int(length), "must be positive") }
        if queues <= 0 {
            errors.invalid("\(path).queues", .int(queues), "must be positive")
        } else if queues > Self.maximumQueues {
            errors.invalid("\(path).queues", .int(queues), "must not be greater than \(Self.maximumQueues)")
        }
        if hand <= 0 {
            errors.invalid("\(path).handSize", .int(hand), "must be positive")
        } else if hand > queues {
            errors.invalid("\(path).handSize", .int(hand), "should not be greater than queues (\(queues))")
        } else if Self.entropyExceeds(deck: queues, hand: hand) {
            errors.invalid(
                "\(path).handSize", .int(hand),
                "required entropy bits of deckSize \(queues) and handSize \(hand) should not be greater than \(Int(Self.maximumHashBits))")
        }
    }

    /// Whether dealing the hand takes more bits than a hash has: a falling product beyond 2^60. Upstream: shufflesharding.RequiredEntropyBits.
    private static func entropyExceeds(deck: Int64, hand: Int64) -> Bool {
        var product = 1.0
        for dealt in 0..<min(hand, 64) {
            product *= Double(deck - dealt)
            if product > 1_152_921_504_606_846_976 { return true }
        }
        return hand > 64
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        subresource.isEmpty ? validate(object) : FlowControlStatus.validate(object)
    }
}
