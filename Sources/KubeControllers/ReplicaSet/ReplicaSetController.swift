import KubeAPI
import KubeClient
import Logging

/// Keeps the number of pods that each ReplicaSet asks for. Upstream: pkg/controller/replicaset.
final class ReplicaSetController: Controller {
    let name = "replicaset-controller"
    /// ReplicaSets worked on at once. Upstream: --concurrent-replicaset-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let replicaSets: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let expectations = Expectations()
    private let claimer: ControllerRefClaimer
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        replicaSets = environment.informers.informer(for: .replicaSets)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("replicaset")
        recorder = environment.recorder(name)
        claimer = ControllerRefClaimer(client: environment.client, ownerResource: .replicaSets, resource: .pods)
        ControllerIndex.add(to: pods)
        ControllerIndex.add(to: replicaSets)
        let (queue, expectations) = (queue, expectations)
        replicaSets.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) },
                updated: { old, new in
                    if old.metadata.uid != new.metadata.uid { expectations.forget(old.metadata.key) }
                    queue.add(new.metadata.key)
                },
                deleted: { set in
                    expectations.forget(set.metadata.key)
                    queue.add(set.metadata.key)
                }))
        let resolver = OwnerResolver(owners: replicaSets.indexer, kind: "ReplicaSet")
        @Sendable func deleted(_ pod: Object) {
            guard let key = resolver.owner(of: pod) else { return }
            expectations.deletionObserved(key, pod.metadata.uid)
            queue.add(key)
        }
        pods.addHandler(
            InformerHandler(
                added: { pod in
                    // Already on its way out when it is first seen, after a restart: no creation of ours.
                    if pod.metadata.isBeingDeleted { return deleted(pod) }
                    if let key = resolver.owner(of: pod) {
                        expectations.creationObserved(key)
                        queue.add(key)
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
                    for key in resolver.concerned(by: new, was: old) { queue.add(key) }
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
        let selector = try LabelSelector(object: set["spec"]["selector"])
        let meta = set.metadata
        let reference = OwnerReference(apiVersion: "apps/v1", kind: "ReplicaSet", name: meta.name, uid: meta.uid)
        let all = ControllerIndex.owned(pods.indexer, by: meta.uid) + ControllerIndex.orphans(pods.indexer, in: meta.namespace)
        let active = try await claimer.claim(set, selector: selector, reference: reference, candidates: all.filter { PodView($0).isActive })
        let terminating = all.count { PodView($0).isTerminating && $0.metadata.controller?.uid == meta.uid && selector.matches($0) }

        var failure: ReplicaSetPlanner.Failure?
        var failed: (any Error)?
        if trusted, !meta.isBeingDeleted {
            let desired = max(0, Int(clamping: set["spec"]["replicas"].int ?? 1))
            switch ReplicaSetPlanner.plan(desired: desired, active: active, related: related(to: set), now: now) {
            case nil: break
            case .create(let count)?:
                failed = await create(count, for: set, reference, key)
                failure = failed.map { ReplicaSetPlanner.Failure(creating: true, message: Self.text($0)) }
            case .delete(let victims)?:
                failed = await delete(victims, of: set, key)
                failure = failed.map { ReplicaSetPlanner.Failure(creating: false, message: Self.text($0)) }
            }
        }
        if failed is CancellationError { throw CancellationError() }
        let status = ReplicaSetPlanner.status(of: set, active: active, terminating: terminating, failure: failure, now: now)
        if status != ReplicaSetStatus(set["status"]) {
            var value = set.value
            value["status"] = status.value
            try await client.updateStatus(.replicaSets, value)
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

    private func create(_ count: Int, for set: Object, _ reference: OwnerReference, _ key: String) async -> (any Error)? {
        expectations.expectCreations(key, count, now: environment.now())
        let meta = set.metadata
        let pod = PodFactory.pod(
            template: set["spec"]["template"], namespace: meta.namespace, prefix: PodFactory.prefix(of: meta.name), owner: reference)
        let (succeeded, error) = await slowStartBatch(count) { [client, recorder] in
            do {
                let created = try await client.create(.pods, pod)
                recorder.event(set, .normal, reason: "SuccessfulCreate", message: "Created pod: \(created.metadata.name)")
            } catch let error as StatusError {
                if !error.isNamespaceTerminating {
                    recorder.event(set, .warning, reason: "FailedCreate", message: "Error creating: \(error.message)")
                }
                throw error
            }
        }
        // What was not created will not be seen either. Upstream: skippedPods.
        if succeeded < count { expectations.creationObserved(key, count - succeeded) }
        if let status = error as? StatusError, status.isNamespaceTerminating { return nil }
        return error
    }

    private func delete(_ victims: [Object], of set: Object, _ key: String) async -> (any Error)? {
        expectations.expectDeletions(key, victims.map(\.metadata.uid), now: environment.now())
        return await withTaskGroup(of: (any Error)?.self) { group in
            for pod in victims {
                group.addTask { [client, recorder, expectations] in
                    let meta = pod.metadata
                    do {
                        try await client.delete(.pods, namespace: meta.namespace, name: meta.name, options: DeleteOptions(preconditionUID: meta.uid))
                        recorder.event(set, .normal, reason: "SuccessfulDelete", message: "Deleted pod: \(meta.name)")
                        return nil
                    } catch {
                        expectations.deletionObserved(key, meta.uid)
                        if let status = error as? StatusError, status.isNotFound { return nil }
                        recorder.event(set, .warning, reason: "FailedDelete", message: "Error deleting: \(Self.text(error))")
                        return error
                    }
                }
            }
            var first: (any Error)?
            for await error in group where first == nil { first = error }
            return first
        }
    }

    private static func text(_ error: any Error) -> String { (error as? StatusError)?.message ?? "\(error)" }
}
