internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The VPC on the host: a bridge that holds the routers' addresses of its subnets and those of the control planes' network interfaces, forwarding
/// between subnets, and masquerading to the outside. Every step may be repeated.
package struct VPCNetwork: Sendable, Equatable {
    /// The host's own address for services to machines of all VPCs (registry mirrors), on a bridge without ports: link-local, so it can clash with
    /// no VPC.
    package static let serviceAddress = "169.254.171.1"
    private static let serviceInterface = "eyrie0"
    private static let table = "eyrie"

    package var vpcID: String
    package var cidr: String
    /// Its IPv6 ranges, where something of it uses them.
    package var ipv6CIDRs: [String]

    package init(vpcID: String, cidr: String, ipv6CIDRs: [String] = []) {
        self.vpcID = vpcID
        self.cidr = cidr
        self.ipv6CIDRs = ipv6CIDRs
    }

    /// `ey` + the id's last ten digits: within the kernel's 15 bytes.
    package var bridge: String { "eyb" + String(vpcID.suffix(10)) }

    /// The bridge's own, locally administered. A bridge that was given none has the least of its ports', which changes as machines come and go: the
    /// others would send to the old one until they ask again, half a minute later.
    var hardwareAddress: String {
        // FNV-1a: the same each time, other than Swift's hashes.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in vpcID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = (0..<5).map { place -> String in
            let digits = String(hash >> (place * 8) & 0xFF, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }
        return (["02"] + digits).joined(separator: ":")
    }

    /// Makes the bridge and the rules. Throws `CommandError`.
    package func create() async throws {
        try await Self.createServiceInterface()
        if access("/sys/class/net/\(bridge)", F_OK) != 0 {
            try await Self.tolerating("File exists") { try await Command.run(["ip", "link", "add", bridge, "type", "bridge"]) }
        }
        // One that is not new has it, unless an earlier version made it; the table of frames leads there.
        if SmallFile.readText("/sys/class/net/\(bridge)/address")?.hasPrefix(hardwareAddress) != true {
            try await Command.run(["ip", "link", "set", bridge, "address", hardwareAddress, "up"])
        }
        if SmallFile.readText("/proc/sys/net/ipv4/ip_forward")?.hasPrefix("1") != true { try SmallFile.set("/proc/sys/net/ipv4/ip_forward", "1") }
        try await Command.run(
            ["nft", "-f", "-"],
            input: """
                add table ip \(Self.table)
                add set ip \(Self.table) vpcs { type ipv4_addr; flags interval; }
                add chain ip \(Self.table) postrouting { type nat hook postrouting priority srcnat; }
                flush chain ip \(Self.table) postrouting
                add rule ip \(Self.table) postrouting ip saddr @vpcs ip daddr != @vpcs oifname != "lo" fib saddr type != local masquerade
                add element ip \(Self.table) vpcs { \(cidr) }

                """)
        if !ipv6CIDRs.isEmpty { try await createIPv6() }
    }

    /// Forwarding and masquerading of IPv6, and the router's link-local address, which is every machine's next hop.
    private func createIPv6() async throws {
        try IPv6Forwarding.enable()
        try SmallFile.set("\(IPv6Forwarding.interfaces)/\(bridge)/disable_ipv6", "0")
        try await add(address: Self.ipv6Router, prefixLength: 64)
        try await Command.run(["nft", "-f", "-"], input: Self.ipv6Rules(ipv6CIDRs))
    }

    /// As for IPv4, from what there is: the host may have no IPv6 itself, and then nothing leaves it.
    static func ipv6Rules(_ cidrs: [String]) -> String {
        """
        add table ip6 \(table)
        add set ip6 \(table) vpcs { type ipv6_addr; flags interval; }
        add chain ip6 \(table) postrouting { type nat hook postrouting priority srcnat; }
        flush chain ip6 \(table) postrouting
        add rule ip6 \(table) postrouting ip6 saddr @vpcs ip6 daddr != @vpcs oifname != "lo" fib saddr type != local masquerade
        add element ip6 \(table) vpcs { \(cidrs.joined(separator: ", ")) }

        """
    }

    /// On every VPC's bridge. Upstream: the link-local address by which a VPC's router makes itself known.
    static let ipv6Router = "fe80::1"

    /// Removes the interface that holds `serviceAddress`. One that is not there is no error.
    package static func removeServiceInterface() async throws {
        try await tolerating("Cannot find device") { try await Command.run(["ip", "link", "del", serviceInterface]) }
    }

    /// Makes the interface that holds `serviceAddress`. Repeating it is no error.
    package static func createServiceInterface() async throws {
        if access("/sys/class/net/\(serviceInterface)", F_OK) != 0 {
            try await tolerating("File exists") { try await Command.run(["ip", "link", "add", serviceInterface, "type", "bridge"]) }
            try await Command.run(["ip", "link", "set", serviceInterface, "up"])
        }
        try await Command.run(["ip", "address", "replace", "\(serviceAddress)/32", "dev", serviceInterface])
    }

    /// Gives the bridge an address: a subnet's router with the subnet's prefix length.
    package func add(address: String, prefixLength: Int) async throws {
        // Nobody else has it, and it is listened at right away: it is not first asked for in the network.
        let flags = address.contains(":") ? ["nodad"] : []
        try await Command.run(["ip", "address", "replace", "\(address)/\(prefixLength)", "dev", bridge] + flags)
    }

    /// Gives the bridge the address of a network interface, of either family.
    package func add(ownAddress address: String) async throws { try await add(address: address, prefixLength: Self.full(address)) }

    package func remove(ownAddress address: String) async throws { try await remove(address: address, prefixLength: Self.full(address)) }

    private static func full(_ address: String) -> Int { address.contains(":") ? 128 : 32 }

    package func remove(address: String, prefixLength: Int) async throws {
        guard access("/sys/class/net/\(bridge)", F_OK) == 0 else { return }
        try await Self.tolerating("Cannot assign requested address") {
            try await Command.run(["ip", "address", "del", "\(address)/\(prefixLength)", "dev", bridge])
        }
    }

    /// Removes the bridge with its addresses, and with the last VPC the shared rules and interface.
    package func remove() async throws {
        if access("/sys/class/net/\(bridge)", F_OK) == 0 {
            try await Self.tolerating("Cannot find device") { try await Command.run(["ip", "link", "del", bridge]) }
        }
        let links = try await Command.run(["ip", "-o", "link", "show", "type", "bridge"])
        if links.contains(": eyb") {
            for (family, cidr) in [("ip", cidr)] + ipv6CIDRs.map({ ("ip6", $0) }) {
                try await Self.tolerating("No such file or directory") {
                    try await Command.run(["nft", "delete", "element", family, Self.table, "vpcs", "{ \(cidr) }"])
                }
            }
            return
        }
        for table in [Self.table, HostBalancers.table] {
            for family in IPv6Forwarding.isPossible ? ["ip", "ip6"] : ["ip"] {
                try await Self.tolerating("No such file or directory") { try await Command.run(["nft", "delete", "table", family, table]) }
            }
        }
        try await Self.tolerating("Cannot find device") { try await Command.run(["ip", "link", "del", Self.serviceInterface]) }
    }

    /// Makes the machine's network namespace with eth0 on the bridge.
    func connect(_ machine: MachineConfiguration, _ paths: MachinePaths) async throws {
        let network = machine.network
        let host = paths.hostInterface
        try await Self.tolerating("File exists") { try await Command.run(["ip", "netns", "add", paths.networkNamespace]) }
        if access("/sys/class/net/\(host)", F_OK) != 0 {
            try await Command.run(
                ["ip", "-batch", "-"],
                input: """
                    link add \(host) type veth peer name eth0 netns \(paths.networkNamespace)
                    link set \(host) master \(bridge)
                    link set \(host) up

                    """)
        }
        let inside = ["nsenter", "--net=\(paths.networkNamespacePath)"]
        if network.ipv6 != nil { try await Command.run(inside + ["sysctl", "-qw"] + Self.ipv6Settings) }
        try await Command.run(
            ["ip", "-netns", paths.networkNamespace, "-batch", "-"],
            input: """
                link set lo up
                \(Self.agentAddresses.map { "address replace \($0)/32 dev lo" }.joined(separator: "\n"))
                address replace \(network.address)/\(network.prefixLength) dev eth0
                link set eth0 up
                route replace default via \(network.gateway) dev eth0

                """)
        try await Command.run(inside + ["sysctl", "-qw"] + Self.nodeSettings)
        if let ipv6 = network.ipv6 { try await connect(ipv6, paths, inside: inside) }
    }

    /// Where the node's agent answers: instance metadata, the Pod Identity agent, and the cluster's DNS. Pods' default route leads to the node, and
    /// there these addresses are its own.
    private static let agentAddresses = ["169.254.169.254", "169.254.170.23", "169.254.20.10"]

    /// The node forwards for its pods and answers ARP for them. rp_filter is loosened because a pod's route is a /32 on its own interface.
    private static let nodeSettings = [
        "net.ipv4.ip_forward=1", "net.ipv4.conf.all.proxy_arp=0", "net.ipv4.conf.eth0.proxy_arp=1", "net.ipv4.conf.all.rp_filter=2",
        "net.ipv4.neigh.eth0.proxy_delay=0",
    ]

    /// Gives the machine its IPv6 address, and leads its pods' prefix to it. All of its traffic goes by the router, which knows where each prefix is:
    /// so no neighbour is asked for a pod's address.
    private func connect(_ ipv6: MachineConfiguration.IPv6, _ paths: MachinePaths, inside: [String]) async throws {
        try await Command.run(inside + ["ip", "-6", "-batch", "-"], input: Self.ipv6Commands(ipv6))
        try await Command.run(inside + ["nft", "-f", "-"], input: Self.egressRules)
        try await add(address: ipv6.router, prefixLength: ipv6.prefixLength)
        try await Command.run(["ip", "-6", "route", "replace", ipv6.podPrefix, "via", ipv6.address, "dev", bridge])
        try SmallFile.write(paths.podRoute, Array("\(ipv6.podPrefix) \(bridge)".utf8))
    }

    static func ipv6Commands(_ ipv6: MachineConfiguration.IPv6) -> String {
        (agentIPv6Addresses.map { "address replace \($0)/128 dev lo nodad" } + [
            "address replace \(ipv6.address)/128 dev eth0 nodad", "route replace default via \(ipv6Router) dev eth0", "",
        ]).joined(separator: "\n")
    }

    /// The addresses of `agentAddresses` in an IPv6 cluster. Upstream: the Pod Identity agent's; NodeLocal DNSCache has none by default, and the
    /// Service's address, which the proxy leads here, is all that pods know.
    private static let agentIPv6Addresses = ["fd00:ec2::23", "fd00:ec2::2010"]

    /// Before there are addresses: the node forwards for its pods, hears no other router than its own, and has addresses that need not first be asked for.
    private static let ipv6Settings = [
        "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0", "net.ipv6.conf.lo.disable_ipv6=0",
        "net.ipv6.conf.eth0.disable_ipv6=0", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.eth0.accept_ra=0",
        "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.eth0.accept_dad=0",
    ]

    /// Pods reach IPv4 outside by addresses that mean nothing beyond the node, which lends them its own. Upstream: amazon-vpc-cni-k8s egress-cni.
    static let egressRules = """
        add table ip pod-egress
        add chain ip pod-egress postrouting { type nat hook postrouting priority srcnat; }
        flush chain ip pod-egress postrouting
        add rule ip pod-egress postrouting ip saddr 169.254.172.0/22 oifname "eth0" masquerade

        """

    /// The route to a machine's pods ends with it.
    private static func removePodRoute(_ paths: MachinePaths) async throws {
        let words = (SmallFile.readText(paths.podRoute) ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 2, access("/sys/class/net/\(words[1])", F_OK) == 0 else { return }
        try await tolerating("No such process") { try await Command.run(["ip", "-6", "route", "del", words[0], "dev", words[1]]) }
    }

    static func disconnect(_ paths: MachinePaths) async throws {
        try await removePodRoute(paths)
        try await tolerating("Cannot find device") { try await Command.run(["ip", "link", "del", paths.hostInterface]) }
        guard access(paths.networkNamespacePath, F_OK) == 0 else { return }
        try await tolerating("No such file") { try await Command.run(["ip", "netns", "del", paths.networkNamespace]) }
    }

    /// Runs a step that may have been done before: the given text in its output is success.
    private static func tolerating(_ text: String, _ step: () async throws -> some Sendable) async throws {
        do { _ = try await step() } catch let error as CommandError where error.output.contains(text) {}
    }
}
