import KubeAPI

/// The rules of one container at `path`. Upstream: core/validation.validateContainerCommon, validateContainers, validateInitContainers.
struct ContainerValidation {
    enum Kind { case regular, initial, ephemeral }

    /// What a container's rules need to know of its pod.
    struct Pod {
        var volumes = PodVolumeValidation.Known()
        var claims: Set<String> = []
        var restartPolicy = ""
        /// Nil where the pod's own value is wrong.
        var gracePeriod: Int64?
        var sharesHostUsers = true
        /// Empty: the pod does not say.
        var os = ""
    }

    let path: String
    let kind: Kind
    let pod: Pod

    static let pullPolicies = ["Always", "IfNotPresent", "Never"]
    static let protocols = ["SCTP", "TCP", "UDP"]
    /// Upstream: maxContainerRestartRules, and the exit codes of one.
    static let maximumRestartRules = 20
    static let maximumExitCodes = 255

    private func at(_ field: String) -> String { "\(path).\(field)" }

    func validate(_ container: JSONView, _ errors: inout FieldErrors) {
        errors.requiredName(at("name"), container["name"], .dnsLabel)
        errors.requireText(at("image"), container["image"])
        errors.oneOf(at("terminationMessagePolicy"), container["terminationMessagePolicy"], ["File", "FallbackToLogsOnError"])
        ports(container["ports"].elements, &errors)
        ContainerEnvironment(path: path).validate(container, &errors)
        ContainerMounts(path: path, volumes: pod.volumes).validate(container, &errors)
        errors.oneOf(at("imagePullPolicy"), container["imagePullPolicy"], Self.pullPolicies)
        ResourceRules.requirements(at("resources"), container["resources"], claims: pod.claims, &errors)
        resizePolicy(container["resizePolicy"].elements, &errors)
        SecurityContextValidation(path: at("securityContext")).container(
            container["securityContext"], sharesHostUsers: pod.sharesHostUsers, &errors)
        restartRules(container, &errors)
    }

    /// Hooks and probes, and who may have none. Run after the name was compared with other containers' names, as upstream orders its errors.
    func validateLifecycle(_ container: JSONView, _ errors: inout FieldErrors) {
        let handlers = HandlerValidation(gracePeriod: pod.gracePeriod)
        let isSidecar = kind == .initial && container["restartPolicy"].string == "Always"
        if kind == .initial, !isSidecar {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] where container[field].present != nil {
                errors.forbidden(at(field), "may not be set for init containers without restartPolicy=Always")
            }
            return
        }
        if let lifecycle = container["lifecycle"].present {
            for hook in ["postStart", "preStop"] {
                if let handler = lifecycle[hook].present { handlers.handler(handler, at("lifecycle.\(hook)"), HandlerValidation.hooks, &errors) }
            }
            stopSignal(lifecycle["stopSignal"], &errors)
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let view = container[probe].present { handlers.probe(view, at(probe), kind: probe, &errors) }
        }
    }

    private func stopSignal(_ signal: JSONView?, _ errors: inout FieldErrors) {
        guard let signal = signal.string, !signal.isEmpty else { return }
        switch pod.os {
        case "": errors.forbidden(at("lifecycle.stopSignal"), "may not be set for containers with empty `spec.os.name`")
        case "windows":
            if !["SIGKILL", "SIGTERM"].contains(signal) {
                errors.notSupported(at("lifecycle.stopSignal"), signal, ["SIGKILL", "SIGTERM"])
            }
        default: break
        }
    }

    private func ports(_ ports: [JSONView], _ errors: inout FieldErrors) {
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let place = at("ports[\(index)]")
            if let name = port["name"].string, !name.isEmpty {
                let problems = PortNames.problems(name)
                if !problems.isEmpty {
                    errors.invalid("\(place).name", name, problems)
                } else if !names.insert(name).inserted {
                    errors.duplicate("\(place).name", .string(name))
                }
            }
            let number = port["containerPort"].int ?? 0
            if number == 0 { errors.required("\(place).containerPort") } else { errors.port("\(place).containerPort", number) }
            if let host = port["hostPort"].int, host != 0 { errors.port("\(place).hostPort", host) }
            errors.oneOf("\(place).protocol", port["protocol"], Self.protocols)
        }
    }

    /// Upstream: core/validation.validateResizePolicy; most of its paths are those of the list.
    private func resizePolicy(_ policies: [JSONView], _ errors: inout FieldErrors) {
        var seen: Set<String> = []
        for (index, policy) in policies.enumerated() {
            let field = at("resizePolicy")
            let resource = policy["resourceName"].text
            if !seen.insert(resource).inserted { errors.duplicate("\(field)[\(index)]", .string(resource)) }
            errors.oneOf(field, policy["resourceName"], ["cpu", "memory"], isRequired: true)
            errors.oneOf(field, policy["restartPolicy"], ["NotRequired", "RestartContainer"], isRequired: true)
            if pod.restartPolicy == "Never", policy["restartPolicy"].text != "NotRequired" {
                errors.invalid(field, text: policy["restartPolicy"].text, "must be 'NotRequired' when `restartPolicy` is 'Never'")
            }
        }
    }

    /// Upstream: core/validation.validateContainerRestartPolicy.
    private func restartRules(_ container: JSONView, _ errors: inout FieldErrors) {
        let rules = container["restartPolicyRules"].elements
        if kind == .ephemeral { return }
        errors.oneOf(at("restartPolicy"), container["restartPolicy"], ["Always", "Never", "OnFailure"])
        guard !rules.isEmpty else { return }
        if container["restartPolicy"].text.isEmpty {
            errors.required(at("restartPolicy"), "must specify restartPolicy when restart rules are used")
        }
        if rules.count > Self.maximumRestartRules { errors.tooLong(at("restartPolicyRules"), maximum: Self.maximumRestartRules) }
        for (index, rule) in rules.enumerated() {
            let place = at("restartPolicyRules[\(index)]")
            let action = rule["action"].text
            if !["Restart", "RestartAllContainers"].contains(action) {
                errors.notSupported("\(place).action", action, ["Restart", "RestartAllContainers"])
            }
            guard let codes = rule["exitCodes"].present else {
                errors.required("\(place).exitCodes", "must be specified")
                continue
            }
            let operation = codes["operator"].text
            if !["In", "NotIn"].contains(operation) { errors.notSupported("\(place).exitCodes.operator", operation, ["In", "NotIn"]) }
            if codes["values"].elements.count > Self.maximumExitCodes {
                errors.tooLong("\(place).exitCodes.values", maximum: Self.maximumExitCodes)
            }
        }
    }
}

/// Probes and what they and hooks do. Upstream: core/validation.validateProbe, validateHandler.
struct HandlerValidation {
    let gracePeriod: Int64?

    static let hooks = ["exec", "httpGet", "tcpSocket", "sleep"]
    private static let checks = ["exec", "httpGet", "tcpSocket", "grpc"]

    func probe(_ probe: JSONView, _ place: String, kind: String, _ errors: inout FieldErrors) {
        handler(probe, place, Self.checks, &errors)
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
            errors.nonnegative("\(place).\(field)", probe[field])
        }
        let grace = probe["terminationGracePeriodSeconds"].int
        if let grace, grace <= 0 { errors.invalid("\(place).terminationGracePeriodSeconds", .int(grace), "must be greater than 0") }
        if kind == "readinessProbe" {
            if let grace { errors.invalid("\(place).terminationGracePeriodSeconds", .int(grace), "must not be set for readinessProbes") }
        } else if let threshold = probe["successThreshold"].int, threshold != 1 {
            errors.invalid("\(place).successThreshold", .int(threshold), "must be 1")
        }
    }

    func handler(_ handler: JSONView, _ place: String, _ kinds: [String], _ errors: inout FieldErrors) {
        var found = false
        for kind in kinds {
            guard let action = handler[kind].present else { continue }
            if found {
                errors.forbidden("\(place).\(kind)", "may not specify more than 1 handler type")
                continue
            }
            found = true
            switch kind {
            case "exec": if action["command"].strings.isEmpty { errors.required("\(place).exec.command") }
            case "httpGet": httpGet(action, "\(place).httpGet", &errors)
            case "tcpSocket": errors.portOrName("\(place).tcpSocket.port", action["port"])
            case "grpc": errors.port("\(place).grpc.port", action["port"].int ?? 0)
            default:
                let seconds = action["seconds"].int ?? 0
                if let gracePeriod, seconds < 0 || seconds > gracePeriod {
                    errors.invalid(
                        "\(place).sleep", .int(seconds), "must be non-negative and less than terminationGracePeriodSeconds (\(gracePeriod))")
                }
            }
        }
        if !found { errors.required(place, "must specify a handler type") }
    }

    private func httpGet(_ action: JSONView, _ place: String, _ errors: inout FieldErrors) {
        errors.portOrName("\(place).port", action["port"])
        errors.oneOf("\(place).scheme", action["scheme"], ["HTTP", "HTTPS"])
        for header in action["httpHeaders"].elements {
            let name = header["name"].text
            let isWellFormed =
                !name.isEmpty
                && name.utf8.allSatisfy { c in
                    let letter = c | 0x20
                    return (letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")) || (c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9"))
                        || c == UInt8(ascii: "-")
                }
            if !isWellFormed {
                errors.invalid(
                    "\(place).httpHeaders", text: name,
                    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
                        + "regex used for validation is '[-A-Za-z0-9]+')"
                )
            }
        }
    }
}

/// Upstream: validation.IsValidPortName.
enum PortNames {
    static func problems(_ name: String) -> [String] {
        let bytes = name.utf8
        var problems: [String] = []
        if bytes.count > 15 { problems.append("must be no more than 15 bytes") }
        func isLetter(_ c: UInt8) -> Bool { c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z") }
        func isDigit(_ c: UInt8) -> Bool { c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9") }
        let dash = UInt8(ascii: "-")
        if bytes.isEmpty || !bytes.allSatisfy({ isLetter($0) || isDigit($0) || $0 == dash }) {
            problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !bytes.contains(where: isLetter) { problems.append("must contain at least one letter (a-z)") }
        if zip(bytes, bytes.dropFirst()).contains(where: { $0 == dash && $1 == dash }) { problems.append("must not contain consecutive hyphens") }
        if bytes.first == dash || bytes.last == dash { problems.append("must not begin or end with a hyphen") }
        return problems
    }
}
