import KubeAPI
import KubeClient
import Logging

/// Brings each NodeClaim to a node and to its end. Upstream: karpenter controllers/nodeclaim: lifecycle, termination, expiration, garbagecollection.
///
/// ```
/// (new) ─▶ Launched ─▶ Registered ─▶ Initialized, Ready ─▶ deleted: draining ─▶ instance ended ─▶ (gone)
///   │          │            │                                    ▲
///   └── no capacity ── never joined ── expired, machine died ────┘
/// ```
final class ClaimController: Sendable {
    private static let workers = 8
    /// The key under which instances without a claim are looked for.
    private static let orphans = ""

    private let caches: Caches
    private let provider: any NodeProvider
    private let launch: ClaimLaunch
    private let registration: ClaimRegistration
    private let termination: ClaimTermination
    private let client: KubeClient
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let queue: WorkQueue<String>

    init(
        client: KubeClient, caches: Caches, provider: any NodeProvider, recorder: EventRecorder, clock: any Clock<Duration>,
        now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.client = client
        self.caches = caches
        self.provider = provider
        self.now = now
        self.logger = logger
        launch = ClaimLaunch(client: client, caches: caches, provider: provider, recorder: recorder, now: now, logger: logger)
        registration = ClaimRegistration(client: client, caches: caches, now: now)
        termination = ClaimTermination(client: client, caches: caches, provider: provider, recorder: recorder, now: now, logger: logger)
        queue = WorkQueue(name: "auto-mode-nodeclaim", backoff: .init(first: .milliseconds(100), limit: .seconds(60)), clock: clock)
        let queue = queue
        caches.claims.addHandler(.any { queue.add($0.metadata.name) })
        // One whose finalizer somebody took away leaves its instance.
        caches.claims.addHandler(InformerHandler(deleted: { _ in queue.add(Self.orphans) }))
        queue.add(Self.orphans)
        caches.nodes.addHandler(
            .any { [caches] node in
                let name = node.metadata.name
                // A claim that is being registered does not show its node yet.
                let claim = caches.claims.indexer.list().map(NodeClaim.init).first {
                    $0.nodeName == name || $0.providerID?.hasSuffix("/\(name)") ?? false
                }
                if let claim { queue.add(claim.name) }
            })
        let podChanged: @Sendable (Object) -> Void = { [caches] pod in
            guard let node = pod["spec"]["nodeName"].string, let claim = caches.claim(ofNode: node) else { return }
            queue.add(claim.name)
        }
        caches.pods.addHandler(
            InformerHandler(
                added: podChanged,
                updated: { old, pod in if PodEvents.isEvent(old, pod) { podChanged(pod) } }, deleted: podChanged))
        caches.classes.addHandler(
            .any { [caches] nodeClass in
                for claim in caches.claims.indexer.list().map(NodeClaim.init) where claim.nodeClass == nodeClass.metadata.name && !claim.isLaunched {
                    queue.add(claim.name)
                }
            })
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                for await _ in provider.changes() { for name in caches.claims.indexer.keys { queue.add(name) } }
            }
            group.addTask { [self] in await queue.run(workers: Self.workers, logger: logger) { [self] in try await sync($0) } }
        }
    }

    /// Upstream: nodeclaim/garbagecollection. An instance is launched after its claim was seen, so one without a claim has lost it.
    private func endOrphans() async throws {
        let known = Set(caches.claims.indexer.list().map(\.metadata.uid))
        for node in await provider.nodes() where !known.contains(node.claimUID) {
            logger.warning("an instance without a nodeclaim is ended", metadata: ["provider-id": "\(node.providerID)"])
            try await provider.terminate(claimUID: node.claimUID)
        }
    }

    private func sync(_ name: String) async throws {
        if name == Self.orphans { return try await endOrphans() }
        guard let claim = caches.claim(name) else { return }
        if claim.isBeingDeleted {
            if let again = try await termination.run(claim) { queue.addAfter(name, again) }
            return
        }
        if !claim.object.metadata.finalizers.contains(Names.finalizer) {
            try await client.patch(
                .nodeClaims, name: name, type: .merge,
                [
                    "metadata": [
                        "resourceVersion": .string(claim.object.metadata.resourceVersion),
                        "finalizers": Value(claim.object.metadata.finalizers + [Names.finalizer]),
                    ]
                ])
            return
        }
        switch ClaimPlan.next(claim, node: caches.nodes.indexer.get(claim.nodeName ?? ""), now: now()) {
        case .launch: try await launch.run(claim)
        case .delete(let reason): try await delete(claim, reason)
        case .wait(let delay):
            if claim.isLaunched, await !provider.isThere(claimUID: claim.uid) { return try await delete(claim, "its instance is gone") }
            try await registration.run(claim)
            try await registration.notePods(claim)
            if let delay { queue.addAfter(name, delay) }
        }
    }

    private func delete(_ claim: NodeClaim, _ reason: String) async throws {
        logger.info("deleting nodeclaim", metadata: ["nodeclaim": "\(claim.name)", "reason": "\(reason)"])
        do {
            try await client.delete(.nodeClaims, name: claim.name, options: DeleteOptions(preconditionUID: claim.uid))
        } catch let error as StatusError where error.isNotFound {}
    }
}
