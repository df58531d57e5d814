import Glibc
import Nftables
import Processes
import Testing

@testable import Machines

/// What security groups are in the kernel's tables.
@Suite struct FirewallTests {
    private static let vpc = VPCNetwork(vpcID: "vpc-0123456789abcdef0", cidr: "10.0.0.0/16")
    private static let everywhere = Firewall.Peer.ranges(["0.0.0.0/0"])
    private static let allOut = Firewall.Rule(isEgress: true, traffic: .all, peer: everywhere)

    private static func group(_ id: String, _ rules: [Firewall.Rule]) -> Firewall.Group { Firewall.Group(id: id, rules: rules) }

    /// Two nodes of two groups, the control plane's interface, a balancer's, and a group that nobody has.
    private static let firewall = Firewall(
        network: vpc,
        groups: [
            group(
                "sg-a",
                [
                    allOut, Firewall.Rule(isEgress: false, traffic: .all, peer: .group("sg-a")),
                    Firewall.Rule(isEgress: false, traffic: .ports(transport: "tcp", 443...443), peer: .group("sg-b")),
                ]),
            group("sg-b", [allOut]), group("sg-none", [allOut]),
        ],
        interfaces: [
            .init(id: "eni-1", addresses: ["10.0.0.4", "10.0.0.5"], groupIDs: ["sg-a"], instanceID: "i-0123456789abcdef1"),
            .init(id: "eni-2", addresses: ["10.0.0.6"], groupIDs: ["sg-b", "sg-a"], instanceID: "i-0123456789abcdef2"),
            .init(id: "eni-3", addresses: ["10.0.0.7"], groupIDs: ["sg-a"]),
            .init(id: "eni-4", addresses: ["10.0.0.8"], groupIDs: ["sg-a"], isBalancer: true),
        ])

    private static func elements(_ fragments: [String: RuleFragment], _ set: String) -> [String: String] {
        var found: [String: String] = [:]
        for fragment in fragments.values { for (element, value) in fragment.elements where element.set == set { found[element.key] = value } }
        return found
    }

    @Test(
        "a rule's protocol and numbers are understood as EC2 means them, and what is not understood lets nothing through",
        arguments: [
            ("-1", nil, nil, .all), ("tcp", 80, 80, .ports(transport: "tcp", 80...80)), ("6", 1, 2, .ports(transport: "tcp", 1...2)),
            ("udp", 0, 65_535, .number(17)), ("udp", nil, nil, .number(17)), ("tcp", -1, -1, .number(6)), ("tcp", 2, 1, nil),
            ("tcp", 0, 65_536, nil), ("tcp", 80, nil, nil), ("tcp", Int.min, .max, nil), ("icmp", -1, -1, .icmp(type: nil, code: nil)),
            ("icmp", 8, -1, .icmp(type: 8, code: nil)), ("icmp", 3, 4, .icmp(type: 3, code: 4)), ("icmp", 256, 0, nil), ("icmp", 3, 256, nil),
            ("icmpv6", -1, -1, nil), ("58", nil, nil, nil), ("50", nil, nil, .number(50)), ("256", nil, nil, nil), ("", nil, nil, nil),
            ("tcp accept; drop", 1, 1, nil),
        ] as [(String, Int?, Int?, Firewall.Traffic?)])
    func traffic(ipProtocol: String, from: Int?, to: Int?, expected: Firewall.Traffic?) {
        #expect(Firewall.Traffic(ipProtocol: ipProtocol, from: from, to: to) == expected)
    }

    @Test(
        "a rule is a line of its other side and its traffic",
        arguments: [
            (false, .all, .ranges(["0.0.0.0/0"]), "accept"), (false, .all, .group("sg-a"), "ip saddr @members-sg-a accept"),
            (true, .all, .group("sg-a"), "ip daddr @members-sg-a accept"), (false, .all, .group("sg-gone"), nil), (false, .all, .ranges([]), nil),
            (true, .ports(transport: "tcp", 80...80), .ranges(["10.0.0.0/8"]), "ip daddr 10.0.0.0/8 tcp dport 80 accept"),
            (
                false, .ports(transport: "udp", 1...9), .ranges(["10.0.0.0/8", "11.0.0.0/8"]),
                "ip saddr { 10.0.0.0/8, 11.0.0.0/8 } udp dport 1-9 accept"
            ),
            (false, .ports(transport: "tcp", 0...65_534), .ranges(["0.0.0.0/0", "11.0.0.0/8"]), "tcp dport 0-65534 accept"),
            (false, .icmp(type: 8, code: nil), .ranges(["0.0.0.0/0"]), "icmp type 8 accept"),
            (false, .icmp(type: 3, code: 4), .ranges(["0.0.0.0/0"]), "icmp type 3 icmp code 4 accept"),
            (false, .icmp(type: nil, code: nil), .ranges(["0.0.0.0/0"]), "meta l4proto icmp accept"),
            (false, .number(50), .ranges(["0.0.0.0/0"]), "meta l4proto 50 accept"),
        ] as [(Bool, Firewall.Traffic, Firewall.Peer, String?)])
    func line(isEgress: Bool, traffic: Firewall.Traffic, peer: Firewall.Peer, expected: String?) {
        #expect(FirewallRules.line(Firewall.Rule(isEgress: isEgress, traffic: traffic, peer: peer), ["sg-a"]) == expected)
    }

    @Test("all addresses of an interface lead to the chain of its groups, those of balancers to none") func addresses() throws {
        let fragments = FirewallRules.packets([Self.firewall], resolvers: ["10.9.9.9"])
        let incoming = Self.elements(fragments, "incoming")
        #expect(Set(incoming.keys) == ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"])
        #expect(incoming["10.0.0.4"] == incoming["10.0.0.5"] && incoming["10.0.0.4"] == incoming["10.0.0.7"])
        #expect(incoming["10.0.0.4"] != incoming["10.0.0.6"])
        let chains = fragments.values.reduce(into: [String: [String]]()) { $0.merge($1.chains) { first, _ in first } }
        let both = try #require(incoming["10.0.0.6"]?.split(separator: " ").last.map(String.init))
        #expect(chains[both] == ["jump in-sg-a", "jump in-sg-b", "drop"])
        #expect(chains["in-sg-a"] == ["ip saddr @members-sg-a accept", "ip saddr @members-sg-b tcp dport 443 accept"])
        #expect(chains["in-sg-b"] == [] && chains["out-sg-b"] == ["accept"])
        #expect(chains["in-sg-none"] == nil, "nobody has it")
        #expect(Self.elements(fragments, "resolvers").keys.sorted() == ["10.9.9.9"])
    }

    @Test("a group that rules name is a set of its members' addresses") func members() {
        let fragments = FirewallRules.packets([Self.firewall], resolvers: [])
        #expect(Self.elements(fragments, "members-sg-a").keys.sorted() == ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"])
        #expect(Self.elements(fragments, "members-sg-b").keys.sorted() == ["10.0.0.6"])
        #expect(fragments["group/sg-none"] == nil)
    }

    @Test("an interface without a group that is there lets nothing in or out") func noGroups() throws {
        let firewall = Firewall(network: Self.vpc, groups: [], interfaces: [.init(id: "eni-1", addresses: ["10.0.0.4"], groupIDs: ["sg-gone"])])
        let fragments = FirewallRules.packets([firewall], resolvers: [])
        let chain = try #require(Self.elements(fragments, "incoming")["10.0.0.4"]?.split(separator: " ").last.map(String.init))
        #expect(fragments.values.contains { $0.chains[chain] == ["drop"] })
    }

    @Test("VPCs are kept apart by their bridges and ranges") func apart() {
        let other = Firewall(network: VPCNetwork(vpcID: "vpc-0123456789abcdef1", cidr: "10.1.0.0/16"), groups: [], interfaces: [])
        let fragments = FirewallRules.packets([Self.firewall, other], resolvers: [])
        let own = fragments["vpc/vpc-0123456789abcdef0"]
        #expect(own?.chains["from-eyb789abcdef0"] == ["ip daddr != 10.0.0.0/16 ip daddr @ranges drop"])
        #expect(own?.chains["to-eyb789abcdef0"] == ["iifname \"eyb*\" iifname != \"eyb789abcdef0\" drop"])
        #expect(Self.elements(fragments, "ranges").keys.sorted() == ["10.0.0.0/16", "10.1.0.0/16"])
        #expect(Self.elements(fragments, "arrivals").keys.sorted() == ["\"eyb789abcdef0\"", "\"eyb789abcdef1\""])
    }

    @Test("frames of a machine go to the host, from the instance's addresses alone") func frames() {
        let fragments = FirewallRules.frames([Self.firewall])
        let ports = Self.elements(fragments, "ports")
        #expect(ports.keys.sorted() == ["\"ey56789abcdef1\"", "\"ey56789abcdef2\""])
        #expect(ports.values.allSatisfy { $0 == "goto port-eyb789abcdef0" })
        #expect(
            Self.elements(fragments, "sources").keys.sorted()
                == ["\"ey56789abcdef1\" . 10.0.0.4", "\"ey56789abcdef1\" . 10.0.0.5", "\"ey56789abcdef2\" . 10.0.0.6"])
        let chain = fragments["vpc/vpc-0123456789abcdef0"]?.chains["port-eyb789abcdef0"] ?? []
        #expect(chain.contains { $0.contains("ether daddr set \(Self.vpc.hardwareAddress) meta pkttype set host") } && chain.last == "drop")
    }

    @Test("ids that are no plain names stay out of the tables") func hostileNames() {
        let bad = "x\"; drop }\n"
        let firewall = Firewall(
            network: Self.vpc,
            groups: [Self.group(bad, [Self.allOut]), Self.group("sg-a", [.init(isEgress: false, traffic: .all, peer: .group(bad))])],
            interfaces: [
                .init(id: bad, addresses: ["10.0.0.4"], groupIDs: ["sg-a"], instanceID: "i-1"),
                .init(id: "eni-2", addresses: ["10.0.0.5"], groupIDs: [bad, "sg-a"], instanceID: bad),
            ])
        var (packets, frames) = (RuleTable(name: "ip t", base: ""), RuleTable(name: "bridge t", base: ""))
        for (owner, fragment) in FirewallRules.packets([firewall], resolvers: []) { packets.set(owner, fragment) }
        for (owner, fragment) in FirewallRules.frames([firewall]) { frames.set(owner, fragment) }
        #expect(!packets.wholeTable().contains("x\"") && !frames.wholeTable().contains("x\""))
        #expect(packets.contains(NftElement("incoming", "10.0.0.5")), "the groups that are left apply")
    }

    @Test("one more rule changes the group's chain and nothing else") func proportion() {
        var table = RuleTable(name: "ip t", base: FirewallRules.packets(.ipv4))
        for (owner, fragment) in FirewallRules.packets([Self.firewall], resolvers: []) { table.set(owner, fragment) }
        _ = table.wholeTable()
        var changed = Self.firewall
        changed.groups[1].rules.append(.init(isEgress: false, traffic: .ports(transport: "tcp", 80...80), peer: .ranges(["10.0.0.0/16"])))
        for (owner, fragment) in FirewallRules.packets([changed], resolvers: []) { table.set(owner, fragment) }
        #expect(
            table.takeChanges() == """
                add chain ip t in-sg-b
                flush chain ip t in-sg-b
                add rule ip t in-sg-b ip saddr 10.0.0.0/16 tcp dport 80 accept

                """)
        #expect(table.takeChanges() == nil)
    }

    @Test("each service has tables of its own, by names that stay") func names() {
        #expect(FirewallRules.table("/a") == FirewallRules.table("/a") && FirewallRules.table("/a") != FirewallRules.table("/b"))
        #expect(FirewallRules.table("/a").utf8.count == 21)
    }

    @Test("the kernel takes both tables", .enabled(if: geteuid() == 0, "nft needs root")) func kernel() async throws {
        var firewall = Self.firewall
        let peers: [Firewall.Peer] = [.group("sg-b"), Self.everywhere, .ranges(["10.0.0.0/8"]), .ranges(["10.0.0.0/8", "192.0.2.1/32"])]
        let kinds: [Firewall.Traffic] = [
            .all, .number(50), .ports(transport: "tcp", 1...2), .ports(transport: "udp", 53...53), .icmp(type: nil, code: nil),
            .icmp(type: 8, code: nil),
            .icmp(type: 3, code: 4),
        ]
        for isEgress in [true, false] {
            for peer in peers { firewall.groups[1].rules += kinds.map { .init(isEgress: isEgress, traffic: $0, peer: peer) } }
        }
        let other = Firewall(network: VPCNetwork(vpcID: "vpc-0123456789abcdef1", cidr: "10.1.0.0/16"), groups: [], interfaces: [])
        var packets = RuleTable(name: "ip eyrie-groups-test", base: FirewallRules.packets(.ipv4))
        for (owner, fragment) in FirewallRules.packets([firewall, other], resolvers: ["10.9.9.9"]) { packets.set(owner, fragment) }
        var frames = RuleTable(name: "bridge eyrie-groups-test", base: FirewallRules.frames)
        for (owner, fragment) in FirewallRules.frames([firewall, other]) { frames.set(owner, fragment) }
        // Checked by nft and the kernel, without effect: the test's network is the machine's.
        try await NftProgram().check(packets.wholeTable())
        try await NftProgram().check(frames.wholeTable())
    }

    /// A node of an IPv6 cluster with its pods' range, and the control plane's interface.
    private static let firewall6 = Firewall(
        network: VPCNetwork(vpcID: "vpc-0123456789abcdef0", cidr: "10.0.0.0/16", ipv6CIDRs: ["2001:db8::/56", "2001:db8:1::/56"]), family: .ipv6,
        groups: [
            group(
                "sg-a",
                [
                    Firewall.Rule(isEgress: true, traffic: .all, peer: .ranges(["::/0"])),
                    Firewall.Rule(isEgress: false, traffic: .all, peer: .group("sg-a")),
                    Firewall.Rule(isEgress: false, traffic: .icmp(type: 128, code: 0), peer: .ranges(["2001:db8::/32", "2001:db9::/32"])),
                ])
        ],
        interfaces: [
            .init(id: "eni-1", addresses: ["2001:db8::7/128", "2001:db8:0:0:9::/80"], groupIDs: ["sg-a"], instanceID: "i-0123456789abcdef1"),
            .init(id: "eni-3", addresses: ["2001:db8::8/128"], groupIDs: ["sg-a"]),
        ])

    @Test("groups filter IPv6 by rules of its own; a machine sends from its address and its pods' range") func ipv6() {
        let fragments = FirewallRules.packets([Self.firewall6], resolvers: [])
        #expect(fragments["group/sg-a"]?.chains["out-sg-a"] == ["accept"])
        #expect(
            fragments["group/sg-a"]?.chains["in-sg-a"] == [
                "ip6 saddr @members-sg-a accept", "ip6 saddr { 2001:db8::/32, 2001:db9::/32 } icmpv6 type 128 icmpv6 code 0 accept",
            ])
        #expect(Self.elements(fragments, "members-sg-a").count == 3 && Self.elements(fragments, "incoming")["2001:db8:0:0:9::/80"] != nil)
        #expect(Set(Self.elements(fragments, "ranges").keys) == ["2001:db8::/56", "2001:db8:1::/56"])
        let plain = FirewallRules.frames([Self.firewall])
        #expect(!plain.values.contains { $0.chains.values.joined().contains { $0.contains("sources6") } }, "VPCs without IPv6 are as they were")
        var whole = Self.firewall
        whole.network = Self.firewall6.network
        let frames = FirewallRules.frames([whole, Self.firewall6])
        #expect(
            Set(Self.elements(frames, "sources6-\(whole.network.bridge)").keys) == [
                "\"ey56789abcdef1\" . 2001:db8::7/128", "\"ey56789abcdef1\" . 2001:db8:0:0:9::/80",
            ])
        let chain = frames["vpc/\(whole.network.vpcID)"]?.chains.values.first ?? []
        #expect(chain.contains("ether type ip6 iifname . ip6 saddr != @sources6-\(whole.network.bridge) drop") && chain.last == "drop")
    }

    @Test("the kernel takes the tables of IPv6", .enabled(if: geteuid() == 0, "nft needs root")) func kernel6() async throws {
        var packets = RuleTable(name: "ip6 eyrie-groups-test", base: FirewallRules.packets(.ipv6))
        for (owner, fragment) in FirewallRules.packets([Self.firewall6], resolvers: ["2001:db8::53"]) { packets.set(owner, fragment) }
        var frames = RuleTable(name: "bridge eyrie-groups-test", base: FirewallRules.frames)
        var whole = Self.firewall
        whole.network = Self.firewall6.network
        for (owner, fragment) in FirewallRules.frames([whole, Self.firewall6]) { frames.set(owner, fragment) }
        try await NftProgram().check(packets.wholeTable())
        try await NftProgram().check(frames.wholeTable())
    }

    @Test("a table's owners go with it") func removal() async throws {
        let table = NftTable(RuleTable(name: "ip t", base: ""), program: NftProgram(namespace: "/nowhere"))
        var fragment = RuleFragment()
        fragment.chains["c"] = []
        // There is no such namespace: what was said stays said.
        await #expect(throws: (any Error).self) { try await table.apply([("a", fragment)]) }
        #expect(await table.owners == ["a"])
        await #expect(throws: (any Error).self) { try await table.remove() }
        #expect(await table.owners == [])
    }
}

/// Which VPCs stand.
@Suite struct VPCNetworksTests {
    @Test("VPCs that are noted stand, in order, with their ranges") func standing() async throws {
        var template = Array("/tmp/eyrie-networks-XXXXXX".utf8CString)
        let directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        let networks = VPCNetworks(directory: directory)
        #expect(await networks.standing() == [])
        for (vpc, cidr) in [("vpc-2", "10.2.0.0/16"), ("vpc-1", "10.1.0.0/16")] {
            try SmallFile.makeDirectory("\(directory)/\(vpc)")
            try SmallFile.write("\(directory)/\(vpc)/cidr", Array(cidr.utf8))
        }
        try SmallFile.makeDirectory("\(directory)/vpc-3")
        #expect(
            await networks.standing() == [VPCNetwork(vpcID: "vpc-1", cidr: "10.1.0.0/16"), VPCNetwork(vpcID: "vpc-2", cidr: "10.2.0.0/16")],
            "one that was not finished does not stand")
        try Command.runBlocking(["rm", "-rf", directory])
    }
}
