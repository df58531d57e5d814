import KubeAPI
import KubeClient
import KubeStorage
import Testing

@testable import KubeAPIServer

/// A whole server with the standard authorisers, admission and strategies, asked by users of every kind.
@Suite("Access to a cluster")
struct ClusterAccessTests {
    private let server: APIServer

    init() async throws {
        let cidr = try #require(ServiceCIDR("10.100.0.0/16"))
        let issuer = try ServiceAccountTokenIssuer(issuer: "https://oidc.example", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        let settings = ClusterSettings(serviceCIDR: cidr, tokenIssuer: issuer)
        server = APIServer(
            APIServer.Configuration(store: MemoryStore(), version: VersionInfo(minor: "36", gitVersion: "v1.36.0")) { reader in
                APIServer.Components.standard(settings, reader: reader)
            })
        try await server.start()
        try await server.bootstrap(Bootstrap.Configuration(serviceCIDR: cidr, apiServerAddresses: ["10.0.0.5"], apiServerPort: 6443))
        try await create("serviceaccounts", #"{"metadata":{"name":"default"}}"#)
        try await create("nodes", #"{"metadata":{"name":"n1"}}"#, namespace: nil)
        for (pod, node) in [("mine", "n1"), ("theirs", "n2")] {
            try await create("pods", #"{"metadata":{"name":"\#(pod)"},"spec":{"nodeName":"\#(node)","containers":[{"name":"c","image":"i"}]}}"#)
        }
    }

    private static func resource(_ name: String) -> GroupVersionResource {
        let parts = name.split(separator: "/").map(String.init)
        return parts.count == 3
            ? GroupVersionResource(group: parts[0], version: parts[1], resource: parts[2])
            : GroupVersionResource(group: "", version: "v1", resource: name)
    }

    @discardableResult
    private func create(
        _ resource: String, _ json: String, namespace: String? = "default", subresource: String? = nil, name: String? = nil,
        as user: UserInfo = .apiServer
    )
        async throws -> Object
    {
        try await InProcessTransport(server, user: user).perform(
            KubeRequest(.create, Self.resource(resource), namespace: namespace, name: name, subresource: subresource, body: Array(json.utf8)))
    }

    private func status(_ request: KubeRequest, as user: UserInfo) async throws -> Int {
        do {
            _ = try await InProcessTransport(server, user: user).perform(request)
            return 200
        } catch let error as StatusError { return error.code }
    }

    @Test("the kubernetes service has the first address, and its endpoints the server's")
    func kubernetesService() async throws {
        let client = InProcessTransport(server, user: .apiServer)
        let service = try await client.perform(KubeRequest(.get, Self.resource("services"), namespace: "default", name: "kubernetes"))
        #expect(service["spec"]["clusterIP"].string == "10.100.0.1")
        let endpoints = try await client.perform(KubeRequest(.get, Self.resource("endpoints"), namespace: "default", name: "kubernetes"))
        #expect(endpoints["subsets"].elements.first?["addresses"].elements.first?["ip"].string == "10.0.0.5")
    }

    @Test("a node sees its own pods and node, and renews its lease; others' are closed to it")
    func node() async throws {
        let node = UserInfo(name: "system:node:n1", groups: ["system:nodes", "system:authenticated"])
        func get(_ resource: String, _ name: String, namespace: String? = "default") -> KubeRequest {
            KubeRequest(.get, Self.resource(resource), namespace: namespace, name: name)
        }
        #expect(try await status(get("pods", "mine"), as: node) == 200)
        #expect(try await status(get("pods", "theirs"), as: node) == 403)
        let selector: [(name: String, value: String)] = [("fieldSelector", "spec.nodeName=n1")]
        #expect(try await status(KubeRequest(.list, Self.resource("pods"), query: selector), as: node) == 200)
        #expect(try await status(KubeRequest(.list, Self.resource("pods")), as: node) == 403)
        #expect(try await status(get("nodes", "n1", namespace: nil), as: node) == 200)
        #expect(try await status(get("nodes", "n2", namespace: nil), as: node) == 403)
        #expect(try await status(get("configmaps", "anything"), as: node) == 403)
        let leases = "coordination.k8s.io/v1/leases"
        try await create(
            leases, #"{"metadata":{"name":"n1"},"spec":{"holderIdentity":"n1","leaseDurationSeconds":40}}"#, namespace: "kube-node-lease", as: node)
        await #expect(throws: StatusError.self) {
            try await create(leases, #"{"metadata":{"name":"n2"},"spec":{"leaseDurationSeconds":40}}"#, namespace: "kube-node-lease", as: node)
        }
    }

    @Test("a node gets a token for its pod, which then opens what the account may and no more")
    func podToken() async throws {
        let node = UserInfo(name: "system:node:n1", groups: ["system:nodes", "system:authenticated"])
        let client = InProcessTransport(server, user: .apiServer)
        let pod = try await client.perform(KubeRequest(.get, Self.resource("pods"), namespace: "default", name: "mine"))
        let spec =
            #"{"spec":{"expirationSeconds":3607,"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"mine","uid":"\#(pod.metadata.uid)"}}}"#
        let answer = try await create("serviceaccounts", spec, subresource: "token", name: "default", as: node)
        let token = try #require(answer["status"]["token"].string)
        let review = try await create(
            "authentication.k8s.io/v1/tokenreviews", #"{"spec":{"token":"\#(token)"}}"#, namespace: nil, as: node)
        #expect(review["status"]["authenticated"].bool == true)
        #expect(review["status"]["user"]["username"].string == "system:serviceaccount:default:default")
        let unbound = #"{"spec":{"expirationSeconds":3607}}"#
        await #expect(throws: StatusError.self) { try await create("serviceaccounts", unbound, subresource: "token", name: "default", as: node) }
    }

    @Test("a user bound to edit works in that namespace alone, and cannot give away more")
    func editor() async throws {
        let ann = UserInfo(name: "ann", groups: ["system:authenticated"])
        let deployment = """
            {"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
            "spec":{"containers":[{"name":"c","image":"i"}]}}}}
            """
        await #expect(throws: StatusError.self) { try await create("apps/v1/deployments", deployment, as: ann) }
        let bindings = "rbac.authorization.k8s.io/v1/rolebindings"
        func binding(_ name: String, _ role: String) -> String {
            """
            {"metadata":{"name":"\(name)"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"\(role)"},
            "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"ann"}]}
            """
        }
        try await create(bindings, binding("ann", "admin"))
        try await create("apps/v1/deployments", deployment, as: ann)
        await #expect(throws: StatusError.self) { try await create("apps/v1/deployments", deployment, namespace: "kube-system", as: ann) }
        try await create(bindings, binding("view", "view"), as: ann)
        let error = await #expect(throws: StatusError.self) { try await create(bindings, binding("root", "cluster-admin"), as: ann) }
        #expect(error?.message.contains("is attempting to grant RBAC permissions not currently held") == true)
        let mine = try await create(
            "authorization.k8s.io/v1/selfsubjectaccessreviews",
            #"{"spec":{"resourceAttributes":{"verb":"delete","resource":"pods","namespace":"default"}}}"#,
            namespace: nil, as: ann)
        #expect(mine["status"]["allowed"].bool == true)
    }

    @Test("two services never share an address, and a deleted one's is free again")
    func services() async throws {
        func service(_ name: String, _ address: String) -> String {
            #"{"metadata":{"name":"\#(name)"},"spec":{"clusterIP":"\#(address)","ports":[{"port":80}]}}"#
        }
        try await create("services", service("a", "10.100.7.7"))
        await #expect(throws: StatusError.self) { try await create("services", service("b", "10.100.7.7")) }
        await #expect(throws: StatusError.self) { try await create("services", service("k", "10.100.0.1")) }
        let client = InProcessTransport(server, user: .apiServer)
        _ = try await client.perform(KubeRequest(.delete, Self.resource("services"), namespace: "default", name: "a"))
        try await create("services", service("b", "10.100.7.7"))
    }
}
