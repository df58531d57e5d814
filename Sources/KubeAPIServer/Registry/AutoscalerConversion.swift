import KubeAPI

/// autoscaling/v1 knows one metric, the CPU's mean utilisation; what else version 2 has is kept in annotations. Upstream:
/// pkg/apis/autoscaling/v1/conversion.go and pkg/apis/autoscaling/annotations.go.
enum AutoscalerConversion {
    private static let prefix = "autoscaling.alpha.kubernetes.io/"

    static func toV2(_ value: Value) -> Value {
        var value = value
        if let utilization = value[path: "spec", "targetCPUUtilizationPercentage"] {
            value[path: "spec", "targetCPUUtilizationPercentage"] = nil
            value[path: "spec", "metrics"] = [
                ["type": "Resource", "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": utilization]]]
            ]
        }
        if let utilization = value[path: "status", "currentCPUUtilizationPercentage"] {
            value[path: "status", "currentCPUUtilizationPercentage"] = nil
            value[path: "status", "currentMetrics"] = [
                ["type": "Resource", "resource": ["name": "cpu", "current": ["averageUtilization": utilization]]]
            ]
        }
        guard value[path: "metadata", "annotations"]?.object?.keys.contains(where: { $0.hasPrefix(prefix) }) == true else { return value }
        if let metrics = taken("metrics", &value)?.array {
            value[path: "spec", "metrics"] = .array((value[path: "spec", "metrics"]?.array ?? []) + metrics.map { grown($0, "target") })
        }
        if let metrics = taken("current-metrics", &value)?.array {
            value[path: "status", "currentMetrics"] = .array(metrics.map { grown($0, "current") })
        }
        if let conditions = taken("conditions", &value) { value[path: "status", "conditions"] = conditions }
        if let behavior = taken("behavior", &value) {
            value[path: "spec", "behavior"] = renamed(behavior) { $0.prefix(1).lowercased() + $0.dropFirst() }
        }
        if value[path: "metadata", "annotations"]?.object?.isEmpty == true { value[path: "metadata", "annotations"] = nil }
        return value
    }

    static func toV1(_ value: Value) -> Value {
        var value = value
        let metrics = value[path: "spec", "metrics"]?.array ?? []
        let current = value[path: "status", "currentMetrics"]?.array ?? []
        if let utilization = metrics.first(where: { isCPU($0, "target") })?[path: "resource", "target", "averageUtilization"] {
            value[path: "spec", "targetCPUUtilizationPercentage"] = utilization
        }
        if let utilization = current.first(where: { isCPU($0, "current") })?[path: "resource", "current", "averageUtilization"] {
            value[path: "status", "currentCPUUtilizationPercentage"] = utilization
        }
        let others = metrics.filter { !isCPU($0, "target") }
        if !others.isEmpty { keep("metrics", .array(others.map { flattened($0, "target") }), &value) }
        if !current.isEmpty { keep("current-metrics", .array(current.map { flattened($0, "current") }), &value) }
        let conditions = value[path: "status", "conditions"]?.array ?? []
        if !conditions.isEmpty { keep("conditions", .array(conditions), &value) }
        if let behavior = value[path: "spec", "behavior"] {
            keep("behavior", renamed(behavior) { $0.prefix(1).uppercased() + $0.dropFirst() }, &value)
        }
        for field in ["metrics", "behavior"] { value[path: "spec", field] = nil }
        for field in ["currentMetrics", "conditions"] { value[path: "status", field] = nil }
        return value
    }

    private static func isCPU(_ metric: Value, _ part: String) -> Bool {
        metric["type"]?.string == "Resource" && metric[path: "resource", "name"]?.string == "cpu"
            && metric[path: "resource", part, "averageUtilization"]?.int != nil
    }

    private static func keep(_ name: String, _ part: Value, _ value: inout Value) {
        value[path: "metadata", "annotations", prefix + name] = .string(part.jsonString)
    }

    private static func taken(_ name: String, _ value: inout Value) -> Value? {
        guard let text = value[path: "metadata", "annotations", prefix + name]?.string else { return nil }
        value[path: "metadata", "annotations", prefix + name] = nil
        return try? Value(json: text)
    }

    /// Behaviours are kept under the names that Go gives their members.
    private static func renamed(_ value: Value, _ change: (String) -> String) -> Value {
        switch value {
        case .object(let members): .object(Members(members.map { (change($0.0), renamed($0.1, change)) }))
        case .array(let items): .array(items.map { renamed($0, change) })
        default: value
        }
    }

    /// The members of a metric in version 2 and in version 1; `part` is `target` or `current`.
    private static func members(_ kind: String, _ part: String) -> [(v2: [String], v1: String)] {
        [
            (["name"], "name"), (["container"], "container"), (["describedObject"], "target"), (["metric", "name"], "metricName"),
            (["metric", "selector"], kind == "external" ? "metricSelector" : "selector"), ([part, "value"], "\(part)Value"),
            ([part, "averageValue"], kind == "object" ? "averageValue" : "\(part)AverageValue"),
            ([part, "averageUtilization"], "\(part)AverageUtilization"),
        ]
    }

    private static func kind(_ metric: Value) -> String {
        let type = metric["type"]?.string ?? ""
        return type.prefix(1).lowercased() + type.dropFirst()
    }

    private static func flattened(_ metric: Value, _ part: String) -> Value {
        let kind = Self.kind(metric)
        guard let source = metric[kind] else { return metric }
        var flat: Value = [:]
        for (path, name) in members(kind, part) {
            if let member = path.count == 1 ? source[path[0]] : source[path[0]]?[path[1]] { flat[name] = member }
        }
        if kind == "object", flat.object?.keys.contains("\(part)Value") != true { flat["\(part)Value"] = "0" }
        return ["type": metric["type"] ?? .null, kind: flat]
    }

    private static func grown(_ metric: Value, _ part: String) -> Value {
        let kind = Self.kind(metric)
        guard let flat = metric[kind] else { return metric }
        var source: Value = [:]
        for (path, name) in members(kind, part) {
            guard let member = flat[name] else { continue }
            if kind == "object", path == [part, "value"], flat.object?.keys.contains("averageValue") == true { continue }
            if path.count == 1 { source[path[0]] = member } else { source[path: path[0], path[1]] = member }
        }
        if part == "target" {
            let isMember = { (member: String) in source["target"]?.object?.keys.contains(member) == true }
            let type = isMember("averageUtilization") ? "Utilization" : isMember("averageValue") ? "AverageValue" : "Value"
            source[path: "target", "type"] = .string(type)
        }
        return ["type": metric["type"] ?? .null, kind: source]
    }
}
