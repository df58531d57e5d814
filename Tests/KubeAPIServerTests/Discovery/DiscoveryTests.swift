import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite struct DiscoveryTests {
    static let documents = DiscoveryDocuments(version: VersionInfo(minor: "36+", gitVersion: "v1.36.2-eyrie"), serverAddress: "127.0.0.1:6443")

    func document(_ path: String, accept: String = "application/json") throws -> Value {
        let document = try #require(try Self.documents.document(path: path, accept: accept))
        return try Value(json: document.bytes)
    }

    @Test("every resource of the table is discovered, with its subresources")
    func resourceLists() throws {
        var found = 0
        for (group, versions) in ResourceTable.shared.groups {
            for version in versions {
                let list = try document(group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)")
                #expect(list["kind"] == "APIResourceList")
                found += list["resources"]?.array?.filter { $0["name"]?.string?.contains("/") == false }.count ?? 0
            }
        }
        #expect(found == ResourceTable.shared.rows.count)
        let eviction = try document("/api/v1")["resources"]?.array?.first { $0["name"] == "pods/eviction" }
        #expect(
            eviction == [
                "name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1", "kind": "Eviction",
                "verbs": ["create"],
            ])
    }

    @Test("groups come in upstream's order with their preferred versions")
    func groups() throws {
        let groups = try document("/apis")["groups"]?.array ?? []
        #expect(groups.compactMap { $0["name"]?.string }.prefix(3) == ["apiregistration.k8s.io", "apps", "events.k8s.io"])
        #expect(groups.first { $0["name"] == "autoscaling" }?["preferredVersion"] == ["groupVersion": "autoscaling/v2", "version": "v2"])
        #expect(try document("/apis/apps")["kind"] == "APIGroup")
        #expect(try document("/api")["versions"] == ["v1"])
    }

    @Test("the aggregated form is given to those who ask for it first")
    func aggregated() throws {
        let asked =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
        let document = try #require(try Self.documents.document(path: "/apis", accept: asked))
        #expect(document.contentType == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        let list = try Value(json: document.bytes)
        #expect(list["apiVersion"] == "apidiscovery.k8s.io/v2")
        let apps = list["items"]?.array?.first { $0[path: "metadata", "name"] == "apps" }
        let deployments = apps?["versions"]?.array?.first?["resources"]?.array?.first { $0["resource"] == "deployments" }
        #expect(deployments?["scope"] == "Namespaced" && deployments?["singularResource"] == "deployment")
        #expect(deployments?["subresources"]?.array?.count == 2)
        let core = try self.document("/api", accept: asked)
        #expect(core["items"]?.array?.count == 1)
        #expect(try self.document("/apis", accept: "application/json, */*")["kind"] == "APIGroupList")
    }

    @Test("what is not served has no document")
    func missing() throws {
        for path in ["/apis/nope", "/apis/apps/v9", "/api/v2", "/openapi/v3/apis/nope/v1", "/other", "/", "/openapi"] {
            #expect(try Self.documents.document(path: path, accept: "*/*") == nil)
        }
    }

    @Test("OpenAPI v3 lists every group and version, and each document's references lead somewhere")
    func openAPIv3() throws {
        let paths = try #require(try document("/openapi/v3")["paths"]?.object)
        #expect(paths.count == ResourceTable.shared.groups.reduce(0) { $0 + $1.versions.count })
        for (name, entry) in paths {
            let url = try #require(entry["serverRelativeURL"]?.string)
            #expect(url.hasPrefix("/openapi/v3/\(name)?hash="))
            let document = try document("/openapi/v3/\(name)")
            let schemas = Set(document[path: "components", "schemas"]?.object?.keys ?? [])
            for reference in Self.references(document) {
                #expect(reference.hasPrefix("#/components/schemas/") && schemas.contains(String(reference.dropFirst(21))), "\(reference)")
            }
        }
        let apps = try document("/openapi/v3/apis/apps/v1")
        let patch = apps["paths"]?["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]?["patch"]
        #expect(patch?["x-kubernetes-group-version-kind"] == ["group": "apps", "kind": "Deployment", "version": "v1"])
        #expect(patch?["parameters"]?.array?.contains { $0["name"] == "fieldValidation" } == true)
        #expect(patch?[path: "requestBody", "content"]?["application/strategic-merge-patch+json"] != nil)
        let containers = apps[path: "components", "schemas", "io.k8s.api.core.v1.PodSpec", "properties", "containers"]
        #expect(containers?["x-kubernetes-patch-merge-key"] == "name" && containers?["x-kubernetes-patch-strategy"] == "merge")
    }

    @Test("OpenAPI v2 is JSON or protobuf, its references lead somewhere")
    func openAPIv2() throws {
        let document = try document("/openapi/v2")
        let definitions = Set(document["definitions"]?.object?.keys ?? [])
        #expect(Self.references(document).allSatisfy { definitions.contains(String($0.dropFirst(14))) })
        let protobuf = try Self.documents.document(path: "/openapi/v2", accept: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
        // Field 1, `swagger`: "2.0".
        #expect(protobuf?.bytes.starts(with: [10, 3] + Array("2.0".utf8)) == true)
        #expect(throws: StatusError.self) { try Self.documents.document(path: "/openapi/v2", accept: "text/plain") }
    }

    @Test("custom resources appear in discovery and OpenAPI")
    func customResources() throws {
        var table = ResourceTable.shared
        table.add(ResourceRow(group: "a.example", version: "v1", resource: "foos", kind: "Foo", namespaced: true, isCustom: true))
        let documents = DiscoveryDocuments(resources: table, version: VersionInfo(minor: "36", gitVersion: "v1.36.2"), serverAddress: "")
        let list = try Value(json: try #require(try documents.document(path: "/apis/a.example/v1", accept: "")).bytes)
        #expect(list["resources"]?.array?.first?["name"] == "foos")
        let openAPI = try Value(json: try #require(try documents.document(path: "/openapi/v3/apis/a.example/v1", accept: "")).bytes)
        #expect(openAPI[path: "components", "schemas", "example.a.v1.Foo"]?["x-kubernetes-preserve-unknown-fields"] == true)
    }

    static func references(_ value: Value) -> Set<String> {
        switch value {
        case .object(let members):
            members.reduce(into: []) { all, member in
                if member.0 == "$ref", let text = member.1.string { all.insert(text) } else { all.formUnion(references(member.1)) }
            }
        case .array(let items): items.reduce(into: []) { $0.formUnion(references($1)) }
        default: []
        }
    }
}
