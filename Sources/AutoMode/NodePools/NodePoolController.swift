import KubeAPI
import KubeClient
import Logging

/// Says of each NodePool what its nodes use and whether nodes can be made of it, and keeps its hash; keeps EKS's own objects as they are. Upstream:
/// karpenter controllers/nodepool: counter, hash, readiness; EKS User Guide: "You cannot modify the built-in node pools".
final class NodePoolController: Sendable {
    private let client: KubeClient
    private let caches: Caches
    private let settings: AutoModeSettings
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let queue: WorkQueue<String>

    init(
        client: KubeClient, caches: Caches, settings: AutoModeSettings, clock: any Clock<Duration>, now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.client = client
        self.caches = caches
        self.settings = settings
        self.now = now
        self.logger = logger
        queue = WorkQueue(name: "auto-mode-nodepool", backoff: .init(first: .milliseconds(50), limit: .seconds(60)), clock: clock)
        let (queue, pools) = (queue, caches.pools)
        caches.pools.addHandler(.any { queue.add($0.metadata.name) })
        caches.claims.addHandler(.any { queue.add(NodeClaim($0).pool) })
        caches.classes.addHandler(
            .any { nodeClass in
                for pool in pools.indexer.list() where NodePool(pool).nodeClass == nodeClass.metadata.name { queue.add(pool.metadata.name) }
                if nodeClass.metadata.name == BuiltInObjects.className { queue.add("") }
            })
    }

    func run() async { await queue.run(workers: 1, logger: logger) { [self] in try await sync($0) } }

    private func sync(_ name: String) async throws {
        // Those of EKS are EKS's: what somebody changed or deleted of them is as it was.
        if name.isEmpty || BuiltInObjects.poolNames.contains(name) {
            try await Installer(client: KubeClient(transport: client.transport, fieldManager: Installer.fieldManager)).apply(settings)
        }
        guard let object = caches.pools.indexer.get(name), !object.metadata.isBeingDeleted else { return }
        let pool = NodePool(object)
        if object.metadata.annotations[Names.poolHash] != pool.hash {
            try await client.patch(
                .nodePools, name: name, type: .merge,
                ["metadata": ["annotations": [Names.poolHash: .string(pool.hash), Names.poolHashVersion: .string(NodePool.hashVersion)]]])
        }
        let usage = try caches.snapshot().usage(of: name)
        let isClassReady = caches.classes.indexer.get(pool.nodeClass).map { StatusCondition.isTrue("Ready", $0) }
        if let status = NodePoolPlan.status(pool, usage, isClassReady: isClassReady, now: now()) {
            try await client.patch(.nodePools, name: name, type: .merge, ["status": status], subresource: "status")
        }
    }
}
