import KubeAPI

/// The paths of discovery as OpenAPI operations. Upstream: endpoints/discovery, whose web services are documented too.
enum DiscoveryOperations {
    struct Operation {
        var path: String
        var id: String
        var tag: String
        /// A type of meta.v1; empty for any object.
        var type: String
        var description: String
    }

    /// Those of everything that is served, for OpenAPI v2.
    static func paths(_ resources: ResourceTable) -> [Operation] {
        var all = [
            Operation(path: "/api/", id: "getCoreAPIVersions", tag: "core", type: "APIVersions", description: "get available API versions"),
            Operation(path: "/apis/", id: "getAPIVersions", tag: "apis", type: "APIGroupList", description: "get available API versions"),
            Operation(path: "/version/", id: "getCodeVersion", tag: "version", type: "", description: "get the version information for this server"),
        ]
        for (group, versions) in resources.groups {
            if let name = words(group), !group.isEmpty {
                all.append(
                    Operation(
                        path: "/apis/\(group)/", id: "get\(name.upper)APIGroup", tag: name.lower, type: "APIGroup",
                        description: "get information of a group"))
            }
            for version in versions { all += paths(group: group, version: version) }
        }
        return all
    }

    /// The list of a version's resources.
    static func paths(group: String, version: String) -> [Operation] {
        guard let name = words(group) else { return [] }
        let path = group.isEmpty ? "/api/\(version)/" : "/apis/\(group)/\(version)/"
        return [
            Operation(
                path: path, id: "get\(name.upper)\(version.prefix(1).uppercased() + version.dropFirst())APIResources",
                tag: "\(name.lower)_\(version)", type: "APIResourceList", description: "get available resources")
        ]
    }

    private static func words(_ group: String) -> (upper: String, lower: String)? {
        let name = group.isEmpty ? "core" : group.hasSuffix(".k8s.io") ? group.dropLast(".k8s.io".count) : group[...]
        let words = name.split { !$0.isLetter && !$0.isNumber }
        guard let first = words.first else { return nil }
        let rest = words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        return (first.prefix(1).uppercased() + first.dropFirst() + rest, first + rest)
    }
}
