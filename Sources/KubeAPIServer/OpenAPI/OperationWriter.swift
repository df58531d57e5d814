import KubeAPI

/// The paths of resources as OpenAPI operations: what kubectl looks up there is the kind behind a path, which patches a kind takes, and which
/// parameters are understood. Bodies and answers are written by the caller, as v2 and v3 differ there. Upstream:
/// k8s.io/apiserver/pkg/endpoints/installer.go.
struct OperationWriter {
    /// One operation on one path.
    struct Operation {
        /// `get`, `post`, `put`, `patch`, `delete`.
        var method: String
        /// `list`, `post`, `deletecollection`, `get`, `put`, `patch`, `delete`, `connect`.
        var action: String
        var kind: GroupVersionKind
        /// Names and types of the query parameters.
        var parameters: [(name: String, type: String)]
    }

    private static let readParameters = [("pretty", "string")]
    private static let listParameters = [
        ("allowWatchBookmarks", "boolean"), ("continue", "string"), ("fieldSelector", "string"), ("labelSelector", "string"), ("limit", "integer"),
        ("pretty", "string"), ("resourceVersion", "string"), ("resourceVersionMatch", "string"), ("sendInitialEvents", "boolean"),
        ("timeoutSeconds", "integer"),
        ("watch", "boolean"),
    ]
    private static let writeParameters = [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("pretty", "string")]
    private static let patchParameters = writeParameters + [("force", "boolean")]
    private static let deleteParameters = [
        ("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("orphanDependents", "boolean"), ("pretty", "string"),
        ("propagationPolicy", "string"),
    ]

    /// The paths of a row with their operations, in a fixed order.
    static func paths(_ row: ResourceRow) -> [(path: String, operations: [Operation])] {
        let collection = row.namespaced ? "\(row.pathPrefix)/namespaces/{namespace}/\(row.resource)" : "\(row.pathPrefix)/\(row.resource)"
        let kind = row.groupVersionKind
        func operation(_ verb: String, _ method: String, _ action: String, _ parameters: [(String, String)]) -> Operation? {
            row.supports(verb) ? Operation(method: method, action: action, kind: kind, parameters: parameters) : nil
        }
        var paths: [(String, [Operation])] = [
            (
                collection,
                [
                    operation("list", "get", "list", listParameters), operation("create", "post", "post", writeParameters),
                    operation("deletecollection", "delete", "deletecollection", listParameters + deleteParameters),
                ].compactMap { $0 }
            ),
            (
                "\(collection)/{name}",
                [
                    operation("get", "get", "get", readParameters), operation("update", "put", "put", writeParameters),
                    operation("patch", "patch", "patch", patchParameters), operation("delete", "delete", "delete", deleteParameters),
                ].compactMap { $0 }
            ),
        ]
        if row.namespaced {
            paths.append(("\(row.pathPrefix)/\(row.resource)", [operation("list", "get", "list", listParameters)].compactMap { $0 }))
        }
        for subresource in row.subresources {
            let operations = subresource.verbs.compactMap { verb -> Operation? in
                switch verb {
                case "get": Operation(method: "get", action: "get", kind: subresource.kind, parameters: readParameters)
                case "create": Operation(method: "post", action: "post", kind: subresource.kind, parameters: writeParameters)
                case "update": Operation(method: "put", action: "put", kind: subresource.kind, parameters: writeParameters)
                case "patch": Operation(method: "patch", action: "patch", kind: subresource.kind, parameters: patchParameters)
                case "delete": Operation(method: "delete", action: "delete", kind: subresource.kind, parameters: deleteParameters)
                default: nil
                }
            }
            paths.append(("\(collection)/{name}/\(subresource.name)", operations))
        }
        return paths.filter { !$0.1.isEmpty }.map { (path: $0.0, operations: $0.1) }
    }

    /// The media types of patches a kind takes; custom resources know no strategic merge patch.
    static func patchTypes(_ row: ResourceRow) -> [PatchType] { PatchType.allCases.filter { !row.isCustom || $0 != .strategicMerge } }

    /// The names in braces of a path.
    static func pathParameters(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }
}
