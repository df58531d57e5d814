import KubeAPI

/// A resource that is served in a version other than the one it is stored in. Upstream: the scheme's conversion functions.
struct VersionConversion: Sendable {
    let storedKind: GroupVersionKind
    private let externalKind: GroupVersionKind
    private let store: @Sendable (Value) -> Value
    private let show: @Sendable (Value) -> Value

    /// Nil for rows that are stored as they are served.
    static func conversion(for row: ResourceRow) -> VersionConversion? {
        switch (row.group, row.version, row.resource) {
        case ("events.k8s.io", "v1", "events"):
            return VersionConversion(
                storedKind: GroupVersionKind(group: "", version: "v1", kind: "Event"), externalKind: row.groupVersionKind,
                store: { EventConversion.rename($0, EventConversion.toCore) }, show: { EventConversion.rename($0, EventConversion.toEvents) })
        case ("autoscaling", "v1", "horizontalpodautoscalers"):
            return VersionConversion(
                storedKind: GroupVersionKind(group: "autoscaling", version: "v2", kind: "HorizontalPodAutoscaler"),
                externalKind: row.groupVersionKind,
                store: AutoscalerConversion.toV2, show: AutoscalerConversion.toV1)
        default: return nil
        }
    }

    func toStored(_ value: Value) -> Value { named(store(value), storedKind) }

    func toExternal(_ object: Object) -> Object { Object(tree: named(show(object.value), externalKind)) }

    private func named(_ value: Value, _ kind: GroupVersionKind) -> Value {
        var value = value
        value["apiVersion"] = .string(kind.apiVersion)
        value["kind"] = .string(kind.kind)
        return value
    }
}

/// The Event of events.k8s.io and of the core group: the same members under other names. Upstream: pkg/apis/events/v1/conversion.go.
private enum EventConversion {
    static let toCore = [
        "regarding": "involvedObject", "note": "message", "deprecatedSource": "source", "deprecatedFirstTimestamp": "firstTimestamp",
        "deprecatedLastTimestamp": "lastTimestamp", "deprecatedCount": "count", "reportingController": "reportingComponent",
    ]
    static let toEvents = Dictionary(toCore.map { ($0.value, $0.key) }) { first, _ in first }

    static func rename(_ value: Value, _ names: [String: String]) -> Value {
        .object(Members((value.object ?? Members()).map { (names[$0.0] ?? $0.0, $0.1) }))
    }
}

/// autoscaling/v1 knows one metric, the CPU's mean utilisation; others are not shown in it. Upstream: pkg/apis/autoscaling/v1/conversion.go.
private enum AutoscalerConversion {
    private static func isCPU(_ metric: Value, _ part: String) -> Bool {
        metric["type"]?.string == "Resource" && metric[path: "resource", "name"]?.string == "cpu"
            && metric[path: "resource", part, "averageUtilization"]?.int != nil
    }

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
        return value
    }

    static func toV1(_ value: Value) -> Value {
        var value = value
        let metric = value[path: "spec", "metrics"]?.array?.first { isCPU($0, "target") }
        let current = value[path: "status", "currentMetrics"]?.array?.first { isCPU($0, "current") }
        value[path: "spec", "metrics"] = nil
        value[path: "spec", "behavior"] = nil
        value[path: "status", "currentMetrics"] = nil
        value[path: "status", "conditions"] = nil
        if let utilization = metric?[path: "resource", "target", "averageUtilization"] {
            value[path: "spec", "targetCPUUtilizationPercentage"] = utilization
        }
        if let utilization = current?[path: "resource", "current", "averageUtilization"] {
            value[path: "status", "currentCPUUtilizationPercentage"] = utilization
        }
        return value
    }
}
