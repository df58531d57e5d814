package import HTTPTransport
import KubeAPI

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
    private let policy: ProxyAddressPolicy
    private let clients = HTTPClientPool<HTTPAddress>(limit: maximumClients)

    init(_ configuration: KubeletClientConfiguration, policy: ProxyAddressPolicy) {
        self.configuration = configuration
        self.policy = policy
    }

    /// The label of nodes that are records: nothing listens there.
    private static let runtimeLabel = "eyrie.dev/runtime"

    /// Where a node says its kubelet is. Throws 500 when it tells no address, 501 for a simulated node.
    func address(of node: Object) throws -> (host: String, port: Int) {
        if node["metadata"]["labels"][Self.runtimeLabel].string == "simulated" {
            throw StatusError(
                code: 501, reason: "NotImplemented",
                message: "node \(node.metadata.name) is simulated: it runs no processes, so there are no logs, exec, attach, port-forward or metrics")
        }
        let addresses = node["status"]["addresses"].elements
        // Upstream: --kubelet-preferred-address-types; names need a resolver, and ours are addresses first.
        let preferred = ["InternalIP", "ExternalIP", "Hostname", "InternalDNS"]
        let host = preferred.lazy.compactMap { type in addresses.first { $0["type"].string == type }?["address"].string }.first
        guard let host, !host.isEmpty else {
            throw StatusError.internalError("no preferred addresses found; known addresses: \(addresses.compactMap { $0["address"].string })")
        }
        let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].int.flatMap { Int(exactly: $0) } ?? configuration.port
        return (host, (1...65535).contains(port) ? port : configuration.port)
    }

    /// The client for a node's kubelet. Throws 500 when the node tells no address, 400 for an address that a node must not claim: with the API
    /// server's own certificate even the API server would be at its service (CVE-2022-3294).
    func client(for node: Object) throws -> HTTPClient {
        let (host, port) = try address(of: node)
        if IPAddress(host) != nil, !policy.admits(host) { throw ProxyAddressPolicy.notAllowed }
        let address = HTTPAddress.tcp(host: host, port: port)
        return try clients.client(for: address) { [configuration, policy] in
            var http = HTTPClient.Configuration(address: address)
            http.tls = HTTPClient.TLS(rootsPEM: configuration.rootsPEM, identity: configuration.identity)
            http.admitsAddress = { policy.admits($0) }
            return http
        }
    }

    func close() async { await clients.close() }
}
