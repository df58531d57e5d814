import KubeAPI

/// Where a pod may run. Upstream: core/validation.validateAffinity, ValidateTolerations, validateTopologySpreadConstraints.
struct PodSchedulingValidation {
    let path: String

    private func at(_ field: String) -> String { "\(path).\(field)" }

    func gates(_ gates: [JSONView], _ errors: inout FieldErrors) {
        var seen: Set<String> = []
        for (index, gate) in gates.enumerated() {
            errors.qualifiedName(at("schedulingGates[\(index)]"), gate["name"].text)
            if !seen.insert(gate["name"].text).inserted { errors.duplicate(at("schedulingGates[\(index)]"), .string(gate["name"].text)) }
        }
    }

    // MARK: Tolerations

    func tolerations(_ tolerations: [JSONView], _ errors: inout FieldErrors) {
        for (index, toleration) in tolerations.enumerated() { Self.toleration(toleration, at("tolerations[\(index)]"), &errors) }
    }

    static func toleration(_ toleration: JSONView, _ place: String, _ errors: inout FieldErrors) {
        let key = toleration["key"].text
        let kind = toleration["operator"].text
        let value = toleration["value"].text
        let effect = toleration["effect"].text
        if !key.isEmpty { errors.qualifiedName("\(place).key", key) }
        if key.isEmpty, kind != "Exists" {
            errors.invalid(
                "\(place).operator", text: kind, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"")
        }
        if toleration["tolerationSeconds"].int != nil, effect != "NoExecute" {
            errors.invalid("\(place).effect", text: effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        }
        switch kind {
        case "Equal", "":
            let problems = Names.labelValueProblems(value)
            if !problems.isEmpty { errors.invalid("\(place).operator", text: value, problems.joined(separator: ";")) }
        case "Exists": if !value.isEmpty { errors.invalid("\(place).operator", text: value, "value must be empty when `operator` is 'Exists'") }
        default: errors.notSupported("\(place).operator", kind, ["Equal", "Exists"])
        }
        errors.oneOf("\(place).effect", toleration["effect"], taintEffects)
    }

    static let taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"]

    // MARK: Spread

    func spread(_ constraints: [JSONView], _ errors: inout FieldErrors) {
        for (index, constraint) in constraints.enumerated() {
            let place = at("topologySpreadConstraints[\(index)]")
            let skew = constraint["maxSkew"].int ?? 0
            if skew <= 0 { errors.invalid("\(place).maxSkew", .int(skew), "must be greater than zero") }
            let key = constraint["topologyKey"].text
            if key.isEmpty { errors.required("\(place).topologyKey", "can not be empty") }
            let action = constraint["whenUnsatisfiable"].text
            if !["DoNotSchedule", "ScheduleAnyway"].contains(action) {
                errors.notSupported("\(place).whenUnsatisfiable", action, ["DoNotSchedule", "ScheduleAnyway"])
            }
            if constraints[(index + 1)...].contains(where: { $0["topologyKey"].text == key && $0["whenUnsatisfiable"].text == action }) {
                errors.duplicate("\(place).{topologyKey, whenUnsatisfiable}", .string("{\(key), \(action)}"))
            }
            if let domains = constraint["minDomains"].int {
                if domains <= 0 { errors.invalid("\(place).minDomains", .int(domains), "must be greater than zero") }
                if action != "DoNotSchedule" {
                    errors.invalid(
                        "\(place).minDomains", .int(domains), "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not \(action)")
                }
            }
            for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
                errors.oneOf("\(place).\(field)", constraint[field], ["Honor", "Ignore"])
            }
            matchLabelKeys(constraint, "\(place).matchLabelKeys", &errors)
            errors.labelSelector("\(place).labelSelector", constraint["labelSelector"])
        }
    }

    /// A pod's keys were written into its selector already: only where an expression has one beside another is it there twice.
    /// Upstream: core/validation.validateLabelKeys.
    private func matchLabelKeys(_ constraint: JSONView, _ field: String, _ errors: inout FieldErrors) {
        let keys = constraint["matchLabelKeys"].strings
        guard !keys.isEmpty else { return }
        guard let selector = constraint["labelSelector"].present else {
            return errors.forbidden(field, "must not be specified when labelSelector is not set")
        }
        for (index, key) in keys.enumerated() { errors.qualifiedName("\(field)[\(index)]", key) }
        var seen = Set(selector["matchLabels"].stringMap.keys)
        for expression in selector["matchExpressions"].elements {
            let key = expression["key"].text
            if let index = keys.lastIndex(of: key), seen.contains(key) {
                errors.invalid("\(field)[\(index)]", text: key, "exists in both matchLabelKeys and labelSelector")
            }
            seen.insert(key)
        }
    }

    // MARK: Affinity

    private static let requiredTerms = "requiredDuringSchedulingIgnoredDuringExecution"
    private static let preferredTerms = "preferredDuringSchedulingIgnoredDuringExecution"

    func affinity(_ affinity: JSONView?, _ errors: inout FieldErrors) {
        guard let affinity = affinity.present else { return }
        if let node = affinity["nodeAffinity"].present {
            let path = at("affinity.nodeAffinity")
            if let required = node[Self.requiredTerms].present { NodeSelectorValidation.selector("\(path).\(Self.requiredTerms)", required, &errors) }
            for (index, term) in node[Self.preferredTerms].elements.enumerated() {
                let place = "\(path).\(Self.preferredTerms)[\(index)]"
                weight(term, place, &errors)
                NodeSelectorValidation.term("\(place).preference", term["preference"], checksValues: false, &errors)
            }
        }
        for kind in ["podAffinity", "podAntiAffinity"] {
            guard let pods = affinity[kind].present else { continue }
            for (index, term) in pods[Self.requiredTerms].elements.enumerated() {
                self.term(term, at("affinity.\(kind).\(Self.requiredTerms)[\(index)]"), &errors)
            }
            for (index, term) in pods[Self.preferredTerms].elements.enumerated() {
                let place = at("affinity.\(kind).\(Self.preferredTerms)[\(index)]")
                weight(term, place, &errors)
                self.term(term["podAffinityTerm"], "\(place).podAffinityTerm", &errors)
            }
        }
    }

    private func weight(_ term: JSONView, _ place: String, _ errors: inout FieldErrors) {
        let weight = term["weight"].int ?? 0
        if weight <= 0 || weight > 100 { errors.invalid("\(place).weight", .int(weight), "must be in the range 1-100") }
    }

    private func term(_ term: JSONView?, _ place: String, _ errors: inout FieldErrors) {
        errors.labelSelector("\(place).labelSelector", term["labelSelector"])
        errors.labelSelector("\(place).namespaceSelector", term["namespaceSelector"])
        for name in term["namespaces"].strings { errors.name("\(place).namespace", name, .dnsLabel) }
        labelKeys(term, place, &errors)
        let key = term["topologyKey"].text
        if key.isEmpty { errors.required("\(place).topologyKey", "can not be empty") }
        errors.qualifiedName("\(place).topologyKey", key)
    }

    /// Upstream: core/validation.validateMatchLabelKeysAndMismatchLabelKeys.
    private func labelKeys(_ term: JSONView?, _ place: String, _ errors: inout FieldErrors) {
        let match = term["matchLabelKeys"].strings
        let mismatch = term["mismatchLabelKeys"].strings
        if match.isEmpty, mismatch.isEmpty { return }
        let selector = term["labelSelector"].present
        for (field, keys) in [("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)] where !keys.isEmpty {
            if selector == nil {
                errors.forbidden("\(place).\(field)", "must not be specified when labelSelector is not set")
            } else {
                for (index, key) in keys.enumerated() { errors.qualifiedName("\(place).\(field)[\(index)]", key) }
            }
        }
        var seen = Set(selector["matchLabels"].stringMap.keys)
        for expression in selector["matchExpressions"].elements {
            let key = expression["key"].text
            if let index = match.lastIndex(of: key), seen.contains(key) {
                errors.invalid("\(place)[\(index)]", text: key, "exists in both matchLabelKeys and labelSelector")
            }
            seen.insert(key)
        }
        for (index, key) in match.enumerated() where mismatch.contains(key) {
            errors.invalid("\(place).matchLabelKeys[\(index)]", text: key, "exists in both matchLabelKeys and mismatchLabelKeys")
        }
    }
}

/// Selectors of nodes, of pods and volumes. Upstream: core/validation.ValidateNodeSelector.
enum NodeSelectorValidation {
    static func selector(_ path: String, _ selector: JSONView, _ errors: inout FieldErrors) {
        let terms = selector["nodeSelectorTerms"].elements
        if terms.isEmpty { return errors.required("\(path).nodeSelectorTerms", "must have at least one node selector term") }
        for (index, term) in terms.enumerated() { self.term("\(path).nodeSelectorTerms[\(index)]", term, checksValues: true, &errors) }
    }

    /// `checksValues`: preferences may name values that no label has.
    static func term(_ path: String, _ term: JSONView?, checksValues: Bool, _ errors: inout FieldErrors) {
        for (index, requirement) in term["matchExpressions"].elements.enumerated() {
            let place = "\(path).matchExpressions[\(index)]"
            let values = requirement["values"].strings
            switch requirement["operator"].text {
            case "In", "NotIn":
                if values.isEmpty { errors.required("\(place).values", "must be specified when `operator` is 'In' or 'NotIn'") }
            case "Exists", "DoesNotExist":
                if !values.isEmpty { errors.forbidden("\(place).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'") }
            case "Gt", "Lt":
                if values.count != 1 { errors.required("\(place).values", "must be specified single value when `operator` is 'Lt' or 'Gt'") }
            case let other: errors.invalid("\(place).operator", text: other, "not a valid selector operator")
            }
            errors.qualifiedName("\(place).key", requirement["key"].text)
            guard checksValues else { continue }
            for (position, value) in values.enumerated() { errors.invalid("\(place).values[\(position)]", value, Names.labelValueProblems(value)) }
        }
        for (index, requirement) in term["matchFields"].elements.enumerated() {
            let place = "\(path).matchFields[\(index)]"
            let values = requirement["values"].strings
            switch requirement["operator"].text {
            case "In", "NotIn":
                if values.count != 1 {
                    errors.required("\(place).values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
                }
            case let other: errors.invalid("\(place).operator", text: other, "not a valid selector operator")
            }
            if requirement["key"].text == "metadata.name" {
                for (position, value) in values.enumerated() { errors.name("\(place).values[\(position)]", value, .dnsSubdomain) }
            } else {
                errors.invalid("\(place).key", text: requirement["key"].text, "not a valid field selector key")
            }
        }
    }
}
