import Glibc
import KubeAPI
import Nftables
import Testing

@testable import NetworkPolicies

/// What NetworkPolicies are in the node's table.
@Suite struct PolicyRulesTests {
    private struct Unreadable: Error {}

    @Test("policies act unless the add-on's settings say that they do not") func settings() throws {
        func map(_ value: String) throws -> Object {
            try Object([
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "amazon-vpc-cni"],
                "data": ["enable-network-policy-controller": .string(value)],
            ])
        }
        #expect(PolicyAgent.isEnforcing(nil))
        for value in ["true", ""] { #expect(try PolicyAgent.isEnforcing(map(value))) }
        let off = try map("false")
        #expect(!PolicyAgent.isEnforcing(off))
    }

    private func pod(
        _ name: String, _ address: String, namespace: String = "default", labels: [String: String] = [:], node: String = "node-a",
        spec: [(String, Value)] = []
    ) throws -> PolicyPod {
        var whole: Value = [
            "nodeName": .string(node), "containers": [["name": "a", "ports": [["name": "http", "containerPort": 8080, "protocol": "TCP"]]]],
        ]
        for (key, value) in spec { whole[key] = value }
        let object = try Object([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(name), "namespace": .string(namespace), "uid": .string("uid-\(name)"), "labels": Value(labels)],
            "spec": whole, "status": ["podIP": .string(address), "phase": "Running"],
        ])
        guard let pod = PolicyPod(object, node: "node-a") else { throw Unreadable() }
        return pod
    }

    private func policy(_ spec: Value) throws -> PolicyFacts {
        let object = try Object([
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": ["name": "p", "namespace": "default", "uid": "uid-p"],
            "spec": spec,
        ])
        guard let facts = PolicyFacts(object) else { throw Unreadable() }
        return facts
    }

    private func pods() throws -> [PolicyPod] {
        [
            try pod("web", "10.0.0.1", labels: ["app": "web"]), try pod("friend", "10.0.0.2", labels: ["app": "friend"], node: "node-b"),
            try pod("far", "10.0.0.3", namespace: "other", labels: ["app": "friend"], node: "node-b"),
        ]
    }

    private static let namespaces = ["default": ["team": "a"], "other": ["team": "b"]]

    @Test("a policy without rules shuts the direction; pods it does not select stay open") func defaultDeny() throws {
        let found = PolicyRules().fragments(
            [try policy(["podSelector": ["matchLabels": ["app": "web"]]])], pods: try pods(), namespaces: Self.namespaces)
        #expect(found["policy/uid-p"]?.chains == ["in-uid-p": []])
        #expect(found["pod/uid-web"]?.chains == ["pod-in-uid-web": ["jump in-uid-p", "drop"]])
        #expect(found["pod/uid-web"]?.elements == [NftElement("ingress", "10.0.0.1"): "goto pod-in-uid-web"])
        #expect(found.count == 2)
    }

    @Test("peers are pods of the policy's namespace, or of namespaces by label") func peers() throws {
        func peers(_ from: Value) throws -> [String] {
            let facts = try policy(["podSelector": [:], "ingress": [["from": [from]]]])
            let fragment = PolicyRules().fragments([facts], pods: try pods(), namespaces: Self.namespaces)["policy/uid-p"]
            return fragment?.elements.keys.filter { $0.set == "peers-in-uid-p-0" }.map(\.key).sorted() ?? []
        }
        #expect(try peers(["podSelector": ["matchLabels": ["app": "friend"]]]) == ["10.0.0.2"])
        #expect(try peers(["namespaceSelector": ["matchLabels": ["team": "b"]]]) == ["10.0.0.3"])
        #expect(try peers(["namespaceSelector": [:], "podSelector": ["matchLabels": ["app": "friend"]]]) == ["10.0.0.2", "10.0.0.3"])
        #expect(try peers(["podSelector": ["matchLabels": ["app": "nobody"]]]).isEmpty)
    }

    @Test("a rule whose peers are nobody allows nobody") func nobody() throws {
        let facts = try policy(["podSelector": [:], "ingress": [["from": [["podSelector": ["matchLabels": ["app": "nobody"]]]]]]])
        #expect(PolicyRules().fragments([facts], pods: try pods(), namespaces: Self.namespaces)["policy/uid-p"]?.chains["in-uid-p"] == [])
        let broken = try policy(["podSelector": [:], "ingress": [["from": [["ipBlock": ["cidr": "10.0.0.0/8", "except": ["what"]]]]]]])
        #expect(PolicyRules().fragments([broken], pods: try pods(), namespaces: Self.namespaces)["policy/uid-p"]?.chains["in-uid-p"] == [])
    }

    @Test("ranges, their exceptions, ports and ranges of ports") func rangesAndPorts() throws {
        let facts = try policy([
            "podSelector": [:], "policyTypes": ["Egress"],
            "egress": [
                [
                    "to": [["ipBlock": ["cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.1.2.0/24"]]]],
                    "ports": [["port": 80], ["protocol": "UDP", "port": 5000, "endPort": 5010], ["protocol": "SCTP"]],
                ]
            ],
        ])
        let chains = PolicyRules().fragments([facts], pods: try pods(), namespaces: Self.namespaces)["policy/uid-p"]?.chains
        let peer = "ip daddr 10.0.0.0/8 ip daddr != { 10.1.0.0/16 }"
        #expect(
            chains
                == ["out-uid-p": ["\(peer) tcp dport 80 accept", "\(peer) udp dport 5000-5010 accept", "\(peer) meta l4proto sctp accept"]])
    }

    @Test("a port's name is the receiver's") func namedPorts() throws {
        let facts = try policy(["podSelector": ["matchLabels": ["app": "web"]], "ingress": [["ports": [["port": "http"], ["port": "none"]]]]])
        let fragment = PolicyRules().fragments([facts], pods: try pods(), namespaces: Self.namespaces)["policy/uid-p"]
        #expect(fragment?.chains["in-uid-p"] == ["ip daddr . meta l4proto . th dport @ports-in-uid-p-0-0 accept"])
        #expect(fragment?.elements.keys.map(\.key) == ["10.0.0.1 . tcp . 8080"])
    }

    @Test("pods of the node's network and pods that have ended are left out") func leftOut() throws {
        #expect(throws: Unreadable.self) { try pod("host", "10.0.0.1", spec: [("hostNetwork", true)]) }
    }

    @Test("what goes to the node passes the sender's egress, but for the node's own address, the cluster's DNS and the search for neighbours")
    func node() throws {
        let nodes = ["10.0.9.1", "2001:db8::9"].compactMap { IPAddress($0) }
        func hook(_ family: IPFamily, dns: String) -> [String] {
            var table = PolicyRules(family: family, nodeAddresses: nodes, dnsAddress: IPAddress(dns)).make()
            let lines = table.wholeTable().split(separator: "\n").map { $0.drop { $0 == " " } }
            let chain = lines.drop { !$0.hasPrefix("chain local-egress-hook") }.dropFirst()
            return chain.prefix { $0 != "}" }.map(String.init)
        }
        let begin = "type filter hook input priority filter + 10; ct state established,related accept;"
        #expect(
            hook(.ipv4, dns: "169.254.20.10") == [
                begin, "ip daddr 10.0.9.1 accept;", "ip daddr 169.254.20.10 meta l4proto { tcp, udp } th dport 53 accept;", "ip saddr vmap @egress;",
            ])
        #expect(
            hook(.ipv6, dns: "fd00:ec2::2010") == [
                begin, "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept;",
                "ip6 daddr 2001:db8::9 accept;", "ip6 daddr fd00:ec2::2010 meta l4proto { tcp, udp } th dport 53 accept;",
                "ip6 saddr vmap @egress;",
            ])
    }

    @Test("the kernel takes the rules", .enabled(if: geteuid() == 0, "nft needs root")) func kernel() async throws {
        let facts = try policy([
            "podSelector": [:], "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                [
                    "from": [["podSelector": [:]], ["ipBlock": ["cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]]]],
                    "ports": [["port": "http"], ["port": 80]],
                ]
            ], "egress": [[:]],
        ])
        let addresses = ["10.0.9.1", "fd00::1"].compactMap { IPAddress($0) }
        var six = PolicyRules(family: .ipv6, nodeAddresses: addresses, dnsAddress: IPAddress("fd00:ec2::2010")).make()
        try await NftProgram().check(six.wholeTable())
        var table = PolicyRules(nodeAddresses: addresses, dnsAddress: IPAddress("169.254.20.10")).make()
        for (owner, fragment) in PolicyRules().fragments([facts], pods: try pods(), namespaces: Self.namespaces) { table.set(owner, fragment) }
        // Checked by nft and the kernel, without effect: the test's network is the machine's.
        try await NftProgram().check(table.wholeTable())
    }

    @Test("of IPv6 pods the rules are of IPv6, and ranges of IPv4 name nobody") func ipv6() throws {
        let object = try Object([
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p", "namespace": "default", "uid": "uid-p6", "labels": ["app": "web"]],
            "spec": ["nodeName": "node-a", "containers": []], "status": ["podIP": "2001:db8::1", "phase": "Running"],
        ])
        let pod = try #require(PolicyPod(object, node: "node-a", family: .ipv6))
        #expect(PolicyPod(object, node: "node-a") == nil)
        let ranges: Value = [["ipBlock": ["cidr": "10.0.0.0/8"]], ["ipBlock": ["cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]]]]
        let policy = try Object([
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": ["name": "p", "namespace": "default", "uid": "uid-p"],
            "spec": ["podSelector": [:], "ingress": [["from": ranges]]],
        ])
        let facts = try #require(PolicyFacts(policy, family: .ipv6))
        let rules = PolicyRules(family: .ipv6)
        let found = rules.fragments([facts], pods: [pod], namespaces: Self.namespaces)
        #expect(found["policy/uid-p"]?.chains["in-uid-p"] == ["ip6 saddr 2001:db8::/32 ip6 saddr != { 2001:db8:1::/48 } accept"])
        #expect(found["pod/uid-p6"]?.elements == [NftElement("ingress", "2001:db8::1"): "goto pod-in-uid-p6"])
        #expect(rules.make().name == "ip6 network-policies" && PolicyRules().make().name == "ip network-policies")
    }
}
