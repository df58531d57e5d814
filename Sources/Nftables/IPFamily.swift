/// One of the two families of addresses: each has tables of its own. Upstream: core/v1 IPFamily.
package enum IPFamily: String, Sendable, CaseIterable {
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"

    /// The family of an address as it is written.
    package init(ofText address: String) { self = address.contains(":") ? .ipv6 : .ipv4 }

    /// nft's word for the family, of its tables and of the header.
    package var header: String { self == .ipv4 ? "ip" : "ip6" }
    /// nft's type of its addresses.
    package var addressType: String { self == .ipv4 ? "ipv4_addr" : "ipv6_addr" }
}
