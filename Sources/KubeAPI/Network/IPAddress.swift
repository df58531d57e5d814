#if canImport(Glibc)
    internal import Glibc
#endif

/// An IP address as a number.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    package var number: UInt128
    package var isIPv6: Bool

    package init(number: UInt128, isIPv6: Bool) {
        self.number = number
        self.isIPv6 = isIPv6
    }

    /// Reads the usual forms; nil for anything else, such as IPv4 with leading zeros.
    package init?(_ text: String) {
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

    package var description: String {
        guard isIPv6 else { return (0..<4).map { String(number >> UInt128(24 - 8 * $0) & 0xFF) }.joined(separator: ".") }
        var bytes = in6_addr()
        withUnsafeMutableBytes(of: &bytes) { buffer in for i in 0..<16 { buffer[i] = UInt8(truncatingIfNeeded: number >> UInt128(120 - 8 * i)) } }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
