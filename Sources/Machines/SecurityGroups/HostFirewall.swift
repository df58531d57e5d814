internal import Nftables
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The kernel's copy of the firewalls of all VPCs of one service: two tables of one name, which are there while a VPC is.
package actor HostFirewall {
    private let packets: NftTable
    private let frames: NftTable
    private var isThere = true

    /// `directory` is that of the service's `VPCNetworks`.
    package init(directory: String) {
        let (name, program) = (FirewallRules.table(directory), NftProgram())
        packets = NftTable(RuleTable(name: "ip \(name)", base: FirewallRules.packets), program: program)
        frames = NftTable(RuleTable(name: "bridge \(name)", base: FirewallRules.frames), program: program)
    }

    /// Brings the kernel to `firewalls`, those of all VPCs, by what changed; the first time each table is made anew in one step. Call it from one task.
    /// Throws `CommandError`, and the next call makes up for it.
    package func set(_ firewalls: [Firewall], resolvers: [String]) async throws {
        guard !firewalls.isEmpty else { return try await remove() }
        isThere = true
        // Whom a packet may reach is known before the packets come.
        try await Self.apply(FirewallRules.packets(firewalls, resolvers: resolvers), to: packets)
        try await Self.apply(FirewallRules.frames(firewalls), to: frames)
    }

    /// Takes both tables out of the kernel; where they are not, that is no error. Throws `CommandError`.
    package func remove() async throws {
        guard isThere else { return }
        do {
            try await frames.remove()
            try await packets.remove()
        } catch let error as CommandError where error.code == -ENOENT {}  // Without nft no VPC was ever here.
        isThere = false
    }

    private static func apply(_ fragments: [String: RuleFragment], to table: NftTable) async throws {
        let gone = await table.owners.subtracting(fragments.keys).sorted().map { (owner: $0, fragment: RuleFragment?.none) }
        let there = fragments.sorted { $0.key < $1.key }.map { (owner: $0.key, fragment: RuleFragment?.some($0.value)) }
        try await table.apply(gone + there)
    }
}
