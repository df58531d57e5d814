import KubeAPI

/// The rules of a pod's spec, of a pod or in a template at `path`. Upstream: core/validation.ValidatePodSpec.
struct PodSpecValidation {
    let path: String

    static let restartPolicies = ["Always", "OnFailure", "Never"]
    static let dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]

    func validate(_ spec: JSONView?, _ errors: inout FieldErrors) {
        guard spec.present != nil else {
            errors.required("\(path).containers")
            return
        }
        let volumes = PodVolumeValidation(path: path).validate(spec["volumes"].elements, &errors)
        validateContainers(spec, volumes, &errors)
        errors.oneOf("\(path).restartPolicy", spec["restartPolicy"], Self.restartPolicies)
        errors.oneOf("\(path).dnsPolicy", spec["dnsPolicy"], Self.dnsPolicies)
        for (field, rule) in [
            ("serviceAccountName", MetadataValidation.NameRule.dnsSubdomain), ("nodeName", .dnsSubdomain), ("hostname", .dnsLabel),
            ("subdomain", .dnsLabel), ("priorityClassName", .dnsSubdomain), ("runtimeClassName", .dnsSubdomain),
        ] {
            if let name = spec[field].string, !name.isEmpty { errors.name("\(path).\(field)", name, rule) }
        }
        errors.labels("\(path).nodeSelector", spec["nodeSelector"].stringMap)
        if let seconds = spec["activeDeadlineSeconds"].int, seconds < 1 || seconds > Int64(Int32.max) {
            errors.invalid("\(path).activeDeadlineSeconds", .int(seconds), "must be between 1 and 2147483647, inclusive")
        }
        errors.nonnegative("\(path).terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])
        validateTolerations(spec["tolerations"].elements, &errors)
        validateSpread(spec["topologySpreadConstraints"].elements, &errors)
        for (index, secret) in spec["imagePullSecrets"].elements.enumerated() where (secret["name"].string ?? "").isEmpty {
            errors.required("\(path).imagePullSecrets[\(index)].name")
        }
        var gates: Set<String> = []
        for (index, gate) in spec["schedulingGates"].elements.enumerated() {
            let name = gate["name"].string ?? ""
            for problem in Names.qualifiedNameProblems(name) { errors.invalid("\(path).schedulingGates[\(index)]", .string(name), problem) }
            if !gates.insert(name).inserted { errors.duplicate("\(path).schedulingGates[\(index)]", .string(name)) }
        }
        if spec["hostNetwork"].bool == true, spec["hostUsers"].bool == false {
            // Upstream allows it behind a gate that is off.
            errors.forbidden("\(path).hostNetwork", "when `hostUsers` is false")
        }
        validateSecurityContext(spec["securityContext"], &errors)
    }

    // MARK: Containers

    private func validateContainers(_ spec: JSONView?, _ volumes: PodVolumeValidation.Names, _ errors: inout FieldErrors) {
        let containers = spec["containers"].elements
        if containers.isEmpty { errors.required("\(path).containers") }
        var names: Set<String> = []
        var ports: Set<String> = []
        for (list, isInit) in [("initContainers", true), ("containers", false)] {
            for (index, container) in spec[list].elements.enumerated() {
                let place = "\(path).\(list)[\(index)]"
                let name = container["name"].string ?? ""
                if name.isEmpty { errors.required("\(place).name") } else { errors.name("\(place).name", name, .dnsLabel) }
                if !name.isEmpty, !names.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
                ContainerValidation(path: place, isInit: isInit, hostNetwork: spec["hostNetwork"].bool == true).validate(container, volumes, &errors)
                uniqueHostPorts(container, place, &ports, &errors)
            }
        }
    }

    private func uniqueHostPorts(_ container: JSONView, _ place: String, _ ports: inout Set<String>, _ errors: inout FieldErrors) {
        for (index, port) in container["ports"].elements.enumerated() {
            guard let number = port["hostPort"].int, number > 0 else { continue }
            let key = "\(port["protocol"].string ?? "TCP")/\(port["hostIP"].string ?? "")/\(number)"
            if !ports.insert(key).inserted { errors.duplicate("\(place).ports[\(index)].hostPort", .string(key)) }
        }
    }

    func validateHostNetwork(_ spec: JSONView?, _ errors: inout FieldErrors) {
        for (list, containers) in ["containers", "initContainers"].map({ ($0, spec[$0].elements) }) {
            for (index, container) in containers.enumerated() {
                for (place, port) in container["ports"].elements.enumerated() {
                    guard let host = port["hostPort"].int, host != port["containerPort"].int else { continue }
                    errors.invalid(
                        "\(path).\(list)[\(index)].ports[\(place)].hostPort", .int(host), "must match `containerPort` when `hostNetwork` is true")
                }
            }
        }
    }

    func validateImage(_ image: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        let text = image.string ?? ""
        if text.isEmpty {
            errors.required(field)
        } else if text.first?.isWhitespace == true || text.last?.isWhitespace == true {
            errors.invalid(field, .string(text), "must not have leading or trailing whitespace")
        }
    }

    func validateEphemeralContainers(_ spec: JSONView?, _ errors: inout FieldErrors) {
        var names = Set((spec["containers"].elements + spec["initContainers"].elements).compactMap { $0["name"]?.string })
        for (index, container) in spec["ephemeralContainers"].elements.enumerated() {
            let place = "\(path).ephemeralContainers[\(index)]"
            let name = container["name"].string ?? ""
            if name.isEmpty { errors.required("\(place).name") } else { errors.name("\(place).name", name, .dnsLabel) }
            if !name.isEmpty, !names.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
            validateImage(container["image"], "\(place).image", &errors)
            for field in ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources"]
            where container[field].present.map({ $0.value.pruned != .null }) ?? false {
                errors.forbidden("\(place).\(field)", "cannot be set for an Ephemeral Container")
            }
        }
    }

    // MARK: Scheduling

    func validateTolerations(_ tolerations: [JSONView], _ errors: inout FieldErrors) {
        for (index, toleration) in tolerations.enumerated() {
            let place = "\(path).tolerations[\(index)]"
            let key = toleration["key"].string ?? ""
            let kind = toleration["operator"].string ?? ""
            let value = toleration["value"].string ?? ""
            let effect = toleration["effect"].string ?? ""
            if !key.isEmpty { for problem in Names.qualifiedNameProblems(key) { errors.invalid("\(place).key", .string(key), problem) } }
            if key.isEmpty, kind != "Exists" {
                errors.invalid(
                    "\(place).operator", .string(kind), "operator must be Exists when `key` is empty, which means \"match all values and all keys\"")
            }
            if toleration["tolerationSeconds"].int != nil, effect != "NoExecute" {
                errors.invalid("\(place).effect", .string(effect), "effect must be 'NoExecute' when `tolerationSeconds` is set")
            }
            switch kind {
            case "Equal", "":
                for problem in Names.labelValueProblems(value) { errors.invalid("\(place).operator", .string(value), problem) }
            case "Exists":
                if !value.isEmpty { errors.invalid("\(place).operator", toleration.value, "value must be empty when `operator` is 'Exists'") }
            default: errors.notSupported("\(place).operator", kind, ["Equal", "Exists"])
            }
            if !effect.isEmpty, !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(effect) {
                errors.notSupported("\(place).effect", effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"])
            }
        }
    }

    private func validateSpread(_ constraints: [JSONView], _ errors: inout FieldErrors) {
        for (index, constraint) in constraints.enumerated() {
            let place = "\(path).topologySpreadConstraints[\(index)]"
            let skew = constraint["maxSkew"].int ?? 0
            if skew <= 0 { errors.invalid("\(place).maxSkew", .int(skew), "must be greater than zero") }
            if (constraint["topologyKey"].string ?? "").isEmpty { errors.required("\(place).topologyKey", "can not be empty") }
            errors.oneOf("\(place).whenUnsatisfiable", constraint["whenUnsatisfiable"], ["DoNotSchedule", "ScheduleAnyway"], isRequired: true)
            if constraint["labelSelector"].present != nil { errors.labelSelector("\(place).labelSelector", constraint["labelSelector"]) }
            if let domains = constraint["minDomains"].int {
                if domains <= 0 { errors.invalid("\(place).minDomains", .int(domains), "must be greater than zero") }
                if constraint["whenUnsatisfiable"].string != "DoNotSchedule" {
                    errors.invalid(
                        "\(place).minDomains", .int(domains), "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway")
                }
            }
        }
    }

    private func validateSecurityContext(_ context: JSONView?, _ errors: inout FieldErrors) {
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            if let id = context[field].int, id < 0 || id > Int64(Int32.max) {
                errors.invalid("\(path).securityContext.\(field)", .int(id), "must be between 0 and 2147483647, inclusive")
            }
        }
        for (index, group) in context["supplementalGroups"].elements.enumerated() {
            if let id = group.int, id < 0 || id > Int64(Int32.max) {
                errors.invalid("\(path).securityContext.supplementalGroups[\(index)]", .int(id), "must be between 0 and 2147483647, inclusive")
            }
        }
    }
}
