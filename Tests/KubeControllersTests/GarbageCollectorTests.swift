import KubeAPI
import Testing

@testable import KubeControllers

private func owned(
    _ uid: String, by owners: [String] = [], block: Bool = true, finalizers: [String] = [], deleting: Bool = false
) throws -> Object {
    var metadata: Value = ["name": .string(uid), "namespace": "default", "uid": .string(uid)]
    if !owners.isEmpty {
        metadata["ownerReferences"] = .array(
            owners.map { OwnerReference(apiVersion: "apps/v1", kind: "ReplicaSet", name: $0, uid: $0, blockOwnerDeletion: block).value })
    }
    if !finalizers.isEmpty { metadata["finalizers"] = Value(finalizers) }
    if deleting { metadata["deletionTimestamp"] = .string(epoch.rfc3339) }
    return try object(["apiVersion": "v1", "kind": "Pod", "metadata": metadata])
}

private func graph() -> DependencyGraph { DependencyGraph { _, kind in kind != "Node" } }

@Suite("Garbage collection: the graph")
struct DependencyGraphTests {
    @Test("when an owner goes, its dependents are looked at")
    func ownerGone() throws {
        var graph = graph()
        _ = graph.observe(try owned("rs"), apiVersion: "apps/v1", kind: "ReplicaSet")
        #expect(graph.observe(try owned("pod", by: ["rs"]), apiVersion: "v1", kind: "Pod").isEmpty)
        #expect(graph.observeDeletion(uid: "rs") == [.attemptToDelete(uid: "pod")])
    }

    @Test("an owner that was never seen is looked for; found, it is an ordinary node")
    func virtualOwner() throws {
        var graph = graph()
        #expect(graph.observe(try owned("pod", by: ["rs"]), apiVersion: "v1", kind: "Pod") == [.attemptToDelete(uid: "rs")])
        #expect(graph.nodes["rs"]?.isVirtual == true)
        #expect(graph.nodes["rs"]?.identity.namespace == "default")
        _ = graph.observe(try owned("rs"), apiVersion: "apps/v1", kind: "ReplicaSet")
        #expect(graph.nodes["rs"]?.isVirtual == false)
        #expect(graph.nodes["rs"]?.dependents == ["pod"])
    }

    @Test("foreground deletion looks at the dependents, then at the owner as each goes")
    func foreground() throws {
        var graph = graph()
        _ = graph.observe(try owned("rs"), apiVersion: "apps/v1", kind: "ReplicaSet")
        _ = graph.observe(try owned("pod", by: ["rs"]), apiVersion: "v1", kind: "Pod")
        let work = graph.observe(try owned("rs", finalizers: ["foregroundDeletion"], deleting: true), apiVersion: "apps/v1", kind: "ReplicaSet")
        #expect(work == [.attemptToDelete(uid: "pod"), .attemptToDelete(uid: "rs")])
        #expect(graph.blockingDependents(of: "rs").map(\.identity.uid) == ["pod"])
        #expect(graph.observe(try owned("rs", finalizers: ["foregroundDeletion"], deleting: true), apiVersion: "apps/v1", kind: "ReplicaSet").isEmpty)
        #expect(graph.observeDeletion(uid: "pod") == [.attemptToDelete(uid: "rs")])
        #expect(graph.blockingDependents(of: "rs").isEmpty)
    }

    @Test("a dependent that stops blocking lets its owner go on")
    func unblock() throws {
        var graph = graph()
        _ = graph.observe(try owned("rs", finalizers: ["foregroundDeletion"], deleting: true), apiVersion: "apps/v1", kind: "ReplicaSet")
        #expect(graph.observe(try owned("pod", by: ["rs"]), apiVersion: "v1", kind: "Pod") == [.attemptToDelete(uid: "pod")])
        #expect(graph.observe(try owned("pod", by: ["rs"], block: false), apiVersion: "v1", kind: "Pod") == [.attemptToDelete(uid: "rs")])
    }

    @Test("orphaning is started once")
    func orphan() throws {
        var graph = graph()
        let object = try owned("rs", finalizers: ["orphan"], deleting: true)
        #expect(graph.observe(object, apiVersion: "apps/v1", kind: "ReplicaSet") == [.attemptToOrphan(uid: "rs")])
        #expect(graph.observe(object, apiVersion: "apps/v1", kind: "ReplicaSet").isEmpty)
    }

    @Test("references that go away are forgotten")
    func changedReferences() throws {
        var graph = graph()
        _ = graph.observe(try owned("a"), apiVersion: "apps/v1", kind: "ReplicaSet")
        _ = graph.observe(try owned("pod", by: ["a"]), apiVersion: "v1", kind: "Pod")
        _ = graph.observe(try owned("pod"), apiVersion: "v1", kind: "Pod")
        #expect(graph.observeDeletion(uid: "a").isEmpty)
        #expect(graph.nodes.count == 1)
    }
}

@Suite("Garbage collection: the first look")
struct MonitorSyncTests {
    @Test("nothing is collected before every watched resource was listed; one that is no longer watched is not waited for")
    func complete() {
        let pods: GroupVersionResource = .pods
        let nodes: GroupVersionResource = .nodes
        var sync = MonitorSync()
        #expect(!sync.isComplete, "what is to be watched is not known yet")
        sync.watch([pods, nodes])
        sync.listed(pods)
        #expect(!sync.isComplete)
        sync.listed(nodes)
        #expect(sync.isComplete)
        sync.watch([pods, nodes, .jobs])
        #expect(!sync.isComplete)
        sync.watch([pods])
        #expect(sync.isComplete)
        sync.watch([pods, nodes])
        #expect(!sync.isComplete, "watched again, listed again")
    }
}

@Suite("Garbage collection: the decision")
struct GarbageDecisionTests {
    private func decide(_ states: [String: OwnerState], finalizers: [String] = [], dependents: Bool = false, deleting: Bool = false)
        -> GarbageDecision
    {
        let references = states.keys.sorted().map { OwnerReference(apiVersion: "v1", kind: "X", name: $0, uid: $0) }
        return GarbageDecision.decide(
            references: references, states: states, finalizers: finalizers, hasDependents: dependents, dependentsDeleting: deleting)
    }

    @Test("an object lives while one owner does; references to others are taken out")
    func solid() {
        #expect(decide([:]) == .keep)
        #expect(decide(["a": .present]) == .keep)
        #expect(decide(["a": .present, "b": .absent, "c": .waitingForDependents]) == .removeReferences(uids: ["b", "c"]))
    }

    @Test("without an owner it is deleted the way its finalizers ask")
    func absent() {
        #expect(decide(["a": .absent]) == .delete(.background))
        #expect(decide(["a": .absent], finalizers: ["orphan"]) == .delete(.orphan))
        #expect(decide(["a": .absent], finalizers: ["foregroundDeletion"]) == .delete(.foreground))
    }

    @Test("with an owner that waits and dependents of its own it is deleted in the foreground")
    func waiting() {
        #expect(decide(["a": .waitingForDependents]) == .delete(.background))
        #expect(decide(["a": .waitingForDependents], dependents: true) == .deleteForeground(unblock: false))
        #expect(decide(["a": .waitingForDependents], dependents: true, deleting: true) == .deleteForeground(unblock: true))
    }

    @Test("nothing is deleted on an owner of which nothing is known")
    func unknown() {
        #expect(decide(["a": .unknown]) == .keep)
        #expect(decide(["a": .unknown, "b": .absent]) == .keep)
    }
}

@Suite("Namespaces and what every namespace holds")
struct NamespaceTests {
    @Test("conditions tell what is left, and keep their time while nothing changes")
    func conditions() throws {
        var content = NamespaceContent()
        content.remaining = ["pods.": 2]
        content.finalizers = ["example.com/keep": 1]
        let first = content.conditions([], now: epoch)
        #expect(first.condition("NamespaceContentRemaining")?.message == "Some resources are remaining: pods. has 2 resource instances")
        #expect(
            first.condition("NamespaceFinalizersRemaining")?.message
                == "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances")
        #expect(first.condition("NamespaceDeletionContentFailure")?.status == "False")
        #expect(content.conditions(first, now: epoch.adding(seconds: 9)) == first)
        let done = NamespaceContent().conditions(first, now: epoch.adding(seconds: 9))
        #expect(done.condition("NamespaceContentRemaining")?.reason == "ContentRemoved")
        #expect(done.condition("NamespaceContentRemaining")?.lastTransitionTime == epoch.adding(seconds: 9).rfc3339)
    }

    @Test("groups that cannot be discovered, and what cannot be deleted, keep a namespace, in upstream's words")
    func failures() {
        var content = NamespaceContent()
        #expect(content.isEmpty)
        content.undiscovered = ["metrics.k8s.io/v1beta1": "stale GroupVersion discovery: metrics.k8s.io/v1beta1", "a.example.com/v1": "no"]
        content.unparsed = ["a/b/c"]
        content.failures = ["b", "a"]
        #expect(!content.isEmpty)
        let conditions = content.conditions([], now: epoch)
        #expect(
            conditions.map { "\($0.type) \($0.status) \($0.reason)" } == [
                "NamespaceDeletionDiscoveryFailure True DiscoveryFailed",
                "NamespaceDeletionGroupVersionParsingFailure True GroupVersionParsingFailed",
                "NamespaceDeletionContentFailure True ContentDeletionFailed", "NamespaceContentRemaining False ContentRemoved",
                "NamespaceFinalizersRemaining False ContentHasNoFinalizers",
            ])
        #expect(
            conditions.condition("NamespaceDeletionDiscoveryFailure")?.message
                == "Discovery failed for some groups, 2 failing: unable to retrieve the complete list of server APIs: a.example.com/v1: no, "
                + "metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1")
        #expect(conditions.condition("NamespaceDeletionGroupVersionParsingFailure")?.message == "unexpected GroupVersion string: a/b/c")
        #expect(conditions.condition("NamespaceDeletionContentFailure")?.message == "Failed to delete all resource types, 2 remaining: a, b")
        content = NamespaceContent()
        content.undiscovered = ["a.example.com/v1": "no"]
        #expect(!content.isEmpty)
    }

    @Test("what is left is waited for while pods have grace or finalizers stand, and is a failure after that")
    func remaining() throws {
        let pods = try #require(ResourceTable.shared[GroupVersionResource(group: "", version: "v1", resource: "pods")])
        let plain = try pod("a")
        var held = plain.value
        held[path: "metadata", "finalizers"] = ["example.com/keep", "example.com/other"]
        var graceful = NamespaceContent()
        graceful.count([plain], of: pods, in: "ns", grace: 30)
        #expect(graceful.remaining == ["pods.": 1] && graceful.failures.isEmpty && graceful.estimate == 30 && !graceful.isEmpty)
        var waiting = NamespaceContent()
        waiting.count([try object(held), plain], of: pods, in: "ns")
        #expect(waiting.remaining == ["pods.": 2] && waiting.finalizers == ["example.com/keep": 1, "example.com/other": 1])
        #expect(waiting.failures.isEmpty && waiting.estimate == 15)
        var stuck = NamespaceContent()
        stuck.count([plain], of: pods, in: "ns")
        #expect(stuck.failures == ["unexpected items still remain in namespace: ns for gvr: /v1, Resource=pods"])
        var done = NamespaceContent()
        done.count([], of: pods, in: "ns", grace: 30)
        #expect(done.isEmpty)
    }

    @Test("the pods' grace is the longest of those that run, counted from the namespace's deletion")
    func grace() throws {
        func graceful(_ seconds: Int64?, phase: String = "Running") throws -> Object {
            var value = try pod("a", phase: phase).value
            if let seconds { value[path: "spec", "terminationGracePeriodSeconds"] = .int(seconds) }
            return try object(value)
        }
        let pods = [try graceful(10), try graceful(40), try graceful(nil), try graceful(900, phase: "Succeeded")]
        #expect(NamespaceContent.grace(of: pods, deletedAt: epoch, now: epoch) == 40)
        #expect(NamespaceContent.grace(of: pods, deletedAt: epoch, now: epoch.adding(seconds: 39)) == 40)
        #expect(NamespaceContent.grace(of: pods, deletedAt: epoch, now: epoch.adding(seconds: 40)) == 0)
        #expect(NamespaceContent.grace(of: [], deletedAt: epoch, now: epoch) == 0)
    }

    @Test("pods are deleted before everything else, of extension servers' resources those that can be")
    func order() {
        let extensions = [
            ResourceRow(group: "wardle.example.com", version: "v1", resource: "flunders", kind: "Flunder", namespaced: true),
            ResourceRow(group: "wardle.example.com", version: "v1alpha1", resource: "flunders", kind: "Flunder", namespaced: true),
            ResourceRow(group: "metrics.k8s.io", version: "v1beta1", resource: "pods", kind: "PodMetrics", namespaced: true, verbs: ["get", "list"]),
            ResourceRow(group: "a/b", version: "c", resource: "odd", kind: "Odd", namespaced: true),
        ]
        let (first, rest) = NamespaceContent.order(ResourceTable.shared.rows + extensions)
        #expect(rest.suffix(1).map(\.groupVersionResource) == extensions.prefix(1).map(\.groupVersionResource))
        #expect(first.map(\.resource) == ["pods"])
        #expect(rest.contains { $0.resource == "secrets" })
        #expect(!rest.contains { $0.resource == "nodes" || $0.resource == "bindings" })
    }

    @Test("the CA's ConfigMap is made, repaired, and left alone when right")
    func rootCA() throws {
        let made = try #require(RootCAPublisher.plan(namespace: "a", rootCA: "PEM", existing: nil))
        #expect(made[path: "data", "ca.crt"]?.string == "PEM")
        #expect(RootCAPublisher.plan(namespace: "a", rootCA: "PEM", existing: try object(made)) == nil)
        let repaired = RootCAPublisher.plan(namespace: "a", rootCA: "NEW", existing: try object(made))
        #expect(repaired?[path: "data", "ca.crt"]?.string == "NEW")
    }
}
