import KubeAPI

/// A resource that is served in a version other than the one it is stored in. Upstream: the scheme's conversion functions.
struct VersionConversion: Sendable {
    let storedKind: GroupVersionKind
    /// Names of members, in this version and in the stored one.
    private let renamed: [(external: String, stored: String)]
    private let externalKind: GroupVersionKind

    /// Nil for rows that are stored as they are served.
    static func conversion(for row: ResourceRow) -> VersionConversion? {
        guard row.group == "events.k8s.io", row.resource == "events" else { return nil }
        return VersionConversion(
            storedKind: GroupVersionKind(group: "", version: "v1", kind: "Event"),
            renamed: [
                ("regarding", "involvedObject"), ("note", "message"), ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"),
                ("deprecatedLastTimestamp", "lastTimestamp"), ("deprecatedCount", "count"), ("reportingController", "reportingComponent"),
            ], externalKind: row.groupVersionKind)
    }

    func toStored(_ value: Value) -> Value {
        let names = Dictionary(renamed.map { ($0.external, $0.stored) }) { first, _ in first }
        return rename(value, names, kind: storedKind)
    }

    func toExternal(_ object: Object) -> Object {
        let names = Dictionary(renamed.map { ($0.stored, $0.external) }) { first, _ in first }
        // The tree of an object, with members renamed, is one.
        return (try? Object(rename(object.value, names, kind: externalKind))) ?? object
    }

    private func rename(_ value: Value, _ names: [String: String], kind: GroupVersionKind) -> Value {
        guard let members = value.object else { return value }
        var renamed = Value.object(Members(members.map { (names[$0.0] ?? $0.0, $0.1) }))
        renamed["apiVersion"] = .string(kind.apiVersion)
        renamed["kind"] = .string(kind.kind)
        return renamed
    }
}
