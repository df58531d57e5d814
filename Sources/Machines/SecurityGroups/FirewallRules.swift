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
/// without an interface are not filtered. Each family has a table of packets; in that of IPv6 interfaces have the ranges of their pods, too. Upstream: VPC User Guide, "Security group rules", "Security group connection tracking".
enum FirewallRules {
    /// Load balancers' hooks at `dstnat` change whom a packet is for: what leaves is judged before, by whom it was sent to; what arrives after. Redirects
    /// would tell machines to send to each other without the host.
    static func packets(_ family: IPFamily) -> String {
        let (ip, type) = (family.header, family.addressType)
        let intervals = family == .ipv4 ? "" : " flags interval;"
        // Neighbours of IPv6 are asked for in packets, to which no connection belongs.
        let neighbours = family == .ipv4 ? "" : "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept"
        return """
            set ranges { type \(type); flags interval; }
            set resolvers { type \(type); }
            map departures { type ifname : verdict; }
            map arrivals { type ifname : verdict; }
            map outgoing { type \(type) : verdict;\(intervals) }
            map incoming { type \(type) : verdict;\(intervals) }
            chain leave {
                type filter hook prerouting priority dstnat - 20;
                iifname != "eyb*" accept
                ct state established,related accept
                \(neighbours)
                iifname vmap @departures
                \(ip) daddr \(family == .ipv4 ? "169.254.0.0/16" : "fe80::/10") accept
                meta l4proto { tcp, udp } th dport 53 \(ip) daddr @resolvers accept
                \(ip) saddr vmap @outgoing
            }
            chain forwarded {
                type filter hook forward priority filter + 10;
                oifname != "eyb*" accept
                ct state established,related accept
                oifname vmap @arrivals
                ct status dnat accept
                \(ip) daddr vmap @incoming
            }
            chain received {
                type filter hook input priority filter + 10;
                iifname "lo" accept
                ct state established,related accept
                \(neighbours)
                \(ip) daddr vmap @incoming
            }
            chain redirects {
                type filter hook output priority filter;
                oifname "eyb*" \(family == .ipv4 ? "icmp type redirect" : "icmpv6 type nd-redirect") drop
            }
            """
    }

    static let frames = """
        map ports { type ifname : verdict; }
        set sources { type ifname . ipv4_addr; }
        chain frames { type filter hook prerouting priority dstnat; iifname vmap @ports; }
        """

    /// The table's name, without its family: of the service that has its networks in `directory`.
    static func table(_ directory: String) -> String { "\(prefix)\(digest(directory, 8))" }
    static let prefix = "eyrie-groups-"

    /// What is in the table of packets of one family, by owner. `resolvers` are the name servers of the VPCs: addresses of the family that were parsed.
    static func packets(_ firewalls: [Firewall], resolvers: [String]) -> [String: RuleFragment] {
        var fragments: [String: RuleFragment] = [:]
        var servers = RuleFragment()
        for address in resolvers { servers.elements[NftElement("resolvers", address)] = "" }
        fragments["resolvers"] = servers
        for firewall in firewalls {
            let network = firewall.network
            fragments["vpc/\(network.vpcID)"] = apart(firewall)
            let groups = firewall.groups.filter { isName($0.id) }
            let known = Set(groups.map(\.id))
            let interfaces = firewall.interfaces.filter { isName($0.id) }
            let named = Set(groups.flatMap(\.rules).compactMap(\.group)).intersection(known)
            let used = Set(interfaces.filter { !$0.isBalancer }.flatMap(\.groupIDs))
            for group in groups {
                var fragment = RuleFragment()
                if used.contains(group.id) {
                    fragment.chains["out-\(group.id)"] = lines(group.rules.filter(\.isEgress), known, firewall.family)
                    fragment.chains["in-\(group.id)"] = lines(group.rules.filter { !$0.isEgress }, known, firewall.family)
                }
                if named.contains(group.id) {
                    let intervals = firewall.family == .ipv4 ? "" : " flags interval;"
                    fragment.sets["members-\(group.id)"] = "type \(firewall.family.addressType);\(intervals)"
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
        for firewall in firewalls where firewall.family == .ipv4 {
            let network = firewall.network
            let chain = "port-\(network.bridge)"
            var fragment = RuleFragment()
            fragment.chains[chain] = [
                "ether type arp accept",
                "ether type ip6 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
                "ether type ip iifname . ip saddr != @sources drop",
            ]
            if let six = firewalls.first(where: { $0.family == .ipv6 && $0.network.vpcID == network.vpcID }) {
                let sources = "sources6-\(network.bridge)"
                fragment.sets[sources] = "type ifname . ipv6_addr; flags interval;"
                fragment.chains[chain]?.append("ether type ip6 iifname . ip6 saddr != @\(sources) drop")
                for interface in six.interfaces where isName(interface.id) {
                    guard let instanceID = interface.instanceID, isName(instanceID) else { continue }
                    for range in interface.addresses { fragment.elements[NftElement(sources, "\(port(instanceID)) . \(range)")] = "" }
                }
            }
            fragment.chains[chain]? += [
                "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop",
                "ether type { ip, ip6 } ether daddr set \(network.hardwareAddress) meta pkttype set host accept",
                "drop",
            ]
            fragments["vpc/\(network.vpcID)"] = fragment
            for interface in firewall.interfaces where isName(interface.id) {
                guard let instanceID = interface.instanceID, isName(instanceID) else { continue }
                let port = port(instanceID)
                var fragment = RuleFragment()
                // The same for all interfaces of an instance: its machine has one cable.
                fragment.elements[NftElement("ports", port)] = "goto \(chain)"
                for address in interface.addresses { fragment.elements[NftElement("sources", "\(port) . \(address)")] = "" }
                fragments["interface/\(interface.id)"] = fragment
            }
        }
        return fragments
    }

    /// The host's end of a machine's cable, as nft writes it.
    private static func port(_ instanceID: String) -> String { "\"\(MachinePaths.hostInterface(of: instanceID))\"" }

    /// What keeps a VPC from the others: nothing goes from it to addresses of another one of this service, nothing comes to it from another bridge.
    private static func apart(_ firewall: Firewall) -> RuleFragment {
        var fragment = RuleFragment()
        let (bridge, ip) = (firewall.network.bridge, firewall.family.header)
        let own = firewall.family == .ipv4 ? [firewall.network.cidr] : firewall.network.ipv6CIDRs
        let range = own.count == 1 ? own.joined() : "{ \(own.joined(separator: ", ")) }"
        fragment.chains["from-\(bridge)"] = ["\(ip) daddr != \(range) \(ip) daddr @ranges drop"]
        fragment.chains["to-\(bridge)"] = ["iifname \"eyb*\" iifname != \"\(bridge)\" drop"]
        fragment.elements[NftElement("departures", "\"\(bridge)\"")] = "jump from-\(bridge)"
        fragment.elements[NftElement("arrivals", "\"\(bridge)\"")] = "jump to-\(bridge)"
        for cidr in own { fragment.elements[NftElement("ranges", cidr)] = "" }
        return fragment
    }

    private static func lines(_ rules: [Firewall.Rule], _ known: Set<String>, _ family: IPFamily) -> [String] {
        Set(rules.compactMap { line($0, known, family) }).sorted()
    }

    /// Nil for a rule that lets nothing through.
    static func line(_ rule: Firewall.Rule, _ known: Set<String>, _ family: IPFamily = .ipv4) -> String? {
        let field = "\(family.header) \(rule.isEgress ? "daddr" : "saddr")"
        let peer: String
        switch rule.peer {
        case .group(let id):
            guard known.contains(id) else { return nil }
            peer = "\(field) @members-\(id) "
        case .ranges(let ranges):
            guard let first = ranges.first else { return nil }
            if ranges.contains(family == .ipv4 ? "0.0.0.0/0" : "::/0") {
                peer = ""
            } else {
                peer = ranges.count == 1 ? "\(field) \(first) " : "\(field) { \(ranges.joined(separator: ", ")) } "
            }
        }
        return peer + traffic(rule.traffic, family == .ipv4 ? "icmp" : "icmpv6") + "accept"
    }

    private static func traffic(_ traffic: Firewall.Traffic, _ icmp: String) -> String {
        switch traffic {
        case .all: ""
        case .number(let number): "meta l4proto \(number) "
        case .ports(let transport, let ports):
            "\(transport) dport \(ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)") "
        case .icmp(nil, _): "meta l4proto \(icmp) "
        case .icmp(let type?, nil): "\(icmp) type \(type) "
        case .icmp(let type?, let code?): "\(icmp) type \(type) \(icmp) code \(code) "
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
