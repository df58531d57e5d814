import KubeAPI

/// A range of addresses for Services, `10.100.0.0/16` or `fd00::/108`. Upstream: networking.k8s.io ServiceCIDR, one of them.
package struct ServiceCIDR: Sendable, Hashable {
    /// The network's own address as a number: 32 bits for IPv4, 128 for IPv6.
    let base: UInt128
    package let prefixLength: Int
    package let isIPv6: Bool

    /// How many addresses of a range are used at most; a range of more is used up to here. Upstream: ipallocator's 2^20 for a /108 and 2^16.
    static let maximumSize: UInt128 = 1 << 20

    /// Nil for a text that is no CIDR of a size between /8 and four addresses for IPv4, /64 and four for IPv6.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = Int(parts[1]), let address = IPAddress(String(parts[0])) else { return nil }
        let bits = address.isIPv6 ? 128 : 32
        guard length >= (address.isIPv6 ? 64 : 8), length <= bits - 2 else { return nil }
        let host = (UInt128(1) << UInt128(bits - length)) - 1
        base = address.number & ~host
        prefixLength = length
        isIPv6 = address.isIPv6
    }

    /// Usable addresses: the network's and, for IPv4, the broadcast address are not.
    var size: UInt128 {
        let all = UInt128(1) << UInt128((isIPv6 ? 128 : 32) - prefixLength)
        return min(isIPv6 ? all - 1 : all - 2, Self.maximumSize)
    }

    /// The first usable address, the `kubernetes` service's.
    package var first: String { address(0) }

    /// The usable address number `offset`, from 0.
    package func address(_ offset: UInt128) -> String { IPAddress(number: base &+ 1 &+ offset, isIPv6: isIPv6).description }

    /// Which usable address this is; nil when it is not one of the range.
    func offset(of address: IPAddress) -> UInt128? {
        guard address.isIPv6 == isIPv6, address.number > base else { return nil }
        let offset = address.number - base - 1
        return offset < size ? offset : nil
    }

    package var description: String { "\(IPAddress(number: base, isIPv6: isIPv6))/\(prefixLength)" }
}
