import Glibc
import Nftables
import Processes

/// Connections from one namespace to another by a node's rules. Two nodes lie between them: the one has the proxy's rules, the other one rule written by hand.
///
///     client ─10.1.0.0/24─ this namespace (proxy, all Services) ─10.3.0.0/24─ server
///        └────10.2.0.0/24─ `hand` (one DNAT rule) ─────────────10.4.0.0/24────┘
enum PathBench {
    private static let connections = 10_000
    private static let megabytes = 4_000
    private static let frontendPort = 80
    private static let proxyAddress = "10.96.255.1"
    private static let handAddress = "10.97.255.1"

    static func run(services: Int, rounds: Int) async throws {
        try await connectNamespaces()
        let api = try ServicesAPI(services: services, extra: (proxyAddress, "10.3.0.2"))
        let generation = try RuleGeneration()
        let nothing = try generation.read()
        let running = ProxyBench.start(api, nodeAddress: "10.1.0.1")
        try await generation.wait(beyond: nothing)
        try await NftProgram(namespace: "/run/netns/hand").run(
            """
            table ip hand {
                chain prerouting {
                    type nat hook prerouting priority dstnat;
                    ip daddr \(handAddress) tcp dport \(frontendPort) dnat to 10.4.0.2:\(ServicesAPI.endpointPort)
                }
            }

            """)
        let program = CommandLine.arguments[0]
        _ = try Command.spawnSession(["nsenter", "--net=/run/netns/server", program, "serve", String(ServicesAPI.endpointPort)], log: "/dev/null")
        for _ in 0..<rounds {
            // In turn, so that what else the machine does meets both.
            for (how, address) in [("proxy", proxyAddress), ("hand", handAddress)] {
                for (what, amount) in [("connect", connections), ("transfer", megabytes)] {
                    let line = try await Command.run(
                        ["nsenter", "--net=/run/netns/client", program, what, address, String(frontendPort), String(amount), how])
                    report(line.split(separator: "\n").last.map(String.init) ?? "")
                }
            }
        }
        running.cancel()
    }

    private static func connectNamespaces() async throws {
        for name in ["client", "server", "hand"] { try await Command.run(["ip", "netns", "add", name]) }
        try await Command.run(
            ["ip", "-batch", "-"],
            input: """
                link add client0 type veth peer name proxy0 netns client
                link add server0 type veth peer name proxy0 netns server
                address add 10.1.0.1/24 dev client0
                address add 10.3.0.1/24 dev server0
                link set client0 up
                link set server0 up

                """)
        try await batch(
            "hand",
            """
            link add client0 type veth peer name hand0 netns client
            link add server0 type veth peer name hand0 netns server
            address add 10.2.0.1/24 dev client0
            address add 10.4.0.1/24 dev server0
            link set client0 up
            link set server0 up

            """)
        let (there, back) = (["10.96.0.0/16", "10.97.0.0/16"], ["10.1.0.0/24", "10.2.0.0/24"])
        try await batch("client", ends(proxy: "10.1.0", hand: "10.2.0", leadingTo: there))
        try await batch("server", ends(proxy: "10.3.0", hand: "10.4.0", leadingTo: back))
        try SmallFile.set("/proc/sys/net/ipv4/ip_forward", "1")
        try await Command.run(["nsenter", "--net=/run/netns/hand", "sysctl", "-qw", "net.ipv4.ip_forward=1"])
    }

    /// Both interfaces of one of the outer namespaces, and which network each leads to.
    private static func ends(proxy: String, hand: String, leadingTo networks: [String]) -> String {
        """
        address add \(proxy).2/24 dev proxy0
        address add \(hand).2/24 dev hand0
        link set proxy0 up
        link set hand0 up
        link set lo up
        \(zip(networks, [proxy, hand]).map { "route add \($0) via \($1).1" }.joined(separator: "\n"))

        """
    }

    private static func batch(_ namespace: String, _ lines: String) async throws {
        try await Command.run(["ip", "-netns", namespace, "-batch", "-"], input: lines)
    }
}
