import HTTPTransport
import KubeAPI
import KubeClient
import KubeStorage
import Testing

@testable import KubeAPIServer

@Suite("Filters")
struct PipelineTests {
    @Test("request paths are read as upstream reads them")
    func requestInfo() throws {
        func info(_ method: String, _ target: String) throws -> RequestInfo? {
            let path = target.prefix { $0 != "?" }
            return try RequestInfo(method: method, rawPath: path, query: QueryParameters(encoded: target.dropFirst(path.count + 1)))
        }
        let pods = try #require(try info("GET", "/api/v1/namespaces/default/pods?watch=true"))
        #expect(pods.verb == "watch" && pods.namespace == "default" && pods.resource == "pods")
        let old = try #require(try info("GET", "/api/v1/watch/namespaces/default/pods/a"))
        #expect(old.verb == "watch" && old.name == "a" && old.resource == "pods")
        let status = try #require(try info("PUT", "/api/v1/namespaces/x/status"))
        #expect(status.resource == "namespaces" && status.subresource == "status" && status.name == "x")
        let log = try #require(try info("GET", "/api/v1/namespaces/d/pods/p/log"))
        #expect(log.subresource == "log" && log.isLongRunning)
        let scale = try #require(try info("PATCH", "/apis/apps/v1/namespaces/d/deployments/web/scale"))
        #expect(scale.apiGroup == "apps" && scale.verb == "patch" && scale.subresource == "scale")
        let exec = try #require(try info("GET", "/api/v1/namespaces/d/pods/p/exec?command=ls"))
        #expect(exec.attributes(.anonymous).verb == "create")
        let collection = try #require(try info("DELETE", "/api/v1/namespaces/d/pods"))
        #expect(collection.verb == "deletecollection")
        let named = try #require(try info("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Dtoken"))
        #expect(named.verb == "list" && named.name == "token")
        let colon = try #require(try info("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"))
        #expect(colon.name == "system:node")
        #expect(try info("GET", "/apis/apps/v1")?.isResourceRequest == false)
        #expect(try info("GET", "/api/v1/")?.isResourceRequest == false)
    }

    @Test(
        "paths that try to leave their place are not found",
        arguments: [
            "/api/v1/namespaces/default/pods/..", "/api/v1/namespaces/..%2f..%2fsecrets", "/api/v1//pods", "/api/v1/namespaces/a%2fb/pods",
            "/api/v1/namespaces/%2e%2e/pods", "/api/v1/pods/%zz", "api/v1/pods", "/api/v1/namespaces/default/nodes/n", "/api/v1/pods/p",
            "/apis/apps/v1/namespaces/default/deployments/web/scale/more", "/api/v1/namespaces/default/foos", "/api/v1/namespaces/default/pods/p/foo",
        ])
    func oddPaths(path: String) async throws {
        let test = try await TestServer()
        #expect(await test.http("GET", path).status == 404)
    }

    @Test("without credentials only health and version are answered, the rest is 401 with a Status")
    func anonymous() async throws {
        let test = try await TestServer()
        for path in ["/healthz", "/livez", "/readyz", "/readyz?verbose", "/version"] {
            #expect(await test.http("GET", path, ["Authorization": "none"]).status == 200)
        }
        for path in ["/api", "/apis", "/metrics", "/api/v1/pods", "/openapi/v2"] {
            let answer = await test.http("GET", path, ["Authorization": "none"])
            #expect(answer.status == 401)
            #expect(answer.json["reason"].string == "Unauthorized")
        }
        #expect(await test.http("GET", "/version", ["Authorization": "Bearer junk"]).status == 401)
    }

    @Test("a refused request gets upstream's 403")
    func forbidden() async throws {
        let test = try await TestServer(authorizers: [MastersOnly()])
        let inNamespace = await test.http("GET", "/api/v1/namespaces/default/pods", ["Authorization": "Test x"])
        #expect(inNamespace.status == 403)
        #expect(
            inNamespace.json["message"].string
                == "pods is forbidden: User \"x\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"")
        let cluster = await test.http("DELETE", "/apis/apps/v1/namespaces/default/deployments/web/status", ["Authorization": "Test x"])
        #expect(
            cluster.json["message"].string
                == "deployments.apps \"web\" is forbidden: User \"x\" cannot delete resource \"deployments/status\" in "
                + "API group \"apps\" in the namespace \"default\""
        )
        let path = await test.http("GET", "/metrics", ["Authorization": "Test x"])
        #expect(path.json["message"].string == "forbidden: User \"x\" cannot get path \"/metrics\"")
    }

    @Test("impersonation acts as the other user, and only who may")
    func impersonation() async throws {
        let test = try await TestServer(authorizers: [MastersOnly()])
        let may = await test.http("GET", "/api/v1/pods", ["Impersonate-User": "jane"])
        #expect(may.status == 403)
        #expect(may.text.contains("User \\\"jane\\\" cannot list"))
        let asMaster = await test.http("GET", "/api/v1/pods", ["Impersonate-User": "jane", "Impersonate-Group": "system:masters"])
        #expect(asMaster.status == 200)
        let mayNot = await test.http("GET", "/api/v1/pods", ["Authorization": "Test x", "Impersonate-User": "jane"])
        // The refusal of the first mode that could have allowed it, as upstream's of 1.36.
        #expect(
            mayNot.text.contains("pods is forbidden: User \\\"x\\\" cannot impersonate-on:user-info:list resource \\\"pods\\\" in API group"))
        let nobody = await test.http("GET", "/api/v1/pods", ["Impersonate-Group": "devs"])
        #expect(nobody.status == 400)
        #expect(
            nobody.json["message"].string
                == "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"devs\"}, Extra:map[string][]string(nil)} "
                + "without impersonating a user name")
    }

    @Test("bodies over 3 MiB are 413, bodies of another form are 415")
    func bodies() async throws {
        let test = try await TestServer()
        let big = await test.http("POST", "/api/v1/namespaces/default/configmaps", body: String(repeating: " ", count: 3 * 1024 * 1024 + 1))
        #expect(big.status == 413)
        #expect(big.json["reason"].string == "RequestEntityTooLarge")
        let text = await test.http("POST", "/api/v1/namespaces/default/configmaps", ["Content-Type": "text/plain"], body: "a: b")
        #expect(text.status == 415)
        let junk = await test.http("POST", "/api/v1/namespaces/default/configmaps", body: "{")
        #expect(junk.status == 400)
        let deep = await test.http(
            "POST", "/api/v1/namespaces/default/configmaps", body: String(repeating: "[", count: 10_001) + String(repeating: "]", count: 10_001))
        #expect(deep.status == 400)
    }

    @Test("a server that is not ready says so, and answers 503 before it has started")
    func notReady() async throws {
        let server = APIServer(
            APIServer.Configuration(store: NeverStore(), version: VersionInfo(minor: "36", gitVersion: "v")) { _ in APIServer.Components() })
        let answer = await server.respond(to: TestServer.head("GET", "/api/v1/pods"), body: .empty)
        #expect(answer.status == 503)
        #expect(await server.respond(to: TestServer.head("GET", "/readyz"), body: .empty).status == 500)
        #expect(await server.respond(to: TestServer.head("GET", "/livez"), body: .empty).status == 200)
    }

    @Test("metrics count requests")
    func metrics() async throws {
        let test = try await TestServer()
        _ = await test.http("GET", "/api/v1/pods")
        let answer = await test.http("GET", "/metrics")
        #expect(
            answer.text.contains(
                "apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"pods\",scope=\"cluster\","
                    + "subresource=\"\",verb=\"LIST\",version=\"v1\"} 1"))
        for name in [
            "apiserver_request_duration_seconds_bucket", "apiserver_current_inflight_requests",
            "apiserver_storage_objects", "apiserver_flowcontrol_dispatched_requests_total", "authentication_attempts", "process_open_fds",
            "process_resident_memory_bytes", "kubernetes_build_info",
        ] { #expect(answer.text.contains("\n\(name)"), "\(name)") }
    }

    @Test("what a client writes does not become a label")
    func boundedLabels() async throws {
        let test = try await TestServer()
        for index in 0..<50 {
            _ = await test.http("GET", "/apis/made.up\(index)/v1/things\(index)")
            _ = await test.http("FETCH\(index)", "/api/v1/pods")
        }
        let text = await test.http("GET", "/metrics").text
        #expect(!text.contains("made.up"))
        #expect(!text.contains("things"))
        #expect(!text.contains("FETCH") && !text.contains("fetch"))
    }

    @Test("every check of health has a path, can be excluded, and fails until the default objects are there")
    func health() async throws {
        let server = APIServer(
            APIServer.Configuration(store: MemoryStore(), version: VersionInfo(minor: "36", gitVersion: "v")) { _ in
                APIServer.Components(authenticators: [TestAuthenticator()], authorizers: [AllowEverything()])
            })
        try await server.start()
        func get(_ target: String) async -> (Int, String) {
            let answer = await server.respond(to: TestServer.head("GET", target), body: .empty)
            guard case .bytes(let bytes) = answer.body else { return (answer.status, "") }
            return (answer.status, String(decoding: bytes, as: UTF8.self))
        }
        #expect(await get("/readyz").0 == 500)
        #expect(await get("/readyz").1.contains("[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n"))
        #expect(await get("/livez/poststarthook/rbac/bootstrap-roles").0 == 500)
        #expect(await get("/livez/etcd") == (200, "ok"))
        server.markReady()
        #expect(await get("/readyz") == (200, "ok"))
        #expect(await get("/readyz?verbose").1.hasSuffix("[+]shutdown ok\nreadyz check passed\n"))
        #expect(await get("/readyz?verbose&exclude=etcd").1.contains("[+]etcd excluded: ok\n"))
        let unknown = await get("/livez?verbose&exclude=nothing").1
        #expect(unknown.contains("warn: some health checks cannot be excluded: no matches for \"nothing\"\n"))
        #expect(await get("/livez/nothing").0 == 404)

        server.beginShutdown()
        #expect(await get("/readyz").1.contains("[-]shutdown failed"))
        #expect(await get("/livez").0 == 200)
        let sentAway = await server.respond(to: TestServer.head("GET", "/api/v1/pods"), body: .empty)
        #expect(sentAway.status == 429)
        #expect(sentAway.fields["Retry-After"] == "5")
        await server.stop()
    }

    @Test("a timeout that is no duration is refused, longer targets than any client needs too")
    func deadlines() async throws {
        let test = try await TestServer()
        let bad = await test.http("GET", "/api/v1/pods?timeout=soon")
        #expect(bad.status == 400)
        #expect(bad.json["message"].string == "invalid timeout specified in the request URL - time: invalid duration \"soon\"")
        #expect(await test.http("GET", "/api/v1/pods?timeout=34s").status == 200)
        #expect(await test.http("GET", "/api/v1/pods?a=\(String(repeating: "x", count: 40_000))").status == 414)
        #expect(GoDuration.parse("1m30.5s") == .milliseconds(90_500))
        #expect(GoDuration.parse("-2h") == .seconds(-7200))
        for junk in ["", "1", "s", "1x", "1..5s", "9999999999h"] { #expect(GoDuration.parse(junk) == nil, "\(junk)") }
    }

    @Test("every response names the audit's identifier, the client's own if it sent one")
    func auditID() async throws {
        let test = try await TestServer()
        #expect(await test.http("GET", "/api/v1/pods", ["Audit-ID": "mine"]).fields["Audit-Id"] == "mine")
        #expect(await test.http("GET", "/api/v1/pods").fields["Audit-Id"]?.count == 36)
    }
}
