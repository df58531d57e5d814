import Certificates
import KubeAPI
import Testing

@testable import CloudControllers

@Suite struct NodeCertificateTests {
    private static let facts = InstanceFacts(
        providerID: "aws:///a/i-1", instanceType: "m5.large", zone: "a", region: "r",
        addresses: [.init(type: "InternalIP", address: "10.0.0.1"), .init(type: "InternalDNS", address: "n1.compute.internal")])

    private func request(
        _ key: KeyRequest, signer: String, user: String, groups: [String] = ["system:nodes"], usages: [String], conditions: Value = []
    ) throws -> Object {
        try Object([
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["name": "r"],
            "spec": [
                "request": .string(Base64.encode(Array(key.requestPEM.utf8))), "signerName": .string(signer), "username": .string(user),
                "groups": Value(groups), "usages": Value(usages),
            ], "status": ["conditions": conditions],
        ])
    }

    private func serving(
        _ name: String = "system:node:n1", groups: [String] = ["system:nodes"], dnsNames: [String] = ["n1"], ipAddresses: [String] = ["10.0.0.1"],
        user: String = "system:node:n1", userGroups: [String] = ["system:nodes"], usages: [String] = ["digital signature", "server auth"],
        conditions: Value = []
    ) throws -> NodeCertificatePlan.Question {
        let key = try KeyRequest(commonName: name, organizations: groups, dnsNames: dnsNames, ipAddresses: ipAddresses)
        return NodeCertificatePlan.question(
            try request(
                key, signer: NodeCertificatePlan.kubeletServing, user: user, groups: userGroups, usages: usages, conditions: conditions))
    }

    @Test("a node's serving certificate is for itself and for names that are looked up; anything else is nobody's to approve")
    func serving() throws {
        #expect(try serving() == .node("n1", dnsNames: ["n1"], addresses: [[10, 0, 0, 1]]))
        #expect(try serving("system:node:n2") == .none)
        #expect(try serving(groups: ["system:masters"]) == .none)
        #expect(try serving(userGroups: []) == .none)
        #expect(try serving(dnsNames: [], ipAddresses: []) == .none)
        #expect(try serving(usages: ["client auth"]) == .none)
        #expect(try serving(conditions: [["type": "Denied", "status": "True"]]) == .none)
        #expect(try serving("eve", user: "eve") == .none)
        let broken = try Object(["metadata": ["name": "r"], "spec": ["request": "eA==", "signerName": "kubernetes.io/kubelet-serving"]])
        #expect(NodeCertificatePlan.question(broken) == .none)
    }

    @Test("names and addresses must all be the instance's")
    func names() {
        func covers(_ names: [String], _ addresses: [[UInt8]]) -> Bool {
            NodeCertificatePlan.covers(Self.facts, node: "n1", dnsNames: names, addresses: addresses)
        }
        #expect(covers(["n1", "n1.compute.internal"], [[10, 0, 0, 1]]) && covers([], []))
        #expect(!covers(["kubernetes"], []) && !covers(["n1"], [[10, 0, 0, 2]]) && !covers(["n1"], [Array(repeating: 0, count: 16)]))
        #expect(!covers(["10.0.0.1"], []))
    }

    @Test("a node without an instance is certified for its own name at addresses of the remote node networks, and for nothing else")
    func remote() {
        let networks = ["10.200.0.0/16", "192.168.7.0/24"].compactMap { IPRange($0) }
        func covers(_ names: [String], _ addresses: [[UInt8]], _ networks: [IPRange]) -> Bool {
            NodeCertificatePlan.covers(networks, node: "n1", dnsNames: names, addresses: addresses)
        }
        #expect(covers(["n1"], [[10, 200, 0, 2]], networks) && covers([], [[192, 168, 7, 1], [10, 200, 255, 255]], networks))
        #expect(!covers(["n1"], [[10, 201, 0, 2]], networks) && !covers(["n1"], [[10, 200, 0, 2], [10, 0, 0, 1]], networks))
        #expect(!covers(["n2"], [[10, 200, 0, 2]], networks) && !covers(["n1", "kubernetes"], [[10, 200, 0, 2]], networks))
        // A name alone could be anybody's, and without networks there is nobody.
        #expect(!covers(["n1"], [], networks) && !covers(["n1"], [[10, 200, 0, 2]], []))
        #expect(!covers(["n1"], [Array(repeating: 0, count: 12) + [10, 200, 0, 2]], networks))
    }

    @Test("the cloud is asked about its own instances, not about nodes outside")
    func providers() throws {
        func id(_ text: String) throws -> String? { CloudNodePlan.providerID(try Object(["spec": ["providerID": .string(text)]])) }
        #expect(try id("aws:///us-west-2a/i-1") == "aws:///us-west-2a/i-1")
        #expect(try id("eks-hybrid:///us-west-2/demo/n1") == nil && id("") == nil)
    }

    @Test("the service proxy renews its own certificate, nodes get its first, and nobody else gets one of clients so")
    func proxy() throws {
        func question(_ name: String, _ user: String, in userGroups: [String] = [], groups: [String] = [], dnsNames: [String] = []) throws
            -> NodeCertificatePlan.Question
        {
            let key = try KeyRequest(commonName: name, organizations: groups, dnsNames: dnsNames)
            let usages = ["digital signature", "client auth"]
            return NodeCertificatePlan.question(
                try request(key, signer: NodeCertificatePlan.apiServerClient, user: user, groups: userGroups, usages: usages))
        }
        #expect(try question("system:kube-proxy", "system:kube-proxy") == .approve)
        #expect(try question("system:kube-proxy", "system:node:n1") == .none)
        #expect(try question("system:kube-proxy", "system:node:n1", in: ["system:nodes"]) == .approve)
        #expect(try question("system:kube-proxy", "jane", in: ["system:nodes"]) == .none)
        #expect(try question("system:node:n1", "system:node:n1", in: ["system:nodes"]) == .none)
        #expect(try question("jane", "jane") == .none)
        #expect(try question("system:kube-proxy", "system:kube-proxy", groups: ["system:masters"]) == .none)
        #expect(try question("system:kube-proxy", "system:kube-proxy", dnsNames: ["kubernetes"]) == .none)
    }
}
