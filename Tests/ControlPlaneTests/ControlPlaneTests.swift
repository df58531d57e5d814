import AutoMode
import Glibc
import HTTPTransport
import KubeAPI
import KubeAPIServer
import KubeClient
import SimulatedNodes
import Testing

@testable import ControlPlane

/// A whole control plane over its real listeners, without nodes.
@Suite struct ControlPlaneTests {
    /// A running control plane with an administrator's client.
    struct Fixture {
        let directory: String
        let controlPlane: ControlPlane
        let endpoint: ControlPlane.Endpoint
        let client: KubeClient
        let book: AccessBook
        let fargate: FargateBook
        let fleet: SimulatedFleet

        static func start(
            in directory: String? = nil, encryptionKeyName: String? = nil, keyWrapping: KeyWrapping? = nil,
            nodeProvider: (any NodeProvider)? = nil, autoMode: LiveSetting<AutoModeSettings?> = LiveSetting<AutoModeSettings?>(nil),
            authorities: ClusterAuthorities = .initial,
            privateAddresses: [String] = [], remoteNodeNetworks: [String] = []
        ) async throws -> Fixture {
            var template = Array("/tmp/eyrie-cp-XXXXXX".utf8CString)
            let directory = directory ?? mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
            var configuration = ControlPlaneConfiguration(
                name: "test", directory: "\(directory)/cluster", version: "1.36.2", serviceCIDR: "10.100.0.0/16", issuer: "https://oidc.test/id/1",
                authenticate: { Self.bearers[$0] },
                cloud: CloudInstances(
                    instance: { Self.instance($0) }, exists: { _ in true }, remoteNodeNetworks: LiveSetting(remoteNodeNetworks),
                    changes: AsyncStream { _ in }))
            // What the control plane's own loops ask, and nothing else.
            configuration.auditPolicy = AuditPolicy(
                rules: [
                    AuditPolicy.Rule(.metadata, userGroups: ["system:serviceaccounts:kube-system"]),
                    AuditPolicy.Rule(
                        .metadata, users: ControllerIdentityTests.users + ControllerIdentityTests.fargateUsers + [AutoMode.user]),
                ], omitStages: [.requestReceived])
            configuration.encryptionKeyName = encryptionKeyName
            configuration.keyWrapping = keyWrapping
            configuration.nodeProvider = nodeProvider
            configuration.autoMode = autoMode
            configuration.authorities = authorities
            configuration.privateAddresses = privateAddresses
            let controlPlane = ControlPlane(configuration)
            let endpoint = try await controlPlane.start()
            let port = Int(endpoint.url.split(separator: ":").last ?? "") ?? 0
            let transport = try NetworkTransport(
                .init(
                    address: .tcp(host: "127.0.0.1", port: port), certificateAuthorityPEM: endpoint.certificateAuthorityPEM,
                    credentials: .bearerToken { "administrator" }))
            return Fixture(
                directory: directory, controlPlane: controlPlane, endpoint: endpoint, client: KubeClient(transport: transport),
                book: configuration.access, fargate: configuration.fargate, fleet: configuration.simulatedNodes)
        }

        /// An administrator, and a host without an instance whose role is a node's.
        private static let bearers = [
            "administrator": TokenIdentity(userName: "admin", uid: "1", groups: ["system:masters"]),
            "outsider": TokenIdentity(userName: "system:node:lab-1", uid: "2", groups: ["system:nodes"]),
        ]

        /// The cloud has an instance for nodes of one name.
        private static func instance(_ node: String) -> NodeInstance? {
            guard node == "cloud-1" else { return nil }
            return NodeInstance(
                instanceID: "i-1", nodeName: node, instanceType: "m5.large", zone: "eu-1a", region: "eu-1", privateAddress: "10.0.0.1")
        }

        /// Pods of a node that is gone are kept for 40 s: the limit is well above.
        func eventually(_ what: String, within limit: Duration = .seconds(150), _ condition: () async throws -> Bool) async throws {
            let end = ContinuousClock.now + limit
            repeat {
                if try await condition() { return }
                try await Task.sleep(for: .milliseconds(25))
            } while ContinuousClock.now < end
            Issue.record("not within \(limit): \(what)")
        }
    }

    private static let deployment: Value = [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "default"],
        "spec": [
            "replicas": 3, "selector": ["matchLabels": ["app": "web"]],
            "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "c", "image": "nginx:1.15"]]]],
        ],
    ]

    @Test("a Deployment becomes a ReplicaSet and three pods that wait for nodes; deleting it removes all") func deployment() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await fixture.eventually("the default service account") {
            do { _ = try await client.get(.serviceAccounts, namespace: "default", name: "default") } catch let error as StatusError
                where error.isNotFound
            { return false }
            return true
        }
        try await client.create(.deployments, Self.deployment)
        try await fixture.eventually("three pods") { try await client.list(.pods, namespace: "default").items.count == 3 }
        try await fixture.eventually("a scheduling condition") {
            try await client.list(.pods, namespace: "default").items.allSatisfy { pod in
                pod["status"]["conditions"].elements.contains { $0["type"].string == "PodScheduled" && $0["status"].string == "False" }
            }
        }
        try await client.delete(.deployments, namespace: "default", name: "web")
        try await fixture.eventually("nothing left") {
            let pods = try await client.list(.pods, namespace: "default").items.count
            let sets = try await client.list(.replicaSets, namespace: "default").items.count
            return pods == 0 && sets == 0
        }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("a new namespace gets its service account and root CA, and goes away whole") func namespaces() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await client.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
        try await fixture.eventually("its furniture") {
            let accounts = try await client.list(.serviceAccounts, namespace: "team").items.count
            let maps = try await client.list(.configMaps, namespace: "team").items.map(\.metadata.name)
            return accounts == 1 && maps.contains("kube-root-ca.crt")
        }
        try await client.delete(.namespaces, name: "team")
        try await fixture.eventually("the namespace gone") { try await !client.list(.namespaces).items.contains { $0.metadata.name == "team" } }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("after a restart the objects, the port, the CA and the revision are the same") func restart() async throws {
        let first = try await Fixture.start()
        let made = try await first.client.create(
            .configMaps, ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "kept", "namespace": "default"], "data": ["a": "b"]])
        await first.controlPlane.stop()
        let second = try await Fixture.start(in: first.directory)
        #expect(second.endpoint == first.endpoint)
        let found = try await second.client.get(.configMaps, namespace: "default", name: "kept")
        #expect(found.metadata.resourceVersion == made.metadata.resourceVersion && found.metadata.uid == made.metadata.uid)
        await second.controlPlane.stop()
    }

    @Test("controllers and scheduler hold their Leases, and hold them again at once after a restart") func leases() async throws {
        let first = try await Fixture.start()
        let uid = try await first.client.get(.namespaces, name: "kube-system").metadata.uid
        let names = ["kube-controller-manager", "kube-scheduler"]
        func holders(_ client: KubeClient) async throws -> [String] {
            try await client.list(.leases, namespace: "kube-system").items.filter { names.contains($0.metadata.name) }.compactMap {
                $0["spec"]["holderIdentity"].string
            }
        }
        let held = Array(repeating: "control-plane_\(uid)", count: 2)
        try await first.eventually("both Leases") { try await holders(first.client) == held }
        try await first.eventually("their events") {
            let events = try await first.client.list(.events, namespace: "kube-system").items
            return Set(events.filter { $0["reason"].string == "LeaderElection" }.compactMap { $0["involvedObject"]["name"].string }) == Set(names)
        }
        await first.controlPlane.stop()
        try first.expectNothingRefused()
        let second = try await Fixture.start(in: first.directory)
        try await second.eventually("both Leases again") { try await holders(second.client) == held }
        let lease = try await second.client.get(.leases, namespace: "kube-system", name: "kube-scheduler")
        #expect(lease["spec"]["leaseDurationSeconds"].int == 15 && lease["spec"]["leaseTransitions"].int == 1)
        await second.controlPlane.stop()
    }

    @Test("without credentials nothing is told but health and version") func anonymous() async throws {
        let fixture = try await Fixture.start()
        let port = Int(fixture.endpoint.url.split(separator: ":").last ?? "") ?? 0
        let http = try HTTPClient(
            configuration: .init(address: .tcp(host: "127.0.0.1", port: port), tls: .init(rootsPEM: fixture.endpoint.certificateAuthorityPEM)))
        for (path, status) in [
            ("/readyz", 200), ("/version", 200), ("/api/v1/namespaces", 401), ("/apis/apps/v1/deployments", 401), ("/metrics", 401),
        ] {
            let response = try await http.execute("GET", path)
            _ = try await response.body.collect(limit: 1 << 20)
            #expect(response.status == status, "\(path)")
        }
        let bad = try await http.execute("GET", "/api/v1/namespaces", fields: ["Authorization": "Bearer wrong"])
        #expect(bad.status == 401)
        _ = try await bad.body.collect(limit: 1 << 20)
        await http.close()
        await fixture.controlPlane.stop()
    }

    @Test("a cluster's metrics count its controllers' queues, the store's writes and its size") func metrics() async throws {
        let fixture = try await Fixture.start()
        try await fixture.client.create(.deployments, Self.deployment)
        try await fixture.eventually("three pods") { try await fixture.client.list(.pods, namespace: "default").items.count == 3 }
        let port = Int(fixture.endpoint.url.split(separator: ":").last ?? "") ?? 0
        let http = try HTTPClient(
            configuration: .init(address: .tcp(host: "127.0.0.1", port: port), tls: .init(rootsPEM: fixture.endpoint.certificateAuthorityPEM)))
        let response = try await http.execute("GET", "/metrics", fields: ["Authorization": "Bearer administrator"])
        let text = String(decoding: try await response.body.collect(limit: 1 << 24), as: UTF8.self)
        for name in [
            "workqueue_adds_total{name=\"deployment\"} ", "workqueue_work_duration_seconds_count{name=\"replicaset\"} ",
            "workqueue_depth{name=\"cloud-node\"} ", "etcd_requests_total{group=\"\",operation=\"create\",resource=\"pods\"} 3\n",
            "apiserver_storage_size_bytes{storage_cluster_id=\"etcd-0\"} ",
        ] { #expect(text.contains("\n\(name)"), "\(name)") }
        await http.close()
        await fixture.controlPlane.stop()
    }

    @Test("the files of a node hold its identity and its settings") func nodeFiles() async throws {
        let fixture = try await Fixture.start()
        let node = ControlPlane.Node(
            name: "ip-10-0-0-4.us-west-2.compute.internal", address: "10.0.0.4", instanceID: "i-1", zone: "us-west-2a", vcpus: 2, memoryMiB: 4096,
            maxPods: 17,
            labels: [:], taints: [])
        // Without an interface in the VPC no node could reach the control plane: refused, not left to fail on the machine.
        await #expect(throws: ControlPlaneError.self) { try await fixture.controlPlane.nodeFiles(node) }
        await fixture.controlPlane.stop()
    }
}
