import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Deleting objects")
struct DeletionTests {
    @Test("a deleted object is gone, and the answer is a Status that names it")
    func delete() async throws {
        let test = try await TestServer()
        let made = try await test.create("configmaps", configMap("a"))
        let status = try await test.delete("configmaps", "a")
        #expect(status.kind == "Status")
        #expect(status["details"]["uid"].string == made.metadata.uid)
        #expect(await failure { try await test.get("configmaps", "a") } == .notFound(GroupResource(group: "", resource: "configmaps"), "a"))
        #expect(await failure { try await test.delete("configmaps", "a") }?.isNotFound == true)
    }

    @Test("a running pod is marked with its grace period, can be hurried, and goes when the kubelet deletes it with 0")
    func grace() async throws {
        let test = try await TestServer()
        try await test.create("pods", pod("p", node: "n1"))
        let marked = try await test.delete("pods", "p")
        #expect(marked.metadata.deletionGracePeriodSeconds == 30)
        #expect(marked.metadata.isBeingDeleted)
        let longer = try await test.delete("pods", "p", options: ["gracePeriodSeconds": 60])
        #expect(longer.metadata.deletionGracePeriodSeconds == 30)
        let hurried = try await test.delete("pods", "p", options: ["gracePeriodSeconds": 5])
        #expect(hurried.metadata.deletionGracePeriodSeconds == 5)
        if let before = marked.metadata.deletionTimestamp, let after = hurried.metadata.deletionTimestamp { #expect(after < before) }
        try await test.delete("pods", "p", options: ["gracePeriodSeconds": 0])
        #expect(await failure { try await test.get("pods", "p") }?.isNotFound == true)
    }

    @Test("a pod on no node, or one that has ended, goes at once")
    func immediate() async throws {
        let test = try await TestServer()
        try await test.create("pods", pod("pending"))
        let gone = try await test.delete("pods", "pending")
        #expect(gone.kind == "Pod")
        #expect(await failure { try await test.get("pods", "pending") }?.isNotFound == true)
        try await test.create("pods", pod("done", node: "n1"))
        try await test.patch("pods", "done", ["status": ["phase": "Succeeded"]], subresource: "status")
        try await test.delete("pods", "done")
        #expect(await failure { try await test.get("pods", "done") }?.isNotFound == true)
    }

    @Test("finalizers hold an object until the last is taken off")
    func finalizers() async throws {
        let test = try await TestServer()
        var object = configMap("a")
        object[path: "metadata", "finalizers"] = ["example.com/hold"]
        try await test.create("configmaps", object)
        let held = try await test.delete("configmaps", "a")
        #expect(held.metadata.isBeingDeleted)
        #expect(held.metadata.deletionGracePeriodSeconds == 0)
        let added = await failure { try await test.patch("configmaps", "a", ["metadata": ["finalizers": ["example.com/hold", "example.com/new"]]]) }
        #expect(added?.code == 422)
        try await test.patch("configmaps", "a", ["metadata": ["finalizers": .null]])
        #expect(await failure { try await test.get("configmaps", "a") }?.isNotFound == true)
    }

    @Test(
        "the propagation policy becomes the garbage collector's finalizer", arguments: [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
    func propagation(policy: String, finalizer: String) async throws {
        let test = try await TestServer()
        try await test.create("apps/v1/deployments", deployment("web"))
        let marked = try await test.delete("apps/v1/deployments", "web", options: ["propagationPolicy": .string(policy)])
        #expect(marked.metadata.finalizers == [finalizer])
        #expect(marked.metadata.isBeingDeleted)
        // The controller takes its finalizer off.
        try await test.patch("apps/v1/deployments", "web", ["metadata": ["finalizers": .null]])
        #expect(await failure { try await test.get("apps/v1/deployments", "web") }?.isNotFound == true)
    }

    @Test(
        "a Job's and a ReplicationController's pods stay unless the deletion says otherwise",
        arguments: [
            ("batch/v1/jobs", nil, ["orphan"]), ("replicationcontrollers", nil, ["orphan"]),
            ("batch/v1/jobs", ["orphanDependents": true], ["orphan"]),
            ("replicationcontrollers", ["propagationPolicy": "Foreground"], ["foregroundDeletion"]), ("apps/v1/replicasets", nil, nil),
            ("batch/v1/jobs", ["propagationPolicy": "Background"], nil), ("batch/v1/jobs", ["orphanDependents": false], nil),
            ("batch/v1/cronjobs", nil, nil),
        ] as [(String, Value?, [String]?)])
    func defaultPropagation(resource: String, options: Value?, finalizers: [String]?) async throws {
        let test = try await TestServer()
        try await test.create(resource, ["metadata": ["name": "x"]])
        try await test.delete(resource, "x", options: options)
        if let finalizers {
            #expect(try await test.get(resource, "x").metadata.finalizers == finalizers)
        } else {
            #expect(await failure { try await test.get(resource, "x") }?.isNotFound == true)
        }
    }

    @Test("a finalizer of the Job itself overrides the default")
    func ownFinalizer() async throws {
        let test = try await TestServer()
        try await test.create("batch/v1/jobs", ["metadata": ["name": "x", "finalizers": ["foregroundDeletion"]]])
        try await test.delete("batch/v1/jobs", "x")
        #expect(try await test.get("batch/v1/jobs", "x").metadata.finalizers == ["foregroundDeletion"])
    }

    @Test("who deletes Jobs without a word about their pods is warned, once for a collection")
    func jobWarning() async throws {
        let test = try await TestServer()
        for name in ["a", "b", "c"] { try await test.create("batch/v1/jobs", ["metadata": ["name": .string(name)]]) }
        let path = "/apis/batch/v1/namespaces/default/jobs"
        let warning =
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
            + "propagationPolicy=Orphan to suppress this warning"
        #expect(await test.http("DELETE", "\(path)/a").fields.all("Warning") == ["299 - \"\(warning)\""])
        #expect(await test.http("DELETE", path).fields.all("Warning") == ["299 - \"\(warning)\""])
        #expect(await test.http("DELETE", "\(path)/b?propagationPolicy=Orphan").fields.all("Warning").isEmpty)
        #expect(await test.http("DELETE", "\(path)?propagationPolicy=Background").fields.all("Warning").isEmpty)
    }

    @Test("a precondition that does not hold is refused with 409")
    func preconditions() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a"))
        let error = await failure { try await test.delete("configmaps", "a", options: ["preconditions": ["uid": "other"]]) }
        #expect(error?.isConflict == true)
        #expect(error?.message.contains("the UID in the precondition (other) does not match the UID in record") == true)
    }

    @Test("a collection is deleted by selector")
    func collection() async throws {
        let test = try await TestServer()
        for name in ["a", "b", "c"] { try await test.create("configmaps", configMap(name, labels: ["keep": name == "c" ? "yes" : "no"])) }
        let answer = await test.http("DELETE", "/api/v1/namespaces/default/configmaps?labelSelector=keep%3Dno")
        #expect(answer.status == 200)
        #expect(try await test.list("configmaps")["items"].elements.map { $0["metadata"]["name"].string } == ["c"])
    }

    @Test("a namespace terminates until its finalizer is taken off through finalize")
    func namespace() async throws {
        let test = try await TestServer()
        let sent: Value = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "n"], "spec": ["finalizers": ["kubernetes"]]]
        try await test.create("namespaces", sent, namespace: nil)
        let marked = try await test.delete("namespaces", "n", namespace: nil)
        #expect(marked["status"]["phase"].string == "Terminating")
        #expect(try await test.get("namespaces", "n", namespace: nil).metadata.isBeingDeleted)
        var emptied = marked.value
        emptied["spec"] = [:]
        try await test.update("namespaces", emptied, namespace: nil, subresource: "finalize")
        #expect(await failure { try await test.get("namespaces", "n", namespace: nil) }?.isNotFound == true)
    }
}
