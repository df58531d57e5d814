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
