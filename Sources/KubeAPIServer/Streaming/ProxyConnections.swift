import HTTPTransport
import KubeAPI

/// Which addresses a client's request may be passed on to. Who can write an address into a Node, a Pod's status or an endpoint must not thereby
/// reach what listens for the control plane alone: loopback, link-local addresses, the API server itself. Upstream:
/// k8s.io/apimachinery/pkg/util/proxy.IsProxyableIP, after CVE-2020-8555, CVE-2020-8562, CVE-2022-3294.
package struct ProxyAddressPolicy: Sendable {
    /// Addresses of the control plane: its network interfaces and its public address.
    package var refused: Set<String>
    /// For clusters whose kubelets are in the same process, as in tests.
    package var allowsLoopback: Bool

    package init(refused: Set<String> = [], allowsLoopback: Bool = false) {
        self.refused = Set(refused.compactMap { IPAddress($0)?.unmapped.description })
        self.allowsLoopback = allowsLoopback
    }

    /// Whether requests may go to `host`, an IP address. A name is no address: it is judged again when it is resolved.
    func admits(_ host: String) -> Bool {
        guard let address = IPAddress(host)?.unmapped else { return false }
        if address.isLoopback { return allowsLoopback }
        return !address.isUnspecified && !address.isLinkLocal && !address.isMulticast && !refused.contains(address.description)
    }

    /// Upstream's words for a refusal.
    static var notAllowed: StatusError { .badRequest("address not allowed") }
}

/// Connections to pods, services' endpoints and other ports of nodes, for the proxy subresources. Upstream: the ProxyTransport of the API server.
final class ProxyConnections: Sendable {
    /// Clients kept at most.
    private static let maximumClients = 1_024

    private struct Key: Hashable {
        var address: HTTPAddress
        var isTLS: Bool
    }

    let policy: ProxyAddressPolicy
    private let clients = HTTPClientPool<Key>(limit: maximumClients)

    init(policy: ProxyAddressPolicy) { self.policy = policy }

    /// The client for an address. With TLS the server is not verified, as upstream's proxy does not: who runs the pod is not known.
    func client(for address: HTTPAddress, isTLS: Bool) throws -> HTTPClient {
        try clients.client(for: Key(address: address, isTLS: isTLS)) { [policy] in
            var http = HTTPClient.Configuration(address: address)
            if isTLS { http.tls = HTTPClient.TLS(verifiesServer: false) }
            http.admitsAddress = { policy.admits($0) }
            return http
        }
    }

    func close() async { await clients.close() }
}

/// What addresses are for. Upstream: the methods of net.IP.
extension IPAddress {
    /// An IPv4 address that was written as IPv6 (`::ffff:127.0.0.1`) as what it is.
    var unmapped: IPAddress {
        guard isIPv6, number >> 32 == 0xFFFF else { return self }
        return IPAddress(number: number & 0xFFFF_FFFF, isIPv6: false)
    }
    var isLoopback: Bool { isIPv6 ? number == 1 : number >> 24 == 127 }
    /// For IPv4 the whole of 0.0.0.0/8, which Linux takes for this host.
    var isUnspecified: Bool { isIPv6 ? number == 0 : number >> 24 == 0 }
    var isLinkLocal: Bool { isIPv6 ? number >> 118 == 0xFE80 >> 6 : number >> 16 == 0xA9FE }
    /// Multicast, broadcast and reserved ranges.
    var isMulticast: Bool { isIPv6 ? number >> 120 == 0xFF : number >> 28 >= 0xE }
}
