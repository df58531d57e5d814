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

    package init(vpcID: String, cidr: String) {
        self.vpcID = vpcID
        self.cidr = cidr
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
    }

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

    /// Gives the bridge an address: a subnet's router with the subnet's prefix length, or a network interface's with 32.
    package func add(address: String, prefixLength: Int) async throws {
        try await Command.run(["ip", "address", "replace", "\(address)/\(prefixLength)", "dev", bridge])
    }

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
            try await Self.tolerating("No such file or directory") {
                try await Command.run(["nft", "delete", "element", "ip", Self.table, "vpcs", "{ \(cidr) }"])
            }
            return
        }
        for table in [Self.table, HostBalancers.table] {
            try await Self.tolerating("No such file or directory") { try await Command.run(["nft", "delete", "table", "ip", table]) }
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
        try await Command.run(
            ["ip", "-netns", paths.networkNamespace, "-batch", "-"],
            input: """
                link set lo up
                \(Self.agentAddresses.map { "address replace \($0)/32 dev lo" }.joined(separator: "\n"))
                address replace \(network.address)/\(network.prefixLength) dev eth0
                link set eth0 up
                route replace default via \(network.gateway) dev eth0

                """)
        try await Command.run(["nsenter", "--net=\(paths.networkNamespacePath)", "sysctl", "-qw"] + Self.nodeSettings)
    }

    /// Where the node's agent answers: instance metadata, the Pod Identity agent, and the cluster's DNS. Pods' default route leads to the node, and
    /// there these addresses are its own.
    private static let agentAddresses = ["169.254.169.254", "169.254.170.23", "169.254.20.10"]

    /// The node forwards for its pods and answers ARP for them. rp_filter is loosened because a pod's route is a /32 on its own interface.
    private static let nodeSettings = [
        "net.ipv4.ip_forward=1", "net.ipv4.conf.all.proxy_arp=0", "net.ipv4.conf.eth0.proxy_arp=1", "net.ipv4.conf.all.rp_filter=2",
        "net.ipv4.neigh.eth0.proxy_delay=0",
    ]

    static func disconnect(_ paths: MachinePaths) async throws {
        try await tolerating("Cannot find device") { try await Command.run(["ip", "link", "del", paths.hostInterface]) }
        guard access(paths.networkNamespacePath, F_OK) == 0 else { return }
        try await tolerating("No such file") { try await Command.run(["ip", "netns", "del", paths.networkNamespace]) }
    }

    /// Runs a step that may have been done before: the given text in its output is success.
    private static func tolerating(_ text: String, _ step: () async throws -> some Sendable) async throws {
        do { _ = try await step() } catch let error as CommandError where error.output.contains(text) {}
    }
}
