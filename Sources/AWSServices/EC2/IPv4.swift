/// An IPv4 address as a number.
package struct IPv4Address: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var value: UInt32

    package init(_ value: UInt32) { self.value = value }

    /// `10.0.1.7`: four decimal numbers without leading zeros. Nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard let byte = UInt8(part), String(byte) == part else { return nil }
            value = value << 8 | UInt32(byte)
        }
        self.value = value
    }

    package var description: String { "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)" }
    /// `10-0-1-7`, as in private DNS names.
    package var dashed: String { "\(value >> 24)-\(value >> 16 & 255)-\(value >> 8 & 255)-\(value & 255)" }

    package static func < (a: IPv4Address, b: IPv4Address) -> Bool { a.value < b.value }
}

/// An IPv4 range: `10.0.0.0/16`.
package struct IPv4Block: Sendable, Hashable, CustomStringConvertible {
    /// The first address; its host bits are zero.
    package let base: IPv4Address
    package let prefixLength: Int

    /// Nil when the text is no range. Host bits are cleared, as EC2 does: `10.0.0.7/16` is `10.0.0.0/16`.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(parts[0]), let length = Int(parts[1]), (0...32).contains(length), String(length) == parts[1]
        else { return nil }
        prefixLength = length
        base = IPv4Address(address.value & IPv4Block.mask(length))
    }

    private static func mask(_ length: Int) -> UInt32 { length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length) }

    package var size: Int { 1 << (32 - prefixLength) }
    package var last: IPv4Address { IPv4Address(base.value | ~IPv4Block.mask(prefixLength)) }
    package var description: String { "\(base)/\(prefixLength)" }

    package func contains(_ address: IPv4Address) -> Bool { address.value & IPv4Block.mask(prefixLength) == base.value }
    package func contains(_ other: IPv4Block) -> Bool { other.prefixLength >= prefixLength && contains(other.base) }
    package func overlaps(_ other: IPv4Block) -> Bool { contains(other) || other.contains(self) }

    /// Those of the blocks that lie in no other, in order: no two of them overlap.
    package static func outermost(_ blocks: [IPv4Block]) -> [IPv4Block] {
        let ordered = Set(blocks).sorted { ($0.base, $0.prefixLength) < ($1.base, $1.prefixLength) }
        // Blocks overlap only by containing one another, and one that contains others comes before them.
        return ordered.reduce(into: []) { kept, block in if kept.last?.contains(block) != true { kept.append(block) } }
    }

    /// The address `offset` places after the first; nil past the end.
    package func address(at offset: Int) -> IPv4Address? {
        guard offset >= 0, offset < size else { return nil }
        return IPv4Address(base.value &+ UInt32(truncatingIfNeeded: offset))
    }

    /// Of a subnet: the addresses AWS keeps: the first four and the last. Upstream: VPC User Guide, "Subnet sizing".
    package static let reservedFirst = 4
    package static let reserved = 5
    package var usable: Int { max(0, size - IPv4Block.reserved) }
}
