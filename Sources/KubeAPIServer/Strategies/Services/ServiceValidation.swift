import KubeAPI

/// Upstream: core/validation.ValidateService, ValidateServiceUpdate.
enum ServiceValidation {
    static let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]

    static func validate(_ service: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = service["spec"]
        let type = spec["type"].string ?? ""
        let isHeadless = spec["clusterIP"].string == "None"
        let ports = spec["ports"].elements
        if ports.isEmpty, !isHeadless, type != "ExternalName" { errors.required("spec.ports") }
        errors.oneOf("spec.type", spec["type"], types, isRequired: true)
        switch type {
        case "LoadBalancer", "NodePort":
            if isHeadless { errors.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for \(type) services") }
        case "ExternalName":
            if !(spec["clusterIP"].string ?? "").isEmpty || !spec["clusterIPs"].elements.isEmpty {
                errors.forbidden("spec.clusterIPs[0]", "may not be set when `type` is 'ExternalName'")
            }
            let name = spec["externalName"].string ?? ""
            if name.isEmpty {
                errors.required("spec.externalName")
            } else {
                errors.name("spec.externalName", name.hasSuffix(".") ? String(name.dropLast()) : name, .dnsSubdomain)
            }
        default: break
        }
        validatePorts(ports, type: type, &errors)
        errors.labels("spec.selector", spec["selector"].stringMap)
        errors.oneOf("spec.sessionAffinity", spec["sessionAffinity"], ["ClientIP", "None"], isRequired: true)
        if spec["sessionAffinity"].string == "ClientIP", let seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].int {
            if seconds <= 0 || seconds > 86400 {
                errors.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", .int(seconds), "must be greater than 0 and less than 86400")
            }
        } else if spec["sessionAffinity"].string == "None", spec["sessionAffinityConfig"].present != nil {
            errors.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")
        }
        validateAddresses(spec, &errors)
        errors.oneOf("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], ["Cluster", "Local"])
        let isExternal = type == "NodePort" || type == "LoadBalancer" || !spec["externalIPs"].elements.isEmpty
        if !isExternal, !(spec["externalTrafficPolicy"].string ?? "").isEmpty {
            errors.invalid(
                "spec.externalTrafficPolicy", .string(spec["externalTrafficPolicy"].string ?? ""),
                "may only be set for externally-accessible services")
        }
        if isExternal { errors.oneOf("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], ["Cluster", "Local"]) }
        if type != "LoadBalancer" {
            if spec["allocateLoadBalancerNodePorts"].present != nil {
                errors.forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
            }
            if spec["loadBalancerClass"].present != nil {
                errors.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
            }
            if !spec["loadBalancerSourceRanges"].elements.isEmpty {
                errors.forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")
            }
        }
        return errors.causes
    }

    private static func validatePorts(_ ports: [JSONView], type: String, _ errors: inout FieldErrors) {
        var names: Set<String> = []
        var numbers: Set<String> = []
        var nodePorts: Set<String> = []
        for (index, port) in ports.enumerated() {
            let place = "spec.ports[\(index)]"
            let name = port["name"].string ?? ""
            if name.isEmpty {
                if ports.count > 1 { errors.required("\(place).name") }
            } else {
                errors.name("\(place).name", name, .dnsLabel)
                if !names.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
            }
            let number = port["port"].int ?? 0
            errors.port("\(place).port", number)
            errors.oneOf("\(place).protocol", port["protocol"], ["SCTP", "TCP", "UDP"], isRequired: true)
            if let target = port["targetPort"].present {
                if let text = target.string {
                    for problem in PortNames.problems(text) { errors.invalid("\(place).targetPort", .string(text), problem) }
                } else {
                    errors.port("\(place).targetPort", target.int ?? 0)
                }
            }
            let transport = port["protocol"].string ?? ""
            if !numbers.insert("\(transport)/\(number)").inserted {
                var duplicated: Value = ["port": .int(number)]
                if !transport.isEmpty { duplicated["protocol"] = .string(transport) }
                errors.duplicate(place, duplicated)
            }
            guard let nodePort = port["nodePort"].int, nodePort != 0 else { continue }
            if type == "ClusterIP" || type == "ExternalName" { errors.forbidden("\(place).nodePort", "may not be used when `type` is '\(type)'") }
            if !nodePorts.insert("\(transport)/\(nodePort)").inserted { errors.duplicate("\(place).nodePort", .int(nodePort)) }
        }
    }

    private static func validateAddresses(_ spec: JSONView?, _ errors: inout FieldErrors) {
        let list = spec["clusterIPs"].strings
        let single = spec["clusterIP"].string ?? ""
        if !single.isEmpty, list.first != single { errors.invalid("spec.clusterIPs", Value(list), "first value must match `clusterIP`") }
        for (index, text) in list.enumerated() where text != "None" && IPAddress(text) == nil {
            errors.invalid("spec.clusterIPs[\(index)]", .string(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        }
        if list.count > 1, list.contains("None") {
            errors.invalid("spec.clusterIPs", Value(list), "'None' must be the first and only value")
        }
        for (index, text) in spec["externalIPs"].strings.enumerated() where IPAddress(text) == nil {
            errors.invalid("spec.externalIPs[\(index)]", .string(text), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        }
        errors.oneOf("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], ["SingleStack", "PreferDualStack", "RequireDualStack"])
        for (index, family) in spec["ipFamilies"].elements.enumerated() { errors.oneOf("spec.ipFamilies[\(index)]", family, ["IPv4", "IPv6"]) }
    }

    static func validateUpdate(_ service: Object, old: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let wasExternalName = old["spec"]["type"].string == "ExternalName"
        let isExternalName = service["spec"]["type"].string == "ExternalName"
        if !wasExternalName, !isExternalName {
            let before = old["spec"]["clusterIPs"].strings.first ?? old["spec"]["clusterIP"].string ?? ""
            let list = service["spec"]["clusterIPs"].strings
            if !before.isEmpty, list.first != before { errors.invalid("spec.clusterIPs[0]", Value(list), "may not change once set") }
            let families = service["spec"]["ipFamilies"].strings
            if let family = old["spec"]["ipFamilies"].strings.first, families.first != family {
                errors.invalid("spec.ipFamilies[0]", Value(families), "may not change once set")
            }
        }
        if old["spec"]["type"].string == "LoadBalancer", service["spec"]["type"].string == "LoadBalancer",
            old["spec"]["loadBalancerClass"].string != service["spec"]["loadBalancerClass"].string
        {
            errors.invalid("spec.loadBalancerClass", .string(service["spec"]["loadBalancerClass"].string ?? ""), "may not change once set")
        }
        errors.append(validate(service))
        return errors.causes
    }
}
