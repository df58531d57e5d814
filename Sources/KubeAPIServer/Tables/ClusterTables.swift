import KubeAPI

/// Rows of nodes, namespaces, configuration, events and quotas. Upstream: printNode and its neighbours.
enum ClusterTables {
    static let printers: [(String, String, TablePrinter.Printer)] = [
        ("", "nodes", node),
        ("", "namespaces", { [Cells.name($0), Cells.text($0["status"]["phase"]), Cells.age($0, $1)] }),
        ("", "configmaps", { [Cells.name($0), .int(Cells.count($0["data"]) + Cells.count($0["binaryData"])), Cells.age($0, $1)] }),
        ("", "secrets", { [Cells.name($0), Cells.text($0["type"]), .int(Cells.count($0["data"])), Cells.age($0, $1)] }),
        ("", "serviceaccounts", { [Cells.name($0), Cells.age($0, $1)] }),
        ("", "events", event),
        ("events.k8s.io", "events", event),
        ("", "resourcequotas", resourceQuota),
        ("", "componentstatuses", componentStatus),
        ("coordination.k8s.io", "leases", { [Cells.name($0), Cells.text($0["spec"]["holderIdentity"]), Cells.age($0, $1)] }),
        ("node.k8s.io", "runtimeclasses", { [Cells.name($0), Cells.text($0["handler"]), Cells.age($0, $1)] }),
        ("scheduling.k8s.io", "priorityclasses", priorityClass),
        ("apiregistration.k8s.io", "apiservices", apiService),
        ("resource.k8s.io", "deviceclasses", { [Cells.name($0), Cells.age($0, $1)] }),
        ("resource.k8s.io", "resourceclaimtemplates", { [Cells.name($0), Cells.age($0, $1)] }),
        ("resource.k8s.io", "resourceclaims", resourceClaim),
        ("resource.k8s.io", "resourceslices", resourceSlice),
    ]

    private static func node(_ object: Object, _ now: Timestamp) -> [Value] {
        let status = object["status"]
        var states: [String] = []
        if let ready = status["conditions"].elements.first(where: { $0["type"].string == "Ready" }) {
            states.append(ready["status"].string == "True" ? "Ready" : "NotReady")
        } else {
            states.append("Unknown")
        }
        if object["spec"]["unschedulable"].bool == true { states.append("SchedulingDisabled") }
        let info = status["nodeInfo"]
        func address(_ type: String) -> Value {
            Cells.text(status["addresses"].elements.first { $0["type"].string == type }?["address"], or: "<none>")
        }
        return [
            Cells.name(object), .string(states.joined(separator: ",")), .string(roles(object)), Cells.age(object, now),
            Cells.text(info["kubeletVersion"]),
            address("InternalIP"), address("ExternalIP"), Cells.nonEmpty(info["osImage"], or: "<unknown>"),
            Cells.nonEmpty(info["kernelVersion"], or: "<unknown>"), Cells.nonEmpty(info["containerRuntimeVersion"], or: "<unknown>"),
        ]
    }

    /// From the labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role`. Upstream: findNodeRoles.
    private static func roles(_ object: Object) -> String {
        let prefix = "node-role.kubernetes.io/"
        var roles: Set<String> = []
        for (key, value) in object.metadata.labels {
            if key.hasPrefix(prefix), key.count > prefix.count {
                roles.insert(String(key.dropFirst(prefix.count)))
            } else if key == "kubernetes.io/role", !value.isEmpty {
                roles.insert(value)
            }
        }
        return roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ",")
    }

    /// Both groups' forms of an event.
    private static func event(_ object: Object, _ now: Timestamp) -> [Value] {
        let eventTime = Cells.time(object["eventTime"])
        let first = Cells.time(object["firstTimestamp"] ?? object["deprecatedFirstTimestamp"]) ?? eventTime
        var last = Cells.time(object["lastTimestamp"] ?? object["deprecatedLastTimestamp"]) ?? first
        var count = object["count"].int ?? object["deprecatedCount"].int ?? 0
        if let series = object["series"], !series.isNull {
            last = Cells.time(series["lastObservedTime"])
            count = series["count"].int ?? 0
        } else if count == 0 {
            count = 1
        }
        let involved = object["involvedObject"] ?? object["regarding"]
        let kind = (involved["kind"].string ?? "").lowercased()
        let name = involved["name"].string ?? ""
        let source = object["source"] ?? object["deprecatedSource"]
        let component = firstNonEmpty(source["component"].string, object["reportingComponent"].string ?? object["reportingController"].string)
        let instance = firstNonEmpty(source["host"].string, object["reportingInstance"].string)
        let message = object["message"].string ?? object["note"].string ?? ""
        return [
            .string(Cells.since(last, now)), Cells.text(object["type"]), Cells.text(object["reason"]),
            .string(name.isEmpty ? kind : "\(kind)/\(name)"),
            Cells.text(involved["fieldPath"]), .string(instance.isEmpty ? component : "\(component), \(instance)"), .string(trimmed(message)),
            .string(Cells.since(first, now)), .int(count), Cells.name(object),
        ]
    }

    private static func firstNonEmpty(_ a: String?, _ b: String?) -> String {
        if let a, !a.isEmpty { return a }
        return b ?? ""
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    private static func resourceQuota(_ object: Object, _ now: Timestamp) -> [Value] {
        let used = object["status"]["used"].resourceList
        var requests: [String] = []
        var limits: [String] = []
        for (name, hard) in object["status"]["hard"].resourceList.sorted(by: { $0.key < $1.key }) {
            let text = "\(name): \(used[name] ?? .zero)/\(hard)"
            if name.hasPrefix("limits.") { limits.append(text) } else { requests.append(text) }
        }
        return [Cells.name(object), .string(requests.joined(separator: ", ")), .string(limits.joined(separator: ", ")), Cells.age(object, now)]
    }

    private static func componentStatus(_ object: Object, _ now: Timestamp) -> [Value] {
        guard let healthy = object["conditions"].elements.first(where: { $0["type"].string == "Healthy" }) else {
            return [Cells.name(object), "Unknown", "", ""]
        }
        return [
            Cells.name(object), healthy["status"].string == "True" ? "Healthy" : "Unhealthy", Cells.text(healthy["message"]),
            Cells.text(healthy["error"]),
        ]
    }

    private static func priorityClass(_ object: Object, _ now: Timestamp) -> [Value] {
        [
            Cells.name(object), Cells.int(object["value"]), .bool(object["globalDefault"].bool ?? false), Cells.age(object, now),
            Cells.text(object["preemptionPolicy"]),
        ]
    }

    private static func apiService(_ object: Object, _ now: Timestamp) -> [Value] {
        var service = "Local"
        if let given = object["spec"]["service"], !given.isNull { service = "\(given["namespace"].string ?? "")/\(given["name"].string ?? "")" }
        var available = "Unknown"
        if let condition = object["status"]["conditions"].elements.first(where: { $0["type"].string == "Available" }) {
            available = condition["status"].string ?? "Unknown"
            if available != "True", let reason = condition["reason"].string, !reason.isEmpty { available += " (\(reason))" }
        }
        return [Cells.name(object), .string(service), .string(available), Cells.age(object, now)]
    }

    private static func resourceClaim(_ object: Object, _ now: Timestamp) -> [Value] {
        var states: [String] = []
        if object.metadata.isBeingDeleted { states.append("deleted") }
        if object["status"]["allocation"] == nil {
            if states.isEmpty { states.append("pending") }
        } else {
            states.append("allocated")
            if Cells.count(object["status"]["reservedFor"]) > 0 { states.append("reserved") }
        }
        return [Cells.name(object), .string(states.joined(separator: ",")), Cells.age(object, now)]
    }

    private static func resourceSlice(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        return [
            Cells.name(object), Cells.text(spec["nodeName"]), Cells.text(spec["driver"]), Cells.text(spec["pool"]["name"]), Cells.age(object, now),
        ]
    }
}
