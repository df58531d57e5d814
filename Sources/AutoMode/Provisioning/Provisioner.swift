import KubeAPI
import KubeClient
import KubeScheduler
import Logging

/// Makes NodeClaims for pods that fit on no node. Pods that come within a moment are provided for together. Upstream: karpenter
/// controllers/provisioning.Provisioner.
final class Provisioner: Sendable {
    /// How long is waited for more pods after the first. Upstream: --batch-idle-duration.
    private static let batch = Duration.seconds(1)
    private static let key = "provision"

    private let client: KubeClient
    private let caches: Caches
    private let recorder: EventRecorder
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let queue: WorkQueue<String>

    init(
        client: KubeClient, caches: Caches, recorder: EventRecorder, clock: any Clock<Duration>, now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.client = client
        self.caches = caches
        self.recorder = recorder
        self.now = now
        self.logger = logger
        queue = WorkQueue(name: "auto-mode-provisioner", backoff: .init(first: .seconds(1), limit: .seconds(30)), clock: clock)
        let queue = queue
        caches.pods.addHandler(
            InformerHandler(
                added: { if PodNeeds.isWaiting($0) { queue.addAfter(Self.key, Self.batch) } },
                updated: { _, pod in if PodNeeds.isWaiting(pod) { queue.addAfter(Self.key, Self.batch) } }))
        // What was not possible may be now.
        let again = InformerHandler.any { _ in queue.addAfter(Self.key, Self.batch) }
        caches.pools.addHandler(again)
        caches.classes.addHandler(again)
        // Pods of a node that begins to go will want another.
        caches.claims.addHandler(
            InformerHandler(
                updated: { old, new in
                    if new.metadata.isBeingDeleted, !old.metadata.isBeingDeleted { queue.addAfter(Self.key, Self.batch) }
                }, deleted: { _ in queue.addAfter(Self.key, Self.batch) }))
    }

    func run() async { await queue.run(workers: 1, logger: logger) { [self] _ in try await provision() } }

    private func provision() async throws {
        let snapshot = try caches.snapshot()
        // Those on nodes that are going need a place, too.
        let moving = snapshot.nodes.filter { $0.isLeaving && $0.claim != nil }.flatMap(\.pods).filter { PodNeeds.isReschedulable($0.object) }
        let pods = snapshot.pending + moving
        guard !pods.isEmpty else { return }
        let plan = try ProvisioningPlan.plan(snapshot, for: pods)
        var made: [String: String] = [:]
        for node in plan.nodes { made[node.name] = try await make(node) }
        if !plan.failures.isEmpty, let next = caches.shortages.next {
            queue.addAfter(Self.key, .seconds(max(1, next.timeInterval(since: now()))))
        }
        for pod in snapshot.pending {
            let key = pod.object.metadata.key
            if let failure = plan.failures[key] {
                recorder.event(pod.object, .warning, reason: "FailedScheduling", message: "Failed to schedule pod, \(failure)")
            } else if let name = plan.nominations[key] {
                recorder.event(pod.object, .normal, reason: "Nominated", message: "Pod should schedule on: nodeclaim/\(made[name] ?? name)")
            }
        }
    }

    /// Makes the claim of a planned node. Gives its name.
    func make(_ node: PlannedNode) async throws -> String {
        let value = try ClaimTemplate.claim(for: node, nodeClass: caches.classes.indexer.get(node.pool.nodeClass))
        let object = try Object(value)
        caches.expect(object)
        do { try await client.create(.nodeClaims, value) } catch {
            caches.forget(object.metadata.name)
            throw error
        }
        logger.info(
            "created nodeclaim",
            metadata: ["nodeclaim": "\(object.metadata.name)", "nodepool": "\(node.pool.name)", "pods": "\(node.pods.count)"])
        return object.metadata.name
    }
}
