import HTTPTransport
import KubeAPI
import KubeClient
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
        #expect(mayNot.text.contains("users \\\"jane\\\" is forbidden: User \\\"x\\\" cannot impersonate resource \\\"users\\\""))
    }

    @Test("bodies over 3 MiB are 413, bodies of another form are 415")
    func bodies() async throws {
        let test = try await TestServer()
        let big = await test.http("POST", "/api/v1/namespaces/default/configmaps", body: String(repeating: " ", count: 3 * 1024 * 1024 + 1))
        #expect(big.status == 413)
        #expect(big.json["reason"].string == "RequestEntityTooLarge")
        let yaml = await test.http("POST", "/api/v1/namespaces/default/configmaps", ["Content-Type": "application/yaml"], body: "a: b")
        #expect(yaml.status == 415)
        let junk = await test.http("POST", "/api/v1/namespaces/default/configmaps", body: "{")
        #expect(junk.status == 400)
        let deep = await test.http(
            "POST", "/api/v1/namespaces/default/configmaps", body: String(repeating: "[", count: 10_001) + String(repeating: "]", count: 10_001))
        #expect(deep.status == 400)
    }

    @Test("more requests at once than allowed are 429 with Retry-After")
    func overload() async throws {
        let test = try await TestServer { $0.readOnlyInFlight = 0 }
        let answer = await test.http("GET", "/api/v1/pods", ["Authorization": "Test x"])
        #expect(answer.status == 429)
        #expect(answer.fields["Retry-After"] == "1")
        #expect(await test.http("GET", "/api/v1/pods").status == 200)
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
                "apiserver_request_total{code=\"200\",group=\"\",resource=\"pods\",scope=\"cluster\",subresource=\"\",verb=\"LIST\",version=\"v1\"} 1"
            ))
    }
}
