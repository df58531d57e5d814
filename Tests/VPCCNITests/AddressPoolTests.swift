import Glibc
import KubeAPI
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
