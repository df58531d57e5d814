internal import Nftables
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The kernel's copy of the firewalls of all VPCs of one service: tables of one name, which are there while a VPC is, that of IPv6 while one has IPv6.
package actor HostFirewall {
    private let packets: NftTable
    private let packets6: NftTable
    private let frames: NftTable
    private var isThere = true
    private var isThere6 = IPv6Forwarding.isPossible

    /// `directory` is that of the service's `VPCNetworks`.
    package init(directory: String) {
        let (name, program) = (FirewallRules.table(directory), NftProgram())
        packets = NftTable(RuleTable(name: "ip \(name)", base: FirewallRules.packets(.ipv4)), program: program)
        packets6 = NftTable(RuleTable(name: "ip6 \(name)", base: FirewallRules.packets(.ipv6)), program: program)
        frames = NftTable(RuleTable(name: "bridge \(name)", base: FirewallRules.frames), program: program)
    }

    /// Brings the kernel to `firewalls`, those of all VPCs and of both families, by what changed; the first time each table is made anew in one step.
    /// `resolvers` are addresses of both families. Call it from one task.
    /// Throws `CommandError`, and the next call makes up for it.
    package func set(_ firewalls: [Firewall], resolvers: [String]) async throws {
        guard !firewalls.isEmpty else { return try await remove() }
        isThere = true
        // Whom a packet may reach is known before the packets come.
        for (family, table) in [(IPFamily.ipv4, packets), (.ipv6, packets6)] {
            let own = firewalls.filter { $0.family == family }
            guard family == .ipv4 || !own.isEmpty else {
                try await removeIPv6()
                continue
            }
            if family == .ipv6 { isThere6 = true }
            let servers = resolvers.filter { IPFamily(ofText: $0) == family }
            try await Self.apply(FirewallRules.packets(own, resolvers: servers), to: table)
        }
        try await Self.apply(FirewallRules.frames(firewalls), to: frames)
    }

    /// Takes both tables out of the kernel; where they are not, that is no error. Throws `CommandError`.
    package func remove() async throws {
        guard isThere else { return }
        do {
            try await frames.remove()
            try await packets.remove()
            try await removeIPv6()
        } catch let error as CommandError where error.code == -ENOENT {}  // Without nft no VPC was ever here.
        isThere = false
    }

    private func removeIPv6() async throws {
        guard isThere6 else { return }
        try await packets6.remove()
        isThere6 = false
    }

    private static func apply(_ fragments: [String: RuleFragment], to table: NftTable) async throws {
        let gone = await table.owners.subtracting(fragments.keys).sorted().map { (owner: $0, fragment: RuleFragment?.none) }
        let there = fragments.sorted { $0.key < $1.key }.map { (owner: $0.key, fragment: RuleFragment?.some($0.value)) }
        try await table.apply(gone + there)
    }
}
