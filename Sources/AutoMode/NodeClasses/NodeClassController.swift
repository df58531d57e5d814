import KubeAPI
import KubeClient
import Logging

/// Finds what a NodeClass selects and says whether nodes can be made of it. A class that claims still use is kept. Upstream: karpenter-provider-aws
/// controllers/nodeclass.
final class NodeClassController: Sendable {
    /// How soon is looked again for subnets and roles that come, and for those that go. Upstream: nodeclass.Controller requeues after 5 minutes.
    private static let recheck = Duration.seconds(60)
    private static let impatience = Duration.seconds(5)

    private let client: KubeClient
    private let caches: Caches
    private let provider: any NodeProvider
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let queue: WorkQueue<String>

    init(
        client: KubeClient, caches: Caches, provider: any NodeProvider, clock: any Clock<Duration>, now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.client = client
        self.caches = caches
        self.provider = provider
        self.now = now
        self.logger = logger
        queue = WorkQueue(name: "auto-mode-nodeclass", backoff: .init(first: .milliseconds(50), limit: .seconds(60)), clock: clock)
        let queue = queue
        caches.classes.addHandler(.any { queue.add($0.metadata.name) })
        caches.claims.addHandler(InformerHandler(deleted: { queue.add(NodeClaim($0).nodeClass) }))
    }

    func run() async { await queue.run(workers: 2, logger: logger) { [self] in try await sync($0) } }

    private func sync(_ name: String) async throws {
        guard let object = caches.classes.indexer.get(name) else { return }
        let nodeClass = NodeClass(object)
        if object.metadata.isBeingDeleted { return try await release(object) }
        var metadata: Value = [:]
        if object.metadata.annotations[Names.classHash] != nodeClass.hash {
            metadata["annotations"] = [Names.classHash: .string(nodeClass.hash), Names.classHashVersion: .string(NodeClass.hashVersion)]
        }
        if !object.metadata.finalizers.contains(Names.classFinalizer) {
            metadata["finalizers"] = Value(object.metadata.finalizers + [Names.classFinalizer])
            metadata["resourceVersion"] = .string(object.metadata.resourceVersion)
        }
        if metadata != [:] { try await client.patch(.nodeClasses, name: name, type: .merge, ["metadata": metadata]) }
        let facts = await provider.facts(nodeClass.selection)
        if let status = NodeClassPlan.status(object, facts, now: now()) {
            try await client.patch(.nodeClasses, name: name, type: .merge, ["status": status], subresource: "status")
        }
        queue.addAfter(name, NodeClassPlan.problem(facts) == nil ? Self.recheck : Self.impatience)
    }

    private func release(_ object: Object) async throws {
        let name = object.metadata.name
        guard object.metadata.finalizers.contains(Names.classFinalizer) else { return }
        guard !caches.claims.indexer.list().contains(where: { NodeClaim($0).nodeClass == name }) else { return }
        let kept = object.metadata.finalizers.filter { $0 != Names.classFinalizer }
        do {
            try await client.patch(
                .nodeClasses, name: name, type: .merge,
                ["metadata": ["resourceVersion": .string(object.metadata.resourceVersion), "finalizers": Value(kept)]])
        } catch let error as StatusError where error.isNotFound {}
    }
}
