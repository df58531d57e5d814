import KubeAPI

/// What an extension server said it serves, in the forms clients ask this server for. Upstream: aggregated discovery's conversion of a legacy
/// APIResourceList, and the OpenAPI aggregation.
struct RemoteDiscovery: Sendable {
    /// APIResourceDiscovery objects of aggregated discovery.
    var resources: [Value] = []
    /// False: the server could not be asked lately, this is what it said before.
    var isFresh = false
    /// The path of its document in its own /openapi/v3 index, with the hash; nil when it has none.
    var openAPIv3: String?
    /// Its /openapi/v2 document, of its own group and version only.
    var openAPIv2: Value?

    /// Resources out of an APIResourceList, subresources put under their resources. Upstream: discovery.ConvertGroupVersionIntoAPIDiscovery.
    static func resources(_ list: JSONView, group: String, version: String) -> [Value] {
        var order: [String] = []
        var entries: [String: Value] = [:]
        for item in list["resources"].elements {
            let name = item["name"].string ?? ""
            let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
            guard let parent = parts.first else { continue }
            let kind: Value = [
                "group": .string(item["group"].string ?? group), "version": .string(item["version"].string ?? version),
                "kind": .string(item["kind"].string ?? ""),
            ]
            if parts.count == 1 {
                var entry = entries[parent] ?? ["resource": .string(parent)]
                entry["responseKind"] = kind
                entry["scope"] = item["namespaced"].bool == true ? "Namespaced" : "Cluster"
                entry["singularResource"] = .string(item["singularName"].string ?? "")
                entry["verbs"] = Value(item["verbs"].strings)
                for field in ["shortNames", "categories"] {
                    let texts = item[field].strings
                    if !texts.isEmpty { entry[field] = Value(texts) }
                }
                if entries[parent] == nil { order.append(parent) }
                entries[parent] = entry
            } else {
                if entries[parent] == nil {
                    order.append(parent)
                    entries[parent] = [
                        "resource": .string(parent), "scope": item["namespaced"].bool == true ? "Namespaced" : "Cluster", "verbs": [],
                    ]
                }
                let subresources = entries[parent]?["subresources"]?.array ?? []
                entries[parent]?["subresources"] = .array(
                    subresources + [["subresource": .string(parts[1]), "responseKind": kind, "verbs": Value(item["verbs"].strings)]])
            }
        }
        return order.compactMap { entries[$0] }
    }

    /// The resources as rows, without their subresources.
    func rows(group: String, version: String) -> [ResourceRow] {
        resources.compactMap { entry in
            guard let name = entry["resource"]?.string, !name.isEmpty else { return nil }
            return ResourceRow(
                group: group, version: version, resource: name, kind: entry[path: "responseKind", "kind"]?.string ?? "",
                namespaced: entry["scope"]?.string == "Namespaced", verbs: (entry["verbs"]?.array ?? []).compactMap(\.string))
        }
    }

    /// Of an OpenAPI v2 document the paths of one group and version, and all definitions.
    static func openAPIv2(_ document: Value, group: String, version: String) -> Value? {
        let prefix = "/apis/\(group)/\(version)/"
        let paths = (document["paths"]?.object ?? Members()).filter { $0.0.hasPrefix(prefix) || $0.0 + "/" == prefix }
        guard !paths.isEmpty else { return nil }
        return ["paths": .object(Members(paths.map { ($0.0, $0.1) })), "definitions": document["definitions"] ?? [:]]
    }
}
