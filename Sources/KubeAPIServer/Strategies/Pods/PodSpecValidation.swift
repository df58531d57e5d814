import KubeAPI

/// The rules of a pod's spec, of a pod or in a template at `path`, in upstream's order. Upstream: core/validation.ValidatePodSpec.
struct PodSpecValidation {
    let path: String
    /// A pod itself, not a template of pods.
    var isPod = false
    /// The pod's name; empty in templates.
    var podName = ""

    static let restartPolicies = ["Always", "OnFailure", "Never"]
    static let dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]

    private func at(_ field: String) -> String { "\(path).\(field)" }

    func validate(_ spec: JSONView?, _ errors: inout FieldErrors) {
        guard let spec = spec.present else { return errors.required(at("containers")) }
        var pod = ContainerValidation.Pod()
        pod.volumes = PodVolumeValidation(path: path, isPod: isPod, podName: podName).validate(spec["volumes"].elements, &errors)
        pod.claims = resourceClaims(spec["resourceClaims"].elements, &errors)
        pod.restartPolicy = spec["restartPolicy"].text
        pod.gracePeriod = spec["terminationGracePeriodSeconds"].int
        pod.sharesHostUsers = spec["hostUsers"].bool ?? true
        pod.os = spec["os"]["name"].text
        containers(spec, pod, &errors)
        initContainers(spec, pod, &errors)
        ephemeralContainers(spec, pod, &errors)
        podResources(spec, pod, &errors)
        hostNetwork(spec, &errors)
        errors.oneOf(at("restartPolicy"), spec["restartPolicy"], Self.restartPolicies)
        errors.oneOf(at("dnsPolicy"), spec["dnsPolicy"], Self.dnsPolicies)
        errors.labels(at("nodeSelector"), spec["nodeSelector"])
        SecurityContextValidation(path: at("securityContext")).pod(spec["securityContext"], spec, &errors)
        let scheduling = PodSchedulingValidation(path: path)
        scheduling.affinity(spec["affinity"], &errors)
        dns(spec, &errors)
        for (index, gate) in spec["readinessGates"].elements.enumerated() {
            errors.qualifiedName(at("readinessGates[\(index)].conditionType"), gate["conditionType"].text)
        }
        scheduling.gates(spec["schedulingGates"].elements, &errors)
        scheduling.spread(spec["topologySpreadConstraints"].elements, &errors)
        PodPlatformValidation(path: path).hostProcesses(spec, &errors)
        hostUsers(spec, &errors)
        names(spec, &errors)
        scheduling.tolerations(spec["tolerations"].elements, &errors)
        for (index, alias) in spec["hostAliases"].elements.enumerated() {
            errors.invalid(at("hostAliases[\(index)].ip"), alias["ip"].text, AddressRules.legacyProblems(alias["ip"].text))
            for (place, name) in alias["hostnames"].strings.enumerated() {
                errors.name(at("hostAliases[\(index)].hostnames[\(place)]"), name, .dnsSubdomain)
            }
        }
        errors.optionalName(at("priorityClassName"), spec["priorityClassName"], .dnsSubdomain)
        if let name = spec["runtimeClassName"].string { errors.name(at("runtimeClassName"), name, .dnsSubdomain) }
        errors.oneOf(at("preemptionPolicy"), spec["preemptionPolicy"], ["PreemptLowerPriority", "Never"])
        overhead(spec["overhead"], &errors)
        PodPlatformValidation(path: path).os(spec, &errors)
        if isPod { onlyOfPods(spec, &errors) }
    }

    /// What templates may have and pods not. Upstream: core/validation.validatePodMetadataAndSpec, validateContainersOnlyForPod.
    private func onlyOfPods(_ spec: JSONView, _ errors: inout FieldErrors) {
        if spec["serviceAccountName"].text.isEmpty {
            for (index, volume) in spec["volumes"].elements.enumerated() {
                for (place, source) in volume["projected"]["sources"].elements.enumerated() where source["serviceAccountToken"].present != nil {
                    errors.forbidden(
                        at("volumes[\(index)].projected.sources[\(place)].serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set")
                }
            }
        }
        for list in ["containers", "initContainers"] {
            for (index, container) in spec[list].elements.enumerated() { Self.trimmed(container, at("\(list)[\(index)]"), &errors) }
        }
    }

    /// Upstream: core/validation.validateContainerOnlyForPod.
    static func trimmed(_ container: JSONView, _ place: @autoclosure () -> String, _ errors: inout FieldErrors) {
        let image = container["image"].text
        if image.first?.isWhitespace == true || image.last?.isWhitespace == true {
            errors.invalid("\(place()).image", text: image, "must not have leading or trailing whitespace")
        }
    }

    // MARK: Containers

    private func containers(_ spec: JSONView, _ pod: ContainerValidation.Pod, _ errors: inout FieldErrors) {
        let containers = spec["containers"].elements
        if containers.isEmpty { return errors.required(at("containers")) }
        var names: Set<String> = []
        for (index, container) in containers.enumerated() {
            let rules = ContainerValidation(path: at("containers[\(index)]"), kind: .regular, pod: pod)
            rules.validate(container, &errors)
            if !names.insert(container["name"].text).inserted { errors.duplicate("\(rules.path).name", .string(container["name"].text)) }
            rules.validateLifecycle(container, &errors)
        }
        var ports: Set<String> = []
        for (index, container) in containers.enumerated() { hostPorts(container, at("containers[\(index)]"), &ports, &errors) }
    }

    private func initContainers(_ spec: JSONView, _ pod: ContainerValidation.Pod, _ errors: inout FieldErrors) {
        let containers = spec["initContainers"].elements
        guard !containers.isEmpty else { return }
        var names = Set(spec["containers"].elements.map { $0["name"].text })
        for (index, container) in containers.enumerated() {
            let rules = ContainerValidation(path: at("initContainers[\(index)]"), kind: .initial, pod: pod)
            rules.validate(container, &errors)
            let name = container["name"].text
            if !name.isEmpty, !names.insert(name).inserted { errors.duplicate("\(rules.path).name", .string(name)) }
            // They run one after the other, so each may have the same ports.
            var ports: Set<String> = []
            hostPorts(container, rules.path, &ports, &errors)
            rules.validateLifecycle(container, &errors)
        }
    }

    private func hostPorts(_ container: JSONView, _ place: String, _ ports: inout Set<String>, _ errors: inout FieldErrors) {
        for (index, port) in container["ports"].elements.enumerated() {
            guard let number = port["hostPort"].int, number != 0 else { continue }
            let key = "\(port["protocol"].text)/\(port["hostIP"].text)/\(number)"
            if !ports.insert(key).inserted { errors.duplicate("\(place).ports[\(index)].hostPort", .string(key)) }
        }
    }

    /// Fields an ephemeral container has none of. Upstream: allowedEphemeralContainerFields, the others.
    private static let notEphemeral = [
        "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
    ]

    /// Upstream: core/validation.validateEphemeralContainers.
    private func ephemeralContainers(_ spec: JSONView, _ pod: ContainerValidation.Pod, _ errors: inout FieldErrors) {
        let containers = spec["ephemeralContainers"].elements
        guard !containers.isEmpty else { return }
        let others = Set((spec["containers"].elements + spec["initContainers"].elements).map { $0["name"].text })
        var names = others
        for (index, container) in containers.enumerated() {
            let rules = ContainerValidation(path: at("ephemeralContainers[\(index)]"), kind: .ephemeral, pod: pod)
            rules.validate(container, &errors)
            Self.trimmed(container, rules.path, &errors)
            let name = container["name"].text
            if !names.insert(name).inserted { errors.duplicate("\(rules.path).name", .string(name)) }
            let target = container["targetContainerName"].text
            if !target.isEmpty, !others.contains(target) { errors.notFound("\(rules.path).targetContainerName", target) }
            for field in Self.notEphemeral where (container[field]?.value.pruned ?? .null) != .null {
                errors.forbidden("\(rules.path).\(field)", "cannot be set for an Ephemeral Container")
            }
            for (place, mount) in container["volumeMounts"].elements.enumerated() {
                for field in ["subPath", "subPathExpr"] where !mount[field].text.isEmpty {
                    errors.forbidden("\(rules.path).volumeMounts[\(place)].\(field)", "cannot be set for an Ephemeral Container")
                }
            }
        }
    }

    // MARK: Resources

    private func resourceClaims(_ claims: [JSONView], _ errors: inout FieldErrors) -> Set<String> {
        var names: Set<String> = []
        for (index, claim) in claims.enumerated() {
            let place = at("resourceClaims[\(index)]")
            let name = claim["name"].text
            if name.isEmpty {
                errors.required("\(place).name")
            } else if names.contains(name) {
                errors.duplicate("\(place).name", .string(name))
            } else {
                errors.name("\(place).name", name, .dnsLabel)
                names.insert(name)
            }
            let direct = claim["resourceClaimName"].string
            let template = claim["resourceClaimTemplateName"].string
            if direct != nil, template != nil {
                errors.invalid(place, claim.value, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
            }
            if direct == nil, template == nil {
                errors.invalid(place, claim.value, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
            }
            if let direct { errors.name("\(place).resourceClaimName", direct, .dnsSubdomain) }
            if let template { errors.name("\(place).resourceClaimTemplateName", template, .dnsSubdomain) }
        }
        return names
    }

    /// Resources of the pod as a whole. Upstream: core/validation.validatePodResources.
    private func podResources(_ spec: JSONView, _ pod: ContainerValidation.Pod, _ errors: inout FieldErrors) {
        guard let resources = spec["resources"].present, resources.members.hasNext else { return }
        if resources["claims"].present != nil { errors.forbidden(at("resources.claims"), "claims cannot be set for Resources at pod-level") }
        ResourceRules.requirements(at("resources"), resources, claims: pod.claims, scope: .pod, &errors)
        let requests = resources["requests"].resourceList
        for (name, asked) in PodRequests.ofContainers(spec).sorted(by: { $0.key < $1.key }) {
            let own = requests[name] ?? .zero
            if asked > own {
                errors.invalid(
                    at("resources.requests[\(name)]"), text: own.description,
                    "must be greater than or equal to aggregate container requests of \(asked)")
            }
        }
        let limits = resources["limits"].resourceList
        for (index, container) in spec["containers"].elements.enumerated() {
            for (name, limit) in container["resources"]["limits"].resourceList {
                guard let own = limits[name], limit > own else { continue }
                errors.invalid(
                    at("resources.containers[\(index)][\(name)].limits"), text: limit.description,
                    "must be less than or equal to pod limits of \(own)")
            }
        }
    }

    private func overhead(_ overhead: JSONView?, _ errors: inout FieldErrors) {
        for (name, value) in overhead?.members.map({ $0 }) ?? [] {
            let place = at("overhead.limits[\(name)]")
            ResourceRules.containerName(place, name, &errors)
            ResourceRules.quantity(place, name, value, &errors)
        }
    }

    // MARK: The pod on its node

    private func hostNetwork(_ spec: JSONView, _ errors: inout FieldErrors) {
        guard spec["hostNetwork"].bool == true else { return }
        for (index, container) in spec["containers"].elements.enumerated() {
            for (place, port) in container["ports"].elements.enumerated() {
                let host = port["hostPort"].int ?? 0
                if isPod || host != 0, host != port["containerPort"].int ?? 0 {
                    errors.invalid(
                        at("containers[\(index)].ports[\(place)].hostPort"), .int(host), "must match `containerPort` when `hostNetwork` is true")
                }
            }
        }
    }

    private func hostUsers(_ spec: JSONView, _ errors: inout FieldErrors) {
        guard spec["hostUsers"].bool == false else { return }
        for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] where spec[field].bool == true {
            errors.forbidden(at(shown), "when `pod.Spec.HostUsers` is false")
        }
    }

    private func names(_ spec: JSONView, _ errors: inout FieldErrors) {
        errors.optionalName(at("serviceAccountName"), spec["serviceAccountName"], .dnsSubdomain)
        errors.optionalName(at("nodeName"), spec["nodeName"], .dnsSubdomain)
        errors.range(at("activeDeadlineSeconds"), spec["activeDeadlineSeconds"], 1...Int64(Int32.max))
        errors.optionalName(at("hostname"), spec["hostname"], .dnsLabel)
        errors.optionalName(at("subdomain"), spec["subdomain"], .dnsLabel)
        guard let name = spec["hostnameOverride"].string else { return }
        errors.name(at("hostnameOverride"), name, .dnsSubdomain)
        if name.utf8.count > 64 { errors.tooLong(at("hostnameOverride"), maximum: 64) }
    }

    // MARK: DNS. Upstream: MaxDNSNameservers, MaxDNSSearchPaths, MaxDNSSearchListChars: what the libc's resolver takes.

    private static let maximumNameservers = 3
    private static let maximumSearches = 32
    private static let maximumSearchBytes = 2048

    private func dns(_ spec: JSONView, _ errors: inout FieldErrors) {
        let config = spec["dnsConfig"].present
        let servers = config["nameservers"].strings
        if spec["dnsPolicy"].string == "None" {
            if config == nil { return errors.required(at("dnsConfig"), "must provide `dnsConfig` when `dnsPolicy` is None") }
            if servers.isEmpty {
                return errors.required(at("dnsConfig.nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")
            }
        }
        guard let config else { return }
        if servers.count > Self.maximumNameservers {
            errors.invalid(at("dnsConfig.nameservers"), Value(servers), "must not have more than \(Self.maximumNameservers) nameservers")
        }
        for (index, server) in servers.enumerated() {
            errors.invalid(at("dnsConfig.nameservers[\(index)]"), server, AddressRules.legacyProblems(server))
        }
        let searches = config["searches"].strings
        if searches.count > Self.maximumSearches {
            errors.invalid(at("dnsConfig.searches"), Value(searches), "must not have more than \(Self.maximumSearches) search paths")
        }
        if searches.reduce(searches.count - 1, { $0 + $1.utf8.count }) > Self.maximumSearchBytes {
            errors.invalid(
                at("dnsConfig.searches"), Value(searches),
                "must not have more than \(Self.maximumSearchBytes) characters (including spaces) in the search list")
        }
        for (index, search) in searches.enumerated() where search != "." {
            let name = search.hasSuffix(".") ? String(search.dropLast()) : search
            errors.invalid(at("dnsConfig.searches[\(index)]"), name, DomainRules.underscoreProblems(name))
        }
        for (index, option) in config["options"].elements.enumerated() where option["name"].text.isEmpty {
            errors.required(at("dnsConfig.options[\(index)]"), "must not be empty")
        }
    }
}

/// What a pod's containers ask for together. Upstream: resourcehelper.AggregateContainerRequests.
enum PodRequests {
    static func ofContainers(_ spec: JSONView) -> ResourceList {
        var sum: ResourceList = [:]
        for container in spec["containers"].elements {
            for (name, quantity) in container["resources"]["requests"].resourceList { sum[name] = (sum[name] ?? .zero) + quantity }
        }
        var sidecars: ResourceList = [:]
        var largest: ResourceList = [:]
        for container in spec["initContainers"].elements {
            var own = container["resources"]["requests"].resourceList
            if container["restartPolicy"].string == "Always" {
                for (name, quantity) in own {
                    sum[name] = (sum[name] ?? .zero) + quantity
                    sidecars[name] = (sidecars[name] ?? .zero) + quantity
                }
                own = sidecars
            } else {
                // It runs beside the sidecars that came before it.
                for (name, quantity) in sidecars { own[name] = (own[name] ?? .zero) + quantity }
            }
            for (name, quantity) in own where quantity > largest[name] ?? .zero { largest[name] = quantity }
        }
        for (name, quantity) in largest where quantity > sum[name] ?? .zero { sum[name] = quantity }
        return sum
    }
}
