package import KubeAPI

/// One of the two families of addresses: each has a table of its own. Upstream: core/v1 IPFamily.
package enum IPFamily: String, Sendable, CaseIterable {
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"

    package init(of address: IPAddress) { self = address.isIPv6 ? .ipv6 : .ipv4 }

    /// nft's word for the family, of its tables and of the header.
    var header: String { self == .ipv4 ? "ip" : "ip6" }
    var addressType: String { self == .ipv4 ? "ipv4_addr" : "ipv6_addr" }
}

/// Protocols that Services have. Upstream: core/v1 Protocol.
package enum TransportProtocol: String, Sendable {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"

    /// nft's word.
    var word: String {
        switch self {
        case .tcp: "tcp"
        case .udp: "udp"
        case .sctp: "sctp"
        }
    }
}
