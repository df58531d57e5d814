package import HTTPTransport
import KubeAPI
import Synchronization

/// How the API server reaches kubelets. Upstream: kubelet/client.KubeletClientConfig.
package struct KubeletClientConfiguration: Sendable {
    /// The client certificate that kubelets know as the API server's.
    package var identity: TLSIdentity
    /// The CAs of kubelets' serving certificates, in PEM.
    package var rootsPEM: String
    /// The port when a node's status names none.
    package var port: Int

    package init(identity: TLSIdentity, rootsPEM: String, port: Int = 10250) {
        self.identity = identity
        self.rootsPEM = rootsPEM
        self.port = port
    }
}

/// Connections to the kubelets of nodes, one client for each address. Upstream: kubelet/client.ConnectionInfoGetter.
final class KubeletConnections: Sendable {
    /// Clients kept at most: a node that comes back gets a new one.
    static let maximumClients = 1_024

    private let configuration: KubeletClientConfiguration
    private let clients = Mutex<[HTTPAddress: HTTPClient]>([:])

    init(_ configuration: KubeletClientConfiguration) { self.configuration = configuration }

    /// The client for a node's kubelet. Throws 500 when the node tells no address.
    func client(for node: Object) throws -> HTTPClient {
        let addresses = node["status"]["addresses"].elements
        // Upstream: --kubelet-preferred-address-types; names need a resolver, and ours are addresses first.
        let preferred = ["InternalIP", "ExternalIP", "Hostname", "InternalDNS"]
        let host = preferred.lazy.compactMap { type in addresses.first { $0["type"].string == type }?["address"].string }.first
        guard let host, !host.isEmpty else {
            throw StatusError.internalError("no preferred addresses found; known addresses: \(addresses.compactMap { $0["address"].string })")
        }
        let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].int.flatMap { Int(exactly: $0) } ?? configuration.port
        let address = HTTPAddress.tcp(host: host, port: (1...65535).contains(port) ? port : configuration.port)
        return try clients.withLock { clients in
            if let client = clients[address] { return client }
            var http = HTTPClient.Configuration(address: address)
            http.tls = HTTPClient.TLS(rootsPEM: configuration.rootsPEM, identity: configuration.identity)
            let client = try HTTPClient(configuration: http)
            if clients.count >= Self.maximumClients { clients.removeAll() }
            clients[address] = client
            return client
        }
    }

    func close() async {
        let all = clients.withLock { clients in
            defer { clients.removeAll() }
            return Array(clients.values)
        }
        for client in all { await client.close() }
    }
}
