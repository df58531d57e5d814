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

    /// A balancer as it should be. Addresses and ranges are IPv4, and were parsed.
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

    private let rules: NftTable
    private var entries: [String: Entry] = [:]
    private var next = 1

    package init(program: NftProgram = NftProgram()) {
        rules = NftTable(RuleTable(name: "ip \(Self.table)", base: Self.base), program: program)
    }

    /// Brings the balancer `id` to what it should be. Throws `CommandError`.
    package func set(_ id: String, _ balancer: Balancer, in network: VPCNetwork) async throws {
        if let entry = entries[id], entry.balancer == balancer { return }
        let number = entries[id]?.number ?? next
        if number == next { next += 1 }
        if let old = entries[id], old.balancer.address != balancer.address {
            try await network.remove(address: old.balancer.address, prefixLength: 32)
        }
        try await network.add(address: balancer.address, prefixLength: 32)
        try await rules.apply([(id, Self.fragment(balancer, number))])
        entries[id] = Entry(number: number, balancer: balancer, network: network)
    }

    /// Removes a balancer; one that is not there is no error. Throws `CommandError`.
    package func remove(_ id: String) async throws {
        guard let entry = entries[id] else { return }
        try await rules.apply([(id, nil)])
        try await entry.network.remove(address: entry.balancer.address, prefixLength: 32)
        entries[id] = nil
        if entries.isEmpty { try await rules.remove() }
    }

    /// Removes all whose id begins with `prefix`: those of a cluster. Throws `CommandError`.
    package func removeAll(prefix: String) async throws {
        for id in entries.keys where id.hasPrefix(prefix) { try await remove(id) }
    }

    /// Machines and pods that connect see the host as the answerer only if the answer comes back through it: their source becomes the host's.
    private static let mark = "0x65000000"

    /// The hooks are the VPC's: forwarding between machines and to them is this host's work.
    private static let base = """
        set addresses { type ipv4_addr; }
        map balancers { type ipv4_addr . inet_proto . inet_service : verdict; }
        map firewalls { type ipv4_addr : verdict; }
        chain prerouting-firewall { type filter hook prerouting priority dstnat - 10; ct state new ip daddr vmap @firewalls; }
        chain output-firewall { type filter hook output priority -110; ct state new ip daddr vmap @firewalls; }
        chain prerouting {
            type nat hook prerouting priority dstnat;
            iifname "eyb*" ip daddr @addresses meta mark set \(mark)
            ip daddr . meta l4proto . th dport vmap @balancers
        }
        chain output { type nat hook output priority -100; ip daddr . meta l4proto . th dport vmap @balancers; }
        chain input { type filter hook input priority filter; meta l4proto { tcp, udp, sctp } ip daddr @addresses ct state new reject; }
        chain postrouting { type nat hook postrouting priority srcnat - 10; meta mark \(mark) ct status dnat masquerade; }
        """

    /// What a balancer has in the table. Without nodes its ports are refused.
    static func fragment(_ balancer: Balancer, _ number: Int) -> RuleFragment {
        var fragment = RuleFragment()
        fragment.elements[NftElement("addresses", balancer.address)] = ""
        if !balancer.sourceRanges.isEmpty {
            let chain = "firewall-\(number)"
            fragment.chains[chain] = balancer.sourceRanges.map { "ip saddr \($0) return" } + ["drop"]
            fragment.elements[NftElement("firewalls", balancer.address)] = "goto \(chain)"
        }
        guard !balancer.nodes.isEmpty else { return fragment }
        for port in balancer.ports {
            let chain = "balancer-\(number)-\(port.transport)-\(port.port)"
            let choices = balancer.nodes.enumerated().map { "\($0.offset) : \($0.element) . \(port.nodePort)" }.joined(separator: ", ")
            let target =
                balancer.nodes.count == 1
                ? "\(balancer.nodes.joined()):\(port.nodePort)" : "numgen random mod \(balancer.nodes.count) map { \(choices) }"
            fragment.chains[chain] = ["meta l4proto \(port.transport) dnat ip to \(target)"]
            fragment.elements[NftElement("balancers", "\(balancer.address) . \(port.transport) . \(port.port)")] = "goto \(chain)"
        }
        return fragment
    }
}
