import KubeAPI

/// The paths of resources as OpenAPI operations, named and ordered as upstream's installer makes them. Bodies and answers are written by the
/// caller, as v2 and v3 differ there. Upstream: k8s.io/apiserver/pkg/endpoints/installer.go and endpoints/openapi.GetOperationIDAndTags.
struct OperationWriter {
    /// A query parameter.
    struct Parameter: Equatable {
        var name: String
        /// `string`, `integer`, `boolean`.
        var type: String

        init(_ name: String, _ type: String = "string") {
            self.name = name
            self.type = type
        }
    }

    enum Body: Equatable {
        case none, kind, patch, deleteOptions
    }

    enum Answer: Equatable {
        case kind, list, status, watchEvent, text
    }

    /// One operation on one path.
    struct Operation {
        /// `get`, `post`, `put`, `patch`, `delete`, `head`, `options`.
        var method: String
        /// `list`, `post`, `deletecollection`, `get`, `put`, `patch`, `delete`, `connect`, `watch`, `watchlist`.
        var action: String
        /// `listCoreV1NamespacedPod`
        var id: String
        var kind: GroupVersionKind
        var parameters: [Parameter] = []
        var body = Body.none
        var answer = Answer.kind
        /// The codes of success.
        var codes = [200]
    }

    /// A path with its operations and the query parameters that all of them take.
    struct Path {
        var path: String
        var parameters: [Parameter]
        var operations: [Operation]
    }

    private static let pretty = [Parameter("pretty")]
    private static let listParameters = [
        Parameter("allowWatchBookmarks", "boolean"), Parameter("continue"), Parameter("fieldSelector"), Parameter("labelSelector"),
        Parameter("limit", "integer"), Parameter("resourceVersion"), Parameter("resourceVersionMatch"), Parameter("sendInitialEvents", "boolean"),
        Parameter("timeoutSeconds", "integer"), Parameter("watch", "boolean"),
    ]
    private static let writeParameters = [Parameter("dryRun"), Parameter("fieldManager"), Parameter("fieldValidation")]
    private static let patchParameters = writeParameters + [Parameter("force", "boolean")]
    private static let deleteParameters = [
        Parameter("dryRun"), Parameter("gracePeriodSeconds", "integer"),
        Parameter("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"), Parameter("orphanDependents", "boolean"),
        Parameter("propagationPolicy"),
    ]
    private static let collectionParameters =
        (deleteParameters + listParameters.filter { $0.name != "allowWatchBookmarks" && $0.name != "watch" }).sorted { $0.name < $1.name }
    private static let proxyMethods = ["delete", "get", "head", "options", "patch", "post", "put"]

    /// What the streams of pods take. Upstream: the Options kinds of k8s.io/api/core/v1.
    private static let streamParameters: [String: [Parameter]] = [
        "exec": [
            Parameter("command"), Parameter("container"), Parameter("stderr", "boolean"), Parameter("stdin", "boolean"),
            Parameter("stdout", "boolean"),
            Parameter("tty", "boolean"),
        ],
        "attach": [
            Parameter("container"), Parameter("stderr", "boolean"), Parameter("stdin", "boolean"), Parameter("stdout", "boolean"),
            Parameter("tty", "boolean"),
        ],
        "portforward": [Parameter("ports", "integer")],
        "proxy": [Parameter("path")],
        "log": [
            Parameter("container"), Parameter("follow", "boolean"), Parameter("insecureSkipTLSVerifyBackend", "boolean"),
            Parameter("limitBytes", "integer"), Parameter("previous", "boolean"), Parameter("sinceSeconds", "integer"), Parameter("stream"),
            Parameter("tailLines", "integer"), Parameter("timestamps", "boolean"),
        ],
    ]

    private let row: ResourceRow
    private let group: String
    private let scope: String
    private let collection: String

    private init(_ row: ResourceRow) {
        self.row = row
        group = Self.groupName(row)
        scope = row.namespaced ? "Namespaced" : ""
        collection = row.namespaced ? "\(row.pathPrefix)/namespaces/{namespace}/\(row.resource)" : "\(row.pathPrefix)/\(row.resource)"
    }

    /// The paths of a row with their operations, in a fixed order.
    static func paths(_ row: ResourceRow) -> [Path] { OperationWriter(row).all.filter { !$0.operations.isEmpty } }

    private var all: [Path] { main + watches + row.subresources.flatMap(subresource) }

    private func operation(
        _ verb: String, _ method: String, _ action: String, _ parameters: [Parameter], _ id: String, body: Body = .none, answer: Answer = .kind,
        codes: [Int] = [200]
    ) -> Operation? {
        guard row.supports(verb) else { return nil }
        return Operation(
            method: method, action: action, id: id, kind: row.groupVersionKind, parameters: parameters, body: body, answer: answer, codes: codes)
    }

    private var main: [Path] {
        let name = "\(group)\(scope)\(row.kind)"
        let deleted: Answer = ObjectPreparation.returnsDeletedObject(row) ? .kind : .status
        var paths = [
            Path(
                path: collection, parameters: Self.pretty,
                operations: [
                    operation("list", "get", "list", Self.listParameters, "list\(name)", answer: .list),
                    operation("create", "post", "post", Self.writeParameters, "create\(name)", body: .kind, codes: [200, 201, 202]),
                    operation(
                        "deletecollection", "delete", "deletecollection", Self.collectionParameters, "delete\(group)Collection\(scope)\(row.kind)",
                        body: .deleteOptions, answer: .status),
                ].compactMap { $0 }),
            Path(
                path: "\(collection)/{name}", parameters: Self.pretty,
                operations: [
                    operation("get", "get", "get", [], "read\(name)"),
                    operation("update", "put", "put", Self.writeParameters, "replace\(name)", body: .kind, codes: [200, 201]),
                    operation("patch", "patch", "patch", Self.patchParameters, "patch\(name)", body: .patch, codes: [200, 201]),
                    operation(
                        "delete", "delete", "delete", Self.deleteParameters, "delete\(name)", body: .deleteOptions, answer: deleted,
                        codes: [200, 202]),
                ].compactMap { $0 }),
        ]
        if row.namespaced {
            let list = operation("list", "get", "list", [], "list\(group)\(row.kind)ForAllNamespaces", answer: .list)
            paths.append(
                Path(path: "\(row.pathPrefix)/\(row.resource)", parameters: Self.pretty + Self.listParameters, operations: [list].compactMap { $0 }))
        }
        return paths
    }

    /// The paths below `/watch/`, which old clients use.
    private var watches: [Path] {
        guard row.supports("watch"), !row.isCustom else { return [] }
        let below = "\(row.pathPrefix)/watch" + collection.dropFirst(row.pathPrefix.count)
        func watch(_ path: String, _ action: String, _ id: String) -> Path {
            let operation = operation("watch", "get", action, [], id, answer: .watchEvent)
            return Path(path: path, parameters: Self.pretty + Self.listParameters, operations: [operation].compactMap { $0 })
        }
        var paths = [watch(below, "watchlist", "watch\(group)\(scope)\(row.kind)List")]
        if row.supports("get") { paths.append(watch("\(below)/{name}", "watch", "watch\(group)\(scope)\(row.kind)")) }
        if row.namespaced {
            paths.append(watch("\(row.pathPrefix)/watch/\(row.resource)", "watchlist", "watch\(group)\(row.kind)ListForAllNamespaces"))
        }
        return paths
    }

    private func subresource(_ subresource: ResourceRow.Subresource) -> [Path] {
        let path = "\(collection)/{name}/\(subresource.name)"
        let suffix = subresource.name.prefix(1).uppercased() + subresource.name.dropFirst()
        let name = "\(group)\(scope)\(row.kind)\(suffix)"
        if ["exec", "attach", "portforward", "proxy"].contains(subresource.name) { return streams(subresource, path, String(suffix)) }
        var parameters = Self.pretty
        if subresource.name == "log" { parameters = (parameters + (Self.streamParameters["log"] ?? [])).sorted { $0.name < $1.name } }
        let operations = subresource.verbs.compactMap { verb -> Operation? in
            func made(_ method: String, _ id: String, _ parameters: [Parameter], _ body: Body, _ codes: [Int]) -> Operation {
                Operation(
                    method: method, action: method, id: id + name, kind: subresource.kind, parameters: parameters, body: body,
                    answer: subresource.name == "log" ? .text : .kind, codes: codes)
            }
            switch verb {
            case "get": return made("get", "read", [], .none, [200])
            case "create": return made("post", "create", Self.writeParameters, .kind, [200, 201, 202])
            case "update": return made("put", "replace", Self.writeParameters, .kind, [200, 201])
            case "patch": return made("patch", "patch", Self.patchParameters, .patch, [200, 201])
            default: return nil
            }
        }
        return [Path(path: path, parameters: parameters, operations: operations)]
    }

    /// Paths that connect to what is behind an object.
    private func streams(_ subresource: ResourceRow.Subresource, _ path: String, _ suffix: String) -> [Path] {
        let isProxy = subresource.name == "proxy"
        func operations(_ ending: String) -> [Operation] {
            (isProxy ? Self.proxyMethods : ["get", "post"]).map { method in
                Operation(
                    method: method, action: "connect",
                    id: "connect\(group)\(method.prefix(1).uppercased() + method.dropFirst())\(scope)\(row.kind)\(ending)",
                    kind: subresource.kind, answer: .text)
            }
        }
        let parameters = Self.streamParameters[subresource.name] ?? []
        var paths = [Path(path: path, parameters: parameters, operations: operations(suffix))]
        if isProxy { paths.append(Path(path: "\(path)/{path}", parameters: parameters, operations: operations("\(suffix)WithPath"))) }
        return paths
    }

    /// The media types of patches a kind takes; custom resources know no strategic merge patch.
    static func patchTypes(_ row: ResourceRow) -> [PatchType] { PatchType.allCases.filter { !row.isCustom || $0 != .strategicMerge } }

    /// The names in braces of a path.
    static func pathParameters(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    /// The media types of an operation's answers.
    static func produced(_ operation: Operation, _ row: ResourceRow) -> [String] {
        let formats = WireFormat.allCases.filter { $0 != .protobuf || !row.isCustom }
        switch operation.answer {
        case .text: return operation.action == "connect" ? ["*/*"] : ["text/plain"] + formats.map(\.mediaType)
        case .list, .watchEvent: return formats.map(\.mediaType) + formats.filter(\.canStream).map { $0.mediaType + ";stream=watch" }
        case .kind, .status: return formats.map(\.mediaType)
        }
    }

    /// What an operation does, in the words its parts give.
    static func description(_ operation: Operation, _ row: ResourceRow) -> String {
        let kind = row.kind
        switch operation.action {
        case "list": return "list or watch objects of kind \(kind)"
        case "watch": return "watch changes to an object of kind \(kind)"
        case "watchlist": return "watch individual changes to a list of \(kind)"
        case "deletecollection": return "delete collection of \(kind)"
        case "connect": return "connect \(operation.method.uppercased()) requests to \(kind) by \(operation.kind.kind)"
        case "get": return "read the specified \(kind)"
        case "post": return "create a \(operation.kind.kind)"
        case "put": return "replace the specified \(kind)"
        case "patch": return "partially update the specified \(kind)"
        default: return "delete a \(kind)"
        }
    }

    // MARK: Names of groups

    /// `CoreV1`, `AppsV1`, `RbacAuthorizationV1`.
    private static func groupName(_ row: ResourceRow) -> String {
        words(row).map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() + row.version.prefix(1).uppercased() + row.version.dropFirst()
    }

    /// `core_v1`, `apps_v1`, `rbacAuthorization_v1`.
    static func tag(_ row: ResourceRow) -> String {
        let words = words(row)
        let rest = words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }
        return (words.first ?? "") + rest.joined() + "_" + row.version
    }

    private static func words(_ row: ResourceRow) -> [String] {
        if row.group.isEmpty { return ["core"] }
        let name = row.group.hasSuffix(".k8s.io") ? row.group.dropLast(".k8s.io".count) : row.group[...]
        // Names of operations are identifiers.
        return name.split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }
}
