import KubeAPI

/// Rows of bindings, budgets, certificates, webhooks, policies and flow control. Upstream: printRoleBinding and its neighbours.
enum PolicyTables {
    static let printers: [(String, String, TablePrinter.Printer)] = [
        ("rbac.authorization.k8s.io", "rolebindings", binding),
        ("rbac.authorization.k8s.io", "clusterrolebindings", binding),
        ("policy", "poddisruptionbudgets", podDisruptionBudget),
        ("certificates.k8s.io", "certificatesigningrequests", certificateSigningRequest),
        (
            "admissionregistration.k8s.io", "mutatingwebhookconfigurations",
            { [Cells.name($0), .int(Cells.count($0["webhooks"])), Cells.age($0, $1)] }
        ),
        (
            "admissionregistration.k8s.io", "validatingwebhookconfigurations",
            { [Cells.name($0), .int(Cells.count($0["webhooks"])), Cells.age($0, $1)] }
        ),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies", { admissionPolicy($0, "mutations", $1) }),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies", { admissionPolicy($0, "validations", $1) }),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", policyBinding),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", policyBinding),
        ("flowcontrol.apiserver.k8s.io", "flowschemas", flowSchema),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", priorityLevel),
    ]

    private static func binding(_ object: Object, _ now: Timestamp) -> [Value] {
        let role = object["roleRef"]
        let subjects = object["subjects"].elements
        func names(_ kind: String) -> Value {
            let names = subjects.filter { $0["kind"].string == kind }.map { subject in
                let name = subject["name"].string ?? ""
                guard kind == "ServiceAccount", let namespace = subject["namespace"].string, !namespace.isEmpty else { return name }
                return "\(namespace)/\(name)"
            }
            return .string(names.joined(separator: ", "))
        }
        return [
            Cells.name(object), .string("\(role["kind"].string ?? "")/\(role["name"].string ?? "")"), Cells.age(object, now), names("User"),
            names("Group"),
            names("ServiceAccount"),
        ]
    }

    private static func podDisruptionBudget(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        return [
            Cells.name(object), .string(IntOrString(spec["minAvailable"])?.description ?? "N/A"),
            .string(IntOrString(spec["maxUnavailable"])?.description ?? "N/A"), Cells.int(object["status"]["disruptionsAllowed"]),
            Cells.age(object, now),
        ]
    }

    private static func certificateSigningRequest(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let types = object["status"]["conditions"].elements.compactMap { $0["type"].string }
        var condition = types.contains("Denied") ? "Denied" : types.contains("Approved") ? "Approved" : "Pending"
        if types.contains("Failed") { condition += ",Failed" }
        if object["status"]["certificate"].string?.isEmpty == false { condition += ",Issued" }
        return [
            Cells.name(object), Cells.age(object, now), Cells.nonEmpty(spec["signerName"], or: "<none>"), Cells.text(spec["username"]),
            .string(spec["expirationSeconds"].int.map { Cells.human(seconds: $0) } ?? "<none>"), .string(condition),
        ]
    }

    private static func admissionPolicy(_ object: Object, _ list: String, _ now: Timestamp) -> [Value] {
        var parameters = "<unset>"
        if let kind = object["spec"]["paramKind"], !kind.isNull { parameters = "\(kind["apiVersion"].string ?? "")/\(kind["kind"].string ?? "")" }
        return [Cells.name(object), .int(Cells.count(object["spec"][list])), .string(parameters), Cells.age(object, now)]
    }

    private static func policyBinding(_ object: Object, _ now: Timestamp) -> [Value] {
        var parameters: Value = "<unset>"
        if let reference = object["spec"]["paramRef"], !reference.isNull {
            if let name = reference["name"].string, !name.isEmpty {
                let namespace = reference["namespace"].string ?? ""
                parameters = .string("\(namespace.isEmpty ? "*" : namespace)/\(name)")
            } else if reference["selector"] != nil {
                parameters = Cells.selector(reference["selector"])
            }
        }
        return [Cells.name(object), Cells.text(object["spec"]["policyName"]), parameters, Cells.age(object, now)]
    }

    private static func flowSchema(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let dangling = object["status"]["conditions"].elements.first { $0["type"].string == "Dangling" }
        return [
            Cells.name(object), Cells.text(spec["priorityLevelConfiguration"]["name"]), Cells.int(spec["matchingPrecedence"]),
            Cells.text(spec["distinguisherMethod"]["type"], or: "<none>"), Cells.age(object, now), Cells.text(dangling?["status"], or: "?"),
        ]
    }

    private static func priorityLevel(_ object: Object, _ now: Timestamp) -> [Value] {
        let limited = object["spec"]["limited"]
        let queuing = limited["limitResponse"]["queuing"]
        func number(_ view: JSONView?) -> Value { view.int.map { .int($0) } ?? "<none>" }
        return [
            Cells.name(object), Cells.text(object["spec"]["type"]), number(limited["nominalConcurrencyShares"]), number(queuing["queues"]),
            number(queuing["handSize"]), number(queuing["queueLengthLimit"]), Cells.age(object, now),
        ]
    }
}
