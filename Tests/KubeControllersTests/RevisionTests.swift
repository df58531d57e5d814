import KubeAPI
import KubeClient
import Testing

@testable import KubeControllers

@Suite("Revisions of daemons and stateful sets")
struct RevisionTests {
    private func revision(_ owner: String? = nil, image: String = "a:1", deleting: Bool = false) throws -> Object {
        var metadata: Value = [
            "name": "agent-1", "namespace": "default", "uid": "r", "labels": ["app": "agent", ControllerHistory.hashLabel: "1"],
        ]
        if let owner { metadata["ownerReferences"] = [OwnerReference(apiVersion: "apps/v1", kind: "DaemonSet", name: "agent", uid: owner).value] }
        if deleting { metadata["deletionTimestamp"] = .string(epoch.rfc3339) }
        return try object([
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "data": ["image": .string(image)], "revision": 1,
        ])
    }

    @Test("a revision that holds the same is ours, or nobody's to take; only what differs or is another's is a collision")
    func classify() throws {
        let data: Value = ["image": "a:1"]
        #expect(ControllerHistory.classify(try revision("ds"), owner: "ds", data: data) == .own)
        #expect(ControllerHistory.classify(try revision(), owner: "ds", data: data) == .orphan)
        #expect(ControllerHistory.classify(try revision(deleting: true), owner: "ds", data: data) == .going)
        #expect(ControllerHistory.classify(try revision("other"), owner: "ds", data: data) == .collision)
        #expect(ControllerHistory.classify(try revision(image: "a:2"), owner: "ds", data: data) == .collision)
    }

    private func owner() throws -> Object {
        try object(["apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": ["name": "agent", "namespace": "default", "uid": "ds"]])
    }

    private let reference = OwnerReference(apiVersion: "apps/v1", kind: "DaemonSet", name: "agent", uid: "ds")

    private func server(existing: Object) throws -> PlayedServer {
        let (owner, adopted) = (try owner(), try revision("ds"))
        return PlayedServer { request in
            switch (request.verb, request.resource) {
            case (.get, .daemonSets): owner
            case (.get, .controllerRevisions): existing
            case (.patch, .controllerRevisions): adopted
            default: throw StatusError.alreadyExists(GroupVersionResource.controllerRevisions.groupResource, "agent-1")
            }
        }
    }

    @Test("revisions that a deletion left are adopted, so that the history goes on and no pod is replaced")
    func adoption() async throws {
        let server = try server(existing: try revision())
        let keeper = RevisionKeeper(client: KubeClient(transport: server), ownerResource: .daemonSets)
        let indexer = InformerFactory(client: KubeClient(transport: server)).informer(for: .controllerRevisions)
        ControllerIndex.add(to: indexer)
        indexer.indexer.set(try revision())
        let selector = try LabelSelector(parsing: "app=agent")
        let known = try await keeper.claim(try owner(), selector: selector, reference: reference, in: indexer.indexer)
        #expect(known.map(\.metadata.name) == ["agent-1"])
        #expect(known.first?.metadata.controller?.uid == "ds")
        #expect(server.requests == ["get daemonsets/agent", "patch controllerrevisions/agent-1"])
        #expect(try server.bodies(.patch).first?[path: "metadata", "ownerReferences"]?.array?.first?["uid"]?.string == "ds")
    }

    @Test("one that the cache did not show is taken over in place of a new one; another template's is not", arguments: ["a:1", "a:2"])
    func creation(image: String) async throws {
        let server = try server(existing: try revision(image: image))
        let keeper = RevisionKeeper(client: KubeClient(transport: server), ownerResource: .daemonSets)
        let wanted: Value = ["metadata": ["name": "agent-1", "namespace": "default"], "data": ["image": "a:1"], "revision": 1]
        let taken = try await keeper.create(
            wanted, for: try owner(), selector: try LabelSelector(parsing: "app=agent"), reference: reference)
        #expect(taken?.metadata.controller?.uid == (image == "a:1" ? "ds" : nil))
    }
}
