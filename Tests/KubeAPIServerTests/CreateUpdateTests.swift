import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Creating and updating objects")
struct CreateUpdateTests {
    @Test("a created object has a uid, a creation time and a resourceVersion, and reads back the same")
    func create() async throws {
        let test = try await TestServer()
        let made = try await test.create("configmaps", configMap("a", ["k": "v"]))
        #expect(made.metadata.uid.count == 36)
        #expect(made.metadata.creationTimestamp != nil)
        #expect(made.metadata.namespace == "default")
        #expect(Int64(made.metadata.resourceVersion) ?? 0 > 0)
        #expect(try await test.get("configmaps", "a").bytes == made.bytes)
    }

    @Test("the name of an object that exists is refused with 409 AlreadyExists")
    func alreadyExists() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a"))
        let error = await failure { try await test.create("configmaps", configMap("a")) }
        #expect(error == .alreadyExists(GroupResource(group: "", resource: "configmaps"), "a"))
    }

    @Test("generateName makes distinct names of the base and five characters")
    func generateName() async throws {
        let test = try await TestServer()
        var object = configMap("x")
        object["metadata"] = ["generateName": "web-"]
        let one = try await test.create("configmaps", object)
        let two = try await test.create("configmaps", object)
        #expect(one.metadata.name.hasPrefix("web-") && one.metadata.name.count == 9)
        #expect(one.metadata.name != two.metadata.name)
    }

    @Test("a name that is no DNS subdomain is refused with 422 and upstream's words")
    func badName() async throws {
        let test = try await TestServer()
        let error = await failure { try await test.create("configmaps", configMap("Upper_Case")) }
        #expect(error?.code == 422)
        #expect(
            error?.message.hasPrefix(
                "ConfigMap \"Upper_Case\" is invalid: metadata.name: Invalid value: \"Upper_Case\": a lowercase RFC 1123 subdomain must") == true)
    }

    @Test("a Service's name may begin with a digit, and is a label still")
    func serviceNames() async throws {
        let test = try await TestServer()
        func service(_ name: String) -> Value { ["metadata": ["name": .string(name)], "spec": ["ports": [["port": 80]]]] }
        #expect(try await test.create("services", service("3scale")).metadata.name == "3scale")
        let dotted = await failure { try await test.create("services", service("a.b")) }
        #expect(dotted?.message.contains("must not contain dots") == true)
    }

    @Test("a namespace in the body other than the URL's is refused")
    func namespaceMismatch() async throws {
        let test = try await TestServer()
        var object = configMap("a")
        object[path: "metadata", "namespace"] = "other"
        let error = await failure { try await test.create("configmaps", object) }
        #expect(error?.message == "the namespace of the provided object does not match the namespace sent on the request")
    }

    @Test("a dry run answers the object and stores nothing")
    func dryRun() async throws {
        let test = try await TestServer()
        let made = try await test.create("configmaps", configMap("a"), query: [("dryRun", "All")])
        #expect(made.metadata.uid.count == 36)
        #expect(await failure { try await test.get("configmaps", "a") }?.isNotFound == true)
    }

    @Test("unknown fields are refused when strict, warned of by default")
    func fieldValidation() async throws {
        let test = try await TestServer()
        let body = #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dta":{"k":"v"}}"#
        let strict = await test.http("POST", "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", body: body)
        #expect(strict.status == 400)
        #expect(strict.text.contains("strict decoding error: unknown field \\\"dta\\\""))
        let warned = await test.http("POST", "/api/v1/namespaces/default/configmaps", body: body)
        #expect(warned.status == 201)
        #expect(warned.fields["Warning"] == #"299 - "unknown field \"dta\"""#)
    }

    @Test("a stale resourceVersion is refused with 409 Conflict")
    func staleVersion() async throws {
        let test = try await TestServer()
        let first = try await test.create("configmaps", configMap("a", ["k": "1"]))
        var tree = first.value
        tree["data"] = ["k": "2"]
        try await test.update("configmaps", tree)
        tree["data"] = ["k": "3"]
        let error = await failure { try await test.update("configmaps", tree) }
        #expect(error == .staleResourceVersion(GroupResource(group: "", resource: "configmaps"), "a"))
    }

    @Test("an update without a resourceVersion replaces what is there; one that names another UID is refused")
    func unconditional() async throws {
        let test = try await TestServer()
        let first = try await test.create("configmaps", configMap("a", ["k": "1"]))
        let second = try await test.update("configmaps", configMap("a", ["k": "2"]))
        #expect(second["data"]["k"].string == "2")
        #expect(second.metadata.uid == first.metadata.uid)
        #expect(second.metadata.creationTimestamp == first.metadata.creationTimestamp)
        var wrong = configMap("a", ["k": "3"])
        wrong[path: "metadata", "uid"] = "00000000-0000-0000-0000-000000000000"
        #expect(await failure { try await test.update("configmaps", wrong) }?.isConflict == true)
    }

    @Test("an update that changes nothing keeps the resourceVersion")
    func noChange() async throws {
        let test = try await TestServer()
        let first = try await test.create("configmaps", configMap("a", ["k": "1"]))
        let second = try await test.update("configmaps", first.value)
        #expect(second.metadata.resourceVersion == first.metadata.resourceVersion)
    }

    @Test("the name in the body must be the URL's")
    func nameMismatch() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a"))
        let answer = await test.http("PUT", "/api/v1/namespaces/default/configmaps/a", body: configMap("b").jsonString)
        #expect(answer.status == 400)
        #expect(answer.json["message"].string == "the name of the object (b) does not match the name on the URL (a)")
    }

    @Test("only leases and their like are made by an update; others are not found")
    func createOnUpdate() async throws {
        let test = try await TestServer()
        #expect(await failure { try await test.update("configmaps", configMap("none")) }?.isNotFound == true)
        let lease: Value = ["apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": "l"], "spec": ["holderIdentity": "me"]]
        let answer = await test.http("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", body: lease.jsonString)
        #expect(answer.status == 201)
    }

    @Test("generation counts changes of what is wanted, not of metadata or status")
    func generation() async throws {
        let test = try await TestServer()
        let made = try await test.create("apps/v1/deployments", deployment("web"))
        #expect(made.metadata.generation == 1)
        let labelled = try await test.patch("apps/v1/deployments", "web", ["metadata": ["labels": ["a": "b"]]])
        #expect(labelled.metadata.generation == 1)
        let scaled = try await test.patch("apps/v1/deployments", "web", ["spec": ["replicas": 3]])
        #expect(scaled.metadata.generation == 2)
    }

    @Test("status is written through its own path only, and that path writes nothing else")
    func statusSplit() async throws {
        let test = try await TestServer()
        var sent = deployment("web")
        sent["status"] = ["replicas": 9]
        let made = try await test.create("apps/v1/deployments", sent)
        #expect(made["status"]["replicas"].int == nil)
        let ignored = try await test.patch("apps/v1/deployments", "web", ["status": ["replicas": 9]])
        #expect(ignored["status"]["replicas"].int == nil)
        let written = try await test.patch("apps/v1/deployments", "web", ["status": ["replicas": 2], "spec": ["replicas": 7]], subresource: "status")
        #expect(written["status"]["replicas"].int == 2)
        #expect(written["spec"]["replicas"].int == 1)
        #expect(written.metadata.generation == 1)
    }

    @Test("the wrong kind and the wrong version in a body are refused")
    func wrongKind() async throws {
        let test = try await TestServer()
        let kind = await failure { try await test.create("configmaps", ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "a"]]) }
        #expect(kind?.code == 400)
        let version = await failure { try await test.create("configmaps", ["apiVersion": "v2", "kind": "ConfigMap", "metadata": ["name": "a"]]) }
        #expect(version?.message == "the API version in the data (v2) does not match the expected API version (v1)")
    }
}

@Suite("Patching objects")
struct PatchTests {
    @Test("merge, JSON and strategic merge patches each change what they say")
    func kinds() async throws {
        let test = try await TestServer()
        try await test.create("apps/v1/deployments", deployment("web"))
        let merged = try await test.patch("apps/v1/deployments", "web", ["spec": ["replicas": 2]])
        #expect(merged["spec"]["replicas"].int == 2)
        let json = try await test.patch(
            "apps/v1/deployments", "web", [["op": "replace", "path": "/spec/replicas", "value": 4]], type: "application/json-patch+json")
        #expect(json["spec"]["replicas"].int == 4)
        let image: Value = ["spec": ["template": ["spec": ["containers": [["name": "main", "image": "nginx:2"]]]]]]
        let strategic = try await test.patch("apps/v1/deployments", "web", image, type: "application/strategic-merge-patch+json")
        let container = strategic["spec"]["template"]["spec"]["containers"].elements.first
        #expect(container?["image"]?.string == "nginx:2")
        #expect(container?["name"]?.string == "main")
    }

    @Test("a patch that names a stale resourceVersion is refused, one that names none is tried again")
    func conflicts() async throws {
        let test = try await TestServer()
        let made = try await test.create("configmaps", configMap("a", ["k": "0"]))
        try await test.patch("configmaps", "a", ["data": ["k": "1"]])
        let stale: Value = ["metadata": ["resourceVersion": .string(made.metadata.resourceVersion)], "data": ["k": "2"]]
        #expect(await failure { try await test.patch("configmaps", "a", stale) }?.isConflict == true)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 { group.addTask { try await test.patch("configmaps", "a", ["data": ["n\(number)": "x"]]) } }
            try await group.waitForAll()
        }
        #expect(try await test.get("configmaps", "a")["data"].stringMap.count == 51)
    }

    @Test("types that are no patch are 415")
    func unsupported() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a"))
        #expect(await failure { try await test.patch("configmaps", "a", [:], type: "application/json") }?.code == 415)
    }
}
