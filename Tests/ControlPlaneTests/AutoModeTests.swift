import AutoMode
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import ControlPlane

/// A cloud whose instances are nodes that are ready at once.
final class PlayedCloud: NodeProvider {
    private struct State {
        var nodes: [String: ProvidedNode] = [:]
        var launched = 0
        var listeners: [AsyncStream<Void>.Continuation] = []
    }

    let region = "eu-1"
    let instanceTypes = [("c6a.large", 2, 4_096), ("c6a.xlarge", 4, 8_192)].compactMap {
        InstanceType(name: $0, vcpus: $1, memoryMiB: $2, architecture: "amd64", maxPods: 29, reserved: [:])
    }
    private let state = Mutex(State())
    private let client = Mutex<KubeClient?>(nil)

    func use(_ client: KubeClient) { self.client.withLock { $0 = client } }

    var running: [String] { state.withLock { $0.nodes.values.map(\.nodeName).sorted() } }

    func facts(_ selection: NodeClassSelection) async -> NodeClassFacts {
        NodeClassFacts(
            subnets: [.init(id: "subnet-a", zone: "eu-1a", zoneID: "a"), .init(id: "subnet-b", zone: "eu-1b", zoneID: "b")],
            securityGroups: [.init(id: "sg-1", name: "sg")], instanceProfile: "profile", roleProblem: selection.role == "node" ? nil : "no such role")
    }

    func launch(_ launch: NodeLaunch) async throws -> ProvidedNode {
        let (node, isNew) = state.withLock { state -> (ProvidedNode, Bool) in
            if let known = state.nodes[launch.claimUID] { return (known, false) }
            state.launched += 1
            let name = "i-\(state.launched)"
            let node = ProvidedNode(
                claimUID: launch.claimUID, providerID: "aws:///\(launch.zone)/\(name)", nodeName: name, imageID: "ami-1", zone: launch.zone,
                instanceType: launch.instanceType)
            state.nodes[launch.claimUID] = node
            return (node, true)
        }
        guard isNew, let client = client.withLock({ $0 }) else { return node }
        var labels = launch.labels
        labels["kubernetes.io/hostname"] = node.nodeName
        let taints = launch.taints.map { taint -> Value in
            ["key": .string(taint.key), "value": .string(taint.value), "effect": .string(taint.effect)]
        }
        try await client.create(
            .nodes,
            [
                "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(node.nodeName), "labels": Value(labels)],
                "spec": ["providerID": .string(node.providerID), "taints": .array(taints)],
            ])
        let amounts: Value = ["cpu": "2", "memory": "4Gi", "pods": "29"]
        let now = Timestamp.now.rfc3339
        try await client.patch(
            .nodes, name: node.nodeName, type: .merge,
            [
                "status": [
                    "capacity": amounts, "allocatable": amounts,
                    "conditions": [["type": "Ready", "status": "True", "lastHeartbeatTime": .string(now), "lastTransitionTime": .string(now)]],
                ]
            ], subresource: "status")
        return node
    }

    func imageID() async -> String { "ami-1" }
    func nodes() async -> [ProvidedNode] { state.withLock { Array($0.nodes.values) } }
    func isThere(claimUID: String) async -> Bool { state.withLock { $0.nodes[claimUID] != nil } }
    func terminate(claimUID: String) async throws { end { $0.claimUID == claimUID } }
    /// As a machine dies.
    func kill(_ name: String) { end { $0.nodeName == name } }

    private func end(_ isMeant: (ProvidedNode) -> Bool) {
        let listeners = state.withLock { state in
            state.nodes = state.nodes.filter { !isMeant($0.value) }
            return state.listeners
        }
        for listener in listeners { listener.yield() }
    }

    func changes() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        state.withLock { $0.listeners.append(continuation) }
        return stream
    }
}

@Suite("EKS Auto Mode in a control plane", .serialized) struct AutoModeTests {
    private static let pools = GroupVersionResource(group: "karpenter.sh", version: "v1", resource: "nodepools")
    private static let claims = GroupVersionResource(group: "karpenter.sh", version: "v1", resource: "nodeclaims")
    private static let classes = GroupVersionResource(group: "eks.amazonaws.com", version: "v1", resource: "nodeclasses")
    private static let settings = AutoModeSettings(
        nodePools: ["general-purpose", "system"], nodeRole: "node", subnetIDs: ["subnet-a", "subnet-b"], securityGroupIDs: ["sg-1"])

    private static func deployment(_ replicas: Int64, _ spec: Value = [:]) -> Value {
        var pod: Value = ["containers": [["name": "c", "image": "nginx:1.15", "resources": ["requests": ["cpu": "900m"]]]]]
        for (key, value) in spec.object ?? Members() { pod[key] = value }
        return [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "default"],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": "web"]],
                "template": ["metadata": ["labels": ["app": "web"]], "spec": pod],
            ],
        ]
    }

    private static func withAutoMode(
        _ body: (ControlPlaneTests.Fixture, KubeClient, PlayedCloud, LiveSetting<AutoModeSettings?>) async throws -> Void
    ) async throws {
        let cloud = PlayedCloud()
        let autoMode = LiveSetting<AutoModeSettings?>(settings)
        let fixture = try await ControlPlaneTests.Fixture.start(nodeProvider: cloud, autoMode: autoMode)
        let client = fixture.client
        cloud.use(client)
        let kubelets = PlayedKubelets(client)
        let task = Task { await kubelets.run() }
        do {
            try await fixture.eventually("the default service account") {
                try await client.list(.serviceAccounts, namespace: "default").items.contains { $0.metadata.name == "default" }
            }
            try await body(fixture, client, cloud, autoMode)
        } catch {
            task.cancel()
            await fixture.controlPlane.stop()
            throw error
        }
        task.cancel()
        await task.value
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    private static func ready(_ resource: GroupVersionResource, _ name: String, _ client: KubeClient) async throws -> Bool {
        do {
            return try await client.get(resource, name: name)["status"]["conditions"].elements.contains {
                $0["type"].string == "Ready" && $0["status"].string == "True"
            }
        } catch let error as StatusError where error.isNotFound { return false }
    }

    private static func running(_ client: KubeClient) async throws -> Int {
        try await client.list(.pods, namespace: "default").items.count { $0["status"]["phase"].string == "Running" && !$0.metadata.isBeingDeleted }
    }

    @Test("nodes come for pods, an empty one goes, a dead one is replaced, and nothing is left when it is switched off")
    func life() async throws {
        try await Self.withAutoMode { fixture, client, cloud, autoMode in
            try await fixture.eventually("pools and class are ready") {
                for pool in ["general-purpose", "system"] where try await !Self.ready(Self.pools, pool, client) { return false }
                return try await Self.ready(Self.classes, "default", client)
            }
            try await client.patch(
                Self.pools, name: "system", type: .merge, ["spec": ["template": ["spec": ["taints": .null]]]])
            try await fixture.eventually("EKS's own pool is as it was") {
                try await client.get(Self.pools, name: "system")["spec"]["template"]["spec"]["taints"].elements.count == 1
            }
            // A pool of one's own whose nodes go soon.
            let pool: Value = [
                "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": ["name": "quick"],
                "spec": [
                    "weight": 50, "disruption": ["consolidateAfter": "1s", "budgets": [["nodes": "100%"]]],
                    "template": [
                        "metadata": ["labels": ["team": "a"]],
                        "spec": [
                            "nodeClassRef": ["group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"],
                            "requirements": [["key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]]],
                            "taints": [["key": "team", "value": "a", "effect": "NoSchedule"]],
                        ],
                    ],
                ],
            ]
            try await client.create(Self.pools, pool)
            try await fixture.eventually("the pool is ready") { try await Self.ready(Self.pools, "quick", client) }
            let spec: Value = ["nodeSelector": ["team": "a"], "tolerations": [["key": "team", "operator": "Exists"]]]
            try await client.create(.deployments, Self.deployment(2, spec))
            try await fixture.eventually("both run") { try await Self.running(client) == 2 }
            let claims = try await client.list(Self.claims).items
            #expect(claims.count == 1 && claims.first?.metadata.labels["karpenter.sh/nodepool"] == "quick")
            try await fixture.eventually("the claim is ready") { try await Self.ready(Self.claims, claims.first?.metadata.name ?? "", client) }
            let node = try await client.get(.nodes, name: try #require(cloud.running.first))
            #expect(node.metadata.labels["team"] == "a" && node.metadata.labels["eks.amazonaws.com/compute-type"] == "auto")
            #expect(node.metadata.finalizers == ["karpenter.sh/termination"] && node.metadata.labels["karpenter.sh/initialized"] == "true")
            cloud.kill(node.metadata.name)
            try await fixture.eventually("another node has the pods") {
                let nodes = try await client.list(.nodes).items.map(\.metadata.name)
                return try await Self.running(client) == 2 && nodes.count == 1 && nodes != [node.metadata.name]
            }
            try await client.patch(.deployments, namespace: "default", name: "web", type: .merge, ["spec": ["replicas": 0]])
            try await fixture.eventually("no nodes") { try await client.list(.nodes).items.isEmpty }
            #expect(cloud.running.isEmpty)
            try await fixture.eventually("no claims") { try await client.list(Self.claims).items.isEmpty }
            try await client.patch(.deployments, namespace: "default", name: "web", type: .merge, ["spec": ["replicas": 1]])
            try await fixture.eventually("it runs") { try await Self.running(client) == 1 }
            autoMode.set(nil)
            try await fixture.eventually("its objects are gone") {
                let pools = try await client.list(Self.pools).items.map(\.metadata.name)
                let claims = try await client.list(Self.claims).items
                let nodes = try await client.list(.nodes).items
                return pools == ["quick"] && claims.isEmpty && nodes.isEmpty
            }
        }
    }

    @Test("a pool that is deleted takes its nodes with it, one by one as budgets of pods allow; a pool out of the settings is deleted")
    func deletion() async throws {
        try await Self.withAutoMode { fixture, client, cloud, autoMode in
            try await fixture.eventually("the pool is ready") { try await Self.ready(Self.pools, "general-purpose", client) }
            try await client.create(
                GroupVersionResource.podDisruptionBudgets,
                [
                    "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "web", "namespace": "default"],
                    "spec": ["maxUnavailable": 0, "selector": ["matchLabels": ["app": "web"]]],
                ])
            try await client.create(.deployments, Self.deployment(1))
            try await fixture.eventually("it runs") { try await Self.running(client) == 1 }
            var settings = Self.settings
            settings.nodePools = ["system"]
            autoMode.set(settings)
            try await fixture.eventually("its claim is going") {
                try await client.list(Self.claims).items.contains { $0.metadata.isBeingDeleted }
            }
            try await fixture.eventually("the node takes no more pods") {
                try await client.list(.nodes).items.allSatisfy { node in
                    node["spec"]["taints"].elements.contains { $0["key"].string == "karpenter.sh/disrupted" }
                }
            }
            #expect(try await Self.running(client) == 1 && cloud.running.count == 1)
            try await client.delete(.podDisruptionBudgets, namespace: "default", name: "web")
            try await fixture.eventually("the node is gone") { try await client.list(.nodes).items.isEmpty }
            #expect(try await client.list(Self.pools).items.map(\.metadata.name) == ["system"] && cloud.running.isEmpty)
        }
    }

    static let invalid: [(String, Value)] = [
        ("expireAfter may not be 'Never'", ["expireAfter": "Never"]), ("may not exceed 21 days", ["expireAfter": "500h"]),
        ("must have a value", ["requirements": [["key": "a", "operator": "In"]]]),
        ("positive integer", ["requirements": [["key": "a", "operator": "Gt", "values": ["x"]]]]),
        ("restricted", ["requirements": [["key": "karpenter.sh/nodepool", "operator": "In", "values": ["x"]]]]),
    ]

    @Test("a NodePool that Auto Mode could not follow is refused")
    func validation() async throws {
        try await Self.withAutoMode { fixture, client, _, _ in
            try await fixture.eventually("the pool is there") { try await Self.ready(Self.pools, "general-purpose", client) }
            for (text, change) in Self.invalid {
                var spec: Value = [
                    "nodeClassRef": ["group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"], "requirements": [],
                ]
                for (key, value) in change.object ?? Members() { spec[key] = value }
                let pool: Value = [
                    "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": ["name": "bad"], "spec": ["template": ["spec": spec]],
                ]
                do {
                    try await client.create(Self.pools, pool)
                    Issue.record("accepted: \(text)")
                } catch let error as StatusError { #expect(error.code == 422 && error.message.contains(text), "\(error.message)") }
            }
        }
    }
}
