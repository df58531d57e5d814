import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Aggregation of extension API servers")
struct AggregationTests {
    /// An extension server of `flunders` in wardle.example.com/v1alpha1.
    private static func extensionServer() async throws -> WebhookServer {
        try await WebhookServer.start(names: ["api.default.svc"]) { head, body in
            func json(_ value: Value) -> HTTPResponse {
                HTTPResponse(status: 200, fields: ["Content-Type": "application/json"], body: .bytes(value.jsonBytes))
            }
            switch head.path {
            case "/apis/wardle.example.com/v1alpha1":
                return json([
                    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wardle.example.com/v1alpha1",
                    "resources": [
                        ["name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": ["get", "list"]],
                        ["name": "flunders/status", "singularName": "", "namespaced": true, "kind": "Flunder", "verbs": ["get"]],
                    ],
                ])
            case "/openapi/v3":
                return json([
                    "paths": ["apis/wardle.example.com/v1alpha1": ["serverRelativeURL": "/openapi/v3/apis/wardle.example.com/v1alpha1?hash=1"]]
                ])
            case "/openapi/v2":
                return json([
                    "swagger": "2.0", "paths": ["/apis/wardle.example.com/v1alpha1/flunders": ["get": [:]], "/elsewhere/": [:]],
                    "definitions": ["com.example.wardle.Flunder": ["type": "object"]],
                ])
            case "/apis/wardle.example.com/v1alpha1/flunders" where head.query.contains("redirect"):
                return HTTPResponse(status: 302, fields: ["Location": "https://elsewhere.example.com/"])
            case "/openapi/v3/apis/wardle.example.com/v1alpha1": return json(["openapi": "3.0.0"])
            default:
                let fields = head.fields.fields.map { "\($0.name)=\($0.value)" }.joined(separator: "\n")
                return HTTPResponse(
                    status: 200, fields: ["Content-Type": "text/plain"],
                    body: .bytes(Array("\(head.method) \(head.target)\n\(fields)\n\n".utf8) + body))
            }
        }
    }

    private static func apiService(_ server: WebhookServer) -> Value {
        [
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": ["name": "v1alpha1.wardle.example.com"],
            "spec": [
                "group": "wardle.example.com", "version": "v1alpha1", "groupPriorityMinimum": 2000, "versionPriority": 15,
                "service": ["namespace": "default", "name": "api"], "caBundle": server.caBundle,
            ],
        ]
    }

    private static let resource = "apiregistration.k8s.io/v1/apiservices"

    private static func makeService(_ test: TestServer, port: Int) async throws {
        try await test.create(
            "services", ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "api"], "spec": ["ports": [["port": 443]]]])
        try await test.create(
            "discovery.k8s.io/v1/endpointslices",
            [
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": ["name": "api-1", "labels": ["kubernetes.io/service-name": "api"]], "ports": [["name": "", "port": .int(Int64(port))]],
                "endpoints": [["addresses": ["127.0.0.1"], "conditions": ["ready": true]]],
            ])
    }

    /// Waits until the APIService's condition has this reason; returns the condition.
    private static func condition(_ test: TestServer, _ reason: String) async throws -> JSONView? {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let service = try await test.get(resource, "v1alpha1.wardle.example.com", namespace: nil)
            let condition = service["status"]["conditions"].elements.first
            if condition["reason"].string == reason { return condition }
            try await Task.sleep(for: .milliseconds(5))
        }
        return nil
    }

    /// Waits until the extension is not only said to be available, but requests go there: the server learns of it by watch, a moment later.
    private static func served(_ test: TestServer) async throws {
        #expect(try await condition(test, "Passed") != nil)
        for _ in 0..<1_000 where await test.http("GET", "/apis/wardle.example.com/v1alpha1/flunders").status == 503 {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private static func server() async throws -> TestServer {
        try await TestServer { configuration in
            configuration.components = { _ in
                APIServer.Components(
                    authenticators: [TestAuthenticator()], authorizers: [AllowEverything()], strategies: [.apiServices: APIServiceStrategy()])
            }
        }
    }

    @Test("an APIService becomes available step by step, and each step is told in upstream's words")
    func availability() async throws {
        let remote = try await Self.extensionServer()
        let test = try await Self.server()
        try await test.create(Self.resource, Self.apiService(remote), namespace: nil)
        let missing = try #require(try await Self.condition(test, "ServiceNotFound"))
        #expect(missing["message"].string == "service/api in \"default\" is not present" && missing["status"].string == "False")
        let before = await test.http("GET", "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders")
        #expect(before.status == 503 && before.text == "service unavailable\n")
        try await test.create(
            "services", ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "api"], "spec": ["ports": [["port": 444]]]])
        #expect(try await Self.condition(test, "ServicePortError")?["message"].string == "service/api in \"default\" is not listening on port 443")
        try await test.patch("services", "api", ["spec": ["ports": [["port": 443]]]])
        #expect(try await Self.condition(test, "EndpointsNotFound")?["message"].string == "cannot find endpoints for service/api in \"default\"")
        try await test.delete("services", "api")
        #expect(try await Self.condition(test, "ServiceNotFound") != nil)
        try await Self.makeService(test, port: remote.port)
        #expect(try await Self.condition(test, "Passed")?["message"].string == "all checks passed")
        await remote.stop()
        // The request that finds nobody has the check made at once, long before its time.
        #expect(await test.http("GET", "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders").status == 503)
        let failed = try #require(try await Self.condition(test, "FailedDiscoveryCheck"))
        let url = "https://api.default.svc:443/apis/wardle.example.com/v1alpha1"
        #expect(
            failed["message"].string
                == "failing or missing response from \(url): Get \"\(url)\": dial tcp 127.0.0.1:\(remote.port): connect: connection refused")
        await test.server.stop()
    }

    @Test("requests go to the extension server with the user in header fields and without credentials")
    func proxying() async throws {
        let remote = try await Self.extensionServer()
        let test = try await Self.server()
        try await Self.makeService(test, port: remote.port)
        try await test.create(Self.resource, Self.apiService(remote), namespace: nil)
        try await Self.served(test)
        let fields: HTTPFields = ["Authorization": "Test ann,dev,ops", "X-Remote-User": "root", "X-Remote-Group": "system:masters"]
        let answer = await test.http(
            "POST", "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders?dryRun=All", fields, body: "{\"kind\":\"Flunder\"}")
        #expect(answer.status == 200)
        let lines = answer.text.split(separator: "\n").map(String.init)
        #expect(lines.first == "POST /apis/wardle.example.com/v1alpha1/namespaces/default/flunders?dryRun=All")
        #expect(
            lines.filter { $0.hasPrefix("X-Remote-") } == [
                "X-Remote-User=ann", "X-Remote-Group=dev", "X-Remote-Group=ops", "X-Remote-Group=system:authenticated",
            ])
        #expect(lines.contains("Host=api.default.svc:443") && !lines.contains { $0.hasPrefix("Authorization") })
        #expect(lines.last == "{\"kind\":\"Flunder\"}")
        let away = await test.http("GET", "/apis/wardle.example.com/v1alpha1/flunders?redirect")
        #expect(away.status == 502 && away.text == "the backend attempted to redirect this request, which is not permitted")
        let group = await test.http("GET", "/apis/wardle.example.com/v1alpha1")
        #expect(group.json["kind"].string == "APIResourceList")
        await test.server.stop()
        await remote.stop()
    }

    @Test("discovery and OpenAPI show what extension servers serve, and mark what is stale")
    func documents() async throws {
        let remote = try await Self.extensionServer()
        let test = try await Self.server()
        try await Self.makeService(test, port: remote.port)
        let plain = await test.http("GET", "/apis")
        try await test.create(Self.resource, Self.apiService(remote), namespace: nil)
        try await Self.served(test)
        let groups = await test.http("GET", "/apis").json["groups"].elements.compactMap { $0["name"].string }
        #expect(groups.last == "wardle.example.com" && groups.count == plain.json["groups"].elements.count + 1)
        let group = await test.http("GET", "/apis/wardle.example.com").json
        #expect(group["kind"].string == "APIGroup" && group["preferredVersion"]["version"].string == "v1alpha1")
        let accept: HTTPFields = ["Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"]
        func version() async -> JSONView? {
            await test.http("GET", "/apis", accept).json["items"].elements.last["versions"].elements.first
        }
        let current = await version()
        #expect(current["freshness"].string == "Current")
        let entry = current["resources"].elements.first
        #expect(entry["resource"].string == "flunders" && entry["scope"].string == "Namespaced")
        #expect(entry["responseKind"].value == ["group": "wardle.example.com", "version": "v1alpha1", "kind": "Flunder"])
        #expect(entry["subresources"].elements.first["subresource"].string == "status")
        let served = try test.server.extensionResources
        #expect(served.rows.map(\.groupVersionResource) == [.init(group: "wardle.example.com", version: "v1alpha1", resource: "flunders")])
        #expect(served.rows.first?.namespaced == true && served.rows.first?.verbs == ["get", "list"] && served.failures.isEmpty)
        let deadline = ContinuousClock.now + .seconds(30)
        var index: JSONView?
        while ContinuousClock.now < deadline, index["paths"]["apis/wardle.example.com/v1alpha1"] == nil {
            index = await test.http("GET", "/openapi/v3").json
        }
        #expect(
            index["paths"]["apis/wardle.example.com/v1alpha1"]["serverRelativeURL"].string
                == "/openapi/v3/apis/wardle.example.com/v1alpha1?hash=1")
        #expect(await test.http("GET", "/openapi/v3/apis/wardle.example.com/v1alpha1?hash=1").json["openapi"].string == "3.0.0")
        let v2 = await test.http("GET", "/openapi/v2").json
        #expect(v2["paths"]["/apis/wardle.example.com/v1alpha1/flunders"] != nil && v2["paths"]["/elsewhere/"] == nil)
        #expect(v2["definitions"]["com.example.wardle.Flunder"] != nil)
        await remote.stop()
        try await test.delete("discovery.k8s.io/v1/endpointslices", "api-1")
        #expect(try await Self.condition(test, "EndpointsNotFound") != nil)
        #expect(await version()["freshness"].string == "Stale")
        let lost = try test.server.extensionResources
        #expect(lost.rows.isEmpty && lost.failures == ["wardle.example.com/v1alpha1": "stale GroupVersion discovery: wardle.example.com/v1alpha1"])
        try await test.delete(Self.resource, "v1alpha1.wardle.example.com", namespace: nil)
        #expect(await test.http("GET", "/apis").text == plain.text)
        await test.server.stop()
    }

    @Test("local APIServices are available at once; those of others are checked in upstream's words")
    func validation() async throws {
        let test = try await Self.server()
        let local: Value = [
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": ["name": "v1.apps"],
            "spec": ["group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15],
        ]
        let made = try await test.create(Self.resource, local, namespace: nil)
        #expect(made["status"]["conditions"].elements.first["reason"].string == "Local")
        var wrong = local
        wrong["metadata"] = ["name": "x"]
        wrong["spec"] = [
            "group": "Apps", "version": "V1", "groupPriorityMinimum": 20001, "versionPriority": 0, "insecureSkipTLSVerify": true, "caBundle": "YQ==",
        ]
        let error = await failure { try await test.create(Self.resource, wrong, namespace: nil) }
        let found = (error?.details?.causes ?? []).map { "\($0.field): \($0.message)" }
        #expect(found.first == "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"V1.Apps\"")
        #expect(found.contains("spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000"))
        #expect(found.contains("spec.versionPriority: Invalid value: 0: must be positive and less than 1000"))
        #expect(found.contains("spec.caBundle: Invalid value: \"1 bytes\": local APIServices may not have a caBundle"))
        await test.server.stop()
    }
}
