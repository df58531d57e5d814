import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Takes nodes away that can be done without. What is to replace one is made first; the node takes no more pods meanwhile. Upstream: karpenter
/// controllers/disruption.Controller and orchestration.Queue.
///
/// What is under way is not kept: after a restart nodes that were marked take pods again, and are looked at anew.
final class DisruptionController: Sendable {
    private struct Running: Sendable {
        var command: DisruptionCommand
        var replacements: [String]
        var began: Timestamp
    }

    private static let key = "disrupt"
    /// Changes come in swarms. Upstream: disruption.pollingPeriod is 10 s.
    private static let pause = Duration.seconds(1)
    /// After so long something may have become possible without a change that is heard of: a budget's time has come.
    private static let recheck = Duration.seconds(60)
    /// How long a replacement is waited for. Upstream: orchestration.maxRetryDuration.
    private static let patience = 600.0

    private let client: KubeClient
    private let caches: Caches
    private let provider: any NodeProvider
    private let provisioner: Provisioner
    private let recorder: EventRecorder
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let queue: WorkQueue<String>
    private let running = Mutex<[Running]>([])

    init(
        client: KubeClient, caches: Caches, provider: any NodeProvider, provisioner: Provisioner, recorder: EventRecorder, clock: any Clock<Duration>,
        now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.client = client
        self.caches = caches
        self.provider = provider
        self.provisioner = provisioner
        self.recorder = recorder
        self.now = now
        self.logger = logger
        queue = WorkQueue(name: "auto-mode-disruption", backoff: .init(first: .seconds(1), limit: .seconds(30)), clock: clock)
        let queue = queue
        let again = InformerHandler.any { _ in queue.addAfter(Self.key, Self.pause) }
        for informer in [caches.claims, caches.pools, caches.classes, caches.budgets] { informer.addHandler(again) }
        let pods: @Sendable (Object) -> Void = { pod in
            if !(pod["spec"]["nodeName"].string ?? "").isEmpty { queue.addAfter(Self.key, Self.pause) }
        }
        caches.pods.addHandler(
            InformerHandler(
                added: pods, updated: { old, pod in if PodEvents.isEvent(old, pod) { queue.addAfter(Self.key, Self.pause) } }, deleted: pods))
    }

    func run() async {
        do { try await unmark() } catch {
            logger.warning("nodes that were to be replaced are still marked", metadata: ["error": "\(error)"])
        }
        await queue.run(workers: 1, logger: logger) { [self] _ in try await sync() }
    }

    private func sync() async throws {
        try await goOn()
        let classes = Dictionary(caches.classes.indexer.list().map { ($0.metadata.name, $0) }) { first, _ in first }
        let disrupted = running.withLock { Set($0.flatMap(\.command.claims)) }
        let plan = try DisruptionPlan.plan(
            try caches.snapshot(), classes: classes, budgets: caches.budgets.indexer.list(), imageID: await provider.imageID(), disrupted: disrupted,
            now: now())
        if let command = plan.command {
            try await begin(command)
            return queue.addAfter(Self.key, Self.pause)
        }
        let due = plan.next.map { Duration.milliseconds(Int64(max(0, $0.timeInterval(since: now())) * 1_000) + 50) }
        queue.addAfter(Self.key, min(due ?? Self.recheck, Self.recheck))
    }

    private func begin(_ command: DisruptionCommand) async throws {
        logger.info(
            "disrupting nodes",
            metadata: [
                "reason": "\(command.reason.rawValue)", "nodeclaims": "\(command.claims.joined(separator: ","))",
                "replacements": "\(command.replacements.count)", "why": "\(command.explanation)",
            ])
        for name in command.claims { try await mark(name, isDisrupted: true) }
        var replacements: [String] = []
        for node in command.replacements { replacements.append(try await provisioner.make(node)) }
        guard !replacements.isEmpty else { return try await finish(command) }
        let started = Running(command: command, replacements: replacements, began: now())
        running.withLock { $0.append(started) }
    }

    /// Looks after what is under way: a replacement that is ready lets its node go; one that will not come lets it stay.
    private func goOn() async throws {
        for run in running.withLock({ $0 }) {
            let claims = run.replacements.map { caches.claim($0) }
            let isReady = claims.allSatisfy { $0?.isInitialized ?? false }
            let isHopeless = claims.contains { $0?.isBeingDeleted ?? false } || now().timeInterval(since: run.began) > Self.patience
            guard isReady || isHopeless else { continue }
            running.withLock { all in all.removeAll { $0.command.claims == run.command.claims } }
            if isReady { try await finish(run.command) } else { for name in run.command.claims { try await mark(name, isDisrupted: false) } }
        }
    }

    private func finish(_ command: DisruptionCommand) async throws {
        for name in command.claims {
            guard let claim = caches.claim(name) else { continue }
            recorder.event(
                claim.object, .normal, reason: "DisruptionTerminating", message: "Disrupting NodeClaim: \(command.reason.rawValue)/Delete")
            do {
                try await client.delete(.nodeClaims, name: name, options: DeleteOptions(preconditionUID: claim.uid))
            } catch let error as StatusError where error.isNotFound {}
        }
    }

    /// Keeps new pods from a node, or lets them come again.
    private func mark(_ claimName: String, isDisrupted: Bool) async throws {
        guard let name = caches.claim(claimName)?.nodeName, let node = caches.nodes.indexer.get(name),
            NodeFacts.hasTaint(Names.disruptedTaint, node) != isDisrupted
        else { return }
        var taints = node["spec"]["taints"].elements.map(\.value).filter { $0["key"]?.string != Names.disruptedTaint }
        if isDisrupted { taints.append(["key": .string(Names.disruptedTaint), "effect": "NoSchedule"]) }
        try await client.patch(
            .nodes, name: name, type: .merge,
            [
                "metadata": ["resourceVersion": .string(node.metadata.resourceVersion)],
                "spec": ["taints": taints.isEmpty ? .null : .array(taints)],
            ])
    }

    /// After a start: nodes that stay take pods again.
    private func unmark() async throws {
        for claim in caches.claims.indexer.list().map(NodeClaim.init) where !claim.isBeingDeleted {
            try await mark(claim.name, isDisrupted: false)
        }
    }
}
