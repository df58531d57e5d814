import Glibc
import KubeAPI
import Nftables
import Processes
import Testing

@testable import KubeProxy

/// The rules in a real kernel: a node's namespace with a client outside and two endpoints behind it. Needs root.
@Suite(.enabled(if: geteuid() == 0, "namespaces need root"), .serialized) struct KernelTests {
    /// Says who it is to whoever connects, by TCP and by UDP, and whom it sees.
    private static let server = """
        import socket, sys, threading
        name = sys.argv[1]
        def tcp():
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 8080)); s.listen(16)
            while True:
                c, a = s.accept(); c.sendall(f"{name} {a[0]}".encode()); c.close()
        threading.Thread(target=tcp, daemon=True).start()
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", 8080))
        open(sys.argv[2], "w").close()
        while True:
            d, a = u.recvfrom(100); u.sendto(f"{name} {a[0]}".encode(), a)
        """
    private static let client = """
        import socket, sys
        kind, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(2)
        for _ in range(count):
            try:
                if kind == "udp":
                    u.sendto(b"x", (host, port)); print(u.recv(100).decode())
                else:
                    s = socket.create_connection((host, port), 2); print(s.recv(100).decode()); s.close()
            except ConnectionRefusedError: print("refused")
            except socket.timeout: print("timeout")
        """

    /// The namespaces of one test, gone with it.
    private final class World: Sendable {
        let prefix = "eykp\(getpid())"
        let servers: [Int32]

        init() throws {
            for name in ["node", "out", "a", "b"] { try Command.runBlocking(["ip", "netns", "add", "\(prefix)-\(name)"]) }
            try Command.runBlocking(["ip", "netns", "exec", "\(prefix)-node", "sysctl", "-qw", "net.ipv4.ip_forward=1"])
            for (name, network) in [("out", "192.0.2"), ("a", "10.0.1"), ("b", "10.0.2")] {
                try Command.runBlocking(
                    ["ip", "-netns", "\(prefix)-node", "-batch", "-"],
                    input: """
                        link add name to-\(name) type veth peer name eth0 netns \(prefix)-\(name)
                        address add \(network).1/24 dev to-\(name)
                        link set to-\(name) up
                        link set lo up

                        """)
                try Command.runBlocking(
                    ["ip", "-netns", "\(prefix)-\(name)", "-batch", "-"],
                    input: "address add \(network).2/24 dev eth0\nlink set eth0 up\nlink set lo up\nroute add default via \(network).1\n")
            }
            // What the node does not know goes out, as everywhere: only then does it pass the hook for forwarded packets.
            try Command.runBlocking(["ip", "-netns", "\(prefix)-node", "route", "add", "default", "via", "192.0.2.2"])
            var started: [Int32] = []
            for name in ["a", "b"] {
                let ready = "/tmp/\(prefix)-\(name)"
                started.append(
                    try Command.spawnSession(
                        ["ip", "netns", "exec", "\(prefix)-\(name)", "python3", "-c", KernelTests.server, name, ready], log: "/dev/null"))
                let deadline = ContinuousClock.now + .seconds(10)
                while access(ready, F_OK) != 0, ContinuousClock.now < deadline { sched_yield() }
                unlink(ready)
            }
            servers = started
        }

        deinit {
            for pid in servers { kill(pid, SIGKILL) }
            for name in ["node", "out", "a", "b"] { _ = try? Command.runBlocking(["ip", "netns", "del", "\(prefix)-\(name)"]) }
        }

        /// Whether no endpoint answers: whether the refusal finds its way back is the host's affair.
        func isUnanswered(_ host: String, _ port: Int) throws -> Bool { try ask(host, port).allSatisfy { $0 == "refused" || $0 == "timeout" } }

        var program: NftProgram { NftProgram(namespace: "/run/netns/\(prefix)-node") }

        /// What comes back in `count` connections from a namespace.
        func ask(_ host: String, _ port: Int, from: String = "out", udp: Bool = false, count: Int = 1) throws -> [String] {
            let text = try Command.runBlocking(
                ["ip", "netns", "exec", "\(prefix)-\(from)", "python3", "-c", KernelTests.client, udp ? "udp" : "tcp", host, "\(port)", "\(count)"])
            return text.split(separator: "\n").map(String.init)
        }
    }

    private func a(_ local: Bool = false) throws -> EndpointFacts { try endpoint("10.0.1.2", local: local) }
    private func b(_ local: Bool = false) throws -> EndpointFacts { try endpoint("10.0.2.2", local: local) }

    private struct Proxy {
        var table: NftTable
        var marks = MarkTable()

        mutating func set(_ service: ServiceFacts, _ endpoints: [EndpointFacts], key: EndpointPortKey = key()) async throws {
            let fragment = ServiceRules.fragment(service, [key: endpoints], node: here, family: .ipv4, marks: &marks)
            try await table.apply([(service.key, fragment)])
        }
    }

    private func proxy(_ world: World) throws -> Proxy {
        let addresses = [try require(IPAddress("192.0.2.1"))]
        return Proxy(table: NftTable(ProxyTable.make(.ipv4, nodeAddresses: addresses), program: world.program))
    }

    @Test("connections to a ClusterIP reach all endpoints and follow their changes") func clusterIP() async throws {
        let world = try World()
        var proxy = try proxy(world)
        try await proxy.set(try service(), [try a(), try b()])
        #expect(Set(try world.ask("10.100.0.20", 80, count: 40)) == ["a 192.0.2.2", "b 192.0.2.2"])
        try await proxy.set(try service(), [try b()])
        #expect(Set(try world.ask("10.100.0.20", 80, count: 10)) == ["b 192.0.2.2"])
        try await proxy.set(try service(), [])
        #expect(try world.isUnanswered("10.100.0.20", 80))
        try await proxy.set(try service(), [try a()])
        #expect(try world.ask("10.100.0.20", 80) == ["a 192.0.2.2"])
        #expect(try world.isUnanswered("10.100.0.20", 81), "a port the Service does not have")
        #expect(try world.ask("10.100.0.20", 80, from: "node").first?.hasPrefix("a ") == true, "the node itself")
    }

    @Test("a pod reaches itself through its Service") func hairpin() async throws {
        let world = try World()
        var proxy = try proxy(world)
        try await proxy.set(try service(), [try a(true)])
        #expect(try world.ask("10.100.0.20", 80, from: "a") == ["a 10.0.1.1"])
    }

    @Test("node ports answer at the node's address, and keep the client's with policy Local") func nodePorts() async throws {
        let world = try World()
        var proxy = try proxy(world)
        let ports: [Value] = [["name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080]]
        try await proxy.set(try service(ports: ports, spec: [("type", "NodePort")]), [try b()])
        #expect(try world.ask("192.0.2.1", 30080) == ["b 10.0.2.1"])
        #expect(try world.ask("192.0.2.1", 30080, from: "node").first?.hasPrefix("b ") == true)
        let local = try service(ports: ports, spec: [("type", "NodePort"), ("externalTrafficPolicy", "Local")])
        try await proxy.set(local, [try a(true), try b()])
        #expect(Set(try world.ask("192.0.2.1", 30080, count: 10)) == ["a 192.0.2.2"])
        try await proxy.set(local, [try b()])
        #expect(try world.ask("192.0.2.1", 30080) == ["timeout"], "dropped, so that a load balancer looks elsewhere")
        #expect(try world.ask("192.0.2.1", 30080, from: "node").first?.hasPrefix("b ") == true, "the node itself reaches all")
    }

    @Test("session affinity keeps a client at its endpoint") func affinity() async throws {
        let world = try World()
        var proxy = try proxy(world)
        let facts = try service(spec: [("sessionAffinity", "ClientIP")])
        try await proxy.set(facts, [try a(), try b()])
        let first = try world.ask("10.100.0.20", 80, count: 20)
        #expect(Set(first).count == 1)
        let kept = try require(first.first).hasPrefix("a") ? try a() : try b()
        try await proxy.set(facts, [kept])
        #expect(Set(try world.ask("10.100.0.20", 80, count: 5)) == Set(first))
        try await proxy.set(facts, [try a(), try b()])
        #expect(Set(try world.ask("10.100.0.20", 80, count: 20)) == Set(first), "remembered while others came and went")
        try await proxy.set(facts, [])
        #expect(try world.isUnanswered("10.100.0.20", 80))
    }

    @Test("source ranges shut out whoever is not in them") func firewall() async throws {
        let world = try World()
        var proxy = try proxy(world)
        let status: Value = ["loadBalancer": ["ingress": [["ip": "198.51.100.7"]]]]
        let shut = try service(spec: [("type", "LoadBalancer"), ("loadBalancerSourceRanges", ["10.0.0.0/8"])], status: status)
        try await proxy.set(shut, [try b()])
        #expect(try world.ask("198.51.100.7", 80) == ["timeout"])
        #expect(try world.ask("198.51.100.7", 80, from: "a").first?.hasPrefix("b ") == true)
        try await proxy.set(try service(spec: [("type", "LoadBalancer")], status: status), [try b()])
        #expect(try world.ask("198.51.100.7", 80) == ["b 10.0.2.1"])
    }

    @Test("UDP flows to an endpoint that went go to another once they are forgotten") func udp() async throws {
        let world = try World()
        var proxy = try proxy(world)
        let facts = try service(ports: [["name": "dns", "port": 53, "protocol": "UDP"]])
        try await proxy.set(facts, [try a()], key: key("dns", .udp))
        #expect(Set(try world.ask("10.100.0.20", 53, udp: true, count: 3)) == ["a 192.0.2.2"])
        try await proxy.set(facts, [try b()], key: key("dns", .udp))
        #expect(Set(try world.ask("10.100.0.20", 53, udp: true, count: 3)) == ["b 192.0.2.2"])
    }

    @Test("somebody who flushes all rules is made up for by the next change") func flushed() async throws {
        let world = try World()
        var proxy = try proxy(world)
        try await proxy.set(try service(), [try a(), try b()])
        try await world.program.run("flush ruleset\n")
        try await proxy.set(try service(), [try b()])
        #expect(try world.ask("10.100.0.20", 80) == ["b 192.0.2.2"])
    }

    @Test("both families' tables and ten thousand Services are taken by the kernel") func many() async throws {
        let world = try World()
        let six = NftTable(ProxyTable.make(.ipv6, nodeAddresses: []), program: world.program)
        try await six.apply([])
        var proxy = try proxy(world)
        var fragments: [(owner: String, fragment: RuleFragment?)] = []
        for index in 0..<10000 {
            let facts = try service("s\(index)", clusterIP: "10.100.\(index >> 8).\(index & 255)")
            let endpoints = try (0..<3).map { try endpoint("10.\(1 + index >> 8).\(index & 255).\(1 + $0)") }
            fragments.append(
                (facts.key, ServiceRules.fragment(facts, [key(): endpoints], node: here, family: .ipv4, marks: &proxy.marks)))
        }
        let clock = ContinuousClock()
        let whole = try await clock.measure { try await proxy.table.apply(fragments) }
        let one = try await clock.measure { try await proxy.set(try service("s77", clusterIP: "10.100.0.77"), [try a()]) }
        #expect(try world.ask("10.100.0.77", 80) == ["a 192.0.2.2"])
        // Far above what it takes, far below what a chain for each endpoint takes.
        #expect(whole < .seconds(15) && one < .seconds(3), "all: \(whole), one: \(one)")
        print("10,000 Services of 3 endpoints: \(whole); one endpoint: \(one)")
    }
}
