import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Keeps one pod of each DaemonSet on every node it is meant for. Upstream: pkg/controller/daemon.
final class DaemonSetController: Controller {
    let name = "daemonset-controller"
    /// Upstream: --concurrent-daemonset-syncs.
    private static let workers = 2
    /// Pods created or deleted in one go at most. Upstream: BurstReplicas.
    private static let burst = 250

    private let environment: ControllerEnvironment
    private let sets: SharedInformer
    private let pods: SharedInformer
    private let nodes: SharedInformer
    private let revisions: SharedInformer
    private let queue: WorkQueue<String>
    private let failures = Mutex(FailedPodsBackoff())
    private let recorder: EventRecorder
    private let expectations = Expectations()
    private let podClaimer: ControllerRefClaimer
    private let history: RevisionKeeper
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        sets = environment.informers.informer(for: .daemonSets)
        pods = environment.informers.informer(for: .pods)
        nodes = environment.informers.informer(for: .nodes)
        revisions = environment.informers.informer(for: .controllerRevisions)
        queue = environment.queue("daemonset")
        recorder = environment.recorder(name)
        podClaimer = ControllerRefClaimer(client: environment.client, ownerResource: .daemonSets, resource: .pods)
        history = RevisionKeeper(client: environment.client, ownerResource: .daemonSets)
        ControllerIndex.add(to: pods)
        ControllerIndex.add(to: revisions)
        let (queue, expectations, sets) = (queue, expectations, sets.indexer)
        self.sets.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) }, updated: { queue.add($1.metadata.key) },
                deleted: { set in
                    expectations.forget(set.metadata.key)
                    queue.add(set.metadata.key)
                }))
        let resolver = OwnerResolver(owners: sets, kind: "DaemonSet")
        @Sendable func deleted(_ pod: Object) {
            guard let key = resolver.owner(of: pod) else { return }
            expectations.deletionObserved(key, pod.metadata.uid)
            queue.add(key)
        }
        pods.addHandler(
            InformerHandler(
                added: { pod in
                    if pod.metadata.isBeingDeleted { return deleted(pod) }
                    if let key = resolver.owner(of: pod) { expectations.creationObserved(key) }
                    for key in resolver.concerned(by: pod) { queue.add(key) }
                },
                updated: { old, new in
                    if new.metadata.isBeingDeleted { return deleted(new) }
                    for key in resolver.concerned(by: new, was: old) { queue.add(key) }
                }, deleted: deleted))
        revisions.addHandler(resolver.handler { queue.add($0) })
        @Sendable func all() { for set in sets.keys { queue.add(set) } }
        nodes.addHandler(
            InformerHandler(
                added: { _ in all() },
                updated: { old, new in
                    if old.metadata.labels != new.metadata.labels || old["spec"]["taints"].value != new["spec"]["taints"].value { all() }
                }, deleted: { _ in all() }))
    }

    func run() async throws {
        for informer in [sets, pods, nodes, revisions] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: syncDaemonSet.
    private func sync(_ key: String) async throws {
        guard let object = sets.indexer.get(key) else {
            expectations.forget(key)
            return
        }
        let set = DaemonSetState(object)
        if set.isBeingDeleted { return }
        let selector = try LabelSelector(object: object["spec"]["selector"])
        if selector.isEverything {
            recorder.event(
                object, .warning, reason: "SelectingAll", message: "This daemon set is selecting all pods. A non-empty selector is required.")
            return
        }
        let now = environment.now()
        // Before the pods are looked at: one that arrives in between must not make an older view of them count.
        let trusted = expectations.satisfied(key, now: now)
        let candidates = ControllerIndex.owned(pods.indexer, by: set.uid) + ControllerIndex.orphans(pods.indexer, in: set.namespace)
        let owned = try await podClaimer.claim(object, selector: selector, reference: set.ownerReference, candidates: candidates)
        let hash = try await keepHistory(set, selector, owned)
        let planner = DaemonSetPlanner(set: set, hash: hash, nodes: nodes.indexer.list(), pods: owned, now: now)
        if trusted { try await perform(planner.plan(), set, hash, key) }
        let status = planner.status()
        if status != DaemonSetStatus(object["status"]) {
            var value = object.value
            var written = value["status"] ?? [:]
            status.write(to: &written)
            value["status"] = written
            try await client.updateStatus(.daemonSets, value)
        }
        if let seconds = planner.nextAvailability { queue.addAfter(key, .fromSeconds(seconds + 0.001)) }
    }

    /// Writes the revision of the current template; gives its hash. Upstream: constructHistory and cleanupHistory.
    private func keepHistory(_ set: DaemonSetState, _ selector: LabelSelector, _ pods: [Object]) async throws -> String {
        let known = try await history.claim(set.object, selector: selector, reference: set.ownerReference, in: revisions.indexer)
        let plan = ControllerHistory.plan(
            owner: set.ownerReference, namespace: set.namespace, labels: set.template["metadata"]["labels"].value, data: set.revisionData,
            revisions: known, collisionCount: set.collisionCount, limit: set.revisionHistoryLimit,
            inUse: Set(pods.compactMap { $0.metadata.labels[ControllerHistory.hashLabel] }))
        if let create = plan.create {
            let created = try await history.create(create, for: set.object, selector: selector, reference: set.ownerReference)
            guard created != nil else {
                var value = set.object.value
                value[path: "status", "collisionCount"] = .int(Int64(set.collisionCount ?? 0) &+ 1)
                try await client.updateStatus(.daemonSets, value)
                throw StatusError.alreadyExists(GroupVersionResource.controllerRevisions.groupResource, "\(set.name)-\(plan.hash)")
            }
        }
        if let update = plan.update { try await client.update(.controllerRevisions, update) }
        try await history.delete(plan.deletes, namespace: set.namespace)
        return plan.hash
    }

    private func perform(_ plan: DaemonSetPlan, _ set: DaemonSetState, _ hash: String, _ key: String) async throws {
        let object = set.object
        var held: Set<String> = []
        for pod in plan.dead {
            let view = PodView(pod)
            let wait = failures.withLock { $0.wait("\(view.nodeName) \(key)", now: environment.now()) }
            if wait > 0 {
                held.insert(pod.metadata.uid)
                queue.addAfter(key, .fromSeconds(wait + 0.001))
            } else if view.phase == "Failed" {
                recorder.event(
                    object, .warning, reason: "FailedDaemonPod",
                    message: "Found failed daemon pod \(pod.metadata.key) on node \(view.nodeName), will try to kill it")
            } else {
                recorder.event(
                    object, .normal, reason: "SucceededDaemonPod",
                    message: "Found succeeded daemon pod \(pod.metadata.key) on node \(view.nodeName), will try to delete it")
            }
        }
        let creates = Array(plan.creates.prefix(Self.burst))
        let deletes = Array(plan.deletes.filter { !held.contains($0.metadata.uid) }.prefix(Self.burst))
        guard !creates.isEmpty || !deletes.isEmpty else { return }
        expectations.expect(key, creations: creates.count, deletions: deletes.map(\.metadata.uid), now: environment.now())
        let batch = PodBatch(client: client, recorder: recorder, expectations: expectations, owner: object, key: key)
        let deleted = await batch.delete(deletes)
        let created = await batch.create(creates.map { set.pod(for: $0, hash: hash) })
        if let error = created ?? deleted { throw error }
    }
}
