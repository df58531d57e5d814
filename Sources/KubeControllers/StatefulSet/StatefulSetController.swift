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
    private let history: RevisionKeeper
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
        history = RevisionKeeper(client: environment.client, ownerResource: .statefulSets)
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
        revisions.addHandler(resolver.handler { queue.add($0) })
        // A claim that was in a pod's way is gone.
        claims.addHandler(InformerHandler(deleted: { for key in resolver.adopters(of: $0) { queue.add(key) } }))
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
        // Before the pods are looked at: one that arrives in between must not make an older view of them count.
        let trusted = expectations.satisfied(key, now: now)
        let candidates = ControllerIndex.owned(pods.indexer, by: set.uid) + ControllerIndex.orphans(pods.indexer, in: set.namespace)
        // Only pods with a name of this set can be its own.
        let owned = try await claimer.claim(
            object, selector: selector, reference: set.ownerReference, candidates: candidates.filter { set.ordinal(of: $0) != nil })
        let (current, update) = try await keepHistory(set, selector, owned)
        let planner = StatefulSetPlanner(
            set: set, pods: owned, currentRevision: Self.name(current), updateRevision: Self.name(update),
            currentTemplate: StatefulSetState.template(of: current), updateTemplate: StatefulSetState.template(of: update), now: now)
        let plan = planner.plan()
        try await settleClaims(set, owned)
        var failed: (any Error)?
        if trusted { do { try await perform(plan, set, key) } catch { failed = error } }
        if plan.status != set.status {
            var value = object.value
            var written = value["status"] ?? [:]
            plan.status.write(to: &written)
            value["status"] = written
            try await client.updateStatus(.statefulSets, value)
        }
        if let failed { throw failed }
        if let seconds = planner.nextAvailability { queue.addAfter(key, .fromSeconds(seconds + 0.001)) }
    }

    private static func name(_ revision: Value) -> String { revision[path: "metadata", "name"]?.string ?? "" }

    /// Upstream: getStatefulSetRevisions and truncateHistory.
    static func historyPlan(_ set: StatefulSetState, revisions: [Object], pods: [Object]) -> ControllerHistory.Plan {
        // Pods carry the revision's name here, not its hash.
        let carried = Set(pods.compactMap { $0.metadata.labels[ControllerHistory.hashLabel] } + [set.status.currentRevision])
        let inUse = Set(revisions.filter { carried.contains($0.metadata.name) }.map(ControllerHistory.hash(of:)))
        // None is counted as 0: the name must be the same before and after the first status is written, or a cache that is behind makes a second
        // revision of the same template, to which all pods are then moved.
        return ControllerHistory.plan(
            owner: set.ownerReference, namespace: set.namespace, labels: set.object["spec"]["template"]["metadata"]["labels"].value,
            data: set.revisionData, revisions: revisions, collisionCount: set.status.collisionCount ?? 0, limit: set.revisionHistoryLimit,
            inUse: inUse)
    }

    /// The revision that pods had until now, and that of the present template. Upstream: getStatefulSetRevisions.
    private func keepHistory(
        _ set: StatefulSetState, _ selector: LabelSelector, _ pods: [Object]
    ) async throws -> (current: Value, update: Value) {
        let known = try await history.claim(set.object, selector: selector, reference: set.ownerReference, in: revisions.indexer)
        let plan = Self.historyPlan(set, revisions: known, pods: pods)
        let update: Value
        if let create = plan.create {
            let created = try await history.create(create, for: set.object, selector: selector, reference: set.ownerReference)
            guard let created else {
                var value = set.object.value
                value[path: "status", "collisionCount"] = .int(Int64(set.status.collisionCount ?? 0) &+ 1)
                try await client.updateStatus(.statefulSets, value)
                throw StatusError.alreadyExists(GroupVersionResource.controllerRevisions.groupResource, "\(set.name)-\(plan.hash)")
            }
            update = created.value
        } else if let changed = plan.update {
            update = try await client.update(.controllerRevisions, changed).value
        } else {
            update = known.first { ControllerHistory.hash(of: $0) == plan.hash }?.value ?? [:]
        }
        try await history.delete(plan.deletes, namespace: set.namespace)
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
            let name = set.podName(ordinal)
            try checkStale(claims, set, name)
            do {
                try await ensure(claims, set, name)
                try await client.create(.pods, pod)
                recorder.event(
                    set.object, .normal, reason: "SuccessfulCreate", message: "create Pod \(name) in StatefulSet \(set.name) successful")
            } catch {
                let status = error as? StatusError
                if error is CancellationError || status?.isNamespaceTerminating ?? false || status?.isAlreadyExists ?? false { throw error }
                recorder.event(
                    set.object, .warning, reason: "FailedCreate",
                    message: "create Pod \(name) in StatefulSet \(set.name) failed error: \(status?.message ?? "\(error)")")
                throw error
            }
        case .ensureClaims(let ordinal, let claims): try await ensure(claims, set, set.podName(ordinal))
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
        guard !set.claimTemplates.isEmpty else { return }
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

    /// Throws while a claim goes with an earlier pod of the name: the pod follows when it is gone. No event tells of it.
    private func checkStale(_ claims: [Value], _ set: StatefulSetState, _ pod: String) throws {
        for claim in claims {
            let name = claim[path: "metadata", "name"]?.string ?? ""
            guard let known = self.claims.indexer.get(namespace: set.namespace, name: name), set.retention.isStale(known, pod: pod) else { continue }
            throw ClaimError(description: "pvc \(name) goes with an earlier pod \(pod)")
        }
    }

    /// Creates claims that do not exist; those that do are kept as they are, with their data. Throws `ClaimError` for one that is going.
    /// Upstream: createPersistentVolumeClaims.
    private func ensure(_ claims: [Value], _ set: StatefulSetState, _ pod: String) async throws {
        for claim in claims {
            let name = claim[path: "metadata", "name"]?.string ?? ""
            do {
                let known = try await client.get(.persistentVolumeClaims, namespace: set.namespace, name: name)
                if known.metadata.isBeingDeleted { throw ClaimError(description: "pvc \(name) is being deleted") }
            } catch let error as StatusError where error.isNotFound {
                do {
                    try await client.create(.persistentVolumeClaims, claim)
                    recorder.event(
                        set.object, .normal, reason: "SuccessfulCreate",
                        message: "create Claim \(name) Pod \(pod) in StatefulSet \(set.name) success")
                } catch let error as StatusError where error.isAlreadyExists {
                } catch let error as StatusError {
                    if !error.isNamespaceTerminating {
                        recorder.event(
                            set.object, .warning, reason: "FailedCreate",
                            message: "create Claim \(name) for Pod \(pod) in StatefulSet \(set.name) failed error: \(error.message)")
                    }
                    throw error
                }
            }
        }
    }
}

/// Why a pod cannot have its claim yet; the text is upstream's.
private struct ClaimError: Error, CustomStringConvertible {
    let description: String
}
