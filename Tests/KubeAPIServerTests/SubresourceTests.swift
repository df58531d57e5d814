import KubeAPI
import KubeClient
import KubeStorage
import Testing

@testable import KubeAPIServer

/// A store nothing is asked of.
struct NeverStore: Store {
    func load(prefix: String) async throws -> (entries: [StoredEntry], revision: Int64) { throw StoreError.closed }
    func scan(_ visit: @escaping @Sendable (_ key: String, _ value: UnsafeRawBufferPointer, _ modRevision: Int64) throws -> Void) async throws
        -> Int64
    {
        throw StoreError.closed
    }
    func write(_ write: StoreWrite) async throws -> Int64 { throw StoreError.closed }
    var revision: Int64 { 0 }
    func observe(_ observer: @escaping @Sendable ([StoreEvent]) -> Void) {}
    func close() async {}
}

/// A certificate signing request, as `spec.request` has it.
enum SigningRequestFixture {
    private static let lines = """
        LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIR01HNENBUUF3RERFS01BZ0dBMVVFQXd3QllUQlpNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NN
        NDlBd0VIQTBJQQpCSGJIMUVJb0xTcGNhbmE2R0gxT2VzaXk4VGNuaVQ1MTIxeVl3Y2V2cCs3cWcrUGJzbEFaVXJidWVqRVlFN00xCnF5Nk9MVWwrS1lVMnFQ
        V1dYUFhlVit5Z0FEQUtCZ2dxaGtqT1BRUURBZ05JQURCRkFpRUE1Q1U2dllzZjQxVDAKaWxBam1MOTRZbkhJR2Z3OWk2MFNSSW0xV01iQ0lOa0NJRDl1TitG
        THkwVEcyMUlIMWtOU3lHWXhpQ2IzbVdRUApRTTd0TkgyWjVJdHEKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==
        """
    static let encoded = String(lines.filter { !$0.isNewline })
}

@Suite("Subresources")
struct SubresourceTests {
    @Test("scale reads and writes spec.replicas and nothing else")
    func scale() async throws {
        let test = try await TestServer()
        let made = try await test.create("apps/v1/deployments", deployment("web", replicas: 2))
        let scale = try await test.get("apps/v1/deployments", "web", subresource: "scale")
        #expect(scale.kind == "Scale" && scale.apiVersion == "autoscaling/v1")
        #expect(scale["spec"]["replicas"].int == 2)
        #expect(scale["status"]["selector"].string == "app=web")
        var wanted = scale.value
        wanted[path: "spec", "replicas"] = 5
        let written = try await test.update("apps/v1/deployments", wanted, subresource: "scale")
        #expect(written["spec"]["replicas"].int == 5)
        let now = try await test.get("apps/v1/deployments", "web")
        #expect(now["spec"]["replicas"].int == 5)
        #expect(now.metadata.generation == made.metadata.generation + 1)
        #expect(await failure { try await test.update("apps/v1/deployments", wanted, subresource: "scale") }?.isConflict == true)
        let patched = try await test.patch("apps/v1/deployments", "web", ["spec": ["replicas": 1]], subresource: "scale")
        #expect(patched["spec"]["replicas"].int == 1)
        #expect(await failure { try await test.patch("apps/v1/deployments", "web", ["spec": ["replicas": -1]], subresource: "scale") }?.code == 422)
    }

    private func bind(_ test: TestServer, _ pod: String, _ node: String, uid: String? = nil) async throws -> Object {
        var binding: Value = [
            "apiVersion": "v1", "kind": "Binding", "metadata": ["name": .string(pod)],
            "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
        ]
        if let uid { binding[path: "metadata", "uid"] = .string(uid) }
        return try await test.client.perform(
            KubeRequest(
                .create, TestServer.resource("pods"), namespace: "default", name: pod, subresource: "binding", body: binding.jsonBytes))
    }

    @Test("a binding gives a pod its node and the PodScheduled condition, once")
    func binding() async throws {
        let test = try await TestServer()
        try await test.create("pods", pod("p"))
        #expect(await failure { try await bind(test, "p", "n1", uid: "other") }?.isConflict == true)
        let status = try await bind(test, "p", "n1")
        #expect(status["status"].string == "Success")
        let bound = try await test.get("pods", "p")
        #expect(bound["spec"]["nodeName"].string == "n1")
        let condition = bound["status"]["conditions"].elements.first { $0["type"].string == "PodScheduled" }
        #expect(condition?["status"].string == "True")
        let again = await failure { try await bind(test, "p", "n2") }
        #expect(again?.message == "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"")
        #expect(await failure { try await bind(test, "none", "n1") }?.isNotFound == true)
    }

    @Test("an eviction deletes the pod unless a disruption budget forbids it")
    func eviction() async throws {
        let test = try await TestServer()
        func evict(_ name: String) async throws -> Object {
            let body: Value = ["apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": .string(name)]]
            return try await test.client.perform(
                KubeRequest(.create, TestServer.resource("pods"), namespace: "default", name: name, subresource: "eviction", body: body.jsonBytes))
        }
        var running = pod("p", node: "n1")
        running[path: "metadata", "labels"] = ["app": "web"]
        try await test.create("pods", running)
        try await test.patch(
            "pods", "p", ["status": ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]], subresource: "status")
        let budget: Value = [
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b"],
            "spec": ["minAvailable": 1, "selector": ["matchLabels": ["app": "web"]]],
        ]
        try await test.create("policy/v1/poddisruptionbudgets", budget)
        func allow(_ count: Int64) async throws {
            let status: Value = [
                "disruptionsAllowed": .int(count), "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1, "observedGeneration": 1,
            ]
            try await test.patch("policy/v1/poddisruptionbudgets", "b", ["status": status], subresource: "status")
        }
        try await allow(0)
        #expect(await failure { try await evict("p") }?.code == 429)
        try await allow(1)
        _ = try await evict("p")
        #expect(try await test.get("pods", "p").metadata.isBeingDeleted)
        #expect(try await test.get("policy/v1/poddisruptionbudgets", "b")["status"]["disruptionsAllowed"].int == 0)
    }

    @Test("streaming names its container, refuses others, and needs a node")
    func containers() async throws {
        let test = try await TestServer()
        var two = pod("p")
        two[path: "spec", "containers"] = [["name": "a", "image": "x"], ["name": "b", "image": "x"]]
        try await test.create("pods", two)
        let unnamed = await test.http("GET", "/api/v1/namespaces/default/pods/p/log")
        #expect(unnamed.json["message"].string == "a container name must be specified for pod p, choose one of: [a b]")
        let wrong = await test.http("GET", "/api/v1/namespaces/default/pods/p/log?container=c")
        #expect(wrong.json["message"].string == "container c is not valid for pod p")
        let upgrade = await test.http("POST", "/api/v1/namespaces/default/pods/p/exec?container=a&command=ls&stdout=true")
        #expect(upgrade.json["message"].string == "Upgrade request required")
        let unbound = await test.http(
            "POST", "/api/v1/namespaces/default/pods/p/exec?container=a&command=ls&stdout=true", ["Connection": "Upgrade", "Upgrade": "SPDY/3.1"])
        #expect(unbound.json["message"].string == "pod p does not have a host assigned")
    }

    @Test("events of events.k8s.io are the same objects as the core group's")
    func events() async throws {
        let test = try await TestServer()
        let event: Value = [
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e"],
            "regarding": ["kind": "Pod", "name": "p", "namespace": "default"],
            "note": "hello", "reason": "Started", "action": "Starting", "type": "Normal", "reportingController": "kubelet", "reportingInstance": "n1",
            "eventTime": "2026-01-02T03:04:05.000006Z",
        ]
        try await test.create("events.k8s.io/v1/events", event)
        let core = try await test.get("events", "e")
        #expect(core["involvedObject"]["name"].string == "p")
        #expect(core["message"].string == "hello")
        #expect(core.apiVersion == "v1")
        let back = try await test.get("events.k8s.io/v1/events", "e")
        #expect(back["regarding"]["name"].string == "p")
        #expect(back["note"].string == "hello")
    }

    @Test("approval and finalize change their part and the metadata, and leave the rest as it is")
    func parts() async throws {
        // It is the strategies that keep the rest.
        let test = try await TestServer.withStrategies()
        let requests = "certificates.k8s.io/v1/certificatesigningrequests"
        let sent: Value = [
            "metadata": ["name": "a"],
            "spec": ["request": .string(SigningRequestFixture.encoded), "signerName": "example.com/signer", "usages": ["client auth"]],
        ]
        try await test.create(requests, sent, namespace: nil)
        let approved = try await test.patch(
            requests, "a",
            [
                "metadata": ["annotations": ["by": "me"]], "spec": ["signerName": "example.com/other"],
                "status": ["certificate": "YQ==", "conditions": [["type": "Approved", "status": "True", "reason": "R"]]],
            ], namespace: nil, subresource: "approval")
        #expect(approved.metadata.annotations == ["by": "me"] && approved["spec"]["signerName"].string == "example.com/signer")
        #expect(approved["status"]["conditions"].elements.count == 1 && approved["status"]["certificate"].string == nil)
        // On the status path decisions keep their place and stay as they are; one that was left out undoes the change.
        let conditions: Value = [
            ["type": "Other", "status": "True", "reason": "O"], ["type": "Approved", "status": "True", "reason": "changed"],
        ]
        let signed = try await test.patch(requests, "a", ["status": ["conditions": conditions]], namespace: nil, subresource: "status")
        #expect(signed["status"]["conditions"].elements.compactMap { $0["reason"]?.string } == ["O", "R"])
        let undone = try await test.patch(requests, "a", ["status": ["conditions": []]], namespace: nil, subresource: "status")
        #expect(undone["status"]["conditions"].elements.count == 2)

        var space = try await test.create("namespaces", ["metadata": ["name": "n"]], namespace: nil).value
        space[path: "metadata", "annotations", "by"] = "me"
        space[path: "spec", "finalizers"] = ["kubernetes", "example.com/own"]
        space[path: "status", "phase"] = "Terminating"
        let finalized = try await test.update("namespaces", space, namespace: nil, subresource: "finalize")
        #expect(finalized.metadata.annotations == ["by": "me"] && finalized["status"]["phase"].string == "Active")
        #expect(finalized["spec"]["finalizers"].strings == ["kubernetes", "example.com/own"])
    }
}

@Suite("Versions")
struct VersionTests {
    @Test("an autoscaler written as autoscaling/v1 reads as v2, and back")
    func autoscaler() async throws {
        let test = try await TestServer()
        let sent: Value = [
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": ["name": "h"],
            "spec": [
                "maxReplicas": 3, "targetCPUUtilizationPercentage": 70,
                "scaleTargetRef": ["kind": "Deployment", "name": "web", "apiVersion": "apps/v1"],
            ],
        ]
        try await test.create("autoscaling/v1/horizontalpodautoscalers", sent)
        let second = try await test.get("autoscaling/v2/horizontalpodautoscalers", "h")
        #expect(second.apiVersion == "autoscaling/v2")
        #expect(second["spec"]["metrics"].elements.first?["resource"]["target"]["averageUtilization"].int == 70)
        let first = try await test.get("autoscaling/v1/horizontalpodautoscalers", "h")
        #expect(first["spec"]["targetCPUUtilizationPercentage"].int == 70)
        #expect(first["spec"]["metrics"] == nil)
    }
}
