import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Service addresses")
struct ServiceAllocationTests {
    private let reader = MemoryReader()

    private func strategy(_ cidr: String = "10.100.0.0/24", now: @escaping @Sendable () -> Timestamp = { .now }) throws -> ServiceStrategy {
        let allocator = ServiceAddressAllocator(cidr: try #require(ServiceCIDR(cidr)), now: now)
        allocator.follow(reader)
        return ServiceStrategy(allocator: allocator)
    }

    /// A Service as the generic path hands it over: decoded, defaulted, with its uid.
    private func service(_ name: String, _ spec: String = #""type":"ClusterIP""#, ports: String = #"[{"port":80,"protocol":"TCP","targetPort":80}]"#)
        throws -> Value
    {
        try Value(
            json:
                #"{"kind":"Service","metadata":{"name":"\#(name)","namespace":"default","uid":"u-\#(name)"},"spec":{\#(spec),"sessionAffinity":"None","ports":\#(ports)}}"#
        )
    }

    private func created(_ strategy: ServiceStrategy, _ value: Value) throws -> Value {
        var value = value
        try strategy.prepareForCreate(&value, reader)
        return value
    }

    @Test("CIDRs and addresses read and write in both families")
    func cidr() throws {
        let four = try #require(ServiceCIDR("172.20.0.0/16"))
        #expect(four.first == "172.20.0.1" && !four.isIPv6 && four.size == 65534)
        let six = try #require(ServiceCIDR("fd00:1::/108"))
        #expect(six.first == "fd00:1::1" && six.isIPv6)
        #expect(four.offset(of: try #require(IPAddress("172.20.1.0"))) == 255)
        #expect(four.offset(of: try #require(IPAddress("172.20.255.255"))) == nil)
        #expect(four.offset(of: try #require(IPAddress("172.20.0.0"))) == nil)
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/31", "x/24", "010.0.0.0/24", "fd00::/32"] { #expect(ServiceCIDR(bad) == nil, "\(bad)") }
    }

    @Test("a service gets an address of the range, families and policy")
    func address() throws {
        let made = try created(try strategy(), try service("a"))
        let address = try #require(made[path: "spec", "clusterIP"]?.string)
        #expect(address.hasPrefix("10.100.0.") && address != "10.100.0.1")
        #expect(made[path: "spec", "clusterIPs"] == [.string(address)])
        #expect(made[path: "spec", "ipFamilies"] == ["IPv4"] && made[path: "spec", "ipFamilyPolicy"] == "SingleStack")
        #expect(made["status"] == ["loadBalancer": [:]])
    }

    @Test("headless services and external names have none")
    func none() throws {
        let strategy = try strategy()
        let headless = try created(strategy, try service("h", #""type":"ClusterIP","clusterIP":"None","selector":{"a":"b"}"#))
        #expect(headless[path: "spec", "clusterIPs"] == ["None"] && headless[path: "spec", "ipFamilies"] == ["IPv4"])
        let selectorless = try created(strategy, try service("s", #""type":"ClusterIP","clusterIP":"None""#))
        #expect(selectorless[path: "spec", "ipFamilyPolicy"] == "RequireDualStack" && selectorless[path: "spec", "ipFamilies"] == ["IPv4", "IPv6"])
        let named = try created(strategy, try service("e", #""type":"ExternalName","externalName":"x.example""#))
        #expect(named[path: "spec", "clusterIP"] == nil && named[path: "spec", "ipFamilies"] == nil)
    }

    @Test("an address asked for is given once, within the range only, with upstream's words")
    func askedAddress() throws {
        let strategy = try strategy()
        func ask(_ name: String, _ address: String) throws -> Value {
            try created(strategy, try service(name, #""type":"ClusterIP","clusterIP":"\#(address)""#))
        }
        #expect(try ask("a", "10.100.0.7")[path: "spec", "clusterIPs"] == ["10.100.0.7"])
        let taken = #expect(throws: StatusError.self) { try ask("b", "10.100.0.7") }
        #expect(
            taken?.message
                == #"Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.100.0.7"]: failed to allocate IP 10.100.0.7: provided IP is already allocated"#
        )
        let outside = #expect(throws: StatusError.self) { try ask("c", "10.9.0.1") }
        #expect(outside?.message.contains("the provided IP (10.9.0.1) is not in the valid range. The range of valid IPs is 10.100.0.0/24") == true)
    }

    @Test("every address of a range is used before it is full, and what is given back is used again")
    func exhaustion() throws {
        let strategy = try strategy("10.0.0.0/28")
        var made: [Value] = []
        for index in 0..<13 { made.append(try created(strategy, try service("s\(index)"))) }
        #expect(Set(made.compactMap { $0[path: "spec", "clusterIP"]?.string }).count == 13)
        let full = #expect(throws: StatusError.self) { try created(strategy, try service("more")) }
        #expect(full?.message == "Internal error occurred: failed to allocate a serviceIP: range is full")
        strategy.release(try Object(made[3]))
        #expect(try created(strategy, try service("again"))[path: "spec", "clusterIP"] == made[3][path: "spec", "clusterIP"])
    }

    @Test("what stored services hold is known from the start and followed")
    func following() throws {
        try reader.set(
            .services,
            #"{"metadata":{"name":"old","namespace":"default","uid":"u1"},"spec":{"clusterIP":"10.100.0.9","clusterIPs":["10.100.0.9"],"ports":[{"nodePort":30123}]}}"#
        )
        let strategy = try strategy()
        #expect(throws: ServiceAddressAllocator.Failure.allocated) {
            try strategy.allocator.allocate(address: "10.100.0.9", for: .init(key: "default/x", uid: "x"))
        }
        #expect(throws: ServiceAddressAllocator.Failure.allocated) {
            try strategy.allocator.allocate(port: 30123, for: .init(key: "default/x", uid: "x"))
        }
        reader.remove(.services, "default/old")
        try strategy.allocator.allocate(address: "10.100.0.9", for: .init(key: "default/x", uid: "x"))
        // A late release of the deleted service does not take it from its new owner.
        strategy.allocator.release(.init(key: "default/old", uid: "u1"))
        #expect(throws: ServiceAddressAllocator.Failure.allocated) {
            try strategy.allocator.allocate(address: "10.100.0.9", for: .init(key: "default/y", uid: "y"))
        }
    }

    @Test("what was reserved and never stored is free after a minute")
    func tentative() throws {
        let time = Mutex(Timestamp(seconds: 1000))
        let shared = SharedTime(time)
        let strategy = try strategy(now: { shared.now })
        let owner = ServiceAddressAllocator.Owner(key: "default/a", uid: "a")
        try strategy.allocator.allocate(address: "10.100.0.9", for: owner)
        let other = ServiceAddressAllocator.Owner(key: "default/b", uid: "b")
        #expect(throws: ServiceAddressAllocator.Failure.allocated) { try strategy.allocator.allocate(address: "10.100.0.9", for: other) }
        shared.advance(61)
        try strategy.allocator.allocate(address: "10.100.0.9", for: other)
    }

    final class SharedTime: Sendable {
        private let time: Mutex<Timestamp>
        init(_ time: consuming Mutex<Timestamp>) { self.time = time }
        var now: Timestamp { time.withLock { $0 } }
        func advance(_ seconds: Int64) { time.withLock { $0 = $0.adding(seconds: seconds) } }
    }

    @Test("node ports are given from their range, one for TCP and UDP of the same port, and not twice")
    func nodePorts() throws {
        let strategy = try strategy()
        let ports = #"[{"name":"t","port":53,"protocol":"TCP"},{"name":"u","port":53,"protocol":"UDP"},{"name":"w","port":80,"protocol":"TCP"}]"#
        let made = try created(strategy, try service("dns", #""type":"NodePort""#, ports: ports))
        let given = try #require(made[path: "spec", "ports"]?.array).compactMap { $0["nodePort"]?.int }
        #expect(given.count == 3 && given[0] == given[1] && given[2] != given[0])
        #expect(given.allSatisfy { ServiceAddressAllocator.nodePorts.contains($0) })
        func ask(_ port: Int64) throws {
            _ = try created(strategy, try service("p", #""type":"NodePort""#, ports: #"[{"port":80,"protocol":"TCP","nodePort":\#(port)}]"#))
        }
        let taken = #expect(throws: StatusError.self) { try ask(given[0]) }
        #expect(taken?.message.contains("spec.ports[0].nodePort: Invalid value: \(given[0]): provided port is already allocated") == true)
        let outside = #expect(throws: StatusError.self) { try ask(80) }
        #expect(outside?.message.contains("provided port is not in the valid range. The range of valid ports is 30000-32767") == true)
    }

    @Test("an update without the allocated fields keeps them; a change of type takes and leaves them")
    func updates() throws {
        let strategy = try strategy()
        let stored = try created(strategy, try service("a", #""type":"NodePort","externalTrafficPolicy":"Cluster""#))
        let old = try Object(stored)
        var plain = try service("a", #""type":"NodePort","externalTrafficPolicy":"Cluster""#)
        try strategy.prepareForUpdate(&plain, old: old, subresource: "", reader)
        #expect(plain["spec"] == stored["spec"])
        var internalOnly = stored
        internalOnly[path: "spec", "type"] = "ClusterIP"
        try strategy.prepareForUpdate(&internalOnly, old: old, subresource: "", reader)
        #expect(internalOnly[path: "spec", "ports"]?.array?.first?["nodePort"] == nil)
        #expect(internalOnly[path: "spec", "externalTrafficPolicy"] == nil)
        #expect(internalOnly[path: "spec", "clusterIP"] == stored[path: "spec", "clusterIP"])
        var external = try service("a", #""type":"ExternalName","externalName":"x.example""#)
        try strategy.prepareForUpdate(&external, old: old, subresource: "", reader)
        #expect(external[path: "spec", "clusterIP"] == nil)
        var moved = stored
        moved[path: "spec", "clusterIP"] = .string(stored[path: "spec", "clusterIP"] == "10.100.0.200" ? "10.100.0.201" : "10.100.0.200")
        try strategy.prepareForUpdate(&moved, old: old, subresource: "", reader)
        let causes = strategy.validateUpdate(try Object(moved), old: old, subresource: "")
        #expect(causes.contains { $0.field == "spec.clusterIPs[0]" && $0.message.contains("may not change once set") })
    }

    @Test("ports, types and names are checked in upstream's words")
    func validation() throws {
        func causes(_ spec: String, ports: String) throws -> [String] {
            ServiceValidation.validate(try Object(try service("a", spec, ports: ports))).map { "\($0.field): \($0.message)" }
        }
        #expect(try causes(#""type":"ClusterIP""#, ports: "[]") == ["spec.ports: Required value"])
        #expect(
            try causes(#""type":"ClusterIP""#, ports: #"[{"port":0,"protocol":"TCP"}]"#)
                == ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"])
        #expect(
            try causes(#""type":"ClusterIP""#, ports: #"[{"port":1,"protocol":"TCP"},{"port":2,"protocol":"TCP"}]"#)
                == ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"])
        #expect(
            try causes(#""type":"X""#, ports: #"[{"port":1,"protocol":"TCP"}]"#)
                == [#"spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#])
        #expect(
            try causes(#""type":"ClusterIP""#, ports: #"[{"port":1,"protocol":"TCP","nodePort":30000}]"#)
                == ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"])
    }
}
