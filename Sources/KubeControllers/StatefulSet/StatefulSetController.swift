import KubeAPI
import KubeClient
import Logging

/// Keeps pods with names, storage and order of their own. Upstream: pkg/controller/statefulset.
final class StatefulSetController: Controller {
    let name = "statefulset-controller"
    /// Upstream: --concurrent-statefulset-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let sets: SharedInformer
    private let pods: SharedInformer
    private let revisions: SharedInformer
    private let claims: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let expectations = Expectations()
    private let claimer: ControllerRefClaimer
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        sets = environment.informers.informer(for: .statefulSets)
        pods = environment.informers.informer(for: .pods)
        revisions = environment.informers.informer(for: .controllerRevisions)
        claims = environment.informers.informer(for: .persistentVolumeClaims)
        queue = environment.queue("statefulset")
        recorder = environment.recorder(name)
        claimer = ControllerRefClaimer(client: environment.client, ownerResource: .statefulSets, resource: .pods)
        ControllerIndex.add(to: pods)
        ControllerIndex.add(to: revisions)
        let (queue, expectations) = (queue, expectations)
        sets.addHandler(.any { queue.add($0.metadata.key) })
        let resolver = OwnerResolver(owners: sets.indexer, kind: "StatefulSet")
        @Sendable func gone(_ pod: Object) {
            guard let key = resolver.owner(of: pod) else { return }
            expectations.deletionObserved(key, pod.metadata.uid)
            queue.add(key)
        }
        pods.addHandler(
            InformerHandler(
                added: { pod in
                    if let key = resolver.owner(of: pod) { expectations.creationObserved(key) }
                    for key in resolver.concerned(by: pod) { queue.add(key) }
                },
                updated: { old, new in
                    if new.metadata.isBeingDeleted { return gone(new) }
                    for key in resolver.concerned(by: new, was: old) { queue.add(key) }
                }, deleted: gone))
        revisions.addHandler(.any { if let key = resolver.owner(of: $0) { queue.add(key) } })
    }

    func run() async throws {
        for informer in [sets, pods, revisions, claims] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: StatefulSetController.sync with UpdateStatefulSet.
    private func sync(_ key: String) async throws {
        guard let object = sets.indexer.get(key) else {
            expectations.forget(key)
            return
        }
        let set = StatefulSetState(object)
        let selector = try LabelSelector(object: object["spec"]["selector"])
        let now = environment.now()
        let candidates = ControllerIndex.owned(pods.indexer, by: set.uid) + ControllerIndex.orphans(pods.indexer, in: set.namespace)
        // Only pods with a name of this set can be its own.
        let owned = try await claimer.claim(
            object, selector: selector, reference: set.ownerReference, candidates: candidates.filter { set.ordinal(of: $0) != nil })
        let (current, update) = try await keepHistory(set, owned)
        let planner = StatefulSetPlanner(
            set: set, pods: owned, currentRevision: Self.name(current), updateRevision: Self.name(update),
            currentTemplate: StatefulSetState.template(of: current), updateTemplate: StatefulSetState.template(of: update), now: now)
        let plan = planner.plan()
        try await settleClaims(set, owned)
        if expectations.satisfied(key, now: now) { try await perform(plan, set, key) }
        if plan.status != set.status {
            var value = object.value
            var written = value["status"] ?? [:]
            plan.status.write(to: &written)
            value["status"] = written
            try await client.updateStatus(.statefulSets, value)
        }
        if let seconds = planner.nextAvailability { queue.addAfter(key, .fromSeconds(seconds + 0.001)) }
    }

    private static func name(_ revision: Value) -> String { revision[path: "metadata", "name"]?.string ?? "" }

    /// The revision that pods had until now, and that of the present template. Upstream: getStatefulSetRevisions.
    private func keepHistory(_ set: StatefulSetState, _ pods: [Object]) async throws -> (current: Value, update: Value) {
        let known = ControllerIndex.owned(revisions.indexer, by: set.uid)
        // Pods carry the revision's name here, not its hash.
        let carried = Set(pods.compactMap { $0.metadata.labels[ControllerHistory.hashLabel] } + [set.status.currentRevision])
        let inUse = Set(known.filter { carried.contains($0.metadata.name) }.map(ControllerHistory.hash(of:)))
        let plan = ControllerHistory.plan(
            owner: set.ownerReference, namespace: set.namespace, labels: set.object["spec"]["template"]["metadata"]["labels"].value,
            data: set.revisionData, revisions: known, collisionCount: set.status.collisionCount, limit: set.revisionHistoryLimit, inUse: inUse)
        let name = "\(set.name)-\(plan.hash)"
        var update: Value
        if let create = plan.create {
            do {
                update = try await client.create(.controllerRevisions, create).value
            } catch let error as StatusError where error.isAlreadyExists {
                let existing = try await client.get(.controllerRevisions, namespace: set.namespace, name: name)
                guard existing.metadata.controller?.uid == set.uid, Value.semanticallyEqual(existing["data"].value, set.revisionData) else {
                    // Another template has this hash: count the collision, the next attempt has another.
                    var value = set.object.value
                    value[path: "status", "collisionCount"] = .int(Int64(set.status.collisionCount ?? 0) + 1)
                    try await client.updateStatus(.statefulSets, value)
                    throw error
                }
                update = existing.value
            }
        } else if let changed = plan.update {
            update = try await client.update(.controllerRevisions, changed).value
        } else {
            update = known.first { ControllerHistory.hash(of: $0) == plan.hash }?.value ?? [:]
        }
        for name in plan.deletes {
            do { try await client.delete(.controllerRevisions, namespace: set.namespace, name: name) } catch let error as StatusError
                where error.isNotFound
            {}
        }
        let current = known.first { $0.metadata.name == set.status.currentRevision }?.value ?? update
        return (current, update)
    }

    private func perform(_ plan: StatefulSetPlan, _ set: StatefulSetState, _ key: String) async throws {
        var deletions: [String] = []
        var creations = 0
        for change in plan.changes {
            switch change {
            case .create: creations += 1
            case .delete(let pod, _): deletions.append(pod.metadata.uid)
            case .ensureClaims, .relabel: break
            }
        }
        if creations > 0 || !deletions.isEmpty { expectations.expect(key, creations: creations, deletions: deletions, now: environment.now()) }
        var first: (any Error)?
        for change in plan.changes {
            do {
                try await perform(change, set)
            } catch {
                switch change {
                case .create: expectations.creationObserved(key)
                case .delete(let pod, _): expectations.deletionObserved(key, pod.metadata.uid)
                case .ensureClaims, .relabel: break
                }
                if let status = error as? StatusError, status.isNamespaceTerminating || status.isNotFound { continue }
                first = first ?? error
            }
        }
        if let first { throw first }
    }

    private func perform(_ change: StatefulSetPlan.Change, _ set: StatefulSetState) async throws {
        switch change {
        case .create(let ordinal, let pod, let claims):
            do {
                try await ensure(claims, set)
                try await client.create(.pods, pod)
                recorder.event(
                    set.object, .normal, reason: "SuccessfulCreate",
                    message: "create Pod \(set.podName(ordinal)) in StatefulSet \(set.name) successful")
            } catch let error as StatusError where !error.isNamespaceTerminating {
                recorder.event(
                    set.object, .warning, reason: "FailedCreate",
                    message: "create Pod \(set.podName(ordinal)) in StatefulSet \(set.name) failed error: \(error.message)")
                throw error
            }
        case .ensureClaims(let claims): try await ensure(claims, set)
        case .relabel(let pod): try await client.update(.pods, pod)
        case .delete(let pod, let why):
            if let why { recorder.event(set.object, why.isWarning ? .warning : .normal, reason: why.reason, message: why.message) }
            let meta = pod.metadata
            try await client.delete(.pods, namespace: meta.namespace, name: meta.name, options: DeleteOptions(preconditionUID: meta.uid))
            recorder.event(
                set.object, .normal, reason: "SuccessfulDelete", message: "delete Pod \(meta.name) in StatefulSet \(set.name) successful")
        }
    }

    /// Gives claims the owners that the set's policy asks for, before pods that scaling takes away go. Upstream: UpdatePodClaimForRetentionPolicy.
    private func settleClaims(_ set: StatefulSetState, _ pods: [Object]) async throws {
        guard !set.retention.keepsAll, !set.claimTemplates.isEmpty else { return }
        for pod in pods where !pod.metadata.isBeingDeleted {
            guard let ordinal = set.ordinal(of: pod) else { continue }
            for template in set.claimTemplates {
                let name = set.claimName(template, ordinal)
                guard let claim = claims.indexer.get(namespace: set.namespace, name: name) else { continue }
                let owners = set.retention.owners(
                    of: claim, set: set.ownerReference, pod: pod, isCondemned: !set.ordinals.contains(ordinal) && !set.isBeingDeleted)
                guard let owners else { continue }
                var value = claim.value
                value[path: "metadata", "ownerReferences"] = owners.isEmpty ? nil : .array(owners.map(\.value))
                try await client.update(.persistentVolumeClaims, value)
            }
        }
    }

    /// Creates claims that do not exist; those that do are kept as they are, with their data.
    private func ensure(_ claims: [Value], _ set: StatefulSetState) async throws {
        for claim in claims {
            let name = claim[path: "metadata", "name"]?.string ?? ""
            do {
                _ = try await client.get(.persistentVolumeClaims, namespace: set.namespace, name: name)
            } catch let error as StatusError where error.isNotFound {
                do {
                    try await client.create(.persistentVolumeClaims, claim)
                    recorder.event(
                        set.object, .normal, reason: "SuccessfulCreate",
                        message: "create Claim \(name) Pod \(set.name) in StatefulSet \(set.name) success")
                } catch let error as StatusError where error.isAlreadyExists {}
            }
        }
    }
}
