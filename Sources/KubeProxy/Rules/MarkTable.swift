/// Numbers for groups of endpoints, which packets carry as their mark from the rule that finds the Service to the one that finds the endpoint.
///
/// A mark's highest bit asks for masquerading, the seven below it tell ours from the marks of others, 24 are the number.
struct MarkTable: Sendable {
    static let base: UInt32 = 0x6500_0000
    /// Packets with it leave with the node's address. Upstream: the masquerade mark 0x4000.
    static let masquerade: UInt32 = 0x8000_0000
    static let numberMask: UInt32 = 0x7FFF_FFFF
    private static let largest: UInt32 = 0x00FF_FFFF

    /// By owner and the group's name within the owner.
    private var numbers: [String: [String: UInt32]] = [:]
    private var free: [UInt32] = []
    private var next: UInt32 = 1

    /// The mark of a group: the same each time until its owner is released. Nil when all 16 million are in use.
    mutating func mark(_ owner: String, _ group: String) -> UInt32? {
        if let number = numbers[owner]?[group] { return Self.base | number }
        guard let number = free.popLast() ?? (next <= Self.largest ? next : nil) else { return nil }
        if number == next { next += 1 }
        numbers[owner, default: [:]][group] = number
        return Self.base | number
    }

    mutating func release(_ owner: String) { free += (numbers.removeValue(forKey: owner) ?? [:]).values }

    /// As nft reads it.
    static func text(_ mark: UInt32) -> String { "0x" + String(mark, radix: 16) }
}
