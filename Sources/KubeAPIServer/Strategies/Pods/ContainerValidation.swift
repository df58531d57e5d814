import KubeAPI

/// The rules of one container at `path`. Upstream: core/validation.validateContainerCommon.
struct ContainerValidation {
    let path: String
    let isInit: Bool
    let hostNetwork: Bool

    func validate(_ container: JSONView, _ volumes: PodVolumeValidation.Names, _ errors: inout FieldErrors) {
        PodSpecValidation(path: path).validateImage(container["image"], "\(path).image", &errors)
        errors.oneOf("\(path).imagePullPolicy", container["imagePullPolicy"], ["Always", "IfNotPresent", "Never"])
        errors.oneOf("\(path).terminationMessagePolicy", container["terminationMessagePolicy"], ["File", "FallbackToLogsOnError"])
        ports(container["ports"].elements, &errors)
        environment(container, &errors)
        mounts(container, volumes, &errors)
        ResourceValidation(path: "\(path).resources").validate(container["resources"], &errors)
        let isSidecar = isInit && container["restartPolicy"].string == "Always"
        if isInit, let policy = container["restartPolicy"].string, policy != "Always" {
            errors.notSupported("\(path).restartPolicy", policy, ["Always"])
        }
        for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
            guard let probe = container[kind].present else { continue }
            if isInit, !isSidecar { errors.forbidden("\(path).\(kind)", "may not be set for init containers without restartPolicy=Always") }
            self.probe(probe, "\(path).\(kind)", mustSucceedOnce: kind != "readinessProbe", &errors)
        }
        if let lifecycle = container["lifecycle"].present {
            if isInit, !isSidecar { errors.forbidden("\(path).lifecycle", "may not be set for init containers without restartPolicy=Always") }
            for hook in ["postStart", "preStop"] {
                if let handler = lifecycle[hook].present {
                    self.handler(handler, "\(path).lifecycle.\(hook)", ["exec", "httpGet", "tcpSocket", "sleep"], &errors)
                }
            }
        }
        if container["securityContext"]["privileged"].bool == true, container["securityContext"]["allowPrivilegeEscalation"].bool == false {
            errors.invalid(
                "\(path).securityContext", container["securityContext"].value ?? .null,
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        }
        for field in ["runAsUser", "runAsGroup"] {
            if let id = container["securityContext"][field].int, id < 0 || id > Int64(Int32.max) {
                errors.invalid("\(path).securityContext.\(field)", .int(id), "must be between 0 and 2147483647, inclusive")
            }
        }
    }

    private func ports(_ ports: [JSONView], _ errors: inout FieldErrors) {
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let place = "\(path).ports[\(index)]"
            if let name = port["name"].string, !name.isEmpty {
                for problem in PortNames.problems(name) { errors.invalid("\(place).name", .string(name), problem) }
                if !names.insert(name).inserted { errors.duplicate("\(place).name", .string(name)) }
            }
            let number = port["containerPort"].int ?? 0
            if number == 0 { errors.required("\(place).containerPort") } else { errors.port("\(place).containerPort", number) }
            if let host = port["hostPort"].int, host != 0 { errors.port("\(place).hostPort", host) }
            errors.oneOf("\(place).protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
        }
    }

    private func environment(_ container: JSONView, _ errors: inout FieldErrors) {
        for (index, variable) in container["env"].elements.enumerated() {
            let place = "\(path).env[\(index)]"
            let name = variable["name"].string ?? ""
            if name.isEmpty { errors.required("\(place).name") } else { environmentName(name, "\(place).name", &errors) }
            guard let source = variable["valueFrom"].present else { continue }
            if !(variable["value"].string ?? "").isEmpty {
                errors.invalid("\(place).valueFrom", "", "may not be specified when `value` is not empty")
            }
            let kinds = source.members.filter { !$0.value.isNull }.map(\.key)
            if kinds.isEmpty {
                errors.invalid(
                    "\(place).valueFrom", "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
                )
            } else if kinds.count > 1 {
                errors.invalid("\(place).valueFrom", "", "may not have more than one field specified at a time")
            }
            for kind in ["configMapKeyRef", "secretKeyRef"] {
                guard let key = source[kind].present else { continue }
                if (key["key"]?.string ?? "").isEmpty { errors.required("\(place).valueFrom.\(kind).key") }
            }
            if let field = source["fieldRef"].present, (field["fieldPath"]?.string ?? "").isEmpty {
                errors.required("\(place).valueFrom.fieldRef.fieldPath")
            }
        }
        for (index, source) in container["envFrom"].elements.enumerated() {
            let place = "\(path).envFrom[\(index)]"
            let kinds = ["configMapRef", "secretRef"].filter { source[$0].present != nil }
            if kinds.isEmpty { errors.invalid(place, "", "must specify one of: `configMapRef` or `secretRef`") }
            if kinds.count > 1 { errors.invalid(place, "", "may not have more than one field specified at a time") }
            for kind in kinds where (source[kind]["name"].string ?? "").isEmpty { errors.required("\(place).\(kind).name") }
            if let prefix = source["prefix"].string, !prefix.isEmpty { environmentName(prefix, "\(place).prefix", &errors) }
        }
    }

    /// Upstream: validation.IsRelaxedEnvVarName.
    private func environmentName(_ name: String, _ field: String, _ errors: inout FieldErrors) {
        if !name.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "=") }) {
            errors.invalid(
                field, .string(name), "a valid environment variable name must consist only of printable ASCII characters other than '='")
        }
    }

    private func mounts(_ container: JSONView, _ volumes: PodVolumeValidation.Names, _ errors: inout FieldErrors) {
        var paths: Set<String> = []
        for (index, mount) in container["volumeMounts"].elements.enumerated() {
            let place = "\(path).volumeMounts[\(index)]"
            let name = mount["name"].string ?? ""
            if name.isEmpty { errors.required("\(place).name") }
            if !name.isEmpty, !volumes.all.contains(name) { errors.notFound("\(place).name", name) }
            let target = mount["mountPath"].string ?? ""
            if target.isEmpty { errors.required("\(place).mountPath") }
            if !target.isEmpty, !paths.insert(target).inserted { errors.invalid("\(place).mountPath", .string(target), "must be unique") }
            if let sub = mount["subPath"].string, !sub.isEmpty { PathRule.localDescending(sub, "\(place).subPath", &errors) }
            if let expression = mount["subPathExpr"].string, !expression.isEmpty {
                if !(mount["subPath"].string ?? "").isEmpty {
                    errors.invalid("\(place).subPathExpr", .string(expression), "subPathExpr and subPath are mutually exclusive")
                }
                PathRule.localDescending(expression, "\(place).subPathExpr", &errors)
            }
            if let propagation = mount["mountPropagation"].string, !propagation.isEmpty {
                let supported = ["Bidirectional", "HostToContainer", "None"]
                if !supported.contains(propagation) { errors.notSupported("\(place).mountPropagation", propagation, supported) }
                if propagation == "Bidirectional", container["securityContext"]["privileged"].bool != true {
                    errors.forbidden("\(place).mountPropagation", "Bidirectional mount propagation is available only to privileged containers")
                }
            }
        }
        for (index, device) in container["volumeDevices"].elements.enumerated() {
            let place = "\(path).volumeDevices[\(index)]"
            let name = device["name"].string ?? ""
            if name.isEmpty {
                errors.required("\(place).name")
            } else if !volumes.all.contains(name) {
                errors.notFound("\(place).name", name)
            } else if !volumes.claims.contains(name) {
                errors.invalid("\(place).name", .string(name), "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
            }
            if (device["devicePath"].string ?? "").isEmpty { errors.required("\(place).devicePath") }
        }
    }

    private func probe(_ probe: JSONView, _ place: String, mustSucceedOnce: Bool, _ errors: inout FieldErrors) {
        handler(probe, place, ["exec", "httpGet", "tcpSocket", "grpc"], &errors)
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
            errors.nonnegative("\(place).\(field)", probe[field])
        }
        if mustSucceedOnce, let threshold = probe["successThreshold"].int, threshold != 1, threshold != 0 {
            errors.invalid("\(place).successThreshold", .int(threshold), "must be 1")
        }
        if let grace = probe["terminationGracePeriodSeconds"].int {
            if place.hasSuffix("readinessProbe") {
                errors.invalid("\(place).terminationGracePeriodSeconds", .int(grace), "must not be set for readinessProbes")
            } else if grace <= 0 {
                errors.invalid("\(place).terminationGracePeriodSeconds", .int(grace), "must be greater than 0")
            }
        }
    }

    private func handler(_ handler: JSONView, _ place: String, _ kinds: [String], _ errors: inout FieldErrors) {
        let present = kinds.filter { handler[$0].present != nil }
        if present.isEmpty { errors.required(place, "must specify a handler type") }
        for extra in present.dropFirst() { errors.forbidden("\(place).\(extra)", "may not specify more than 1 handler type") }
        for kind in present {
            switch kind {
            case "exec": if handler[kind]["command"].strings.isEmpty { errors.required("\(place).exec.command") }
            case "httpGet":
                portOrName(handler[kind]["port"], "\(place).httpGet.port", &errors)
                errors.oneOf("\(place).httpGet.scheme", handler[kind]["scheme"], ["HTTP", "HTTPS"])
            case "tcpSocket": portOrName(handler[kind]["port"], "\(place).tcpSocket.port", &errors)
            case "grpc": errors.port("\(place).grpc.port", handler[kind]["port"].int ?? 0)
            default: break
            }
        }
    }

    private func portOrName(_ view: JSONView?, _ field: String, _ errors: inout FieldErrors) {
        if let name = view.string {
            for problem in PortNames.problems(name) { errors.invalid(field, .string(name), problem) }
        } else {
            errors.port(field, view.int ?? 0)
        }
    }
}

/// Upstream: validation.IsValidPortName.
enum PortNames {
    static func problems(_ name: String) -> [String] {
        let bytes = Array(name.utf8)
        var problems: [String] = []
        if bytes.count > 15 { problems.append("must be no more than 15 bytes") }
        func isLetter(_ c: UInt8) -> Bool { c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z") }
        func isDigit(_ c: UInt8) -> Bool { c >= UInt8(ascii: "0") && c <= UInt8(ascii: "9") }
        let dash = UInt8(ascii: "-")
        if !bytes.allSatisfy({ isLetter($0) || isDigit($0) || $0 == dash }) || bytes.isEmpty {
            problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !bytes.contains(where: isLetter) { problems.append("must contain at least one letter (a-z)") }
        if zip(bytes, bytes.dropFirst()).contains(where: { $0 == dash && $1 == dash }) { problems.append("must not contain consecutive hyphens") }
        if bytes.first == dash || bytes.last == dash { problems.append("must not begin or end with a hyphen") }
        return problems
    }
}

/// Requests and limits. Upstream: core/validation.ValidateContainerResourceRequirements.
struct ResourceValidation {
    let path: String

    private static let standard: Set<String> = ["cpu", "memory", "ephemeral-storage"]

    func validate(_ resources: JSONView?, _ errors: inout FieldErrors) {
        let limits = list(resources["limits"], "\(path).limits", &errors)
        let requests = list(resources["requests"], "\(path).requests", &errors)
        for (name, request) in requests.sorted(by: { $0.key < $1.key }) {
            guard let limit = limits[name] else {
                if isIndivisible(name) { errors.required("\(path).limits", "Limit must be set for non overcommitable resources") }
                continue
            }
            if isIndivisible(name), limit != request {
                errors.invalid("\(path).requests", .string(request.description), "must be equal to \(name) limit of \(limit)")
            } else if request > limit {
                errors.invalid("\(path).requests", .string(request.description), "must be less than or equal to \(name) limit of \(limit)")
            }
        }
    }

    /// Huge pages and extended resources cannot be promised twice.
    private func isIndivisible(_ name: String) -> Bool { !Self.standard.contains(name) }

    private func list(_ view: JSONView?, _ place: String, _ errors: inout FieldErrors) -> ResourceList {
        for (name, value) in view?.members.map({ $0 }) ?? [] {
            if !name.contains("/"), !Self.standard.contains(name), !name.hasPrefix("hugepages-") {
                errors.invalid("\(place)[\(name)]", .string(name), "must be a standard resource type or fully qualified")
                errors.invalid("\(place)[\(name)]", .string(name), "must be a standard resource for containers")
            } else {
                for problem in Names.qualifiedNameProblems(name) { errors.invalid("\(place)[\(name)]", .string(name), problem) }
            }
            guard let quantity = value.quantity else { continue }
            if quantity.sign < 0 { errors.invalid("\(place)[\(name)]", .string(quantity.description), "must be greater than or equal to 0") }
            if name.contains("/"), quantity != Quantity(quantity.value) {
                errors.invalid("\(place)[\(name)]", .string(quantity.description), "must be an integer")
            }
        }
        return view.resourceList
    }
}
