import KubeAPI
import Testing

@testable import KubeControllers

private let zones = ["n1": "a", "n2": "b", "n3": "c"]
private let halves = ["a": 0.5, "b": 0.5]

private func service(_ distribution: String? = nil, annotations: [String: String] = [:]) throws -> ServiceState {
    var value: Value = [
        "apiVersion": "v1", "kind": "Service", "metadata": ["name": "web", "namespace": "default", "uid": "svc", "annotations": Value(annotations)],
        "spec": [
            "clusterIP": "10.0.0.1", "selector": ["app": "web"], "ipFamilies": ["IPv4"],
            "ports": [["name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"]],
        ],
    ]
    if let distribution { value[path: "spec", "trafficDistribution"] = .string(distribution) }
    return ServiceState(try object(value))
}

private func automatic() throws -> ServiceState { try service(annotations: ["service.kubernetes.io/topology-mode": "Auto"]) }

/// Pods by the nodes they are on.
private func pods(_ nodes: String..., unready: Set<Int> = []) throws -> [Object] {
    try nodes.enumerated().map { try pod("p\($0.offset)", node: $0.element, ready: !unready.contains($0.offset), ip: "10.1.0.\($0.offset + 1)") }
}

/// What the hints of each endpoint are, by its address: `a`, `a n1`, or nothing.
private func hints(_ slices: [Value]) -> [String: String] {
    var result: [String: String] = [:]
    for endpoint in slices.flatMap({ $0["endpoints"]?.array ?? [] }) {
        let names = ["forZones", "forNodes"].flatMap { (endpoint[path: "hints", $0]?.array ?? []).compactMap { $0["name"]?.string } }
        result[endpoint["addresses"]?.array?.first?.string ?? ""] = names.joined(separator: " ")
    }
    return result
}

private func stored(_ plan: EndpointSlicePlan) throws -> [Object] {
    try (plan.creates + plan.updates).enumerated().map { index, value in
        var value = value
        value[path: "metadata", "name"] = .string("web-\(index)")
        value[path: "metadata", "uid"] = .string("slice-\(index)")
        return try object(value)
    }
}

@Suite("Topology hints")
struct TopologyHintsTests {
    @Test(
        "the annotation counts before the field, and the older annotation before the newer",
        arguments: [
            ("", [:], TopologyMode.anywhere), ("PreferClose", [:], .sameZone), ("PreferSameZone", [:], .sameZone),
            ("PreferSameNode", [:], .sameNode), ("Elsewhere", [:], .anywhere),
            ("PreferSameNode", ["service.kubernetes.io/topology-mode": "Auto"], .proportional),
            ("PreferClose", ["service.kubernetes.io/topology-mode": "Disabled"], .sameZone),
            ("", ["service.kubernetes.io/topology-aware-hints": "auto"], .proportional),
            ("", ["service.kubernetes.io/topology-aware-hints": "Disabled", "service.kubernetes.io/topology-mode": "Auto"], .anywhere),
        ] as [(String, [String: String], TopologyMode)])
    func modes(distribution: String, annotations: [String: String], mode: TopologyMode) throws {
        #expect(try service(distribution, annotations: annotations).topologyMode == mode)
    }

    @Test("ready endpoints are for their own zone, or node and zone; unready ones and those without a zone for none")
    func near() throws {
        let pods = try pods("n1", "n2", "elsewhere", unready: [1])
        let zone = EndpointSlicePlanner.plan(service: try service("PreferSameZone"), pods: pods, zones: zones, existing: [])
        #expect(hints(zone.creates) == ["10.1.0.1": "a", "10.1.0.2": "", "10.1.0.3": ""])
        let node = EndpointSlicePlanner.plan(service: try service("PreferSameNode"), pods: pods, zones: zones, existing: [])
        #expect(hints(node.creates) == ["10.1.0.1": "a n1", "10.1.0.2": "", "10.1.0.3": "elsewhere"])
        #expect(zone.topology == ["IPv4": .notAsked])
    }

    @Test("hints alone make a slice's update, once, and go with the field")
    func changes() throws {
        let pods = try pods("n1", "n2")
        let plain = try stored(EndpointSlicePlanner.plan(service: try service(), pods: pods, zones: zones, existing: []))
        let asked = EndpointSlicePlanner.plan(service: try service("PreferClose"), pods: pods, zones: zones, existing: plain)
        #expect(asked.creates.isEmpty && asked.deletes.isEmpty && hints(asked.updates) == ["10.1.0.1": "a", "10.1.0.2": "b"])
        let hinted = try stored(asked)
        let again = EndpointSlicePlanner.plan(service: try service("PreferClose"), pods: pods, zones: zones, existing: hinted)
        #expect(again.updates.isEmpty && again.creates.isEmpty && again.deletes.isEmpty)
        let without = EndpointSlicePlanner.plan(service: try service(), pods: pods, zones: zones, existing: hinted)
        #expect(hints(without.updates) == ["10.1.0.1": "", "10.1.0.2": ""])
    }

    @Test(
        "zones get endpoints by their CPU, or nobody does",
        arguments: [
            (halves, 4, ["a": TopologyHints.Allocation(minimum: 2, maximum: 2, desired: 2), "b": .init(minimum: 2, maximum: 2, desired: 2)], ""),
            (
                ["a": 0.25, "b": 0.75], 10,
                ["a": .init(minimum: 3, maximum: 3, desired: 3), "b": .init(minimum: 7, maximum: 7, desired: 7.5)], ""
            ),
            (nil, 4, nil, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"),
            (halves, 1, nil, "Insufficient number of endpoints (1 endpoints, 2 zones)"),
            (
                halves, 3, nil,
                "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 endpoints, 2 zones)"
            ),
        ] as [([String: Double]?, Int, [String: TopologyHints.Allocation]?, String)])
    func allocations(ratios: [String: Double]?, endpoints: Int, expected: [String: TopologyHints.Allocation]?, message: String) {
        do {
            let allocations = try TopologyHints.allocations(ratios, endpoints: endpoints)
            #expect(allocations == expected)
        } catch { #expect(expected == nil && error.message == message) }
    }

    @Test("a zone with too many endpoints gives some to one with too few")
    func redistribution() throws {
        let pods = try pods("n1", "n1", "n1", "n2")
        let plan = EndpointSlicePlanner.plan(service: try automatic(), pods: pods, zones: zones, existing: [], ratios: halves)
        #expect(plan.topology == ["IPv4": .given(["a": 2, "b": 2])])
        #expect(hints(plan.creates).values.sorted() == ["a", "a", "b", "b"])
        // What is good stays as it is.
        let again = EndpointSlicePlanner.plan(service: try automatic(), pods: pods, zones: zones, existing: try stored(plan), ratios: halves)
        #expect(again.updates.isEmpty && again.topology == plan.topology)
        // What is not is made anew; an endpoint of a zone without nodes stays for its own.
        let moved = EndpointSlicePlanner.plan(
            service: try automatic(), pods: pods, zones: zones, existing: try stored(plan), ratios: ["a": 0.5, "c": 0.5])
        #expect(hints(moved.updates).values.sorted() == ["a", "a", "b", "c"])
    }

    @Test("refused hints are taken away, with the reason")
    func refusals() throws {
        let pods = try pods("n1", "n1", "n2", "n2")
        let given = try stored(EndpointSlicePlanner.plan(service: try automatic(), pods: pods, zones: zones, existing: [], ratios: halves))
        let refused = EndpointSlicePlanner.plan(service: try automatic(), pods: pods, zones: zones, existing: given, ratios: nil)
        #expect(Set(hints(refused.updates).values) == [""])
        #expect(
            refused.topology == ["IPv4": .refused("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")])
        let homeless = EndpointSlicePlanner.plan(service: try automatic(), pods: pods, zones: ["n1": "a"], existing: [], ratios: halves)
        #expect(homeless.topology == ["IPv4": .refused("One or more endpoints do not have a zone specified")])
        #expect(Set(hints(homeless.creates).values) == [""])
    }

    @Test("endpoints of an excluded zone are left out while another is ready")
    func excludedZones() throws {
        func addresses(_ pods: [Object], without excluded: Set<String>) throws -> [String] {
            hints(EndpointSlicePlanner.plan(service: try service(), pods: pods, zones: zones, existing: [], excludedZones: excluded).creates).keys
                .sorted()
        }
        #expect(try addresses(try pods("n1", "n2", "n3"), without: ["a"]) == ["10.1.0.2", "10.1.0.3"])
        #expect(try addresses(try pods("n1", "n2", "n3"), without: []).count == 3)
        #expect(try addresses(try pods("n1", "n2", unready: [1]), without: ["a"]) == ["10.1.0.1", "10.1.0.2"])
        #expect(try addresses(try pods("n1", "n1"), without: ["a"]).count == 2)
    }
}

@Suite("What topology hints are made for")
struct TopologyCacheTests {
    private func machine(_ name: String, zone: String?, cpu: String?, ready: String = "True", labels: [String: String] = [:]) throws -> Object {
        var labels = labels
        if let zone { labels["topology.kubernetes.io/zone"] = zone }
        var value = try node(name, ready: ready, labels: labels).value
        if let cpu { value[path: "status", "allocatable"] = ["cpu": .string(cpu)] }
        return try object(value)
    }

    @Test("each zone's part of the CPU of ready nodes; nothing when a node does not tell")
    func ratios() throws {
        var capacity = ZoneCapacity()
        func set(_ name: String, _ node: Object?) -> Bool { capacity.set(name, node) }
        #expect(set("n1", try machine("n1", zone: "a", cpu: "3")))
        #expect(capacity.ratios == nil)
        #expect(set("n2", try machine("n2", zone: "b", cpu: "500m")))
        #expect(set("n3", try machine("n3", zone: "b", cpu: "500m")))
        #expect(capacity.ratios == ["a": 0.75, "b": 0.25])
        #expect(!set("n3", try machine("n3", zone: "b", cpu: "500m")))
        // Nodes that do not count: unready ones, and the control plane's.
        #expect(!set("n4", try machine("n4", zone: nil, cpu: "1", ready: "False")))
        #expect(!set("n5", try machine("n5", zone: "c", cpu: "9", labels: ["node-role.kubernetes.io/control-plane": ""])))
        #expect(set("n6", try machine("n6", zone: nil, cpu: "1")))
        #expect(capacity.ratios == nil)
        #expect(set("n6", try machine("n6", zone: "b", cpu: nil)))
        #expect(capacity.ratios == nil)
        #expect(set("n6", nil))
        #expect(capacity.ratios == ["a": 0.75, "b": 0.25])
        #expect(set("n1", nil))
        #expect(capacity.ratios == nil)
    }

    @Test(
        "a zone is overloaded when its endpoints are fewer than its CPU asks for, a fifth allowed",
        arguments: [
            (["a": 2, "b": 2], halves, false), (["a": 3, "b": 2], halves, true), (["a": 4], halves, true), ([:], halves, false),
            (["a": 11, "b": 9], halves, false), (["a": 2, "b": 2], nil, true),
        ] as [([String: Int], [String: Double]?, Bool)])
    func overload(given: [String: Int], ratios: [String: Double]?, overloaded: Bool) {
        #expect(TopologyCache.isOverloaded(given, ratios) == overloaded)
    }

    @Test("a Service hears when its hints begin and end, and is looked at again when nodes make other hints necessary")
    func events() throws {
        let cache = TopologyCache()
        for (name, zone) in [("n1", "a"), ("n2", "b")] { #expect(cache.observe(name, try machine(name, zone: zone, cpu: "1")).isEmpty) }
        let enabled = cache.note("default/web", family: "IPv4", .given(["a": 2, "b": 2]))
        #expect(
            enabled
                == .init(type: .normal, reason: "TopologyAwareHintsEnabled", message: "Topology Aware Hints has been enabled, addressType: IPv4"))
        #expect(cache.note("default/web", family: "IPv4", .given(["a": 2, "b": 2])) == nil)
        #expect(cache.note("default/plain", family: "IPv4", .notAsked) == nil)
        let vain = cache.note("default/few", family: "IPv4", .refused("Insufficient number of endpoints (1 endpoints, 2 zones)"))
        #expect(vain?.message == "Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4")
        #expect(cache.observe("n3", try machine("n3", zone: "b", cpu: "1")) == ["default/web"])
        #expect(cache.observe("n4", try machine("n4", zone: "c", cpu: "1")) == ["default/few", "default/web"])
        let disabled = cache.note("default/web", family: "IPv4", .notAsked)
        #expect(
            disabled
                == .init(type: .warning, reason: "TopologyAwareHintsDisabled", message: "Topology Aware Hints has been disabled, addressType: IPv4"))
        cache.forget("default/few")
        #expect(cache.observe("n4", nil).isEmpty)
    }
}
