import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("OpenAPI documents")
struct OpenAPITests {
    private static let documents = DiscoveryDocuments(version: VersionInfo(minor: "36", gitVersion: "v1.36.2"), serverAddress: "")

    private static func document(_ path: String) throws -> Value {
        try Value(json: try #require(try documents.document(path: path, accept: "application/json")).bytes)
    }

    @Test("operations have upstream's names, tags, actions and codes")
    func operations() throws {
        let paths = try #require(try Self.document("/openapi/v2")["paths"]?.object)
        func id(_ path: String, _ method: String) -> String? { paths[path]?[path: method, "operationId"]?.string }
        #expect(id("/api/v1/namespaces/{namespace}/pods", "get") == "listCoreV1NamespacedPod")
        #expect(id("/api/v1/namespaces/{namespace}/pods", "delete") == "deleteCoreV1CollectionNamespacedPod")
        #expect(id("/api/v1/pods", "get") == "listCoreV1PodForAllNamespaces")
        #expect(id("/api/v1/namespaces/{namespace}/pods/{name}/exec", "post") == "connectCoreV1PostNamespacedPodExec")
        #expect(id("/api/v1/nodes/{name}/proxy/{path}", "get") == "connectCoreV1GetNodeProxyWithPath")
        #expect(id("/api/v1/namespaces/{namespace}/pods/{name}/status", "patch") == "patchCoreV1NamespacedPodStatus")
        #expect(id("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}", "put") == "replaceRbacAuthorizationV1ClusterRole")
        #expect(id("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get") == "readAppsV1NamespacedDeploymentScale")
        #expect(id("/apis/apps/v1/watch/deployments", "get") == "watchAppsV1DeploymentListForAllNamespaces")
        #expect(id("/apis/flowcontrol.apiserver.k8s.io/v1/", "get") == "getFlowcontrolApiserverV1APIResources")
        #expect(id("/apis/apps/", "get") == "getAppsAPIGroup")
        let create = paths["/apis/apps/v1/namespaces/{namespace}/deployments"]?["post"]
        #expect(create?["tags"] == ["apps_v1"] && create?["x-kubernetes-action"] == "post")
        #expect(create?["responses"]?.object?.keys == ["200", "201", "202", "401"])
        let deletion = paths["/api/v1/namespaces/{namespace}/pods/{name}"]?["delete"]
        #expect(deletion?[path: "responses", "200", "schema", "$ref"] == "#/definitions/io.k8s.api.core.v1.Pod")
    }

    @Test("names of operations are unique, and every parameter of a path is declared")
    func consistency() throws {
        var seen: Set<String> = []
        for (path, item) in try #require(try Self.document("/openapi/v2")["paths"]?.object) {
            let declared = Set(item["parameters"]?.array?.filter { $0["in"] == "path" }.compactMap { $0["name"]?.string } ?? [])
            #expect(declared == Set(OperationWriter.pathParameters(path)), "\(path)")
            for (method, operation) in item.object ?? Members() where method != "parameters" {
                let id = operation["operationId"]?.string ?? ""
                #expect(seen.insert(id).inserted, "\(id)")
            }
        }
        #expect(seen.count > 600)
    }

    @Test("a document is asked for by its hash: the right one may be kept for ever, a stale one leads to the new")
    func hashes() async throws {
        let server = try await TestServer()
        let index = await server.http("GET", "/openapi/v3")
        let url = try #require(index.json["paths"]["apis/apps/v1"]["serverRelativeURL"].string)
        let answer = await server.http("GET", url)
        #expect(answer.status == 200)
        #expect(answer.fields["Cache-Control"] == "public, immutable")
        #expect(answer.fields["Expires"]?.hasSuffix(" GMT") ?? false)
        let etag = try #require(answer.fields["ETag"])
        #expect(url.hasSuffix("hash=" + etag.filter { $0 != "\"" }))
        let stale = await server.http("GET", "/openapi/v3/apis/apps/v1?hash=00")
        #expect(stale.status == 301)
        #expect(stale.fields["Location"] == url)
        let same = await server.http("GET", "/openapi/v3/apis/apps/v1", ["If-None-Match": "\"x\", W/\(etag)"])
        #expect(same.status == 304)
        #expect(same.body.isEmpty)
        let packed = await server.http("GET", "/openapi/v2", ["Accept-Encoding": "gzip"])
        #expect(packed.fields["Content-Encoding"] == "gzip")
        #expect(DocumentResponse.httpDate(Timestamp(seconds: 1_709_209_845)) == "Thu, 29 Feb 2024 12:30:45 GMT")
    }

    @Test("discovery comes in protobuf and YAML too")
    func discoveryFormats() async throws {
        let server = try await TestServer()
        let protobuf = await server.http("GET", "/apis/apps/v1", ["Accept": "application/vnd.kubernetes.protobuf"])
        #expect(protobuf.fields["Content-Type"] == "application/vnd.kubernetes.protobuf")
        let list = try ProtobufDecoder.decode(protobuf.body)
        #expect(list["groupVersion"] == "apps/v1")
        #expect(list["resources"]?.array?.contains { $0["name"] == "deployments/scale" } ?? false)
        let yaml = await server.http("GET", "/apis", ["Accept": "application/yaml"])
        #expect(yaml.text.hasPrefix("apiVersion: v1\ngroups:\n- name: "))
    }
}
