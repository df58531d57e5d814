import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Admission webhooks")
struct WebhookAdmissionTests {
    @Test("a mutating webhook's patch is applied, with defaults after it, and validation sees the outcome")
    func mutation() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in
            patchResponse(
                ["op": "add", "path": "/spec/initContainers", "value": [["name": "webhook-added-init-container", "image": "busybox"]]])
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.configure("Mutating", hooks, path: "/mutate", resources: ["pods"])
        let made = try await test.create("pods", pod("p"))
        let added = made["spec"]["initContainers"].elements.first
        #expect(added["name"].string == "webhook-added-init-container")
        #expect(added["terminationMessagePolicy"].string == "File")
        await test.server.stop()
        await hooks.stop()
    }

    @Test("the review tells who, what, where and with which options")
    func review() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in ["allowed": true] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.configure("Validating", hooks, path: "/v", operations: ["*"], resources: ["configmaps"])
        try await test.create("configmaps", configMap("a", ["k": "1"]), query: [("fieldManager", "me")])
        try await test.update("configmaps", configMap("a", ["k": "2"]))
        try await test.delete("configmaps", "a", options: ["kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 3])
        let reviews = try hooks.requests.map { try Value(json: $0.body) }
        try #require(reviews.count == 3)
        #expect(reviews[0]["kind"] == "AdmissionReview" && reviews[0]["apiVersion"] == "admission.k8s.io/v1")
        let create = reviews[0]["request"] ?? .null
        #expect(create["operation"] == "CREATE" && create["oldObject"] == .null && create["dryRun"] == false)
        #expect(create["kind"] == ["group": "", "version": "v1", "kind": "ConfigMap"])
        #expect(create["requestKind"] == create["kind"] && create["resource"] == ["group": "", "version": "v1", "resource": "configmaps"])
        #expect(create["name"] == "a" && create["namespace"] == "default")
        #expect(create["userInfo"] == ["username": "tester", "groups": ["system:masters", "system:authenticated"]])
        #expect(create["options"] == ["kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"])
        #expect(create[path: "object", "data", "k"] == "1" && create[path: "object", "kind"] == "ConfigMap")
        #expect(create[path: "object", "metadata", "uid"]?.string?.isEmpty == false)
        let update = reviews[1]["request"] ?? .null
        #expect(update["operation"] == "UPDATE" && update[path: "object", "data", "k"] == "2" && update[path: "oldObject", "data", "k"] == "1")
        #expect(update[path: "options", "kind"] == "UpdateOptions")
        let delete = reviews[2]["request"] ?? .null
        #expect(delete["operation"] == "DELETE" && delete["object"] == .null && delete[path: "oldObject", "data", "k"] == "2")
        #expect(delete["options"] == ["kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "gracePeriodSeconds": 3])
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a denial carries the webhook's code, reason and message")
    func denial() async throws {
        let hooks = try await WebhookServer.reviews { path, _ in
            switch path {
            case "/plain": ["allowed": false]
            case "/low": ["allowed": false, "status": ["code": 200, "reason": "Because"]]
            default: ["allowed": false, "status": ["code": 418, "reason": "Teapot", "message": "short and stout"], "warnings": ["careful"]]
            }
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        for (path, code, reason, message) in [
            ("/plain", 400, "", "admission webhook \"hook.example.com\" denied the request without explanation"),
            ("/low", 400, "Because", "admission webhook \"hook.example.com\" denied the request: Because"),
            ("/full", 418, "Teapot", "admission webhook \"hook.example.com\" denied the request: short and stout"),
        ] {
            try await test.configure("Validating", hooks, path: path)
            let error = await failure { try await test.create("configmaps", configMap("a")) }
            #expect(error?.code == code && error?.reason == reason && error?.message == message)
            try await test.delete("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "hook", namespace: nil)
        }
        try await test.create("configmaps", configMap("a"))
        await test.server.stop()
        await hooks.stop()
    }

    @Test("warnings of webhooks reach the client")
    func warnings() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in ["allowed": true, "warnings": ["this is \"odd\""]] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.configure("Validating", hooks, path: "/")
        let answer = await test.http(
            "POST", "/api/v1/namespaces/default/configmaps", ["Content-Type": "application/json"], body: configMap("a").jsonString)
        #expect(answer.status == 201)
        #expect(answer.fields["Warning"] == "299 - \"this is \\\"odd\\\"\"")
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a webhook that fails fails the request, or is passed over when its policy says so")
    func failurePolicy() async throws {
        let hooks = try await WebhookServer.start { head, _ in
            switch head.path {
            case "/slow":
                // Longer than any webhook may take; the client's leaving ends it.
                try? await Task.sleep(for: .seconds(60))
                return HTTPResponse(status: 200)
            case "/redirect": return HTTPResponse(status: 302, fields: ["Location": "https://127.0.0.1:1/"])
            case "/broken": return HTTPResponse(status: 500, fields: ["Content-Type": "text/plain"], body: .bytes(Array("secret".utf8)))
            case "/nothing": return HTTPResponse(status: 200, body: .bytes(Array("{}".utf8)))
            default: return HTTPResponse(status: 404)
            }
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        let base = "https://127.0.0.1:\(hooks.port)"
        let called = "Internal error occurred: failed calling webhook \"hook.example.com\": failed to call webhook: "
        for (path, text) in [
            ("/slow", "\(called)Post \"\(base)/slow?timeout=1s\": context deadline exceeded"),
            ("/redirect", "\(called)the server responded with the status code 302 but did not return more information"),
            ("/broken", "\(called)an error on the server (\"secret\") has prevented the request from succeeding"),
            ("/gone", "\(called)the server could not find the requested resource"),
            (
                "/nothing",
                "Internal error occurred: failed calling webhook \"hook.example.com\": received invalid webhook response: webhook response was absent"
            ),
        ] {
            try await test.configure("Validating", hooks, path: path) { $0["timeoutSeconds"] = 1 }
            let error = await failure { try await test.create("configmaps", configMap("a")) }
            #expect(error?.code == 500 && error?.message == text)
            try await test.delete("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "hook", namespace: nil)
        }
        try await test.configure("Validating", hooks, path: "/broken") { $0["failurePolicy"] = "Ignore" }
        try await test.configure("Mutating", hooks, path: "/redirect") { $0["failurePolicy"] = "Ignore" }
        try await test.create("configmaps", configMap("a"))
        await test.server.stop()
        await hooks.stop()
    }

    @Test("connections that cannot be made or trusted are told in the words of Go's client")
    func unreachable() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in ["allowed": true] }
        let other = try await WebhookServer.reviews { _, _ in ["allowed": true] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        let port = hooks.port
        let called = "Internal error occurred: failed calling webhook \"hook.example.com\": failed to call webhook: "
        func refused(_ change: (inout Value) -> Void) async throws -> String {
            try await test.configure("Validating", hooks, path: "/", change)
            let error = await failure { try await test.create("configmaps", configMap("a")) }
            try await test.delete("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "hook", namespace: nil)
            return error?.message ?? ""
        }
        let unknown = try await refused { $0[path: "clientConfig", "caBundle"] = other.caBundle }
        #expect(
            unknown == "\(called)Post \"https://127.0.0.1:\(port)/?timeout=10s\": tls: failed to verify certificate: x509: "
                + "certificate signed by unknown authority")
        let service = try await refused {
            $0["clientConfig"] = ["service": ["name": "s", "namespace": "default", "path": "/x"], "caBundle": hooks.caBundle]
        }
        #expect(service == "\(called)Post \"https://s.default.svc:443/x?timeout=10s\": service \"s\" not found")
        await other.stop()
        let closed = try await refused { $0[path: "clientConfig", "url"] = other.url("/") }
        #expect(
            closed == "\(called)Post \"https://127.0.0.1:\(other.port)/?timeout=10s\": dial tcp 127.0.0.1:\(other.port): connect: connection refused")
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a webhook behind a service is reached at a ready endpoint, under the service's name")
    func service() async throws {
        let hooks = try await WebhookServer.start(names: ["s.default.svc"]) { head, body in
            guard head.authority == "s.default.svc:8443", let review = try? JSONDocument(body).root else { return HTTPResponse(status: 500) }
            let answer: Value = [
                "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
                "response": ["uid": review["request"]["uid"].value ?? .null, "allowed": false, "status": ["message": "reached"]],
            ]
            return HTTPResponse(status: 200, body: .bytes(answer.jsonBytes))
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.create(
            "services",
            ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"], "spec": ["ports": [["name": "web", "port": 8443]]]])
        let slice: Value = [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": ["name": "s-1", "labels": ["kubernetes.io/service-name": "s"]],
            "ports": [["name": "web", "port": .int(Int64(hooks.port)), "protocol": "TCP"]],
            "endpoints": [
                ["addresses": ["127.0.0.9"], "conditions": ["ready": false]], ["addresses": ["127.0.0.1"], "conditions": ["ready": true]],
            ],
        ]
        try await test.create("discovery.k8s.io/v1/endpointslices", slice)
        try await test.configure("Validating", hooks, path: "/") {
            $0["clientConfig"] = [
                "service": ["name": "s", "namespace": "default", "port": 8443], "caBundle": $0[path: "clientConfig", "caBundle"] ?? .null,
            ]
        }
        let error = await failure { try await test.create("configmaps", configMap("a")) }
        #expect(error?.message == "admission webhook \"hook.example.com\" denied the request: reached")
        await test.server.stop()
        await hooks.stop()
    }
}
