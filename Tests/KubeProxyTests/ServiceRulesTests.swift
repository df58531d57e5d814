import KubeAPI
import Nftables
import Testing

@testable import KubeProxy

/// What a Service is in the maps.
@Suite struct ServiceRulesTests {
    private func rules(_ service: ServiceFacts, _ endpoints: [EndpointFacts], key: EndpointPortKey = key()) -> RuleFragment {
        var marks = MarkTable()
        return ServiceRules.fragment(service, [key: endpoints], node: here, family: .ipv4, marks: &marks)
    }

    @Test("a ClusterIP leads to its endpoints, without masquerading") func clusterIP() throws {
        let fragment = rules(try service(), [try endpoint("10.0.0.1"), try endpoint("10.0.0.2")])
        #expect(elements(fragment, of: ProxyTable.frontends) == ["10.100.0.20 . tcp . 80": "0x65000001"])
        #expect(elements(fragment, of: ProxyTable.backends) == ["0x65000001": "goto balance-2"])
        #expect(
            elements(fragment, of: ProxyTable.endpoints)
                == ["0x65000001 . 0x0": "10.0.0.1 . 8080", "0x65000001 . 0x1": "10.0.0.2 . 8080"])
        #expect(fragment.sharedChains["balance-2"]?.first == "ct mark set numgen random mod 2")
        #expect(elements(fragment, of: ProxyTable.clusterIPs) == ["10.100.0.20": ""])
    }

    @Test("a Service without endpoints is refused, not left hanging") func noEndpoints() throws {
        let fragment = rules(
            try service(
                ports: [["name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080]],
                spec: [("type", "NodePort"), ("externalIPs", ["1.2.3.4"])]),
            [try endpoint("10.0.0.1", ready: false, serving: false)])
        #expect(
            elements(fragment, of: ProxyTable.noEndpoints)
                == ["10.100.0.20 . tcp . 80": "goto reject-chain", "1.2.3.4 . tcp . 80": "goto reject-chain"])
        #expect(elements(fragment, of: ProxyTable.noEndpointNodePorts) == ["tcp . 30080": "goto reject-chain"])
        #expect(elements(fragment, of: ProxyTable.frontends).isEmpty)
    }

    @Test("node ports and external addresses are masqueraded under policy Cluster") func external() throws {
        let fragment = rules(
            try service(
                ports: [["name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080]],
                spec: [("type", "LoadBalancer"), ("externalIPs", ["1.2.3.4"])],
                status: ["loadBalancer": ["ingress": [["ip": "5.6.7.8"], ["ip": "5.6.7.9", "ipMode": "Proxy"], ["hostname": "lb.example"]]]]),
            [try endpoint("10.0.0.1")])
        let frontends = elements(fragment, of: ProxyTable.frontends)
        #expect(frontends["10.100.0.20 . tcp . 80"] == "0x65000001")
        #expect(frontends["1.2.3.4 . tcp . 80"] == "0xe5000001")
        #expect(frontends["5.6.7.8 . tcp . 80"] == "0xe5000001")
        #expect(frontends["5.6.7.9 . tcp . 80"] == nil, "a load balancer that is a proxy is reached by the proxy")
        #expect(elements(fragment, of: ProxyTable.nodePorts) == ["tcp . 30080": "0xe5000001"])
    }

    @Test("externalTrafficPolicy Local keeps traffic and its source on the node; the node itself reaches all") func externalLocal() throws {
        let facts = try service(
            ports: [["name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080]],
            spec: [("type", "LoadBalancer"), ("externalTrafficPolicy", "Local"), ("healthCheckNodePort", 31000)],
            status: ["loadBalancer": ["ingress": [["ip": "5.6.7.8"]]]])
        let fragment = rules(facts, [try endpoint("10.0.0.1", local: true), try endpoint("10.0.0.2")])
        let cluster = try require(elements(fragment, of: ProxyTable.frontends)["10.100.0.20 . tcp . 80"])
        let local = try require(elements(fragment, of: ProxyTable.frontends)["5.6.7.8 . tcp . 80"])
        #expect(cluster != local)
        #expect(elements(fragment, of: ProxyTable.backends) == [cluster: "goto balance-2", local: "goto balance-1"])
        #expect(elements(fragment, of: ProxyTable.hostFrontends)["5.6.7.8 . tcp . 80"] == "0xe" + cluster.dropFirst(3))
        #expect(elements(fragment, of: ProxyTable.hairpins) == ["10.0.0.1 . 10.0.0.1": ""])

        let elsewhere = rules(facts, [try endpoint("10.0.0.2")])
        #expect(elements(elsewhere, of: ProxyTable.noEndpoints) == ["5.6.7.8 . tcp . 80": "drop"])
        #expect(elements(elsewhere, of: ProxyTable.hostNodePorts).count == 1)
    }

    @Test("internalTrafficPolicy Local leads to this node's endpoints alone") func internalLocal() throws {
        let facts = try service(spec: [("internalTrafficPolicy", "Local")])
        let fragment = rules(facts, [try endpoint("10.0.0.1", local: true), try endpoint("10.0.0.2")])
        #expect(Array(elements(fragment, of: ProxyTable.endpoints).values) == ["10.0.0.1 . 8080"])
        #expect(elements(rules(facts, [try endpoint("10.0.0.2")]), of: ProxyTable.noEndpoints) == ["10.100.0.20 . tcp . 80": "drop"])
    }

    @Test("session affinity remembers clients by endpoint") func affinity() throws {
        let facts = try service(
            spec: [("sessionAffinity", "ClientIP"), ("sessionAffinityConfig", ["clientIP": ["timeoutSeconds": 60]])])
        let fragment = rules(facts, [try endpoint("10.0.0.1"), try endpoint("10.0.0.2")])
        #expect(elements(fragment, of: ProxyTable.backends) == ["0x65000001": "goto affinity-1"])
        #expect(fragment.sets["affinity-1-10.0.0.1-8080"] == "type ipv4_addr; size 65535; flags dynamic,timeout; timeout 60s;")
        #expect(fragment.chains["to-affinity-1-10.0.0.2-8080"]?.last == "meta l4proto tcp dnat ip to 10.0.0.2:8080")
        #expect(fragment.chains["affinity-1"]?.count == 3)
    }

    @Test("source ranges shut everybody else out of the load balancer") func sourceRanges() throws {
        let fragment = rules(
            try service(
                spec: [("type", "LoadBalancer"), ("loadBalancerSourceRanges", ["10.0.0.0/8", "10.1.0.0/16", "fd00::/8", "not a range"])],
                status: ["loadBalancer": ["ingress": [["ip": "5.6.7.8"]]]]), [try endpoint("10.0.0.1")])
        let chain = try require(elements(fragment, of: ProxyTable.firewalls)["5.6.7.8 . tcp . 80"]?.split(separator: " ").last.map(String.init))
        #expect(fragment.chains[chain] == ["ip saddr != { 10.0.0.0/8 } drop"])
    }

    @Test("a port number of users' making cannot trap or reach the rules") func badPorts() throws {
        let facts = try service(ports: [["name": "a", "port": 70000], ["name": "b", "port": -1], ["name": "c", "port": 81, "protocol": "ICMP"]])
        #expect(facts.ports.isEmpty)
    }

    @Test("hints count when all endpoints have them and one is near") func hints() throws {
        let near = try endpoint("10.0.0.1", zones: ["us-west-2a"])
        let far = try endpoint("10.0.0.2", zones: ["us-west-2b"])
        #expect(EndpointChoice([near, far], nodeName: "node-a", zone: "us-west-2a").cluster == [near])
        #expect(EndpointChoice([near, far], nodeName: "node-a", zone: "us-west-2c").cluster.count == 2)
        #expect(EndpointChoice([near, try endpoint("10.0.0.3")], nodeName: "node-a", zone: "us-west-2a").cluster.count == 2)
        let mine = try endpoint("10.0.0.4", zones: ["us-west-2a"], nodes: ["node-a"])
        let other = try endpoint("10.0.0.5", zones: ["us-west-2a"], nodes: ["node-b"])
        #expect(EndpointChoice([mine, other], nodeName: "node-a", zone: "us-west-2a").cluster == [mine])
    }

    @Test("endpoints that end serve while no other is left") func terminating() throws {
        let ending = try endpoint("10.0.0.1", ready: false, serving: true, terminating: true, local: true)
        let ready = try endpoint("10.0.0.2")
        #expect(EndpointChoice([ending, ready], nodeName: "node-a", zone: nil).cluster == [ready])
        #expect(EndpointChoice([ending], nodeName: "node-a", zone: nil).cluster == [ending])
        #expect(EndpointChoice([ending, ready], nodeName: "node-a", zone: nil).local == [ending])
    }

    @Test("slices are read by port, the first address counts") func slices() throws {
        let slice = try Object([
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": ["name": "web-1", "namespace": "default", "labels": ["kubernetes.io/service-name": "web"]], "addressType": "IPv4",
            "ports": [["name": "http", "port": 8080, "protocol": "TCP"], ["name": "dns", "port": 53, "protocol": "UDP"]],
            "endpoints": [
                [
                    "addresses": ["10.0.0.1", "10.0.0.9"], "conditions": ["ready": true], "nodeName": "node-a",
                    "hints": ["forZones": [["name": "us-west-2a"]], "forNodes": [["name": "node-a"]]],
                ],
                ["addresses": ["not an address"]], ["addresses": []], ["addresses": ["10.0.0.2"], "conditions": ["ready": false]],
            ],
        ])
        let found = EndpointReader.endpoints([slice], node: "node-a")
        #expect(found.count == 2)
        #expect(found[key()]?.map(\.address.description) == ["10.0.0.1", "10.0.0.2"])
        #expect(found[key()]?.map(\.isLocal) == [true, false])
        #expect(found[key()]?.map(\.hintedZones) == [["us-west-2a"], nil])
        #expect(found[key()]?.map(\.hintedNodes) == [["node-a"], nil])
        #expect(found[key("dns", .udp)]?.map(\.isServing) == [true, false])
    }

    @Test(
        "a proxy serves the families of its node's addresses",
        arguments: [
            (["10.0.0.1"], [IPFamily.ipv4]), (["2001:db8::7"], [.ipv6]), (["2001:db8::7", "10.0.0.1"], [.ipv4, .ipv6]), ([], [.ipv4]),
        ])
    func families(addresses: [String], expected: [IPFamily]) {
        #expect(KubeProxy.Configuration(nodeName: "n", nodeAddresses: addresses.compactMap { IPAddress($0) }).families == expected)
    }
}
