import KubeAPI
import KubeClient
import Logging

/// What differs between ReplicaSets and ReplicationControllers. Upstream: the arguments of replicaset.NewBaseController.
struct ReplicaKind: Sendable {
    var controller: String
    /// The component of its events.
    var component: String
    var queue: String
    var resource: GroupVersionResource
    var apiVersion: String
    var kind: String
    var selector: @Sendable (Object) throws -> LabelSelector
    /// Whether the status counts pods that are on their way out.
    var countsTerminating: Bool

    static let replicaSet = ReplicaKind(
        controller: "replicaset-controller", component: "replicaset-controller", queue: "replicaset", resource: .replicaSets, apiVersion: "apps/v1",
        kind: "ReplicaSet", selector: { try LabelSelector(object: $0["spec"]["selector"]) }, countsTerminating: true)
    /// Its selector is a plain map of labels.
    static let replicationController = ReplicaKind(
        controller: "replicationcontroller-controller", component: "replication-controller", queue: "replicationmanager",
        resource: .replicationControllers, apiVersion: "v1", kind: "ReplicationController",
        selector: { LabelSelector(matching: $0["spec"]["selector"].stringMap) }, countsTerminating: false)
}

/// Keeps the number of pods that each ReplicaSet, or ReplicationController, asks for. Upstream: pkg/controller/replicaset,
/// pkg/controller/replication.
final class ReplicaSetController: Controller {
    let name: String
    private let kind: ReplicaKind
    /// ReplicaSets worked on at once. Upstream: --concurrent-replicaset-syncs.
    private static let workers = 5

    /// How long a change of a pod may wait for others: a look at a set costs time for each of its pods, and while thousands start, a look after every
    /// change takes a sixth of a core. None for sets of usual sizes.
    static func pause(replicas: Int64) -> Duration { replicas < 500 ? .zero : .microseconds(50 * min(replicas, 10_000)) }

    private let environment: ControllerEnvironment
    private let replicaSets: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let expectations = Expectations()
    private let claimer: ControllerRefClaimer
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment, kind: ReplicaKind = .replicaSet) {
        self.environment = environment
        self.kind = kind
        name = kind.controller
        replicaSets = environment.informers.informer(for: kind.resource)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue(kind.queue)
        recorder = environment.recorder(kind.component)
        claimer = ControllerRefClaimer(client: environment.client, ownerResource: kind.resource, resource: .pods)
        ControllerIndex.add(to: pods)
        ControllerIndex.add(to: replicaSets)
        let (queue, expectations, sets, now) = (queue, expectations, replicaSets.indexer, environment.now)
        @Sendable func addSoon(_ key: String) { queue.addAfter(key, Self.pause(replicas: sets.get(key)?["spec"]["replicas"].int ?? 1)) }
        replicaSets.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) },
                updated: { old, new in
                    if old.metadata.uid != new.metadata.uid { expectations.forget(old.metadata.key) }
                    // After a status, which is mostly ours, nothing is urgent.
                    let isStatus = old.metadata.generation == new.metadata.generation && old.metadata.isBeingDeleted == new.metadata.isBeingDeleted
                    if isStatus { addSoon(new.metadata.key) } else { queue.add(new.metadata.key) }
                },
                deleted: { set in
                    expectations.forget(set.metadata.key)
                    queue.add(set.metadata.key)
                }))
        let resolver = OwnerResolver(owners: replicaSets.indexer, kind: kind.kind, selector: kind.selector)
        /// The last one that was waited for lets the set go on at once.
        @Sendable func observed(_ key: String) { if expectations.satisfied(key, now: now()) { queue.add(key) } else { addSoon(key) } }
        @Sendable func deleted(_ pod: Object) {
            guard let key = resolver.owner(of: pod) else { return }
            expectations.deletionObserved(key, pod.metadata.uid)
            observed(key)
        }
        pods.addHandler(
            InformerHandler(
                added: { pod in
                    // Already on its way out when it is first seen, after a restart: no creation of ours.
                    if pod.metadata.isBeingDeleted { return deleted(pod) }
                    if let key = resolver.owner(of: pod) {
                        expectations.creationObserved(key)
                        observed(key)
                    } else if pod.metadata.controller == nil {
                        for key in resolver.adopters(of: pod) { queue.add(key) }
                    }
                },
                updated: { old, new in
                    if new.metadata.isBeingDeleted {
                        deleted(new)
                        if old.metadata.labels != new.metadata.labels, !old.metadata.isBeingDeleted { deleted(old) }
                        return
                    }
                    for key in resolver.concerned(by: new, was: old) { addSoon(key) }
                }, deleted: deleted))
    }

    func run() async throws {
        for informer in [replicaSets, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: syncReplicaSet.
    private func sync(_ key: String) async throws {
        guard let set = replicaSets.indexer.get(key) else {
            expectations.forget(key)
            return
        }
        let now = environment.now()
        let trusted = expectations.satisfied(key, now: now)
        let selector = try kind.selector(set)
        let meta = set.metadata
        let reference = OwnerReference(apiVersion: kind.apiVersion, kind: kind.kind, name: meta.name, uid: meta.uid)
        let all = ControllerIndex.owned(pods.indexer, by: meta.uid) + ControllerIndex.orphans(pods.indexer, in: meta.namespace)
        let active = try await claimer.claim(set, selector: selector, reference: reference, candidates: all.filter { PodView($0).isActive })
        let terminating = all.count { PodView($0).isTerminating && $0.metadata.controller?.uid == meta.uid && selector.matches($0) }

        let batch = PodBatch(client: client, recorder: recorder, expectations: expectations, owner: set, key: key)
        var failure: ReplicaSetPlanner.Failure?
        var failed: (any Error)?
        if trusted, !meta.isBeingDeleted {
            let desired = max(0, Int(clamping: set["spec"]["replicas"].int ?? 1))
            switch ReplicaSetPlanner.plan(desired: desired, active: active, related: related(to: set), now: now) {
            case nil: break
            case .create(let count)?:
                expectations.expectCreations(key, count, now: environment.now())
                let pod = PodFactory.pod(
                    template: set["spec"]["template"], namespace: meta.namespace, prefix: PodFactory.prefix(of: meta.name), owner: reference)
                failed = await batch.create(Array(repeating: pod, count: count))
                failure = failed.map { ReplicaSetPlanner.Failure(creating: true, message: Self.text($0)) }
            case .delete(let victims)?:
                expectations.expectDeletions(key, victims.map(\.metadata.uid), now: environment.now())
                failed = await batch.delete(victims)
                failure = failed.map { ReplicaSetPlanner.Failure(creating: false, message: Self.text($0)) }
            }
        }
        if failed is CancellationError { throw CancellationError() }
        var status = ReplicaSetPlanner.status(of: set, active: active, terminating: terminating, failure: failure, now: now)
        if !kind.countsTerminating { status.terminatingReplicas = nil }
        if status != ReplicaSetStatus(set["status"]) {
            var value = set.value
            value["status"] = status.value
            try await client.updateStatus(kind.resource, value)
        }
        if let failed { throw failed }
        if let seconds = ReplicaSetPlanner.nextAvailability(of: set, active: active, now: now) {
            queue.addAfter(key, .fromSeconds(seconds + 0.001))
        }
    }

    /// The pods of all ReplicaSets that have the same controller, for telling crowded nodes. Upstream: getIndirectlyRelatedPods.
    private func related(to set: Object) -> [Object] {
        guard let controller = set.metadata.controller else { return ControllerIndex.owned(pods.indexer, by: set.metadata.uid) }
        return ControllerIndex.owned(replicaSets.indexer, by: controller.uid).flatMap { ControllerIndex.owned(pods.indexer, by: $0.metadata.uid) }
    }

    private static func text(_ error: any Error) -> String { (error as? StatusError)?.message ?? "\(error)" }
}
