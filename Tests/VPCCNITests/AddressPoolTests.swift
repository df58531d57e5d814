import Glibc
import KubeAPI
import Processes
import Testing

@testable import VPCCNI

/// Pods' addresses on one node.
@Suite struct AddressPoolTests {
    private let directory: String

    init() {
        var template = Array("/tmp/eyrie-pool-XXXXXX".utf8CString)
        directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }

    private func pool(_ addresses: [String]) -> AddressPool { AddressPool(path: "\(directory)/addresses.json", addresses: addresses) }

    @Test("where a full disk leaves no room for a new file, one that is no longer than the old is written over it")
    func overwrite() throws {
        let path = "\(directory)/small"
        try SmallFile.write(path, Array("{\"a\":1}".utf8))
        try SmallFile.overwrite(path, Array("{}".utf8))
        #expect(SmallFile.readText(path) == "{}")
        #expect(throws: CommandError.self) { try SmallFile.overwrite(path, Array("{\"a\":1}".utf8)) }
        #expect(SmallFile.readText(path) == "{}")
        #expect(throws: CommandError.self) { try SmallFile.overwrite("\(directory)/none", []) }
    }

    @Test("a pod keeps its address when it asks again") func assignIsIdempotent() throws {
        let pool = pool(["10.0.0.4", "10.0.0.5"])
        let first = try pool.assign(owner: "a/eth0", now: 100)
        #expect(try pool.assign(owner: "a/eth0", now: 101) == first)
        #expect(try pool.assign(owner: "b/eth0", now: 101) != first)
    }

    @Test("when all addresses are in use the error says what to do") func exhaustion() throws {
        let pool = pool(["10.0.0.4"])
        _ = try pool.assign(owner: "a/eth0", now: 100)
        let error = #expect(throws: AddressPool.Failure.self) { try pool.assign(owner: "b/eth0", now: 100) }
        #expect(error?.description.contains("use a larger instance type or more nodes") == true)
    }

    @Test("a freed address cools down while others are free, and is reused when none are") func cooling() throws {
        let pool = pool(["10.0.0.4", "10.0.0.5"])
        let first = try pool.assign(owner: "a/eth0", now: 100)
        #expect(try pool.release(owner: "a/eth0", now: 110) == first)
        let second = try pool.assign(owner: "b/eth0", now: 111)
        #expect(second != first)
        #expect(try pool.assign(owner: "c/eth0", now: 112) == first)
    }

    @Test("giving back what nobody holds is no error") func releaseOfNothing() throws {
        #expect(try pool(["10.0.0.4"]).release(owner: "a/eth0", now: 1) == nil)
    }

    @Test("many pods starting at once get different addresses") func concurrency() async throws {
        let addresses = (10..<60).map { "10.0.0.\($0)" }
        let pool = pool(addresses)
        let given = try await withThrowingTaskGroup(of: String.self) { group in
            for index in 0..<50 { group.addTask { try pool.assign(owner: "\(index)/eth0", now: 1000) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(given) == Set(addresses))
    }

    @Test("a state file that is not JSON is an error, not an empty pool") func damagedState() throws {
        let pool = pool(["10.0.0.4"])
        let file = fopen("\(directory)/addresses.json", "w")
        fputs("{torn", file)
        fclose(file)
        #expect(throws: (any Error).self) { try pool.assign(owner: "a/eth0", now: 1) }
    }
}

/// hostPort.
@Suite struct HostPortsTests {
    private func ports(_ mappings: Value) throws -> HostPorts {
        let input: Value = ["cniVersion": "1.0.0", "runtimeConfig": ["portMappings": mappings]]
        return HostPorts(try JSONDocument(input.jsonBytes).root)
    }

    @Test("mappings are elements, at any address of the node or at one") func mappings() throws {
        let opened = try ports([
            ["hostPort": 8080, "containerPort": 80, "protocol": "tcp"],
            ["HostPort": 53, "ContainerPort": 5353, "Protocol": "UDP", "HostIP": "10.0.0.7"],
        ]).opening("10.0.1.5")
        #expect(opened.contains("add element ip host-ports anywhere { tcp . 8080 : 10.0.1.5 . 80 }\n"))
        #expect(opened.contains("add element ip host-ports bound { 10.0.0.7 . udp . 53 : 10.0.1.5 . 5353 }\n"))
        #expect(opened.contains("martians iifname != \"lo\" ip daddr 127.0.0.0/8 drop\n"), "the node's loopback is the node's alone")
    }

    @Test("what is no mapping of IPv4 is left out") func malformed() throws {
        let none = try ports([
            ["hostPort": 0, "containerPort": 80], ["hostPort": 70000, "containerPort": 80], ["hostPort": 80, "containerPort": -1],
            ["hostPort": 80, "containerPort": 80, "protocol": "icmp"], ["hostPort": 80, "containerPort": 80, "hostIP": "::1"],
            ["hostPort": 80, "containerPort": 80, "hostIP": "} ; flush ruleset"], "text",
        ])
        #expect(none.isEmpty)
    }
}

/// Pods of IPv6 clusters.
@Suite struct IPv6PodTests {
    private func call() throws -> Plugin.Call {
        Plugin.Call(
            command: "ADD", containerID: "0123456789abcdef", namespace: "/run/netns/p", interface: "eth0", version: "1.0.0",
            input: try JSONDocument(Array("{}".utf8)).root)
    }

    @Test(
        "a pool of a range has its first addresses, without the network's own",
        arguments: [
            ("2001:db8:0:0:7::/80", 1_000, "2001:db8::7:0:0:1"), ("169.254.172.0/22", 1_000, "169.254.172.1"), ("10.0.0.0/29", 7, "10.0.0.1"),
            ("::7/128", 1, "::7"),
        ])
    func range(text: String, count: Int, first: String) throws {
        let pool = try #require(AddressPool(path: "/nowhere", range: text))
        #expect(Set(pool.addresses).count == count && pool.addresses.first == first)
    }

    @Test("what is no range makes no pool") func noRange() {
        for text in ["", "x", "2001:db8::", "2001:db8::/129", "10.0.0.0/-1"] { #expect(AddressPool(path: "/nowhere", range: text) == nil) }
    }

    @Test("a pod is reached by IPv6 alone, and knows the way to both families") func wiring() throws {
        let (wiring, call) = (IPv6Wiring(address: "2001:db8::1", egressAddress: "169.254.172.5"), try call())
        let inside = wiring.inside(call, peer: "tni0123")
        #expect(inside.contains("address add 2001:db8::1/128 dev eth0 nodad\n") && inside.contains("route add ::/0 via fe80::1 dev eth0\n"))
        #expect(inside.contains("address add 169.254.172.5/32 dev eth0\n") && inside.contains("route add default via 169.254.1.1 dev eth0\n"))
        #expect(inside.contains("neighbour replace fe80::1 lladdr \(call.hostInterfaceMAC) dev eth0 nud permanent\n"))
        #expect(wiring.outside(call).contains("neighbour replace 2001:db8::1 lladdr \(call.podInterfaceMAC) dev eni0123456789a nud permanent\n"))
        let result = wiring.result(call)
        #expect(result["ips"]?.array?.count == 1 && !result.jsonString.contains("169.254.172"))
        #expect(call.hostInterfaceMAC != call.podInterfaceMAC && call.podInterfaceMAC.utf8.count == 17)
    }

    @Test("host ports lead to pods of their family, in its own table") func hostPorts() throws {
        let mappings: Value = [
            ["hostPort": 80, "containerPort": 8080], ["hostPort": 81, "containerPort": 81, "hostIP": "10.0.0.7"],
            ["hostPort": 82, "containerPort": 82, "hostIP": "2001:db8::9"], ["hostPort": 83, "containerPort": 83, "hostIP": "::"],
        ]
        let input: Value = ["runtimeConfig": ["portMappings": mappings]]
        let opened = HostPorts(try JSONDocument(input.jsonBytes).root, isIPv6: true).opening("2001:db8::1")
        #expect(opened.contains("add element ip6 host-ports anywhere { tcp . 80 : 2001:db8::1 . 8080 }\n"))
        #expect(opened.contains("add element ip6 host-ports bound { 2001:db8::9 . tcp . 82 : 2001:db8::1 . 82 }\n"))
        #expect(opened.contains("anywhere { tcp . 83 : 2001:db8::1 . 83 }\n") && !opened.contains("10.0.0.7") && !opened.contains("127.0.0.0"))
        #expect(!opened.contains("ipv4_addr") && !opened.contains("ip host-ports"))
    }
}

/// kubernetes.io/ingress-bandwidth and egress-bandwidth.
@Suite struct BandwidthTests {
    private func bandwidth(_ asked: Value) throws -> Bandwidth {
        let input: Value = ["cniVersion": "1.0.0", "runtimeConfig": ["bandwidth": asked]]
        return Bandwidth(try JSONDocument(input.jsonBytes).root)
    }

    @Test("each direction has its bucket: on the interface, and on the device that the pod's packets are led through") func queues() throws {
        let both = try bandwidth(["ingressRate": 8_000_000, "ingressBurst": 4_294_967_295, "EgressRate": 80_000_000, "EgressBurst": 4_294_967_295])
        #expect(
            both.queues(of: "eni0123456789a") == """
                qdisc add dev eni0123456789a root tbf rate 8000000bit burst 100000b latency 25ms
                qdisc add dev eni0123456789a handle ffff: ingress
                filter add dev eni0123456789a parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev bwp0123456789a
                qdisc add dev bwp0123456789a root tbf rate 80000000bit burst 1000000b latency 25ms

                """)
        #expect(both.links(of: "eni0", mtu: 1400) == "link add bwp0 mtu 1400 type ifb\nlink set bwp0 up\n")
        let ingress = try bandwidth(["IngressRate": 8_000_000])
        #expect(ingress.links(of: "eni0", mtu: 1400).isEmpty && ingress.queues(of: "eni0").split(separator: "\n").count == 1)
    }

    @Test(
        "a burst lets large packets through and is never without bounds",
        arguments: [
            (1000, nil, 65536), (8_000_000, 800, 65536), (8_000_000, nil, 100_000), (1_000_000_000_000_000, 9_000_000_000_000, 1 << 30),
        ] as [(Int64, Int64?, UInt64)])
    func bursts(rate: Int64, burst: Int64?, bytes: UInt64) { #expect(Bandwidth.Limit(rate: rate, burst: burst)?.burst == bytes) }

    @Test("no rate is no limit", arguments: [[:], "text", ["ingressRate": 0], ["egressRate": -5], ["ingressBurst": 5]] as [Value])
    func unlimited(asked: Value) throws {
        let none = try bandwidth(asked)
        #expect(none.queues(of: "eni0").isEmpty && none.links(of: "eni0", mtu: 1400).isEmpty)
    }
}
