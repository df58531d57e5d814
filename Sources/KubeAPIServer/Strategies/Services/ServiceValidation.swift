import KubeAPI

/// Upstream: core/validation.ValidateService, ValidateServiceUpdate, ValidateServiceStatusUpdate.
enum ServiceValidation {
    static let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    /// Upstream: core.MaxClientIPServiceAffinitySeconds.
    static let maximumAffinity: Int64 = 86400
    private static let topologyHints = "service.kubernetes.io/topology-aware-hints"
    private static let topologyMode = "service.kubernetes.io/topology-mode"
    private static let sourceRanges = "service.beta.kubernetes.io/load-balancer-source-ranges"

    static func isHeadless(_ spec: JSONView?) -> Bool {
        let list = spec["clusterIPs"].strings
        return list.isEmpty ? spec["clusterIP"].string == "None" : list == ["None"]
    }

    static func validate(_ service: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = service["spec"]
        let type = spec["type"].text
        let annotations = service["metadata"]["annotations"]
        if let mode = annotations[topologyMode].string, let hints = annotations[topologyHints].string, mode != hints {
            errors.invalid(
                "metadata.annotations[\(topologyMode)]", text: mode, "must match annotations[\(topologyHints)] when both are specified")
        }
        let headless = isHeadless(spec)
        let ports = spec["ports"].elements
        if ports.isEmpty, !headless, type != "ExternalName" { errors.required("spec.ports") }
        switch type {
        case "LoadBalancer", "NodePort":
            if headless { errors.invalid("spec.clusterIPs[0]", text: "None", "may not be set to 'None' for \(type) services") }
        case "ExternalName": externalName(spec, &errors)
        default: break
        }
        ServicePortValidation.validate(ports, &errors)
        errors.labels("spec.selector", spec["selector"])
        affinity(spec, &errors)
        if type != "ExternalName" { ServiceAddressValidation.validate(spec, headless: headless, &errors) }
        for (index, address) in spec["externalIPs"].strings.enumerated() {
            let problems = AddressRules.legacyProblems(address)
            errors.invalid("spec.externalIPs[\(index)]", address, problems.isEmpty ? AddressRules.specialProblems(address) : problems)
        }
        errors.oneOf("spec.type", spec["type"], types, isRequired: true)
        ServicePortValidation.nodePorts(ports, type: type, &errors)
        loadBalancer(service, type: type, &errors)
        traffic(spec, type: type, &errors)
        return errors.causes
    }

    private static func externalName(_ spec: JSONView?, _ errors: inout FieldErrors) {
        for field in ["clusterIPs", "ipFamilies"] where spec[field].hasElements {
            errors.forbidden("spec.\(field)", "may not be set for ExternalName services")
        }
        if spec["ipFamilyPolicy"].present != nil { errors.forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services") }
        let name = spec["externalName"].text
        let plain = name.hasSuffix(".") ? String(name.dropLast()) : name
        if plain.isEmpty { errors.required("spec.externalName") } else { errors.name("spec.externalName", plain, .dnsSubdomain) }
    }

    private static func affinity(_ spec: JSONView?, _ errors: inout FieldErrors) {
        errors.oneOf("spec.sessionAffinity", spec["sessionAffinity"], ["ClientIP", "None"], isRequired: true)
        let path = "spec.sessionAffinityConfig"
        let config = spec["sessionAffinityConfig"].present
        switch spec["sessionAffinity"].text {
        case "ClientIP":
            let required = "when session affinity type is ClientIP"
            guard let config else { return errors.required(path, required) }
            guard let client = config["clientIP"].present else { return errors.required("\(path).clientIP", required) }
            guard let seconds = client["timeoutSeconds"].int else { return errors.required("\(path).clientIP.timeoutSeconds", required) }
            if seconds <= 0 || seconds > maximumAffinity {
                errors.invalid("\(path).clientIP.timeoutSeconds", .int(seconds), "must be greater than 0 and less than \(maximumAffinity)")
            }
        case "None": if config != nil { errors.forbidden(path, "must not be set when session affinity is None") }
        default: break
        }
    }

    private static func loadBalancer(_ service: Object, type: String, _ errors: inout FieldErrors) {
        let spec = service["spec"]
        let only = "may only be used when `type` is 'LoadBalancer'"
        let ranges = spec["loadBalancerSourceRanges"].strings
        if !ranges.isEmpty {
            // Upstream writes the field's name as Go does.
            if type != "LoadBalancer" { errors.forbidden("spec.LoadBalancerSourceRanges", only) }
            for (index, range) in ranges.enumerated() {
                let text = range.trimmed
                errors.invalid("spec.LoadBalancerSourceRanges[\(index)]", text, AddressRules.legacyRangeProblems(text))
            }
        } else if let list = service["metadata"]["annotations"][sourceRanges].string {
            let field = "metadata.annotations[\(sourceRanges)]"
            if type != "LoadBalancer" { errors.forbidden(field, only) }
            if !list.trimmed.isEmpty {
                for range in list.split(separator: ",", omittingEmptySubsequences: false) {
                    errors.invalid(field, String(range).trimmed, AddressRules.legacyRangeProblems(String(range).trimmed))
                }
            }
        }
        if type != "LoadBalancer", spec["allocateLoadBalancerNodePorts"].present != nil {
            errors.forbidden("spec.allocateLoadBalancerNodePorts", only)
        }
        if let name = spec["loadBalancerClass"].string {
            if type == "LoadBalancer" {
                errors.qualifiedName("spec.loadBalancerClass", name)
            } else {
                errors.forbidden("spec.loadBalancerClass", only)
            }
        }
    }

    private static func traffic(_ spec: JSONView?, type: String, _ errors: inout FieldErrors) {
        let isExternal = type == "NodePort" || type == "LoadBalancer" || (type == "ClusterIP" && spec["externalIPs"].hasElements)
        let policy = spec["externalTrafficPolicy"].text
        if isExternal {
            errors.oneOf("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], ["Cluster", "Local"], isRequired: true)
        } else if !policy.isEmpty {
            errors.invalid("spec.externalTrafficPolicy", text: policy, "may only be set for externally-accessible services")
        }
        let port = spec["healthCheckNodePort"].int ?? 0
        if type == "LoadBalancer", policy == "Local" {
            if port == 0 { errors.required("spec.healthCheckNodePort") } else { errors.port("spec.healthCheckNodePort", port) }
        } else if port != 0 {
            errors.invalid(
                "spec.healthCheckNodePort", .int(port), "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
        }
        errors.oneOf("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], ["Cluster", "Local"])
        errors.oneOf("spec.trafficDistribution", spec["trafficDistribution"], ["PreferClose", "PreferSameNode", "PreferSameZone"])
    }

    // MARK: Updates

    static func validateUpdate(_ service: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = service["spec"]
        let before = old["spec"]
        ServiceAddressValidation.validateUpdate(spec, before, &errors)
        if before["type"].string == "LoadBalancer", spec["type"].string == "LoadBalancer",
            before["loadBalancerClass"].string != spec["loadBalancerClass"].string
        {
            errors.invalid("spec.loadBalancerClass", spec["loadBalancerClass"].value ?? .null, "may not change once set")
        }
        func needsHealthCheck(_ spec: JSONView?) -> Bool {
            spec["type"].string == "LoadBalancer" && spec["externalTrafficPolicy"].string == "Local"
        }
        if needsHealthCheck(before), needsHealthCheck(spec), before["healthCheckNodePort"].int != spec["healthCheckNodePort"].int {
            errors.forbidden("spec.healthCheckNodePort", "field is immutable")
        }
        errors.append(validate(service))
        return errors.causes
    }

    static func validateStatus(_ service: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let ingress = service["status"]["loadBalancer"]["ingress"].elements
        if !ingress.isEmpty, service["spec"]["type"].string != "LoadBalancer" {
            errors.forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
            return errors.causes
        }
        for (index, entry) in ingress.enumerated() {
            let place = "status.loadBalancer.ingress[\(index)]"
            let address = entry["ip"].text
            if !address.isEmpty { errors.invalid("\(place).ip", address, AddressRules.legacyProblems(address)) }
            if let mode = entry["ipMode"].string {
                if address.isEmpty {
                    errors.forbidden("\(place).ipMode", "may not be specified when `ip` is not set")
                } else if !["Proxy", "VIP"].contains(mode) {
                    errors.notSupported("\(place).ipMode", mode, ["Proxy", "VIP"])
                }
            } else if !address.isEmpty {
                errors.required("\(place).ipMode", "must be specified when `ip` is set")
            }
            hostname(entry["hostname"].text, "\(place).hostname", &errors)
        }
        return errors.causes
    }

    /// A load balancer's name, also an Ingress's.
    static func hostname(_ name: String, _ field: String, _ errors: inout FieldErrors) {
        guard !name.isEmpty else { return }
        errors.name(field, name, .dnsSubdomain)
        if AddressRules.parse(name) != nil { errors.invalid(field, text: name, "must be a DNS name, not an IP address") }
    }
}

/// The ports of a Service. Upstream: core/validation.validateServicePort and the checks of ValidateService for ports that stand twice.
enum ServicePortValidation {
    static func validate(_ ports: [JSONView], _ errors: inout FieldErrors) {
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let place = "spec.ports[\(index)]"
            let name = port["name"].text
            if name.isEmpty {
                if ports.count > 1 { errors.required("\(place).name") }
            } else {
                errors.name("\(place).name", name, .dnsLabel)
                if !names.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
            }
            errors.port("\(place).port", port["port"].int ?? 0)
            errors.oneOf("\(place).protocol", port["protocol"], ContainerValidation.protocols, isRequired: true)
            if let target = port["targetPort"].present { errors.portOrName("\(place).targetPort", target) }
            if let application = port["appProtocol"].string { errors.qualifiedName("\(place).appProtocol", application) }
        }
    }

    static func nodePorts(_ ports: [JSONView], type: String, _ errors: inout FieldErrors) {
        if type == "ClusterIP" {
            for (index, port) in ports.enumerated() where port["nodePort"].int ?? 0 != 0 {
                errors.forbidden("spec.ports[\(index)].nodePort", "may not be used when `type` is 'ClusterIP'")
            }
        }
        guard ports.count > 1 else { return }
        var taken: Set<String> = []
        for (index, port) in ports.enumerated() {
            guard let number = port["nodePort"].int, number != 0 else { continue }
            if !taken.insert("\(port["protocol"].text)/\(number)").inserted {
                errors.duplicate("spec.ports[\(index)].nodePort", .int(number))
            }
        }
        var seen: Set<String> = []
        for (index, port) in ports.enumerated() {
            let number = port["port"].int ?? 0
            guard !seen.insert("\(port["protocol"].text)/\(number)").inserted else { continue }
            // As Go writes a core.ServicePort with nothing else set.
            errors.duplicate(
                "spec.ports[\(index)]",
                [
                    "Name": "", "Protocol": .string(port["protocol"].text), "AppProtocol": .null, "Port": .int(number), "TargetPort": 0,
                    "NodePort": 0,
                ])
        }
    }
}

/// The addresses of a Service and their families. Upstream: core/validation.ValidateServiceClusterIPsRelatedFields and
/// validateUpgradeDowngradeClusterIPs, validateUpgradeDowngradeIPFamilies.
enum ServiceAddressValidation {
    static func validate(_ spec: JSONView?, headless: Bool, _ errors: inout FieldErrors) {
        let list = spec["clusterIPs"].strings
        let single = spec["clusterIP"].text
        if !single.isEmpty {
            if list.isEmpty {
                errors.required("spec.clusterIPs")
            } else if list.first != single {
                errors.invalid("spec.clusterIPs", Value(list), "first value must match `clusterIP`")
            }
        } else if !list.isEmpty {
            errors.invalid("spec.clusterIPs", Value(list), "must be empty when `clusterIP` is not specified")
        }
        let families = spec["ipFamilies"].strings
        var seen: Set<String> = []
        for (index, family) in families.enumerated() {
            if family != "IPv4", family != "IPv6" { errors.notSupported("spec.ipFamilies[\(index)]", family, ["IPv4", "IPv6"]) }
            if !seen.insert(family).inserted { errors.duplicate("spec.ipFamilies[\(index)]", .string(family)) }
        }
        errors.oneOf("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], ["PreferDualStack", "RequireDualStack", "SingleStack"])
        guard addresses(list, &errors), list.count > 1 || !headless else { return }
        for (index, (address, family)) in zip(list, families).enumerated() where !headless {
            guard let isIPv6 = AddressRules.parse(address)?.isIPv6, isIPv6 != (family == "IPv6"), ["IPv4", "IPv6"].contains(family) else { continue }
            errors.invalid(
                "spec.clusterIPs[\(index)]", text: address, "expected an \(family) value as indicated by `ipFamilies[\(index)]`")
        }
    }

    /// Whether the addresses are well formed.
    private static func addresses(_ list: [String], _ errors: inout FieldErrors) -> Bool {
        var isWellFormed = true
        for (index, address) in list.enumerated() {
            if index == 0, address == "None" {
                guard list.count > 1 else { continue }
                isWellFormed = false
                errors.invalid("spec.clusterIPs", Value(list), "'None' must be the first and only value")
                continue
            }
            let problems = AddressRules.legacyProblems(address)
            if !problems.isEmpty { isWellFormed = false }
            errors.invalid("spec.clusterIPs[\(index)]", address, problems)
        }
        if list.count > 2 { errors.invalid("spec.clusterIPs", Value(list), "may only hold up to 2 values") }
        guard isWellFormed else { return false }
        if list.count > 1, Set(list.compactMap { AddressRules.parse($0)?.isIPv6 }).count < 2 {
            errors.invalid("spec.clusterIPs", Value(list), "may specify no more than one IP for each IP family")
        }
        return true
    }

    static func validateUpdate(_ spec: JSONView?, _ before: JSONView?, _ errors: inout FieldErrors) {
        if spec["type"].string == "ExternalName" || before["type"].string == "ExternalName" { return }
        let isHeadless = ServiceValidation.isHeadless(spec)
        let wasHeadless = ServiceValidation.isHeadless(before)
        if isHeadless, wasHeadless { return }
        let addresses = spec["clusterIPs"].strings
        change(addresses, before["clusterIPs"].strings, "clusterIPs", "clusterIP", spec, &errors)
        if isHeadless != wasHeadless { return }
        change(spec["ipFamilies"].strings, before["ipFamilies"].strings, "ipFamilies", "ipFamily", spec, &errors)
    }

    /// A list may lose or gain its second value, and nothing else.
    private static func change(
        _ new: [String], _ old: [String], _ field: String, _ singular: String, _ spec: JSONView?, _ errors: inout FieldErrors
    ) {
        func fixed(_ index: Int) { errors.invalid("spec.\(field)[\(index)]", Value(new), "may not change once set") }
        if new.count == old.count {
            for (index, (now, before)) in zip(new, old).enumerated() where now != before { fixed(field == "ipFamilies" ? 0 : index) }
            return
        }
        if new.count < old.count {
            if new.isEmpty { errors.invalid("spec.\(field)[0]", Value(new), "primary \(singular) can not be unset") }
            if let first = new.first, first != old.first { fixed(0) }
            if new.count == 1, spec["ipFamilyPolicy"].string != "SingleStack" {
                errors.invalid(
                    "spec.ipFamilyPolicy", spec["ipFamilyPolicy"].value ?? .null,
                    "must be set to 'SingleStack' when releasing the secondary \(singular)")
            }
        } else if let first = old.first, new.first != first {
            fixed(0)
        }
    }
}
