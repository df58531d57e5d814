import KubeAPI

/// All groups with all their resources in one document. Upstream: apidiscovery.k8s.io APIGroupDiscoveryList.
enum AggregatedDiscovery {
    /// The core group (`/api`) or all others (`/apis`), in the form of apidiscovery.k8s.io `version`.
    static func list(_ resources: ResourceTable, core: Bool, version: String) -> Value {
        let groups = resources.groups.filter { $0.group.isEmpty == core }
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": .string("apidiscovery.k8s.io/\(version)"), "metadata": [:],
            "items": .array(groups.map { item(resources, $0.group, $0.versions) }),
        ]
    }

    private static func item(_ resources: ResourceTable, _ group: String, _ versions: [String]) -> Value {
        let entries = versions.map { (version: String) -> Value in
            let rows = resources.rows(group: group, version: version).sorted { $0.resource < $1.resource }
            return ["version": .string(version), "resources": .array(rows.map(entry)), "freshness": "Current"]
        }
        var metadata: Value = ["creationTimestamp": .null]
        if !group.isEmpty { metadata["name"] = .string(group) }
        return ["metadata": metadata, "versions": .array(entries)]
    }

    private static func entry(_ row: ResourceRow) -> Value {
        var entry: Value = [
            "resource": .string(row.resource), "responseKind": kind(row.groupVersionKind), "scope": row.namespaced ? "Namespaced" : "Cluster",
            "singularResource": .string(row.singular), "verbs": Value(row.verbs),
        ]
        if !row.shortNames.isEmpty { entry["shortNames"] = Value(row.shortNames) }
        if !row.categories.isEmpty { entry["categories"] = Value(row.categories) }
        if !row.subresources.isEmpty {
            entry["subresources"] = .array(
                row.subresources.sorted { $0.name < $1.name }.map { (subresource: ResourceRow.Subresource) -> Value in
                    ["subresource": .string(subresource.name), "responseKind": kind(subresource.kind), "verbs": Value(subresource.verbs)]
                })
        }
        return entry
    }

    private static func kind(_ kind: GroupVersionKind) -> Value {
        ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
    }
}
