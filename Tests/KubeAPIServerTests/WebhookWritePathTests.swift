import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

/// Rows of the table of CVE classes that a re-implementation must avoid: what admission sees must be all there is, and what it saw.
@Suite("Admission bypass: every write path is admitted (CVE-2021-25735, CVE-2023-2727)")
struct WebhookWritePathTests {
    /// `OPERATION resource/subresource` of each review so far.
    private static func calls(_ hooks: WebhookServer) throws -> [String] {
        try hooks.requests.map { request in
            let review = try JSONDocument(request.body).root["request"]
            let subresource = review["subResource"].string.map { "/\($0)" } ?? ""
            return "\(request.path.dropFirst()) \(review["operation"].string ?? "") \(review["resource"]["resource"].string ?? "")\(subresource)"
        }
    }

    @Test("create, update, patch, apply, status, scale, binding, eviction, ephemeral containers, delete and deletecollection pass both phases")
    func allPaths() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in ["allowed": true] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        for kind in ["Mutating", "Validating"] {
            try await test.configure(
                kind, hooks, path: "/\(kind.lowercased())", operations: ["*"], resources: ["*/*"], groups: ["*"], versions: ["*"]
            )
        }
        func both(_ expected: String, _ work: () async throws -> some Any) async throws {
            let before = try Self.calls(hooks).count
            _ = try await work()
            let seen = try Self.calls(hooks).dropFirst(before)
            #expect(Array(seen) == ["mutating \(expected)", "validating \(expected)"])
        }
        try await both("CREATE configmaps") { try await test.create("configmaps", configMap("a")) }
        try await both("UPDATE configmaps") { try await test.update("configmaps", configMap("a", ["x": "1"])) }
        try await both("UPDATE configmaps") { try await test.patch("configmaps", "a", ["data": ["x": "2"]]) }
        try await both("UPDATE configmaps") {
            try await test.client.perform(
                KubeRequest(
                    .patch, TestServer.resource("configmaps"), namespace: "default", name: "a", query: [("fieldManager", "m"), ("force", "true")],
                    body: configMap("a", ["x": "3"]).jsonBytes, contentType: "application/apply-patch+yaml"))
        }
        try await both("CREATE configmaps") {
            try await test.client.perform(
                KubeRequest(
                    .patch, TestServer.resource("configmaps"), namespace: "default", name: "b", query: [("fieldManager", "m")],
                    body: configMap("b").jsonBytes, contentType: "application/apply-patch+yaml"))
        }
        // An update that makes its object is a create.
        let lease: Value = ["apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": "l"], "spec": [:]]
        try await both("CREATE leases") { try await test.update("coordination.k8s.io/v1/leases", lease) }
        try await both("CREATE deployments") { try await test.create("apps/v1/deployments", deployment("d")) }
        try await both("UPDATE deployments/scale") {
            try await test.patch("apps/v1/deployments", "d", ["spec": ["replicas": 3]], subresource: "scale")
        }
        try await both("CREATE pods") { try await test.create("pods", pod("p")) }
        let target: Value = ["apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p"], "target": ["kind": "Node", "name": "n"]]
        try await both("CREATE pods/binding") {
            try await test.client.perform(
                KubeRequest(
                    .create, TestServer.resource("pods"), namespace: "default", name: "p", subresource: "binding", body: target.jsonBytes))
        }
        try await both("UPDATE pods/status") {
            try await test.patch("pods", "p", ["status": ["phase": "Succeeded"]], subresource: "status")
        }
        let eviction: Value = ["apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": "p"]]
        try await both("CREATE pods/eviction") {
            try await test.client.perform(
                KubeRequest(
                    .create, TestServer.resource("pods"), namespace: "default", name: "p", subresource: "eviction", body: eviction.jsonBytes))
        }
        try await both("DELETE deployments") { try await test.delete("apps/v1/deployments", "d") }
        let before = try Self.calls(hooks).count
        _ = try await test.client.perform(KubeRequest(.deletecollection, TestServer.resource("configmaps"), namespace: "default"))
        let collection = try Self.calls(hooks).dropFirst(before)
        #expect(
            collection.sorted() == [
                "mutating DELETE configmaps", "mutating DELETE configmaps", "validating DELETE configmaps", "validating DELETE configmaps",
            ])
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a webhook sees a Scale for the scale subresource, and what it makes of it is the object's")
    func scale() async throws {
        let hooks = try await WebhookServer.reviews { _, request in
            request["object"]["kind"].string == "Scale" && request["kind"]["kind"].string == "Scale" && request["oldObject"]["kind"].string == "Scale"
                ? patchResponse(["op": "replace", "path": "/spec/replicas", "value": 7]) : ["allowed": false]
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.create("apps/v1/deployments", deployment("d"))
        try await test.configure(
            "Mutating", hooks, path: "/", operations: ["UPDATE"], resources: ["deployments/scale"], groups: ["apps"])
        let scaled = try await test.patch("apps/v1/deployments", "d", ["spec": ["replicas": 3]], subresource: "scale")
        #expect(scaled["spec"]["replicas"].int == 7)
        #expect(try await test.get("apps/v1/deployments", "d")["spec"]["template"]["spec"]["containers"].elements.count == 1)
        await test.server.stop()
        await hooks.stop()
    }

    @Test("the old object a validating webhook judges by is the stored one, whatever a mutating one did (CVE-2021-25735)")
    func oldObject() async throws {
        let hooks = try await WebhookServer.reviews { path, request in
            if path == "/mutate" { return patchResponse(["op": "add", "path": "/metadata/labels", "value": ["frozen": "no"]]) }
            let old = request["oldObject"]["metadata"]["labels"]["frozen"].string
            return ["allowed": .bool(old != "yes")]
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.create("nodes", ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n", "labels": ["frozen": "yes"]]], namespace: nil)
        try await test.configure("Mutating", hooks, path: "/mutate", operations: ["UPDATE"], resources: ["nodes"])
        try await test.configure("Validating", hooks, path: "/validate", operations: ["UPDATE"], resources: ["nodes"])
        let error = await failure { try await test.patch("nodes", "n", ["metadata": ["labels": ["frozen": "no"]]], namespace: nil) }
        #expect(error?.code == 400)
        await test.server.stop()
        await hooks.stop()
    }

    @Test("webhooks never judge webhook configurations")
    func configurationsAreExempt() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in ["allowed": false] }
        let test = try await TestServer.withWebhooks()
        for kind in ["Mutating", "Validating"] {
            try await test.configure(kind, hooks, path: "/", operations: ["*"], resources: ["*"], groups: ["*"], versions: ["*"])
        }
        try await test.delete("admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "hook", namespace: nil)
        try await test.delete("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "hook", namespace: nil)
        #expect(hooks.requests.isEmpty)
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a connection to a pod can be denied")
    func connect() async throws {
        let hooks = try await WebhookServer.reviews { _, request in
            ["allowed": .bool(request["object"]["kind"].string != "PodAttachOptions"), "status": ["message": "attaching to pod 'p' is not allowed"]]
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.create("nodes", ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n1"]], namespace: nil)
        try await test.create("pods", pod("p", node: "n1"))
        try await test.configure("Validating", hooks, path: "/", operations: ["CONNECT"], resources: ["pods/attach"])
        let fields: HTTPFields = ["Connection": "Upgrade", "Upgrade": "SPDY/3.1"]
        let answer = await test.http("POST", "/api/v1/namespaces/default/pods/p/attach?stdout=true", fields)
        #expect(answer.status == 400)
        #expect(answer.json["message"].string == "admission webhook \"hook.example.com\" denied the request: attaching to pod 'p' is not allowed")
        let review = try JSONDocument(hooks.requests.last?.body ?? []).root["request"]
        #expect(review["object"]["stdout"].bool == true && review["kind"]["kind"].string == "PodAttachOptions" && review["options"]?.isNull == true)
        await test.server.stop()
        await hooks.stop()
    }
}
