import KubeAPI
import Testing

@testable import CloudControllers

/// What load balancers should be.
@Suite struct LoadBalancerPlanTests {
    private func service(_ spec: [(String, Value)] = []) throws -> Object {
        var whole: Value = [
            "type": "LoadBalancer",
            "ports": [["port": 80, "nodePort": 30080, "protocol": "TCP"], ["port": 53, "nodePort": 30053, "protocol": "UDP"], ["port": 99]],
        ]
        for (key, value) in spec { whole[key] = value }
        return try Object(["apiVersion": "v1", "kind": "Service", "metadata": ["name": "web", "namespace": "default", "uid": "u1"], "spec": whole])
    }

    private func node(_ name: String, _ address: String, ready: Bool = true, labels: Value = [:]) throws -> Object {
        try Object([
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": labels],
            "status": [
                "addresses": [["type": "InternalIP", "address": .string(address)]],
                "conditions": [["type": "Ready", "status": .string(ready ? "True" : "False")]],
            ],
        ])
    }

    private func slice(_ node: String, ready: Bool = true) throws -> Object {
        try Object([
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": ["name": "web-1", "namespace": "default"],
            "endpoints": [["addresses": ["10.0.1.1"], "nodeName": .string(node), "conditions": ["ready": .bool(ready)]]],
        ])
    }

    @Test("ports with node ports lead to the nodes that are ready") func nodes() throws {
        let nodes = [
            try node("a", "10.0.0.1"), try node("b", "10.0.0.2", ready: false), try node("d", "not an address"),
            try node("c", "10.0.0.3", labels: ["node.kubernetes.io/exclude-from-external-load-balancers": ""]),
        ]
        let balancer = LoadBalancerPlan.balancer(for: try service(), nodes: nodes, slices: [])
        #expect(balancer.nodes == ["10.0.0.1"])
        #expect(balancer.ports.map(\.nodePort) == [30080, 30053])
        #expect(balancer.id == "u1" && balancer.service == "default/web")
    }

    @Test("a Service of IPv6 leads to nodes by IPv6, and lets in ranges of IPv6") func ipv6() throws {
        let facts = try service([("ipFamilies", ["IPv6"]), ("loadBalancerSourceRanges", ["10.0.0.0/8", "2001:db8::/32"])])
        let balancer = LoadBalancerPlan.balancer(for: facts, nodes: [try node("a", "2001:db8::7"), try node("b", "10.0.0.2")], slices: [])
        #expect(balancer.nodes == ["2001:db8::7"] && balancer.sourceRanges == ["2001:db8::/32"])
        #expect(LoadBalancerPlan.balancer(for: try service(), nodes: [try node("a", "2001:db8::7")], slices: []).nodes.isEmpty)
    }

    @Test("with external traffic policy Local only nodes with endpoints are used") func local() throws {
        let nodes = [try node("a", "10.0.0.1"), try node("b", "10.0.0.2")]
        let facts = try service([("externalTrafficPolicy", "Local")])
        #expect(LoadBalancerPlan.balancer(for: facts, nodes: nodes, slices: [try slice("b")]).nodes == ["10.0.0.2"])
        #expect(LoadBalancerPlan.balancer(for: facts, nodes: nodes, slices: [try slice("b", ready: false)]).nodes.isEmpty)
    }

    @Test("source ranges that are none of IPv4 shut it out rather than open it") func sourceRanges() throws {
        func ranges(_ texts: Value) throws -> [String] {
            LoadBalancerPlan.balancer(for: try service([("loadBalancerSourceRanges", texts)]), nodes: [], slices: []).sourceRanges
        }
        #expect(try ranges(["10.1.2.3/8", "fd00::/8"]) == ["10.0.0.0/8"])
        #expect(try ranges(["0.0.0.0/0"]).isEmpty)
        #expect(try ranges(["fd00::/8"]) == ["255.255.255.255/32"])
        #expect(try ranges(["what"]) == ["255.255.255.255/32"])
    }

    @Test("a class names another controller, and a deletion ends the wish") func wishes() throws {
        #expect(LoadBalancerPlan.isWanted(try service()))
        #expect(!LoadBalancerPlan.isWanted(try service([("loadBalancerClass", "eks.amazonaws.com/nlb")])))
        #expect(!LoadBalancerPlan.isWanted(try service([("type", "NodePort")])))
    }
}
