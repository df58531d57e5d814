package import HTTPTransport
import KubeAPI
import Synchronization

/// How extension API servers are spoken to. Upstream: aggregatorapiserver.ExtraConfig.
package struct AggregationConfiguration: Sendable {
    /// The client certificate by which extension servers know that a request, and the user in its header fields, comes from this server.
    package var identity: TLSIdentity?
    /// The CA of `identity`, in PEM, for the ConfigMap that extension servers read.
    package var authorityPEM: String?
    /// The CA of clients' certificates, in PEM, for the same.
    package var clientAuthorityPEM: String?
    /// The common name in `identity`. Upstream: --requestheader-allowed-names.
    package var commonName: String

    package init(
        identity: TLSIdentity? = nil, authorityPEM: String? = nil, clientAuthorityPEM: String? = nil, commonName: String = "front-proxy-client"
    ) {
        self.identity = identity
        self.authorityPEM = authorityPEM
        self.clientAuthorityPEM = clientAuthorityPEM
        self.commonName = commonName
    }
}

/// Passes requests for groups that extension servers bring to them, and knows what they serve. Upstream: kube-aggregator's APIAggregator.
final class Aggregator: Sendable {
    /// Clients kept at most.
    private static let maximumClients = 256

    private struct Key: Hashable {
        var address: HTTPAddress
        var serverName: String
        var rootsPEM: String?
        var verifies: Bool
    }

    let index: APIServiceIndex
    let resolver: ServiceResolver
    /// Groups without stored objects that this server answers itself unless an extension server does, with what they serve.
    let local: [(service: RegisteredAPIService, discovery: RemoteDiscovery)]
    private let identity: TLSIdentity?
    private let clients = Mutex<[Key: HTTPClient]>([:])
    private let discovered = Mutex<(kept: [GroupVersion: RemoteDiscovery], generation: Int)>(([:], 0))
    /// Wakes the availability controller; kept to one waiting wake-up.
    let wakeups: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(
        reader: any ObjectReader, configuration: AggregationConfiguration,
        local: [(service: RegisteredAPIService, discovery: RemoteDiscovery)] = []
    ) {
        self.local = local
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        wakeups = stream
        wake = continuation
        identity = configuration.identity
        resolver = ServiceResolver(reader: reader)
        index = APIServiceIndex(reader: reader) { continuation.yield() }
    }

    /// Has the availability controller look again.
    func wakeUp() { wake.yield() }

    func close() async {
        wake.finish()
        let all = clients.withLock { clients in
            defer { clients.removeAll() }
            return Array(clients.values)
        }
        for client in all { await client.close() }
    }

    // MARK: Requests

    /// The extension server that answers a path: of a group's version, or of its OpenAPI document. Nil for everything this server answers itself.
    func remote(for info: RequestInfo) -> RegisteredAPIService? {
        if info.isResourceRequest { return info.apiGroup.isEmpty ? nil : index.remote(group: info.apiGroup, version: info.apiVersion) }
        // Only two kinds of other paths are meant.
        guard info.path.hasPrefix("/apis/") || info.path.hasPrefix("/openapi/v3/apis/") else { return nil }
        let parts = info.path.split(separator: "/").map(String.init)
        let rest = parts.first == "openapi" ? parts.dropFirst(3) : parts.dropFirst(1)
        guard rest.count >= 2, let group = rest.first else { return nil }
        return index.remote(group: group, version: rest[rest.index(after: rest.startIndex)])
    }

    /// Passes a request on. Upstream: apiserver.proxyHandler.
    func proxy(_ service: RegisteredAPIService, _ head: HTTPRequestHead, body: HTTPBodyStream?, user: UserInfo) async throws -> HTTPResponse {
        guard service.isAvailable else { return Self.unavailable }
        let client: HTTPClient
        do { client = try self.client(for: service) } catch { return Self.unavailable }
        var backend = BackendProxy(client: client, head: head, body: body, target: head.target)
        backend.added = Self.userFields(user)
        backend.added.add("Host", "\(service.serverName):\(service.service?.port ?? 443)")
        backend.backendAuthority = "\(service.serverName):\(service.service?.port ?? 443)"
        backend.rejectsRedirects = true
        do {
            return try await backend.respond()
        } catch let error as StatusError {
            // Clients shall be told the truth from the next request on, not only when the next check is due.
            wakeUp()
            return Responses.text("\(error.message)\n", status: 503)
        }
    }

    /// Performs a request of this process's own. Throws the extension server's `StatusError`, and 503 when it does not answer.
    func perform(_ service: RegisteredAPIService, _ method: String, _ target: String, body: [UInt8]?, user: UserInfo) async throws -> Object {
        guard service.isAvailable else { throw StatusError.serviceUnavailable("service unavailable") }
        let authority = "\(service.serverName):\(service.service?.port ?? 443)"
        var fields = Self.userFields(user)
        fields.add("Accept", "application/json")
        fields.add("Host", authority)
        if body != nil { fields.add("Content-Type", "application/json") }
        let response: HTTPClientResponse
        let bytes: [UInt8]
        do {
            response = try await client(for: service).execute(method, target, fields: fields, body: body, timeout: .seconds(30))
            bytes = try await response.body.collect(limit: RequestPipeline.maximumBodyBytes)
        } catch let error as HTTPError {
            wakeUp()
            throw StatusError.serviceUnavailable("error trying to reach service: \(error)")
        }
        let object = try Object(bytes: bytes)
        guard (200...299).contains(response.status) else {
            throw StatusError(status: object) ?? StatusError.serviceUnavailable("the extension server answered \(response.status)")
        }
        return object
    }

    private static var unavailable: HTTPResponse { Responses.text("service unavailable\n", status: 503) }

    /// Who the request is by, in the fields that the ConfigMap kube-system/extension-apiserver-authentication names. Upstream:
    /// transport.SetAuthProxyHeaders.
    static func userFields(_ user: UserInfo) -> HTTPFields {
        var fields: HTTPFields = ["X-Remote-User": user.name]
        if !user.uid.isEmpty { fields.add("X-Remote-Uid", user.uid) }
        for group in user.groups { fields.add("X-Remote-Group", group) }
        for (key, values) in user.extra.sorted(by: { $0.key < $1.key }) {
            for value in values { fields.add("X-Remote-Extra-\(escaped(key))", value) }
        }
        return fields
    }

    /// Bytes that no field's name may have are percent-encoded, and the percent sign. Upstream: transport.headerKeyEscape.
    private static func escaped(_ key: String) -> String {
        let legal = Set("!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        let digits = Array("0123456789ABCDEF")
        var out = ""
        for byte in key.utf8 {
            if legal.contains(byte) {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                out += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 0xF)])"
            }
        }
        return out
    }

    /// Throws `StatusError` when the service has no endpoint.
    func client(for service: RegisteredAPIService) throws -> HTTPClient {
        guard let target = service.service else { throw StatusError.serviceUnavailable("the APIService \(service.name) is local") }
        let address = try resolver.resolve(namespace: target.namespace, name: target.name, port: target.port)
        let key = Key(
            address: address, serverName: service.serverName, rootsPEM: service.rootsPEM, verifies: !service.skipsVerification)
        return try clients.withLock { clients in
            if let client = clients[key] { return client }
            var http = HTTPClient.Configuration(address: address)
            http.tls = HTTPClient.TLS(
                rootsPEM: key.rootsPEM, identity: identity, serverName: key.serverName, verifiesServer: key.verifies)
            let client = try HTTPClient(configuration: http)
            if clients.count >= Self.maximumClients { clients.removeAll() }
            clients[key] = client
            return client
        }
    }

    // MARK: What they serve

    /// What was found out about a remote group version; nil when nothing was yet.
    func discovery(of key: GroupVersion) -> RemoteDiscovery? {
        discovered.withLock { $0.kept[key] } ?? local.first { $0.service.groupVersion == key }?.discovery
    }

    /// All groups that stand in no table of this server.
    var shown: [RegisteredAPIService] {
        let remotes = index.remotes.services
        return remotes + local.map(\.service).filter { local in !remotes.contains { $0.groupVersion == local.groupVersion } }
    }

    /// Grows with every change of what remote groups look like to clients.
    var generation: Int { index.remotes.generation + discovered.withLock(\.generation) }

    func record(_ key: GroupVersion, _ change: (inout RemoteDiscovery) -> Void) {
        discovered.withLock { state in
            var discovery = state.kept[key] ?? RemoteDiscovery()
            change(&discovery)
            state.kept[key] = discovery
            state.generation += 1
        }
    }

    /// What extension servers serve, preferred versions first; of those that have not answered lately it is not known. Upstream: a client's
    /// discovery, to which a stale version is a failure.
    var extensionResources: DiscoveredResources {
        var result = DiscoveredResources()
        for service in index.remotes.services.byPreference {
            let name = "\(service.group)/\(service.version)"
            if let known = discovery(of: service.groupVersion), known.isFresh {
                result.rows += known.rows(group: service.group, version: service.version)
            } else {
                result.failures[name] = "stale GroupVersion discovery: \(name)"
            }
        }
        return result
    }

    func forget(except keys: Set<GroupVersion>) {
        discovered.withLock { state in
            let gone = state.kept.keys.filter { !keys.contains($0) }
            guard !gone.isEmpty else { return }
            for key in gone { state.kept[key] = nil }
            state.generation += 1
        }
    }
}
