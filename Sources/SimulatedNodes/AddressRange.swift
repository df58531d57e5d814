/// Addresses for simulated pods, none twice at a time. They are on no network: any range that is nobody's will do.
struct AddressRange: Sendable {
    private let base: UInt32
    private let count: UInt32
    private var next: UInt32 = 1
    private var taken: Set<UInt32> = []
    private var byOwner: [String: UInt32] = [:]

    /// `100.80.0.0/12`, the second part of what RFC 6598 keeps for carriers: a million addresses.
    static let pods = AddressRange(base: 100 << 24 | 80 << 16, count: 1 << 20)

    init(base: UInt32, count: UInt32) {
        self.base = base
        self.count = count
    }

    /// An owner's address: the one it has, or was seen with, else the next free one. Nil when none is left.
    mutating func address(of owner: String, seen: String? = nil) -> String? {
        if let known = byOwner[owner] { return Self.text(known) }
        if let seen, let address = Self.number(seen), address >= base, address - base < count, !taken.contains(address) {
            take(address, owner)
            return seen
        }
        guard taken.count < Int(count) - 1 else { return nil }
        while true {
            let address = base + next
            next = next + 1 < count ? next + 1 : 1
            guard !taken.contains(address) else { continue }
            take(address, owner)
            return Self.text(address)
        }
    }

    mutating func release(_ owner: String) {
        if let address = byOwner.removeValue(forKey: owner) { taken.remove(address) }
    }

    private mutating func take(_ address: UInt32, _ owner: String) {
        taken.insert(address)
        byOwner[owner] = address
    }

    private static func text(_ address: UInt32) -> String { "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)" }

    private static func number(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        return parts.count == 4 ? parts.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }
}
