/// A range of addresses as its network's address and length: `10.0.0.0/8`. Upstream: net.IPNet.
package struct IPRange: Hashable, Sendable, CustomStringConvertible {
    package var network: IPAddress
    package var length: Int

    /// Reads `address/length`; bits of hosts are dropped. Nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]), length >= 0 else { return nil }
        let bits = address.isIPv6 ? 128 : 32
        guard length <= bits else { return nil }
        let host: UInt128 = length == 0 ? .max : (UInt128(1) << UInt128(bits - length)) &- 1
        network = IPAddress(number: address.number & ~host, isIPv6: address.isIPv6)
        self.length = length
    }

    package var isIPv6: Bool { network.isIPv6 }

    package func contains(_ address: IPAddress) -> Bool {
        guard address.isIPv6 == isIPv6 else { return false }
        guard length > 0 else { return true }
        let shift = UInt128((isIPv6 ? 128 : 32) - length)
        return address.number >> shift == network.number >> shift
    }

    package var description: String { "\(network)/\(length)" }
}
