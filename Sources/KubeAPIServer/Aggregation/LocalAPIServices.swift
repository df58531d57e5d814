import KubeAPI

/// The APIServices of what this server answers itself. Upstream: apiVersionPriorities of cmd/kube-apiserver with autoregister.
enum LocalAPIServices {
    static let managedLabel = "kube-aggregator.kubernetes.io/automanaged"

    /// Group priorities with the priorities of their versions.
    private static let priorities: [(group: String, priority: Int64, versions: [(String, Int64)])] = [
        ("", 18000, [("v1", 1)]), ("apps", 17800, [("v1", 15)]), ("events.k8s.io", 17750, [("v1", 15)]),
        ("authentication.k8s.io", 17700, [("v1", 15)]), ("authorization.k8s.io", 17600, [("v1", 15)]),
        ("autoscaling", 17500, [("v1", 15), ("v2", 30)]), ("batch", 17400, [("v1", 15)]), ("certificates.k8s.io", 17300, [("v1", 15)]),
        ("networking.k8s.io", 17200, [("v1", 15)]), ("policy", 17100, [("v1", 15)]), ("rbac.authorization.k8s.io", 17000, [("v1", 15)]),
        ("storage.k8s.io", 16800, [("v1", 15)]), ("apiextensions.k8s.io", 16700, [("v1", 15)]),
        ("admissionregistration.k8s.io", 16700, [("v1", 15)]), ("scheduling.k8s.io", 16600, [("v1", 15)]),
        ("coordination.k8s.io", 16500, [("v1", 15)]), ("node.k8s.io", 16300, [("v1", 15)]), ("discovery.k8s.io", 16200, [("v1", 15)]),
        ("resource.k8s.io", 16200, [("v1", 21)]), ("flowcontrol.apiserver.k8s.io", 16100, [("v1", 21)]),
    ]
    /// Upstream: crdRegistrationController's, after everything built in and before what extension servers bring.
    static let customGroupPriority: Int64 = 1000
    private static let customVersionPriority: Int64 = 100

    /// Those every cluster has from its start.
    static func builtIn() -> [Value] {
        priorities.flatMap { group in
            group.versions.map { object(group: group.group, version: $0.0, group.priority, $0.1, managed: "onstart") }
        }
    }

    /// The aggregator's own group comes before all others, whatever they ask for. Upstream: apisHandler puts it first.
    private static let ownGroupPriority: Int64 = 20001

    /// The priority of a group that this server answers itself.
    static func groupPriority(_ group: String) -> Int64 {
        if group == "apiregistration.k8s.io" { return ownGroupPriority }
        return priorities.first { $0.group == group }?.priority ?? customGroupPriority
    }

    static func custom(group: String, version: String) -> Value {
        object(group: group, version: version, customGroupPriority, customVersionPriority, managed: "true")
    }

    private static func object(group: String, version: String, _ groupPriority: Int64, _ versionPriority: Int64, managed: Value) -> Value {
        var spec: Value = [:]
        if !group.isEmpty { spec["group"] = .string(group) }
        spec["groupPriorityMinimum"] = .int(groupPriority)
        spec["version"] = .string(version)
        spec["versionPriority"] = .int(versionPriority)
        return [
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": ["name": .string("\(version).\(group)"), "labels": [managedLabel: managed]], "spec": spec,
        ]
    }
}

/// Upstream: kube-aggregator/pkg/registry/apiservice with its validation.
struct APIServiceStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        object["status"] = [:]
        // What this server answers itself is there as long as it is.
        if object[path: "spec", "service"]?.isNull ?? true {
            object["status"] = [
                "conditions": [
                    [
                        "lastTransitionTime": .string(Timestamp.now.rfc3339), "message": "Local APIServices are always available",
                        "reason": "Local", "status": "True", "type": "Available",
                    ]
                ]
            ]
        }
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let spec = object["spec"]
        let group = spec["group"].string ?? ""
        let version = spec["version"].string ?? ""
        let name = object.metadata.name
        let required = "\(version).\(group)"
        if name != required {
            errors.invalid("metadata.name", .string(name), "must be `spec.version+\".\"+spec.group`: \(required.goQuoted)")
        }
        if group.isEmpty, version != "v1" {
            errors.required("spec.group", "only v1 may have an empty group and it better be legacy kube")
        }
        if !group.isEmpty { for problem in Names.problems(group, .dnsSubdomain) { errors.invalid("spec.group", .string(group), problem) } }
        for problem in Names.problems(version, .dns1035Label) { errors.invalid("spec.version", .string(version), problem) }
        let groupPriority = spec["groupPriorityMinimum"].int ?? 0
        if !(1...20000).contains(groupPriority) {
            errors.invalid("spec.groupPriorityMinimum", .int(groupPriority), "must be positive and less than 20000")
        }
        let versionPriority = spec["versionPriority"].int ?? 0
        if !(1...1000).contains(versionPriority) {
            errors.invalid("spec.versionPriority", .int(versionPriority), "must be positive and less than 1000")
        }
        service(spec, &errors)
        return errors.causes
    }

    private func service(_ spec: JSONView?, _ errors: inout FieldErrors) {
        let bundle = Base64.decode(spec["caBundle"].string ?? "") ?? []
        let skips = spec["insecureSkipTLSVerify"].bool ?? false
        guard let service = spec["service"].present else {
            if !bundle.isEmpty {
                errors.invalid("spec.caBundle", .string("\(bundle.count) bytes"), "local APIServices may not have a caBundle")
            }
            if skips { errors.invalid("spec.insecureSkipTLSVerify", .bool(true), "local APIServices may not have insecureSkipTLSVerify") }
            return
        }
        if (service["namespace"].string ?? "").isEmpty { errors.required("spec.service.namespace", "") }
        if (service["name"].string ?? "").isEmpty { errors.required("spec.service.name", "") }
        if skips, !bundle.isEmpty { errors.invalid("spec.insecureSkipTLSVerify", .bool(true), "may not be true if caBundle is present") }
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        guard subresource == "status" else { return validate(object) }
        var errors = FieldErrors()
        for (index, condition) in object["status"]["conditions"].elements.enumerated() {
            let status = condition["status"].string ?? ""
            if !["True", "False", "Unknown"].contains(status) {
                errors.notSupported("status.conditions[\(index)].status", status, ["False", "True", "Unknown"])
            }
        }
        return errors.causes
    }
}
