import KubeAPI
import Nftables

extension IPFamily {
    init(of address: IPAddress) { self = address.isIPv6 ? .ipv6 : .ipv4 }
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
