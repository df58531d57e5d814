#if canImport(Glibc)
    internal import Glibc
#endif

/// An IPv6 address as a number.
package struct IPv6Address: Sendable, Hashable, CustomStringConvertible {
    package var value: UInt128

    package init(_ value: UInt128) { self.value = value }

    /// `2001:db8::7`, in any of its forms; nil for anything else.
    package init?(_ text: some StringProtocol) {
        var address = in6_addr()
        guard inet_pton(AF_INET6, String(text), &address) == 1 else { return nil }
        value = withUnsafeBytes(of: &address) { bytes in bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
    }

    /// The short form: `2001:db8::7`.
    package var description: String {
        var address = in6_addr()
        withUnsafeMutableBytes(of: &address) { bytes in
            for place in 0..<16 { bytes[place] = UInt8(truncatingIfNeeded: value >> UInt128(120 - 8 * place)) }
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &address, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// An IPv6 range: `2001:db8::/56`.
package struct IPv6Block: Sendable, Hashable, CustomStringConvertible {
    /// The first address; its host bits are zero.
    package let base: IPv6Address
    package let prefixLength: Int

    /// Nil when the text is no range. Host bits are cleared, as EC2 does.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv6Address(parts[0]), let length = Int(parts[1]), (0...128).contains(length),
            String(length) == parts[1]
        else { return nil }
        self.init(address, prefixLength: length)
    }

    /// The range of this length that the address is in; lengths are from 0 to 128.
    package init(_ address: IPv6Address, prefixLength: Int) {
        self.prefixLength = min(max(prefixLength, 0), 128)
        base = IPv6Address(address.value & ~IPv6Block.hostMask(self.prefixLength))
    }

    private static func hostMask(_ length: Int) -> UInt128 { length == 0 ? .max : (UInt128(1) << UInt128(128 - length)) &- 1 }

    /// The last address.
    var last: IPv6Address { IPv6Address(base.value | IPv6Block.hostMask(prefixLength)) }
    package var description: String { "\(base)/\(prefixLength)" }

    package func contains(_ address: IPv6Address) -> Bool { address.value & ~IPv6Block.hostMask(prefixLength) == base.value }
    package func contains(_ other: IPv6Block) -> Bool { other.prefixLength >= prefixLength && contains(other.base) }
    package func overlaps(_ other: IPv6Block) -> Bool { contains(other) || other.contains(self) }

    /// Those of the blocks that lie in no other, in order: no two of them overlap.
    package static func outermost(_ blocks: [IPv6Block]) -> [IPv6Block] {
        let ordered = Set(blocks).sorted { ($0.base.value, $0.prefixLength) < ($1.base.value, $1.prefixLength) }
        // Blocks overlap only by containing one another, and one that contains others comes before them.
        return ordered.reduce(into: []) { kept, block in if kept.last?.contains(block) != true { kept.append(block) } }
    }

    /// A range of `length` within this one, by chance. Lengths shorter than this one's give this one's first.
    func randomBlock(_ length: Int) -> IPv6Block {
        let chance = UInt128.random(in: 0...UInt128.max) & IPv6Block.hostMask(prefixLength)
        return IPv6Block(IPv6Address(base.value | chance), prefixLength: max(length, prefixLength))
    }

    /// Of a subnet: the addresses AWS keeps: the first four and the last. Upstream: VPC User Guide, "Subnet sizing for IPv6".
    func isReserved(_ address: IPv6Address) -> Bool {
        address.value &- base.value < UInt128(IPv4Block.reservedFirst) || address == last
    }
}
