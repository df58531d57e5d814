import KubeAPI

/// Fields of a pod that its containers may be told, in variables and files. Upstream: core/validation.validateObjectFieldSelector and
/// validateContainerResourceFieldSelector, core/pods.ConvertDownwardAPIFieldLabel.
enum DownwardFields {
    static let ofVariables = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
        "status.podIP", "status.podIPs",
    ]
    static let ofVolumes = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"]
    private static let known: Set<String> = Set(ofVariables).union(ofVolumes).union([
        "spec.restartPolicy", "spec.schedulerName", "status.phase",
    ])
    private static let resources = [
        "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory",
    ]
    private static let divisors: Set<String> = [
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ]

    static func object(_ selector: JSONView, _ path: String, _ expressions: [String], _ errors: inout FieldErrors) {
        guard let version = errors.requireText("\(path).apiVersion", selector["apiVersion"]),
            let field = errors.requireText("\(path).fieldPath", selector["fieldPath"])
        else { return }
        let (name, subscripted) = split(field)
        let label = name == "spec.host" ? "spec.nodeName" : name
        let problem = version != "v1" ? "unsupported pod version: \(version)" : known.contains(label) ? nil : "field label not supported: \(name)"
        if let problem { return errors.invalid("\(path).fieldPath", text: field, "error converting fieldPath: \(problem)") }
        if let subscripted {
            switch label {
            case "metadata.annotations": errors.qualifiedName(path, subscripted.lowercased())
            case "metadata.labels": errors.qualifiedName(path, subscripted)
            default: errors.invalid(path, text: label, "does not support subscript")
            }
        } else if !expressions.contains(label) {
            errors.notSupported("\(path).fieldPath", label, expressions)
        }
    }

    /// `metadata.labels['app']` as its path and its key. Upstream: fieldpath.SplitMaybeSubscriptedPath.
    private static func split(_ path: String) -> (String, String?) {
        guard path.hasSuffix("']"), let open = path.firstRange(of: "['"), open.lowerBound != path.startIndex else { return (path, nil) }
        return (String(path[..<open.lowerBound]), String(path[open.upperBound...].dropLast(2)))
    }

    static func resource(_ selector: JSONView, _ path: String, ofVolume: Bool, _ errors: inout FieldErrors) {
        let name = selector["resource"].text
        let isHugePage = name.hasPrefix("limits.hugepages-") || name.hasPrefix("requests.hugepages-")
        if ofVolume, selector["containerName"].text.isEmpty {
            errors.required("\(path).containerName")
        } else if name.isEmpty {
            errors.required("\(path).resource")
        } else if !resources.contains(name), !isHugePage {
            errors.notSupported("\(path).resource", name, resources)
        }
        guard let divisor = selector["divisor"].quantity, divisor.sign != 0 else { return }
        let isCPU = name.hasSuffix(".cpu")
        if isCPU ? ["1m", "1"].contains(divisor.description) : divisors.contains(divisor.description) { return }
        let kind: String
        switch name {
        case "limits.cpu", "requests.cpu":
            return errors.invalid("\(path).divisor", text: name, "only divisor's values 1m and 1 are supported with the cpu resource")
        case "limits.memory", "requests.memory": kind = "memory"
        case "limits.ephemeral-storage", "requests.ephemeral-storage": kind = "local ephemeral storage"
        default:
            guard isHugePage else { return }
            kind = "hugepages"
        }
        errors.invalid(
            "\(path).divisor", text: name,
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the \(kind) resource")
    }
}
