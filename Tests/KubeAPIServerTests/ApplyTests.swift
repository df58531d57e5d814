import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

extension TestServer {
    /// Server-side apply as kubectl sends it.
    @discardableResult
    fileprivate func apply(
        _ resource: String, _ object: Value, manager: String = "applier", force: Bool = false, subresource: String? = nil, name: String? = nil,
        query: [(name: String, value: String)] = []
    ) async throws -> Object {
        var query = query + [("fieldManager", manager)]
        if force { query.append(("force", "true")) }
        return try await client.perform(
            KubeRequest(
                .patch, Self.resource(resource), namespace: "default", name: name ?? object[path: "metadata", "name"]?.string ?? "",
                subresource: subresource, query: query, body: object.jsonBytes, contentType: "application/apply-patch+yaml"))
    }
}

private func json(_ value: Value) -> [UInt8] { value.jsonBytes }

/// The entries of an object's managedFields, by `MANAGER/OPERATION[/SUBRESOURCE]`, as JSON.
private func owners(_ object: Object) -> [String: String] {
    var owners: [String: String] = [:]
    for entry in object["metadata"]["managedFields"].elements {
        let subresource = entry["subresource"]?.string.map { "/\($0)" } ?? ""
        owners["\(entry["manager"]?.string ?? "")/\(entry["operation"]?.string ?? "")\(subresource)"] = entry["fieldsV1"]?.value.jsonString ?? ""
    }
    return owners
}

@Suite("Server-side apply")
struct ApplyTests {
    private let deployments = "apps/v1/deployments"

    @Test("applying to a name that does not exist makes the object, with 201 and its owner")
    func create() async throws {
        let test = try await TestServer()
        let answer = await test.http(
            "PATCH", "/api/v1/namespaces/default/configmaps/a?fieldManager=me", ["Content-Type": "application/apply-patch+yaml"],
            body: configMap("a", ["k": "v"]).jsonString)
        #expect(answer.status == 201)
        let made = try await test.get("configmaps", "a")
        #expect(made["data"]["k"].string == "v")
        #expect(owners(made) == ["me/Apply": #"{"f:data":{"f:k":{}}}"#])
        #expect(made["metadata"]["managedFields"].elements.first?["time"]?.string != nil)
    }

    @Test("applying the same again changes nothing, not even the resourceVersion")
    func noChange() async throws {
        let test = try await TestServer()
        let first = try await test.apply(deployments, deployment("web", replicas: 2))
        let second = try await test.apply(deployments, deployment("web", replicas: 2))
        #expect(second.metadata.resourceVersion == first.metadata.resourceVersion)
        #expect(second.bytes == first.bytes)
    }

    @Test("a field that another manager changed is a conflict in upstream's words; force takes it")
    func conflict() async throws {
        let test = try await TestServer()
        try await test.apply(deployments, deployment("web", replicas: 2))
        _ = try await test.client.perform(
            KubeRequest(
                .patch, TestServer.resource(deployments), namespace: "default", name: "web", query: [("fieldManager", "kubectl-client-side-apply")],
                body: json(["spec": ["replicas": 3]]), contentType: "application/merge-patch+json"))
        let error = await failure { try await test.apply(deployments, deployment("web", replicas: 2)) }
        #expect(error?.code == 409)
        #expect(error?.reason == "Conflict")
        #expect(error?.message == #"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas"#)
        #expect(
            error?.details?.causes == [
                .init(reason: "FieldManagerConflict", message: #"conflict with "kubectl-client-side-apply" using apps/v1"#, field: ".spec.replicas")
            ])
        let forced = try await test.apply(deployments, deployment("web", replicas: 2), force: true)
        #expect(forced["spec"]["replicas"].int == 2)
        #expect(owners(forced)["kubectl-client-side-apply/Update"] == nil)
        #expect(owners(forced)["applier/Apply"]?.contains(#""f:replicas":{}"#) == true)
    }

    @Test("a field that its only owner applies no more goes; one that others own too stays")
    func removal() async throws {
        let test = try await TestServer()
        try await test.apply("configmaps", configMap("a", ["mine": "1", "both": "2"]), manager: "one")
        try await test.apply("configmaps", configMap("a", ["both": "2"]), manager: "two")
        let after = try await test.apply("configmaps", configMap("a"), manager: "one")
        #expect(after["data"].stringMap == ["both": "2"])
        #expect(owners(after) == ["two/Apply": #"{"f:data":{"f:both":{}}}"#])
    }

    @Test("elements of keyed lists belong to who applied them, with defaulted keys")
    func lists() async throws {
        let test = try await TestServer()
        func service(_ ports: Value) -> Value {
            ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"], "spec": ["clusterIP": "None", "ports": ports]]
        }
        try await test.apply("services", service([["name": "a", "port": 80]]), manager: "one")
        let both = try await test.apply("services", service([["name": "b", "port": 81, "protocol": "UDP"]]), manager: "two")
        #expect(both["spec"]["ports"].elements.map { $0["name"]?.string } == ["a", "b"])
        #expect(owners(both)["one/Apply"]?.contains(#"k:{\"port\":80,\"protocol\":\"TCP\"}"#) == true)
        let one = try await test.apply("services", service([]), manager: "one")
        #expect(one["spec"]["ports"].elements.map { $0["name"]?.string } == ["b"])
    }

    @Test("creates, updates and status patches are noted under the User-Agent or the fieldManager")
    func updates() async throws {
        let test = try await TestServer()
        let made = await test.http(
            "POST", "/apis/apps/v1/namespaces/default/deployments", ["User-Agent": "kubectl/v1.37.0 (linux/amd64)"],
            body: deployment("web").jsonString)
        #expect(made.status == 201)
        let object = try await test.get(deployments, "web")
        let fields = owners(object)["kubectl/Update"] ?? ""
        // As a stock server tells it: pointers that were set have a "." of their own, structs that are always there have none.
        #expect(
            fields.hasPrefix(#"{"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},"#), "\(fields)")
        #expect(fields.contains(#""f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}}"#), "\(fields)")
        #expect(fields.contains(#""f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"#), "\(fields)")
        #expect(
            fields.contains(#"{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"#), "\(fields)")
        _ = try await test.client.perform(
            KubeRequest(
                .patch, TestServer.resource(deployments), namespace: "default", name: "web", subresource: "status",
                query: [("fieldManager", "controller")], body: json(["status": ["replicas": 1], "spec": ["paused": true]]),
                contentType: "application/merge-patch+json"))
        let after = try await test.get(deployments, "web")
        #expect(owners(after)["controller/Update/status"] == #"{"f:status":{"f:replicas":{}}}"#)
        #expect(owners(after)["kubectl/Update"] == fields)
    }

    @Test("what admission and the server add has no owner, and a client that leaves managedFields out keeps them")
    func unowned() async throws {
        let test = try await TestServer()
        let made = try await test.create("configmaps", configMap("a", ["k": "1"]))
        #expect(owners(made) == ["tester/Update": #"{"f:data":{".":{},"f:k":{}}}"#])
        var tree = made.value
        tree[path: "metadata", "managedFields"] = nil
        tree[path: "data", "l"] = "2"
        let after = try await test.update("configmaps", tree)
        #expect(owners(after) == ["tester/Update": #"{"f:data":{".":{},"f:k":{},"f:l":{}}}"#])
        tree = after.value
        tree[path: "metadata", "managedFields"] = [[:]]
        #expect(try await test.update("configmaps", tree)["metadata"]["managedFields"] == nil)
    }

    @Test("the first apply to an object without owners gives what is there to before-first-apply")
    func beforeFirstApply() async throws {
        let test = try await TestServer()
        var tree = try await test.create("configmaps", configMap("a", ["k": "1"])).value
        tree[path: "metadata", "managedFields"] = []
        try await test.update("configmaps", tree)
        let error = await failure { try await test.apply("configmaps", configMap("a", ["k": "2"])) }
        #expect(error?.message == #"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k"#)
    }

    @Test("an eleventh updater is merged with the oldest into ancient-changes")
    func cap() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a", ["k": "v"]))
        for number in 0..<12 {
            _ = try await test.client.perform(
                KubeRequest(
                    .patch, TestServer.resource("configmaps"), namespace: "default", name: "a", query: [("fieldManager", "m\(number)")],
                    body: json(["data": Value(["k\(number)": "v"])]), contentType: "application/merge-patch+json"))
        }
        let object = try await test.get("configmaps", "a")
        #expect(object["metadata"]["managedFields"].elements.count <= ManagedFields.maximumUpdateManagers)
        #expect(owners(object)["ancient-changes/Update"] != nil)
    }

    @Test("a scale takes the replicas from who owned them, and an apply through scale conflicts with others")
    func scale() async throws {
        let test = try await TestServer()
        try await test.apply(deployments, deployment("web", replicas: 2))
        let patch: Value = ["spec": ["replicas": 4]]
        try await test.patch(deployments, "web", patch, subresource: "scale")
        let scaled = try await test.get(deployments, "web")
        #expect(owners(scaled)["tester/Update/scale"] == #"{"f:spec":{"f:replicas":{}}}"#)
        #expect(owners(scaled)["applier/Apply"]?.contains("f:replicas") == false)
        let sent: Value = ["apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": ["name": "web"], "spec": ["replicas": 5]]
        let error = await failure { try await test.apply(deployments, sent, manager: "hpa", subresource: "scale") }
        #expect(
            error?.message
                == #"Apply failed with 1 conflict: conflict with "tester" with subresource "scale" using autoscaling/v1: .spec.replicas"#)
        try await test.apply(deployments, sent, manager: "hpa", force: true, subresource: "scale")
        let after = try await test.get(deployments, "web")
        #expect(after["spec"]["replicas"].int == 5)
        #expect(owners(after)["hpa/Apply/scale"] == #"{"f:spec":{"f:replicas":{}}}"#)
        #expect(owners(after)["tester/Update/scale"] == nil)
    }

    @Test("status is applied through its own path, and ignored on the main one")
    func status() async throws {
        let test = try await TestServer()
        var sent = deployment("web")
        sent["status"] = ["replicas": 7]
        let made = try await test.apply(deployments, sent)
        #expect(made["status"]["replicas"].int == nil)
        #expect(owners(made)["applier/Apply"]?.contains("f:status") == false)
        let status: Value = ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"], "status": ["replicas": 7]]
        let after = try await test.apply(deployments, status, manager: "controller", subresource: "status")
        #expect(after["status"]["replicas"].int == 7)
        #expect(owners(after)["controller/Apply/status"] == #"{"f:status":{"f:replicas":{}}}"#)
    }

    @Test("kubectl takes over what client-side apply left without conflicts and keeps its annotation up to date")
    func clientSideApply() async throws {
        let test = try await TestServer()
        var object = configMap("a", ["k": "1"])
        object[path: "metadata", "annotations"] = ["kubectl.kubernetes.io/last-applied-configuration": .string(object.jsonString)]
        try await test.create("configmaps", object, query: [("fieldManager", "kubectl-client-side-apply")])
        let after = try await test.apply("configmaps", configMap("a", ["k": "2"]), manager: "kubectl")
        #expect(after["data"]["k"].string == "2")
        #expect(
            after.metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]
                == #"{"apiVersion":"v1","data":{"k":"2"},"kind":"ConfigMap","metadata":{"name":"a"}}"# + "\n")
    }

    @Test("what is no apply is refused in upstream's words")
    func refusals() async throws {
        let test = try await TestServer()
        let none = await failure { try await test.apply("configmaps", configMap("a"), manager: "") }
        #expect(none?.message == #"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#)
        var unknown = deployment("web")
        unknown[path: "spec", "foo"] = 1
        let field = await failure { try await test.apply(deployments, unknown) }
        #expect(field?.code == 500)
        #expect(
            field?.message
                == "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema")
        var nameless = deployment("web")
        nameless[path: "spec", "template", "spec", "containers"] = [["image": "nginx"]]
        let key = await failure { try await test.apply(deployments, nameless) }
        #expect(
            key?.message.hasSuffix(
                "containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)")
                == true)
        var managed = configMap("a")
        managed[path: "metadata", "managedFields"] = []
        #expect(await failure { try await test.apply("configmaps", managed) }?.message == "metadata.managedFields must be nil")
        var uid = configMap("a")
        uid[path: "metadata", "uid"] = "u"
        #expect(await failure { try await test.apply("configmaps", uid) }?.isConflict == true)
        let yaml = await test.http(
            "PATCH", "/api/v1/namespaces/default/configmaps/a?fieldManager=me", ["Content-Type": "application/apply-patch+yaml"],
            body: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {b: c}\n")
        #expect(yaml.status == 201)
        #expect(yaml.json["data"]["b"].string == "c")
        let force = await failure {
            try await test.client.perform(
                KubeRequest(
                    .patch, TestServer.resource("configmaps"), namespace: "default", name: "a", query: [("force", "true")], body: Array("{}".utf8),
                    contentType: "application/merge-patch+json"))
        }
        #expect(force?.message == #"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#)
        let twice = await test.http(
            "PATCH", "/api/v1/namespaces/default/configmaps/a?fieldManager=me&fieldValidation=Strict",
            ["Content-Type": "application/apply-patch+yaml"],
            body: #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1","k":"2"}}"#)
        #expect(twice.status == 400)
        #expect(twice.json["message"].string?.hasSuffix(#"line 1: key "k" already set in map"#) == true)
    }

    @Test("an approval is applied through its own path, which writes conditions and nothing else")
    func approval() async throws {
        let test = try await TestServer.withStrategies()
        let kind: (Value) -> Value = { part in
            var object: Value = ["apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["name": "r"]]
            for (name, value) in part.object ?? Members() { object[name] = value }
            return object
        }
        try await test.create(
            "certificates.k8s.io/v1/certificatesigningrequests",
            kind(["spec": ["request": .string(SigningRequestFixture.encoded), "signerName": "example.com/s", "usages": ["client auth"]]]),
            namespace: nil)
        let condition: Value = ["type": "Approved", "status": "True", "reason": "ByHand"]
        let wanted = kind(["spec": ["signerName": "example.com/other"], "status": ["certificate": "eA==", "conditions": [condition]]])
        let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests/r/approval?fieldManager=approver"
        let answer = await test.http("PATCH", path, ["Content-Type": "application/apply-patch+yaml"], body: wanted.jsonString)
        #expect(answer.status == 200, "\(answer.text)")
        let stored = try await test.get("certificates.k8s.io/v1/certificatesigningrequests", "r", namespace: nil)
        #expect(stored["status"]["conditions"].elements.compactMap { $0["reason"]?.string } == ["ByHand"])
        #expect(stored["status"]["certificate"] == nil && stored["spec"]["signerName"].string == "example.com/s")
        let owned = try #require(owners(stored)["approver/Apply/approval"])
        #expect(owned.contains("f:conditions") && !owned.contains("f:certificate") && !owned.contains("f:spec"))
        // Namespaces are finalized by PUT alone, as upstream's discovery says.
        try await test.makeNamespace("n")
        let finalize = await test.http("PATCH", "/api/v1/namespaces/n/finalize?fieldManager=x", ["Content-Type": "application/apply-patch+yaml"])
        #expect(finalize.status == 405)
        await test.server.stop()
    }

    @Test("a dry run of an apply shows the outcome and stores nothing")
    func dryRun() async throws {
        let test = try await TestServer()
        let shown = try await test.apply("configmaps", configMap("a", ["k": "v"]), query: [("dryRun", "All")])
        #expect(shown["data"]["k"].string == "v")
        #expect(await failure { try await test.get("configmaps", "a") }?.isNotFound == true)
    }
}
