import HTTPTransport
import KubeAPI
import KubeClient
import KubeStorage
import Testing

@testable import KubeAPIServer

/// Lets everyone do everything.
struct AllowEverything: Authorizer {
    func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision { .allow(reason: "") }
}

/// Lets nobody but members of `system:masters` do anything.
struct MastersOnly: Authorizer {
    func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        attributes.user.groups.contains("system:masters") ? .allow(reason: "") : .noOpinion(reason: "")
    }
}

/// `Authorization: Test NAME[,GROUP…]`.
struct TestAuthenticator: RequestAuthenticator {
    func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? {
        guard let header = head.fields["Authorization"] else { return nil }
        guard header.hasPrefix("Test ") else { throw StatusError.unauthorized }
        let parts = header.dropFirst(5).split(separator: ",").map(String.init)
        return UserInfo(name: parts.first ?? "", groups: Array(parts.dropFirst()))
    }
}

/// An API server over memory, spoken to as clients speak: over HTTP's types and in process.
struct TestServer {
    let server: APIServer
    let client: InProcessTransport

    init(
        authorizers: [any Authorizer] = [AllowEverything()], kubelets: KubeletClientConfiguration? = nil,
        configure: (inout APIServer.Configuration) -> Void = { _ in }
    ) async throws {
        var configuration = APIServer.Configuration(
            store: MemoryStore(), kubelets: kubelets, version: VersionInfo(minor: "36", gitVersion: "v1.36.0-test"), serverAddress: "127.0.0.1:6443"
        ) { _ in
            APIServer.Components(authenticators: [TestAuthenticator()], authorizers: authorizers)
        }
        configure(&configuration)
        server = APIServer(configuration)
        try await server.start()
        server.markReady()
        client = InProcessTransport(server, user: UserInfo(name: "tester", groups: ["system:masters"]))
    }

    /// With the strategies of all kinds.
    static func withStrategies() async throws -> TestServer {
        try await TestServer { configuration in
            configuration.components = { reader in
                APIServer.Components(
                    authenticators: [TestAuthenticator()], authorizers: [AllowEverything()],
                    strategies: StrategyTable.standard(serviceCIDR: try #require(ServiceCIDR("10.100.0.0/16")), reader: reader))
            }
        }
    }

    // MARK: In process

    static func resource(_ name: String) -> GroupVersionResource {
        let parts = name.split(separator: "/").map(String.init)
        return parts.count == 3
            ? GroupVersionResource(group: parts[0], version: parts[1], resource: parts[2])
            : GroupVersionResource(group: "", version: "v1", resource: name)
    }

    @discardableResult
    func create(_ resource: String, _ object: Value, namespace: String? = "default", query: [(name: String, value: String)] = []) async throws
        -> Object
    {
        try await client.perform(KubeRequest(.create, Self.resource(resource), namespace: namespace, query: query, body: object.jsonBytes))
    }
    func get(_ resource: String, _ name: String, namespace: String? = "default", subresource: String? = nil) async throws -> Object {
        try await client.perform(KubeRequest(.get, Self.resource(resource), namespace: namespace, name: name, subresource: subresource))
    }
    func list(_ resource: String, namespace: String? = "default", query: [(name: String, value: String)] = []) async throws -> Object {
        try await client.perform(KubeRequest(.list, Self.resource(resource), namespace: namespace, query: query))
    }
    @discardableResult
    func update(_ resource: String, _ object: Value, namespace: String? = "default", subresource: String? = nil) async throws -> Object {
        try await client.perform(
            KubeRequest(
                .update, Self.resource(resource), namespace: namespace, name: object[path: "metadata", "name"]?.string, subresource: subresource,
                body: object.jsonBytes))
    }
    @discardableResult
    func patch(
        _ resource: String, _ name: String, _ patch: Value, type: String = "application/merge-patch+json", namespace: String? = "default",
        subresource: String? = nil
    ) async throws -> Object {
        try await client.perform(
            KubeRequest(
                .patch, Self.resource(resource), namespace: namespace, name: name, subresource: subresource, body: patch.jsonBytes, contentType: type)
        )
    }
    @discardableResult
    func delete(_ resource: String, _ name: String, namespace: String? = "default", options: Value? = nil) async throws -> Object {
        try await client.perform(KubeRequest(.delete, Self.resource(resource), namespace: namespace, name: name, body: options?.jsonBytes))
    }

    // MARK: Over HTTP's types

    struct Answer {
        var status: Int
        var fields: HTTPFields
        var body: [UInt8]
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSONView? { try? JSONDocument(body).root }
    }

    static func head(_ method: String, _ target: String, _ fields: HTTPFields = [:]) -> HTTPRequestHead {
        var fields = fields
        if fields["Authorization"] == nil { fields["Authorization"] = "Test admin,system:masters" }
        if fields["Authorization"] == "none" { fields["Authorization"] = nil }
        return HTTPRequestHead(
            method: method, target: target, fields: fields, authority: "localhost",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2"))
    }

    func http(_ method: String, _ target: String, _ fields: HTTPFields = [:], body: String = "") async -> Answer {
        let bytes = Array(body.utf8)
        let pieces = OnePiece(bytes.isEmpty ? nil : bytes)
        let response = await server.respond(to: Self.head(method, target, fields), body: HTTPBodyStream { await pieces.next() })
        switch response.body {
        case .bytes(let bytes): return Answer(status: response.status, fields: response.fields, body: bytes)
        case .stream(let write):
            let sink = Sink()
            try? await write(HTTPBodyWriter { await sink.append($0) })
            return Answer(status: response.status, fields: response.fields, body: await sink.bytes)
        case .upgrade: return Answer(status: response.status, fields: response.fields, body: [])
        }
    }

    private actor OnePiece {
        var piece: [UInt8]?
        init(_ piece: [UInt8]?) { self.piece = piece }
        func next() -> [UInt8]? {
            defer { piece = nil }
            return piece
        }
    }
    private actor Sink {
        var bytes: [UInt8] = []
        func append(_ more: [UInt8]) { bytes += more }
    }
}

func configMap(_ name: String, _ data: [String: String] = [:], labels: [String: String] = [:]) -> Value {
    var object: Value = ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name)]]
    if !labels.isEmpty { object[path: "metadata", "labels"] = Value(labels) }
    if !data.isEmpty { object["data"] = Value(data) }
    return object
}

func pod(_ name: String, node: String? = nil) -> Value {
    var object: Value = [
        "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name)],
        "spec": ["containers": [["name": "main", "image": "nginx"]], "terminationGracePeriodSeconds": 30],
    ]
    if let node { object[path: "spec", "nodeName"] = .string(node) }
    return object
}

func deployment(_ name: String, replicas: Int64 = 1) -> Value {
    [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name)],
        "spec": [
            "replicas": .int(replicas), "selector": ["matchLabels": ["app": .string(name)]],
            "template": ["metadata": ["labels": ["app": .string(name)]], "spec": ["containers": [["name": "main", "image": "nginx:1"]]]],
        ],
    ]
}

/// The Status a failing operation throws.
func failure(_ work: () async throws -> some Any) async -> StatusError? {
    do {
        _ = try await work()
        return nil
    } catch let error as StatusError { return error } catch {
        return StatusError(code: 0, reason: "", message: "\(error)")
    }
}
