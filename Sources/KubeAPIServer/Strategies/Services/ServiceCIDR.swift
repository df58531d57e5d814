#if canImport(Glibc)
    internal import Glibc
#endif

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

/// An IP address as a number.
struct IPAddress: Hashable, CustomStringConvertible {
    var number: UInt128
    var isIPv6: Bool

    init(number: UInt128, isIPv6: Bool) {
        self.number = number
        self.isIPv6 = isIPv6
    }

    /// Reads the usual forms; nil for anything else, such as IPv4 with leading zeros.
    init?(_ text: String) {
        var six = in6_addr()
        var four = in_addr()
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
            isIPv6 = true
            number = withUnsafeBytes(of: &six) { bytes in bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
        } else {
            guard inet_pton(AF_INET, text, &four) == 1 else { return nil }
            isIPv6 = false
            number = withUnsafeBytes(of: &four) { bytes in bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
        }
    }

    var description: String {
        guard isIPv6 else { return (0..<4).map { String(number >> UInt128(24 - 8 * $0) & 0xFF) }.joined(separator: ".") }
        var bytes = in6_addr()
        withUnsafeMutableBytes(of: &bytes) { buffer in for i in 0..<16 { buffer[i] = UInt8(truncatingIfNeeded: number >> UInt128(120 - 8 * i)) } }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
