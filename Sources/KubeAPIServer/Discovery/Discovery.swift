import Crypto
import KubeAPI

/// Plain discovery: which groups, versions and resources there are. Upstream: metav1.APIVersions, APIGroupList, APIGroup, APIResourceList.
enum Discovery {
    static func versions(serverAddress: String) -> Value {
        [
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [["clientCIDR": "0.0.0.0/0", "serverAddress": .string(serverAddress)]],
        ]
    }

    static func groupList(_ resources: ResourceTable) -> Value {
        let groups = resources.groups.filter { !$0.group.isEmpty }.map { group($0.group, $0.versions, withTypeMeta: false) }
        return ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups)]
    }

    static func group(_ name: String, _ versions: [String], withTypeMeta: Bool) -> Value {
        let entries = versions.map { (version: String) -> Value in ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)] }
        var group: Value = withTypeMeta ? ["kind": "APIGroup", "apiVersion": "v1"] : [:]
        group["name"] = .string(name)
        group["versions"] = .array(entries)
        group["preferredVersion"] = entries.first
        return group
    }

    static func resourceList(_ resources: ResourceTable, group: String, version: String) -> Value {
        var list: Value = ["kind": "APIResourceList"]
        if !group.isEmpty { list["apiVersion"] = "v1" }
        list["groupVersion"] = .string(group.isEmpty ? version : "\(group)/\(version)")
        var entries: [Value] = []
        // Upstream lists by name.
        for row in resources.rows(group: group, version: version).sorted(by: { $0.resource < $1.resource }) {
            entries.append(entry(row, storageVersion: resources[row.groupResource].first?.version ?? version))
            entries += row.subresources.sorted { $0.name < $1.name }.map { entry(row, $0) }
        }
        list["resources"] = .array(entries)
        return list
    }

    private static func entry(_ row: ResourceRow, storageVersion: String) -> Value {
        var entry: Value = [
            "name": .string(row.resource), "singularName": .string(row.singular), "namespaced": .bool(row.namespaced), "kind": .string(row.kind),
            "verbs": Value(row.verbs),
        ]
        if !row.shortNames.isEmpty { entry["shortNames"] = Value(row.shortNames) }
        if !row.categories.isEmpty { entry["categories"] = Value(row.categories) }
        if row.isStored { entry["storageVersionHash"] = .string(storageVersionHash(row, storageVersion)) }
        return entry
    }

    private static func entry(_ row: ResourceRow, _ subresource: ResourceRow.Subresource) -> Value {
        var entry: Value = ["name": .string("\(row.resource)/\(subresource.name)"), "singularName": "", "namespaced": .bool(row.namespaced)]
        if subresource.hasOwnGroupVersion {
            if !subresource.kind.group.isEmpty { entry["group"] = .string(subresource.kind.group) }
            entry["version"] = .string(subresource.kind.version)
        }
        entry["kind"] = .string(subresource.kind.kind)
        entry["verbs"] = Value(subresource.verbs)
        return entry
    }

    /// Tells clients when the stored form of a resource changes. Upstream: discovery.StorageVersionHash: base64 of the hash's first 8 bytes.
    private static func storageVersionHash(_ row: ResourceRow, _ version: String) -> String {
        // Events of both groups are one resource in storage.
        let group = row.group == "events.k8s.io" ? "" : row.group
        let hash = SHA256.hash(data: Array("\(group)/\(version)/\(row.kind)".utf8))
        return Base64.encode(Array(hash.prefix(8)))
    }
}
