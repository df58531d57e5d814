import AWSProtocol
import KubeAPI
import Testing

@testable import NodeIdentity

/// What a node that joins from outside is told and says.
@Suite struct NodeJoinTests {
    private static let cluster = JoinableCluster(
        name: "demo", version: "1.36", apiServerHost: "10.99.0.1", apiServerPort: 34657, authoritiesPEM: "PEM", serviceCIDR: "10.100.0.0/16",
        nodeNetworks: ["10.200.0.0/16", "192.168.7.0/24"], podNetworks: ["10.201.0.0/16"])

    private func described(_ change: (inout Value) -> Void = { _ in }) throws -> JSONView? {
        var value: Value = [
            "name": "demo", "status": "ACTIVE", "version": "1.36", "endpoint": "https://10.99.0.1:34657",
            "certificateAuthority": ["data": "UEVN"], "kubernetesNetworkConfig": ["serviceIpv4Cidr": "10.100.0.0/16"],
            "remoteNetworkConfig": [
                "remoteNodeNetworks": [["cidrs": ["10.200.0.0/16", "192.168.7.0/24"]]], "remotePodNetworks": [["cidrs": ["10.201.0.0/16"]]],
            ],
        ]
        change(&value)
        return try JSONDocument(value.jsonBytes).root
    }

    @Test("a cluster is read off DescribeCluster's answer") func read() throws {
        #expect(try JoinableCluster(try described()) == Self.cluster)
        #expect(try JoinableCluster(try described { $0["status"] = "UPDATING" }) == Self.cluster)
        #expect(try JoinableCluster(try described { $0["remoteNetworkConfig"] = nil }).nodeNetworks.isEmpty)
        // Without a port it is HTTPS's own.
        #expect(try JoinableCluster(try described { $0["endpoint"] = "https://api.example" }).apiServerPort == 443)
    }

    @Test("a cluster that does not serve yet says how it is", arguments: ["CREATING", "FAILED", "DELETING"]) func notServing(status: String) throws {
        let view = try described { $0["status"] = .string(status) }
        let problem = #expect(throws: JoinProblem.self) { try JoinableCluster(view) }
        #expect(problem?.what.contains(status) == true && problem?.fix?.contains("wait cluster-active") == true)
    }

    @Test("an answer without what a node needs is no cluster", arguments: ["endpoint", "certificateAuthority", "kubernetesNetworkConfig"])
    func incomplete(member: String) throws {
        let view = try described { $0[member] = nil }
        #expect(throws: JoinProblem.self) { try JoinableCluster(view) }
        #expect(throws: JoinProblem.self) { try JoinableCluster(nil) }
    }

    @Test(
        "an endpoint is an HTTPS URL with a host",
        arguments: [
            ("https://10.0.0.1:7443", "10.0.0.1", 7443), ("https://a.example", "a.example", 443), ("https://h:1/path", "h", 1),
            ("http://h:1", nil, nil), ("https://", nil, nil), ("https://h:0", nil, nil), ("https://h:70000", nil, nil), ("https://h:x", nil, nil),
            ("https://::1", nil, nil), ("", nil, nil),
        ] as [(String, String?, Int?)])
    func endpoint(url: String, host: String?, port: Int?) {
        let address = JoinableCluster.address(url)
        #expect(address?.host == host && address?.port == port)
    }

    @Test("a node's address must be of the remote node networks") func nodeAddress() throws {
        try Self.cluster.check(nodeAddress: "10.200.3.4")
        try Self.cluster.check(nodeAddress: "192.168.7.9")
        let outside = #expect(throws: JoinProblem.self) { try Self.cluster.check(nodeAddress: "10.99.0.2") }
        #expect(outside?.why?.contains("10.200.0.0/16, 192.168.7.0/24") == true && outside?.fix?.contains("--remote-network-config") == true)
        for text in ["", "::1", "10.200.3", "10.200.3.4/32"] { #expect(throws: JoinProblem.self) { try Self.cluster.check(nodeAddress: text) } }
        var bare = Self.cluster
        bare.nodeNetworks = []
        #expect(throws: JoinProblem.self) { try bare.check(nodeAddress: "10.200.3.4") }
    }

    @Test("a node's pods have all addresses of its range but the first and the last, of the remote pod networks") func podAddresses() throws {
        #expect(try Self.cluster.podAddresses(of: "10.201.3.0/30") == ["10.201.3.1", "10.201.3.2"])
        #expect(try Self.cluster.podAddresses(of: "10.201.3.0/24").count == 254)
        // A whole network is taken; no more addresses than a node could use.
        let all = try Self.cluster.podAddresses(of: "10.201.0.0/16")
        #expect(all.count == JoinableCluster.mostPodAddresses && all.first == "10.201.0.1")
        for range in ["10.202.0.0/24", "10.200.0.0/15", "10.201.0.0/31", "10.201.0.0", "fd00::/64", "10.0.0.0/7", ""] {
            #expect(throws: JoinProblem.self) { try Self.cluster.podAddresses(of: range) }
        }
    }

    @Test("labels are read as the kubelet's flag has them") func labels() throws {
        #expect(try JoinOptions.labels("") == [:])
        #expect(try JoinOptions.labels("tier=web,example.com/zone=lab-1,empty=") == ["tier": "web", "example.com/zone": "lab-1", "empty": ""])
        for text in ["tier", "=web", "a b=c", "a=b c", "a/b/c=d", "/a=b", "a=-b", "a=\(String(repeating: "x", count: 64))", "Ex.com/a=b", "ä=b"] {
            #expect(throws: JoinProblem.self, "\(text)") { try JoinOptions.labels(text) }
        }
        #expect(throws: JoinProblem.self) { try JoinOptions.labels("node-restriction.kubernetes.io/a=b") }
    }

    @Test("taints are read as the kubelet's flag has them") func taints() throws {
        #expect(try JoinOptions.taints("") == [])
        #expect(
            try JoinOptions.taints("dedicated=lab:NoSchedule,a.b/c:NoExecute") == [
                .init(key: "dedicated", value: "lab", effect: "NoSchedule"), .init(key: "a.b/c", value: "", effect: "NoExecute"),
            ])
        for text in ["dedicated", "dedicated=lab", "a=b:Never", ":NoSchedule", "=b:NoSchedule", "a:b:NoSchedule"] {
            #expect(throws: JoinProblem.self, "\(text)") { try JoinOptions.taints(text) }
        }
    }

    @Test(
        "a node's name is a DNS name and a session's",
        arguments: [
            ("n1", true), ("lab-1.example.com", true), ("n", false), ("N1", false), ("-n1", false), ("n1-", false), ("a..b", false), ("a_b", false),
            ("", false), ("a.-b", false), (String(repeating: "n", count: 63), true), (String(repeating: "n", count: 64), false),
        ])
    func names(name: String, isName: Bool) {
        #expect(((try? JoinOptions.check(nodeName: name)) != nil) == isName)
    }

    @Test("the cluster says which node the credentials are, and users that are none are told so") func users() throws {
        #expect(try JoinOptions.node(ofUser: "system:node:n1", groups: ["system:nodes"], cluster: "demo") == "n1")
        let other = #expect(throws: JoinProblem.self) {
            try JoinOptions.node(ofUser: "arn:aws:iam::000000000000:user/ana", groups: ["system:authenticated"], cluster: "demo")
        }
        #expect(other?.why?.contains("user/ana") == true && other?.fix?.contains("HYBRID_LINUX") == true)
        for (user, groups) in [("system:node:n1", []), ("system:node:", ["system:nodes"]), ("system:node:../x", ["system:nodes"])] {
            #expect(throws: JoinProblem.self) { try JoinOptions.node(ofUser: user, groups: groups, cluster: "demo") }
        }
    }

    @Test("a node outside is labelled and identified as a hybrid node") func identity() {
        let labels = JoinOptions.standardLabels(nodeName: "n1", architecture: "amd64")
        #expect(labels["eks.amazonaws.com/compute-type"] == "hybrid" && labels["kubernetes.io/hostname"] == "n1")
        #expect(JoinOptions.providerID(region: "us-west-2", cluster: "demo", nodeName: "n1") == "eks-hybrid:///us-west-2/demo/n1")
    }

    @Test("credentials are those of AWS's variables, or of an instance's metadata") func keys() {
        let variables = ["AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"]
        #expect(AWSKeys { variables[$0] } == AWSKeys(accessKeyID: "AKIA", secretAccessKey: "s", sessionToken: "t"))
        #expect(AWSKeys { $0 == "AWS_SESSION_TOKEN" ? "" : variables[$0] }?.sessionToken == nil)
        #expect(AWSKeys { $0 == "AWS_SECRET_ACCESS_KEY" ? "" : variables[$0] } == nil)
        let document = AWSJSON.object(["Code": "Success", "AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t"]).encoded
        #expect(AWSKeys(metadata: document) == AWSKeys(accessKeyID: "ASIA", secretAccessKey: "s", sessionToken: "t"))
        #expect(AWSKeys(metadata: Array("<html>".utf8)) == nil && AWSKeys(metadata: AWSJSON.object(["Code": "Failed"]).encoded) == nil)
    }

    @Test("a token is a presigned GetCallerIdentity for one cluster, with the session's token") func token() throws {
        let keys = AWSKeys(accessKeyID: "ASIA", secretAccessKey: "s", sessionToken: "t/t")
        let token = EKSToken.make(keys, endpoint: "https://10.99.0.1:7443", region: "us-west-2", cluster: "demo", time: 1_700_000_000)
        let bytes = try #require(token.hasPrefix("k8s-aws-v1.") ? Base64URL.decode(token.dropFirst("k8s-aws-v1.".count)) : nil)
        let url = String(decoding: bytes, as: UTF8.self)
        #expect(url.hasPrefix("https://10.99.0.1:7443/?Action=GetCallerIdentity&Version=2011-06-15&"))
        #expect(url.contains("X-Amz-SignedHeaders=host%3Bx-k8s-aws-id") && url.contains("X-Amz-Security-Token=t%2Ft"))
        let other = EKSToken.make(keys, endpoint: "https://10.99.0.1:7443", region: "us-west-2", cluster: "prod", time: 1_700_000_000)
        #expect(other != token)
    }
}

/// What went wrong is said with what to do.
@Suite struct JoinProblemTests {
    @Test(
        "a signature that is too old or too new is a matter of the clock",
        arguments: ["Signature expired: 1 is now earlier than 2", "Signature not yet current: 1"])
    func clock(message: String) {
        for problem in [
            JoinProblem.describe("demo", code: "InvalidSignatureException", message: message),
            JoinProblem.assumeRole("r", code: "SignatureDoesNotMatch", message: message),
        ] { #expect(problem.what.contains("clock") && problem.why == message) }
    }

    @Test("credentials that nobody knows are told from roles and permissions that lack")
    func credentials() {
        let keys = JoinProblem.describe("demo", code: "UnrecognizedClientException", message: "m")
        #expect(keys.what.contains("credentials"))
        #expect(JoinProblem.assumeRole("r", code: "ExpiredToken", message: "The security token included in the request is expired").what == keys.what)
        #expect(JoinProblem.assumeRole("arn:r", code: "AccessDenied", message: "m").fix?.contains("trust policy") == true)
        #expect(JoinProblem.describe("demo", code: "AccessDeniedException", message: "m").fix?.contains("eks:DescribeCluster") == true)
        #expect(JoinProblem.describe("demo", code: "ResourceNotFoundException", message: "m").what.contains("no cluster"))
        #expect(JoinProblem.describe("demo", code: "ServerException", message: "m").why == "ServerException: m")
    }

    @Test("the API server's refusals name the access entry that is missing") func apiServer() {
        let unknown = JoinProblem.apiServer("demo", code: 401, message: "Unauthorized", principal: "arn:aws:sts::1:assumed-role/r/n1")
        #expect(unknown.why?.contains("assumed-role/r/n1") == true && unknown.why?.contains("401") == true)
        #expect(unknown.fix?.contains("create-access-entry --cluster-name demo") == true && unknown.fix?.contains("HYBRID_LINUX") == true)
        #expect(JoinProblem.apiServer("demo", code: 403, message: "no", principal: "p").why == "403 no")
        #expect(JoinProblem.apiServer("demo", code: 500, message: "no", principal: "p").fix == nil)
    }

    @Test("an API server on loopback is mended at the service") func loopback() {
        #expect(JoinProblem.unreachable("127.0.0.1:34657", why: "w").fix?.contains("--listen") == true)
        #expect(JoinProblem.unreachable("10.99.0.1:34657", why: "w").fix?.contains("route") == true)
    }
}
