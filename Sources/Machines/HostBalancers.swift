package import Nftables
internal import Processes

/// Load balancers of this host's clusters: an address on a VPC's bridge, whose ports the kernel leads to node ports of the cluster's machines. The host
/// reaches them, and whoever the host forwards for. Upstream: a Network Load Balancer with instances as targets.
package actor HostBalancers {
    /// A balancer's port and the node port behind it.
    package struct Port: Sendable, Hashable {
        /// `tcp`, `udp`, `sctp`.
        package var transport: String
        package var port: UInt16
        package var nodePort: UInt16

        package init(transport: String, port: UInt16, nodePort: UInt16) {
            self.transport = transport
            self.port = port
            self.nodePort = nodePort
        }
    }

    /// A balancer as it should be. Addresses and ranges are of one family, and were parsed.
    package struct Balancer: Sendable, Equatable {
        package var address: String
        package var ports: [Port]
        package var nodes: [String]
        package var sourceRanges: [String]

        package init(address: String, ports: [Port], nodes: [String], sourceRanges: [String]) {
            self.address = address
            self.ports = ports
            self.nodes = nodes
            self.sourceRanges = sourceRanges
        }
    }

    private struct Entry {
        var number: Int
        var balancer: Balancer
        var network: VPCNetwork
    }

    /// The table's name; it goes with the last VPC, too.
    static let table = "eyrie-balancers"

    private let program: NftProgram
    /// Made when they are first needed.
    private var tables: [IPFamily: NftTable] = [:]
    private var entries: [String: Entry] = [:]
    private var next = 1

    package init(program: NftProgram = NftProgram()) { self.program = program }

    private func rules(_ address: String) -> NftTable {
        let family = IPFamily(ofText: address)
        if let table = tables[family] { return table }
        let table = NftTable(RuleTable(name: "\(family.header) \(Self.table)", base: Self.base(family)), program: program)
        tables[family] = table
        return table
    }

    /// Brings the balancer `id` to what it should be. Throws `CommandError`.
    package func set(_ id: String, _ balancer: Balancer, in network: VPCNetwork) async throws {
        if let entry = entries[id], entry.balancer == balancer { return }
        let number = entries[id]?.number ?? next
        if number == next { next += 1 }
        if let old = entries[id], old.balancer.address != balancer.address {
            try await network.remove(ownAddress: old.balancer.address)
        }
        try await network.add(ownAddress: balancer.address)
        try await rules(balancer.address).apply([(id, Self.fragment(balancer, number))])
        entries[id] = Entry(number: number, balancer: balancer, network: network)
    }

    /// Removes a balancer; one that is not there is no error. Throws `CommandError`.
    package func remove(_ id: String) async throws {
        guard let entry = entries[id] else { return }
        let (address, rules) = (entry.balancer.address, rules(entry.balancer.address))
        try await rules.apply([(id, nil)])
        try await entry.network.remove(ownAddress: address)
        entries[id] = nil
        if !entries.values.contains(where: { IPFamily(ofText: $0.balancer.address) == IPFamily(ofText: address) }) { try await rules.remove() }
    }

    /// Removes all whose id begins with `prefix`: those of a cluster. Throws `CommandError`.
    package func removeAll(prefix: String) async throws {
        for id in entries.keys where id.hasPrefix(prefix) { try await remove(id) }
    }

    /// Machines and pods that connect see the host as the answerer only if the answer comes back through it: their source becomes the host's.
    private static let mark = "0x65000000"

    /// The hooks are the VPC's: forwarding between machines and to them is this host's work.
    static func base(_ family: IPFamily) -> String {
        let (ip, type) = (family.header, family.addressType)
        return """
            set addresses { type \(type); }
            map balancers { type \(type) . inet_proto . inet_service : verdict; }
            map firewalls { type \(type) : verdict; }
            chain prerouting-firewall { type filter hook prerouting priority dstnat - 10; ct state new \(ip) daddr vmap @firewalls; }
            chain output-firewall { type filter hook output priority -110; ct state new \(ip) daddr vmap @firewalls; }
            chain prerouting {
                type nat hook prerouting priority dstnat;
                iifname "eyb*" \(ip) daddr @addresses meta mark set \(mark)
                \(ip) daddr . meta l4proto . th dport vmap @balancers
            }
            chain output { type nat hook output priority -100; \(ip) daddr . meta l4proto . th dport vmap @balancers; }
            chain input { type filter hook input priority filter; meta l4proto { tcp, udp, sctp } \(ip) daddr @addresses ct state new reject; }
            chain postrouting { type nat hook postrouting priority srcnat - 10; meta mark \(mark) ct status dnat masquerade; }
            """
    }

    /// What a balancer has in the table. Without nodes its ports are refused.
    static func fragment(_ balancer: Balancer, _ number: Int) -> RuleFragment {
        var fragment = RuleFragment()
        let ip = IPFamily(ofText: balancer.address).header
        fragment.elements[NftElement("addresses", balancer.address)] = ""
        if !balancer.sourceRanges.isEmpty {
            let chain = "firewall-\(number)"
            fragment.chains[chain] = balancer.sourceRanges.map { "\(ip) saddr \($0) return" } + ["drop"]
            fragment.elements[NftElement("firewalls", balancer.address)] = "goto \(chain)"
        }
        guard !balancer.nodes.isEmpty else { return fragment }
        for port in balancer.ports {
            let chain = "balancer-\(number)-\(port.transport)-\(port.port)"
            let choices = balancer.nodes.enumerated().map { "\($0.offset) : \($0.element) . \(port.nodePort)" }.joined(separator: ", ")
            let target =
                balancer.nodes.count == 1
                ? Self.endpoint(balancer.nodes.joined(), port.nodePort) : "numgen random mod \(balancer.nodes.count) map { \(choices) }"
            fragment.chains[chain] = ["meta l4proto \(port.transport) dnat \(ip) to \(target)"]
            fragment.elements[NftElement("balancers", "\(balancer.address) . \(port.transport) . \(port.port)")] = "goto \(chain)"
        }
        return fragment
    }

    private static func endpoint(_ address: String, _ port: UInt16) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
