import KubeAPI

/// Upstream: pkg/registry/networking/networkpolicy with networking/validation.
struct NetworkPolicyStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] { validate(object["spec"], old: nil) }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] { validate(object["spec"], old: old["spec"]) }

    private static let directions = [("ingress", "from"), ("egress", "to")]

    private func validate(_ spec: JSONView?, old: JSONView?) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.labelSelector("spec.podSelector", spec["podSelector"])
        for (direction, peers) in Self.directions {
            for (index, rule) in spec[direction].elements.enumerated() {
                let path = "spec.\(direction)[\(index)]"
                for (place, port) in rule["ports"].elements.enumerated() { self.port(port, "\(path).ports[\(place)]", &errors) }
                for (place, peer) in rule[peers].elements.enumerated() { self.peer(peer, "\(path).\(peers)[\(place)]", old: old, &errors) }
            }
        }
        let types = spec["policyTypes"].strings
        if types.count > 2 {
            errors.invalid("spec.policyTypes", Value(types), "may not specify more than two policyTypes")
        } else {
            for (index, type) in types.enumerated() where type != "Ingress" && type != "Egress" {
                errors.notSupported("spec.policyTypes[\(index)]", type, ["Ingress", "Egress"])
            }
        }
        return errors.causes
    }

    private func port(_ port: JSONView, _ path: String, _ errors: inout FieldErrors) {
        errors.oneOf("\(path).protocol", port["protocol"], ["TCP", "UDP", "SCTP"])
        let end = port["endPort"].int
        func misplaced(_ why: String) {
            if let end { errors.invalid("\(path).endPort", .int(end), why) }
        }
        guard let start = port["port"].present else { return misplaced("may not be specified when `port` is not specified") }
        if let number = start.int {
            errors.port("\(path).port", number)
            if let end {
                if end < number { errors.invalid("\(path).endPort", .int(end), "must be greater than or equal to `port`") }
                errors.port("\(path).endPort", end)
            }
        } else {
            misplaced("may not be specified when `port` is non-numeric")
            errors.invalid("\(path).port", start.text, PortNames.problems(start.text))
        }
    }

    private func peer(_ peer: JSONView, _ path: String, old: JSONView?, _ errors: inout FieldErrors) {
        let selectors = ["podSelector", "namespaceSelector"].filter { peer[$0].present != nil }
        for selector in selectors { errors.labelSelector("\(path).\(selector)", peer[selector]) }
        let block = peer["ipBlock"].present
        if let block { self.block(block, "\(path).ipBlock", old: old, &errors) }
        if selectors.isEmpty, block == nil {
            errors.required(path, "must specify a peer")
        } else if !selectors.isEmpty, block != nil {
            errors.forbidden(path, "may not specify both ipBlock and another peer")
        }
    }

    private func block(_ block: JSONView, _ path: String, old: JSONView?, _ errors: inout FieldErrors) {
        guard let text = errors.requireText("\(path).cidr", block["cidr"]) else { return }
        check(text, "\(path).cidr", old: old, &errors)
        guard let range = AddressRules.range(text) else { return }
        for (index, except) in block["except"].strings.enumerated() {
            check(except, "\(path).except[\(index)]", old: old, &errors)
            if let inner = AddressRules.range(except), !AddressRules.isStrictSubset(inner, of: range) {
                errors.invalid("\(path).except[\(index)]", text: except, "must be a strict subset of `cidr`")
            }
        }
    }

    /// Ranges that were there before may stay, whatever their form.
    private func check(_ range: String, _ field: @autoclosure () -> String, old: JSONView?, _ errors: inout FieldErrors) {
        let problems = AddressRules.legacyRangeProblems(range)
        if problems.isEmpty || old != nil && ranges(old).contains(range) { return }
        errors.invalid(field(), range, problems)
    }

    private func ranges(_ spec: JSONView?) -> Set<String> {
        var all: Set<String> = []
        for (direction, peers) in Self.directions {
            for rule in spec[direction].elements {
                for block in rule[peers].elements.compactMap({ $0["ipBlock"] }) { all.formUnion(block["except"].strings + [block["cidr"].text]) }
            }
        }
        return all
    }
}

/// Upstream: pkg/registry/networking/ipaddress.
struct IPAddressStrategy: ResourceStrategy {
    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        guard let parent = object["spec"]["parentRef"].present else {
            errors.required("spec.parentRef")
            return errors.causes
        }
        errors.optionalName("spec.parentRef.group", parent["group"], .dnsSubdomain)
        errors.requiredName("spec.parentRef.resource", parent["resource"], .pathSegment)
        errors.requiredName("spec.parentRef.name", parent["name"], .pathSegment)
        errors.optionalName("spec.parentRef.namespace", parent["namespace"], .pathSegment)
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        errors.immutable("spec.parentRef", object["spec"]["parentRef"], old["spec"]["parentRef"])
        return errors.causes
    }
}

/// Upstream: pkg/registry/networking/servicecidr.
struct ServiceCIDRStrategy: ResourceStrategy {
    private static let field = "spec.cidrs"

    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws { object["status"] = [:] }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        ranges(object["spec"]["cidrs"].strings, object["spec"], &errors)
        return errors.causes
    }

    private func ranges(_ ranges: [String], _ spec: JSONView?, _ errors: inout FieldErrors) {
        if ranges.isEmpty { return errors.required(Self.field, "at least one CIDR required") }
        if ranges.count > 2 { return errors.invalid(Self.field, spec?.value ?? .null, "may only hold up to 2 values") }
        for (index, range) in ranges.enumerated() { errors.invalid("\(Self.field)[\(index)]", range, AddressRules.rangeProblems(range)) }
        let families = ranges.compactMap { AddressRules.range($0)?.address.isIPv6 }
        if families.count == 2, families[0] == families[1] {
            errors.invalid(
                Self.field, Value(ranges), "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64")
        }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        guard subresource.isEmpty else { return [] }
        let new = object["spec"]["cidrs"].strings
        let before = old["spec"]["cidrs"].strings
        let grows = before.count == 1 && new.count == 2
        if new.count == before.count || grows {
            for (index, range) in before.enumerated() where range != new[index] {
                errors.invalid("\(Self.field)[\(index)]", text: new[index], "field is immutable")
            }
            if grows { ranges(new, object["spec"], &errors) }
        } else {
            errors.invalid(Self.field, Value(new), "field is immutable")
        }
        return errors.causes
    }
}
