internal import Crypto
internal import Nftables

/// What firewalls are in the kernel: pure functions of them. Two tables, because a bridge passes on what stays within it below the network layer, where
/// this kernel need not know of connections: the table of frames brings all of it up to the host, which routes it like everything else, and the table of
/// packets decides.
///
///     machine ─▶ port ─▶ frames: its own addresses only, made the host's ─▶ leave: egress ─▶ forwarded: ingress ─▶ machine, or the outside
///                                                                                        └─▶ received: ingress of the host's addresses in the VPC
///     host ─▶ machine: nothing filtered
///
/// An address leads by a map to the chain of its interface's groups, which asks one group after the other and drops what none lets through. Addresses
/// without an interface are not filtered. Upstream: VPC User Guide, "Security group rules", "Security group connection tracking".
enum FirewallRules {
    /// Load balancers' hooks at `dstnat` change whom a packet is for: what leaves is judged before, by whom it was sent to; what arrives after. Redirects
    /// would tell machines to send to each other without the host.
    static let packets = """
        set ranges { type ipv4_addr; flags interval; }
        set resolvers { type ipv4_addr; }
        map departures { type ifname : verdict; }
        map arrivals { type ifname : verdict; }
        map outgoing { type ipv4_addr : verdict; }
        map incoming { type ipv4_addr : verdict; }
        chain leave {
            type filter hook prerouting priority dstnat - 20;
            iifname != "eyb*" accept
            ct state established,related accept
            iifname vmap @departures
            ip daddr 169.254.0.0/16 accept
            meta l4proto { tcp, udp } th dport 53 ip daddr @resolvers accept
            ip saddr vmap @outgoing
        }
        chain forwarded {
            type filter hook forward priority filter + 10;
            oifname != "eyb*" accept
            ct state established,related accept
            oifname vmap @arrivals
            ct status dnat accept
            ip daddr vmap @incoming
        }
        chain received {
            type filter hook input priority filter + 10;
            iifname "lo" accept
            ct state established,related accept
            ip daddr vmap @incoming
        }
        chain redirects { type filter hook output priority filter; oifname "eyb*" icmp type redirect drop; }
        """

    static let frames = """
        map ports { type ifname : verdict; }
        set sources { type ifname . ipv4_addr; }
        chain frames { type filter hook prerouting priority dstnat; iifname vmap @ports; }
        """

    /// The table's name, without its family: of the service that has its networks in `directory`.
    static func table(_ directory: String) -> String { "\(prefix)\(digest(directory, 8))" }
    static let prefix = "eyrie-groups-"

    /// What is in the table of packets, by owner. `resolvers` are the name servers of the VPCs: IPv4 addresses that were parsed.
    static func packets(_ firewalls: [Firewall], resolvers: [String]) -> [String: RuleFragment] {
        var fragments: [String: RuleFragment] = [:]
        var servers = RuleFragment()
        for address in resolvers { servers.elements[NftElement("resolvers", address)] = "" }
        fragments["resolvers"] = servers
        for firewall in firewalls {
            let network = firewall.network
            fragments["vpc/\(network.vpcID)"] = apart(network)
            let groups = firewall.groups.filter { isName($0.id) }
            let known = Set(groups.map(\.id))
            let interfaces = firewall.interfaces.filter { isName($0.id) }
            let named = Set(groups.flatMap(\.rules).compactMap(\.group)).intersection(known)
            let used = Set(interfaces.filter { !$0.isBalancer }.flatMap(\.groupIDs))
            for group in groups {
                var fragment = RuleFragment()
                if used.contains(group.id) {
                    fragment.chains["out-\(group.id)"] = lines(group.rules.filter(\.isEgress), known)
                    fragment.chains["in-\(group.id)"] = lines(group.rules.filter { !$0.isEgress }, known)
                }
                if named.contains(group.id) {
                    fragment.sets["members-\(group.id)"] = "type ipv4_addr;"
                    for address in interfaces.filter({ $0.groupIDs.contains(group.id) }).flatMap(\.addresses) {
                        fragment.elements[NftElement("members-\(group.id)", address)] = ""
                    }
                }
                fragments["group/\(group.id)"] = fragment
            }
            for interface in interfaces where !interface.isBalancer {
                let own = Set(interface.groupIDs).intersection(known).sorted()
                let name = digest("\(network.vpcID) \(own.joined(separator: " "))", 24)
                var combination = RuleFragment()
                for direction in ["out", "in"] { combination.chains["\(direction)-\(name)"] = own.map { "jump \(direction)-\($0)" } + ["drop"] }
                fragments["groups/\(name)"] = combination
                var fragment = RuleFragment()
                for address in interface.addresses {
                    fragment.elements[NftElement("outgoing", address)] = "goto out-\(name)"
                    fragment.elements[NftElement("incoming", address)] = "goto in-\(name)"
                }
                fragments["interface/\(interface.id)"] = fragment
            }
        }
        return fragments.filter { !$0.value.isEmpty }
    }

    /// What is in the table of frames, by owner. What a machine sends leaves its port for the host alone, and only from addresses that are the instance's;
    /// asking for hardware addresses is left to the bridge. Upstream: a network interface's source/destination check; VPCs know no broadcast.
    static func frames(_ firewalls: [Firewall]) -> [String: RuleFragment] {
        var fragments: [String: RuleFragment] = [:]
        for firewall in firewalls {
            let network = firewall.network
            let chain = "port-\(network.bridge)"
            var fragment = RuleFragment()
            fragment.chains[chain] = [
                "ether type arp accept",
                "ether type ip6 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
                "ether type ip iifname . ip saddr != @sources drop",
                "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop",
                "ether type { ip, ip6 } ether daddr set \(network.hardwareAddress) meta pkttype set host accept",
                "drop",
            ]
            fragments["vpc/\(network.vpcID)"] = fragment
            for interface in firewall.interfaces where isName(interface.id) {
                guard let instanceID = interface.instanceID, isName(instanceID) else { continue }
                let port = "\"\(MachinePaths.hostInterface(of: instanceID))\""
                var fragment = RuleFragment()
                // The same for all interfaces of an instance: its machine has one cable.
                fragment.elements[NftElement("ports", port)] = "goto \(chain)"
                for address in interface.addresses { fragment.elements[NftElement("sources", "\(port) . \(address)")] = "" }
                fragments["interface/\(interface.id)"] = fragment
            }
        }
        return fragments
    }

    /// What keeps a VPC from the others: nothing goes from it to addresses of another one of this service, nothing comes to it from another bridge.
    private static func apart(_ network: VPCNetwork) -> RuleFragment {
        var fragment = RuleFragment()
        let bridge = network.bridge
        fragment.chains["from-\(bridge)"] = ["ip daddr != \(network.cidr) ip daddr @ranges drop"]
        fragment.chains["to-\(bridge)"] = ["iifname \"eyb*\" iifname != \"\(bridge)\" drop"]
        fragment.elements[NftElement("departures", "\"\(bridge)\"")] = "jump from-\(bridge)"
        fragment.elements[NftElement("arrivals", "\"\(bridge)\"")] = "jump to-\(bridge)"
        fragment.elements[NftElement("ranges", network.cidr)] = ""
        return fragment
    }

    private static func lines(_ rules: [Firewall.Rule], _ known: Set<String>) -> [String] {
        Set(rules.compactMap { line($0, known) }).sorted()
    }

    /// Nil for a rule that lets nothing through.
    static func line(_ rule: Firewall.Rule, _ known: Set<String>) -> String? {
        let field = rule.isEgress ? "ip daddr" : "ip saddr"
        let peer: String
        switch rule.peer {
        case .group(let id):
            guard known.contains(id) else { return nil }
            peer = "\(field) @members-\(id) "
        case .ranges(let ranges):
            guard let first = ranges.first else { return nil }
            if ranges.contains("0.0.0.0/0") {
                peer = ""
            } else {
                peer = ranges.count == 1 ? "\(field) \(first) " : "\(field) { \(ranges.joined(separator: ", ")) } "
            }
        }
        return peer + traffic(rule.traffic) + "accept"
    }

    private static func traffic(_ traffic: Firewall.Traffic) -> String {
        switch traffic {
        case .all: ""
        case .number(let number): "meta l4proto \(number) "
        case .ports(let transport, let ports):
            "\(transport) dport \(ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)") "
        case .icmp(nil, _): "meta l4proto icmp "
        case .icmp(let type?, nil): "icmp type \(type) "
        case .icmp(let type?, let code?): "icmp type \(type) icmp code \(code) "
        }
    }

    /// Whether an id may be part of a name in nft's language: letters, digits and dashes.
    private static func isName(_ id: String) -> Bool {
        (1...64).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || byte == UInt8(ascii: "-")
            }
    }

    /// The first hexadecimal digits of a text's hash: the same in every life of the service.
    private static func digest(_ text: String, _ digits: Int) -> String {
        let hash = SHA256.hash(data: Array(text.utf8))
        return String(hash.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().prefix(digits))
    }
}

extension Firewall.Rule {
    /// The group of the other side, if that is one.
    fileprivate var group: String? { if case .group(let id) = peer { id } else { nil } }
}
