import Glibc
import KubeAPI
import KubeClient
import Testing

@testable import ControlPlane

extension ControlPlaneTests.Fixture {
    /// Each request of the control plane's own loops, as its audit log has them. To be called once it has stopped.
    func ownRequests() throws -> [JSONView] {
        let file = fopen("\(directory)/cluster/audit.log", "r")
        defer { if let file { fclose(file) } }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while let file, case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
        return try bytes.split(separator: UInt8(ascii: "\n")).map { try Object(bytes: Array($0)).root }
    }

    /// Fails for each request that was refused for want of a right. What admission forbids (a quota, a policy, a namespace that goes) is part of the
    /// plot.
    func expectNothingRefused() throws {
        let requests = try ownRequests()
        #expect(!requests.isEmpty)
        var refused: Set<String> = []
        for request in requests where request["responseStatus"]["code"].int == 403 {
            let message = request["responseStatus"]["message"].string ?? ""
            if ["exceeded quota", "because it is being terminated", "violates PodSecurity"].contains(where: message.contains) { continue }
            refused.insert("\(request["verb"].string ?? "") \(request["requestURI"].string ?? ""): \(message)")
        }
        #expect(refused.sorted() == [])
    }
}

/// Every controller is its own service account, with the rights of its bootstrap role and no more.
@Suite(.serialized) struct ControllerIdentityTests {
    /// The loops that are no service accounts.
    static let users = [
        "system:kube-controller-manager", "system:kube-scheduler", "eks:cloud-controller-manager", "eks:node-manager", "eks:authenticator",
    ]
    /// Those that have nothing to do where there is no Fargate.
    static let fargateUsers = ["eks:fargate-scheduler", "eks:fargate-manager"]

    private func node(_ name: String, _ spec: Value = [:]) -> Value {
        ["apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name)], "spec": spec]
    }

    private func template(_ app: String) -> Value {
        ["metadata": ["labels": ["app": .string(app)]], "spec": ["containers": [["name": "c", "image": "nginx"]]]]
    }

    @Test("whatever happens in a cluster, no controller is refused, and each is known by its own name") func nothingRefused() async throws {
        var seen: ControlPlaneTests.Fixture?
        try await ControllersIntegrationTests.withCluster { fixture, client in
            seen = fixture
            try await orphans(fixture, client)
            try await members(fixture, client)
            try await budgets(fixture, client)
            try await nodes(fixture, client)
            try await endings(fixture, client)
        }
        let users = Set(try seen?.ownRequests().compactMap { $0["user"]["username"].string } ?? [])
        let accounts = [
            "replication-controller", "statefulset-controller", "disruption-controller", "resourcequota-controller", "node-controller",
            "job-controller", "ttl-after-finished-controller", "token-cleaner", "endpointslice-controller", "endpoint-controller",
            "namespace-controller", "generic-garbage-collector", "service-account-controller", "root-ca-cert-publisher",
        ].map { "system:serviceaccount:kube-system:\($0)" }
        #expect(Set(accounts + Self.users).subtracting(users) == [])
    }

    /// A pod without an owner is adopted, counted, and released when its label changes.
    private func orphans(_ fixture: ControlPlaneTests.Fixture, _ client: KubeClient) async throws {
        try await client.create(
            .pods,
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "orphan", "namespace": "default", "labels": ["app": "rc"]],
                "spec": ["containers": [["name": "c", "image": "nginx"]]],
            ])
        try await client.create(
            .replicationControllers,
            [
                "apiVersion": "v1", "kind": "ReplicationController", "metadata": ["name": "rc", "namespace": "default"],
                "spec": ["replicas": 2, "selector": ["app": "rc"], "template": template("rc")],
            ])
        func owners() async throws -> [String] {
            try await client.get(.pods, namespace: "default", name: "orphan").metadata.ownerReferences.map(\.name)
        }
        try await fixture.eventually("the orphan's adoption") { try await owners() == ["rc"] }
        try await client.patch(
            .pods, namespace: "default", name: "orphan", type: .merge, ["metadata": ["labels": ["app": "other"]]])
        try await fixture.eventually("the pod's release") { try await owners() == [] }
        try await fixture.eventually("its replacement") {
            try await client.get(.replicationControllers, namespace: "default", name: "rc")["status"]["readyReplicas"].int == 2
        }
        try await client.delete(.replicationControllers, namespace: "default", name: "rc", options: DeleteOptions(propagationPolicy: .background))
    }

    /// A StatefulSet with claims; a Service before it.
    private func members(_ fixture: ControlPlaneTests.Fixture, _ client: KubeClient) async throws {
        try await client.create(
            .services,
            [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "db", "namespace": "default"],
                "spec": ["selector": ["app": "db"], "clusterIP": "None", "ports": [["port": 80]]],
            ])
        let claim: Value = [
            "metadata": ["name": "data"], "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
        ]
        try await client.create(
            .statefulSets,
            [
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": ["name": "db", "namespace": "default"],
                "spec": [
                    "replicas": 2, "serviceName": "db", "selector": ["matchLabels": ["app": "db"]], "template": template("db"),
                    "podManagementPolicy": "Parallel", "volumeClaimTemplates": [claim],
                ],
            ])
        try await fixture.eventually("two claims") { try await client.list(.persistentVolumeClaims, namespace: "default").items.count == 2 }
        try await fixture.eventually("two members") {
            try await client.list(.pods, namespace: "default").items.count { $0.metadata.labels["app"] == "db" } == 2
        }
        try await client.delete(.statefulSets, namespace: "default", name: "db", options: DeleteOptions(propagationPolicy: .foreground))
        try await fixture.eventually("no members") { try await client.list(.statefulSets, namespace: "default").items.isEmpty }
        try await client.delete(.persistentVolumeClaims, namespace: "default", name: "data-db-0")
        try await fixture.eventually("the claim gone") { try await client.list(.persistentVolumeClaims, namespace: "default").items.count == 1 }
        try await client.delete(.services, namespace: "default", name: "db")
    }

    /// A quota and a disruption budget over a Deployment, whose nodes are drained.
    private func budgets(_ fixture: ControlPlaneTests.Fixture, _ client: KubeClient) async throws {
        try await client.create(
            .resourceQuotas,
            ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "q", "namespace": "default"], "spec": ["hard": ["pods": "20"]]])
        try await client.create(
            .podDisruptionBudgets,
            [
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b", "namespace": "default"],
                "spec": ["maxUnavailable": 1, "selector": ["matchLabels": ["app": "web"]]],
            ])
        try await client.create(
            .deployments,
            [
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "default"],
                "spec": ["replicas": 3, "selector": ["matchLabels": ["app": "web"]], "template": template("web")],
            ])
        try await fixture.eventually("an allowed disruption") {
            try await client.get(.podDisruptionBudgets, namespace: "default", name: "b")["status"]["disruptionsAllowed"].int == 1
        }
        try await fixture.eventually("the quota's use") {
            try await client.get(.resourceQuotas, namespace: "default", name: "q")["status"]["used"]["pods"].string != nil
        }
        #expect(try await fixture.controlPlane.drain(node: "n2", patience: .seconds(60)))
        try await fixture.controlPlane.delete(node: "n2")
        #expect(try await client.list(.nodes).items.map(\.metadata.name).sorted() == ["n0", "n1"])
        try await fixture.eventually("three pods on what is left") {
            try await client.get(.deployments, namespace: "default", name: "web")["status"]["readyReplicas"].int == 3
        }
    }

    /// A node that falls ill, and one that the cloud introduces.
    private func nodes(_ fixture: ControlPlaneTests.Fixture, _ client: KubeClient) async throws {
        let sick: Value = ["type": "Ready", "status": "False", "lastHeartbeatTime": .string(Timestamp.now.rfc3339), "reason": "KubeletNotReady"]
        try await client.patch(.nodes, name: "n1", type: .strategicMerge, ["status": ["conditions": [sick]]], subresource: "status")
        try await fixture.eventually("the node's taints") {
            try await client.get(.nodes, name: "n1")["spec"]["taints"].elements.contains { $0["effect"].string == "NoExecute" }
        }
        try await client.patch(
            .nodes, name: "n0", type: .merge, ["spec": ["taints": [["key": "away", "effect": "NoExecute"]]]])
        try await fixture.eventually("no pods on the tainted node") {
            try await client.list(.pods, namespace: "default").items.allSatisfy { $0["spec"]["nodeName"].string != "n0" }
        }
        try await client.create(
            .nodes,
            node(
                "cloud-1",
                ["taints": [["key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"]]]))
        try await fixture.eventually("the cloud's node") {
            try await client.get(.nodes, name: "cloud-1")["spec"]["providerID"].string == "aws:///eu-1a/i-1"
        }
        try await client.delete(.deployments, namespace: "default", name: "web")
        try await client.patch(.nodes, name: "n0", type: .merge, ["spec": ["taints": .null]])
    }

    /// A Job whose time is over, a token whose time is over, a namespace that goes.
    private func endings(_ fixture: ControlPlaneTests.Fixture, _ client: KubeClient) async throws {
        try await client.create(
            .jobs,
            [
                "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": "work", "namespace": "default"],
                "spec": [
                    "ttlSecondsAfterFinished": 0,
                    "template": [
                        "metadata": ["labels": ["kind": "job"]], "spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "w"]]],
                    ],
                ],
            ])
        try await client.create(
            .secrets,
            [
                "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "bootstrap-token-abcdef", "namespace": "kube-system"],
                "type": "bootstrap.kubernetes.io/token",
                "stringData": ["token-id": "abcdef", "token-secret": "0123456789abcdef", "expiration": "2020-01-01T00:00:00Z"],
            ])
        try await client.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
        try await fixture.eventually("its account") { try await !client.list(.serviceAccounts, namespace: "team").items.isEmpty }
        try await client.delete(.namespaces, name: "team")
        try await fixture.eventually("the namespace gone") { try await !client.list(.namespaces).items.contains { $0.metadata.name == "team" } }
        try await fixture.eventually("the job gone") { try await client.list(.jobs, namespace: "default").items.isEmpty }
        try await fixture.eventually("the token gone") {
            try await !client.list(.secrets, namespace: "kube-system").items.contains { $0.metadata.name == "bootstrap-token-abcdef" }
        }
    }

    @Test("a Secret for a service account's token is filled, authenticates, and goes with its account") func legacyTokens() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let client = fixture.client
        func secret(_ account: String) -> Value {
            [
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                "metadata": [
                    "name": .string("\(account)-token"), "namespace": "default",
                    "annotations": ["kubernetes.io/service-account.name": .string(account)],
                ],
            ]
        }
        let account = try await client.create(
            .serviceAccounts,
            [
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "builder", "namespace": "default"],
                "secrets": [["name": "builder-token"]],
            ])
        try await client.create(.secrets, secret("builder"))
        try await client.create(.secrets, secret("nobody"))
        try await fixture.eventually("the token") {
            try await client.get(.secrets, namespace: "default", name: "builder-token")["data"]["token"].string != nil
        }
        let filled = try await client.get(.secrets, namespace: "default", name: "builder-token")
        #expect(filled.metadata.annotations["kubernetes.io/service-account.uid"] == account.metadata.uid)
        #expect(filled["data"]["namespace"].string == "ZGVmYXVsdA==")
        #expect(filled["data"]["ca.crt"].string?.hasPrefix("LS0tLS1CRUdJTiBDRVJU") == true)
        try await fixture.eventually("no Secret of an account that is none") {
            try await !client.list(.secrets, namespace: "default").items.contains { $0.metadata.name == "nobody-token" }
        }
        try await client.delete(.secrets, namespace: "default", name: "builder-token")
        try await fixture.eventually("the account's list without it") {
            try await client.get(.serviceAccounts, namespace: "default", name: "builder")["secrets"].elements.isEmpty
        }
        try await client.create(.secrets, secret("builder"))
        try await fixture.eventually("another token") {
            try await client.get(.secrets, namespace: "default", name: "builder-token")["data"]["token"].string != nil
        }
        try await client.delete(.serviceAccounts, namespace: "default", name: "builder")
        try await fixture.eventually("the Secret gone with its account") {
            try await !client.list(.secrets, namespace: "default").items.contains { $0.metadata.name == "builder-token" }
        }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }
}
