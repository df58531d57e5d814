import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Deletes objects whose owners are gone, and carries out foreground and orphaning deletion. Upstream: pkg/controller/garbagecollector.
///
/// One reflector for each resource feeds a graph of owners and dependents, which keeps identities only, no objects. The graph says what to look at;
/// the
/// look itself reads the object and its owners afresh, so that nothing is ever deleted on the word of a cache.
final class GarbageCollector: Controller {
    let name = "garbage-collector-controller"
    /// Upstream: --concurrent-gc-syncs.
    private static let workers = 20
    /// Uids remembered as gone; they never come back. Upstream: absentOwnerCache holds 500.
    private static let absentLimit = 500
    /// Nothing is collected until all resources were listed, or so long: the server of one may be down. Upstream: initialSyncTimeout.
    private static let initialSyncTimeout = Duration.seconds(30)
    /// Resources that come and go too fast to be worth watching and never own anything. Upstream: DefaultIgnoredResources.
    private static let ignored: Set<GroupResource> = [
        GroupResource(group: "", resource: "events"), GroupResource(group: "events.k8s.io", resource: "events"),
    ]

    private struct State: Sendable {
        var graph: DependencyGraph
        /// Uids by resource, by which a fresh list tells what has gone while nobody watched.
        var uids: [GroupVersionResource: Set<String>] = [:]
        var absent: Set<String> = []
        var sync = MonitorSync()
    }

    private let environment: ControllerEnvironment
    private let definitions: SharedInformer
    private let queue: WorkQueue<DependencyGraph.Work>
    private let monitors: WorkQueue<Bool>
    private let state: Mutex<State>
    /// Ends when all resources were listed.
    private let syncing: AsyncStream<Never>
    private let synced: AsyncStream<Never>.Continuation
    private let tasks = Mutex<[GroupVersionResource: Task<Void, Never>]>([:])
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        definitions = environment.informers.informer(for: .customResourceDefinitions)
        queue = environment.queue("garbage-collector", of: DependencyGraph.Work.self)
        monitors = environment.queue("garbage-collector-monitors", of: Bool.self, backoff: .init(first: .milliseconds(200), limit: .seconds(30)))
        let resources = environment.configuration.resources
        let graph = DependencyGraph { apiVersion, kind in resources()[GroupVersionKind(apiVersion: apiVersion, kind: kind)]?.namespaced }
        state = Mutex(State(graph: graph))
        (syncing, synced) = AsyncStream.makeStream()
        let monitors = monitors
        definitions.addHandler(.any { _ in monitors.add(true) })
    }

    func run() async throws {
        try await definitions.waitForSync()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepMonitors() }
            group.addTask {
                await self.waitForMonitors()
                await self.queue.run(workers: Self.workers, logger: self.environment.logger) { work in
                    switch work {
                    case .attemptToDelete(let uid): try await self.attemptToDelete(uid)
                    case .attemptToOrphan(let uid): try await self.attemptToOrphan(uid)
                    }
                }
            }
            await group.waitForAll()
        }
        for task in tasks.withLock({ Array($0.values) }) { task.cancel() }
    }

    /// Upstream: the WaitForNamedCacheSync of GarbageCollector.Run.
    private func waitForMonitors() async {
        let (syncing, clock) = (syncing, environment.clock)
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in syncing {}
                return true
            }
            group.addTask {
                do { try await clock.sleep(for: Self.initialSyncTimeout) } catch { return true }
                return false
            }
            if await group.next() == false {
                environment.logger.notice("Garbage collector: not all resource monitors could be synced, proceeding anyways")
            }
            group.cancelAll()
        }
    }

    // MARK: Watching

    /// Rows to watch: the preferred version of each resource that can be listed, watched and deleted. Upstream: GetDeletableResources.
    static func monitored(_ table: ResourceTable) -> [ResourceRow] {
        var seen: Set<GroupResource> = []
        return table.rows.filter {
            $0.supports("list") && $0.supports("watch") && $0.supports("delete") && !ignored.contains($0.groupResource)
                && seen.insert($0.groupResource).inserted
        }
    }

    /// Starts and stops reflectors as resources come and go. Upstream: GarbageCollector.Sync.
    private func keepMonitors() async {
        monitors.add(true)
        await withDiscardingTaskGroup { group in
            while await monitors.next() != nil {
                var wanted: [GroupVersionResource: ResourceRow] = [:]
                for row in Self.monitored(environment.configuration.resources()) { wanted[row.groupVersionResource] = row }
                let current = tasks.withLock { Set($0.keys) }
                for resource in current.subtracting(wanted.keys) {
                    tasks.withLock { $0.removeValue(forKey: resource) }?.cancel()
                    // Its objects are gone with it.
                    state.withLock { state in
                        for uid in state.uids.removeValue(forKey: resource) ?? [] { _ = state.graph.observeDeletion(uid: uid) }
                    }
                }
                for (resource, row) in wanted where !current.contains(resource) {
                    let task = Task { await self.watch(row) }
                    tasks.withLock { $0[resource] = task }
                    // Ends the task with the group, whose cancellation a bare Task would not hear of.
                    group.addTask {
                        await withTaskCancellationHandler {
                            await task.value
                        } onCancel: {
                            task.cancel()
                        }
                    }
                }
                let isComplete = state.withLock { state in
                    state.sync.watch(Set(wanted.keys))
                    return state.sync.isComplete
                }
                if isComplete { synced.finish() }
                // What refers to owners of kinds that were not served until now can be judged now.
                let arrived = Set(wanted.filter { !current.contains($0.key) }.map { "\($0.value.groupVersion)/\($0.value.kind)" })
                let waiting =
                    arrived.isEmpty
                    ? []
                    : state.withLock { state in
                        state.graph.nodes.values.filter(\.isVirtual).map(\.identity).filter { arrived.contains("\($0.apiVersion)/\($0.kind)") }.map(
                            \.uid)
                    }
                for uid in waiting { queue.add(.attemptToDelete(uid: uid)) }
                monitors.done(true)
                // The definition's resources are served a little after its event: look again until nothing changes.
                if Set(wanted.keys) != current { monitors.addRateLimited(true) } else { monitors.forget(true) }
            }
        }
    }

    private func watch(_ row: ResourceRow) async {
        let resource = row.groupVersionResource
        let reflector = Reflector(client: client, resource: resource, clock: environment.clock, logger: environment.logger)
        await reflector.run { change in
            let (work, isComplete) = self.state.withLock { state -> ([DependencyGraph.Work], Bool) in
                switch change {
                case .replaced(let objects):
                    var gone = state.uids[resource] ?? []
                    var work: [DependencyGraph.Work] = []
                    for object in objects {
                        gone.remove(object.metadata.uid)
                        state.uids[resource, default: []].insert(object.metadata.uid)
                        work += state.graph.observe(object, apiVersion: row.groupVersion, kind: row.kind)
                    }
                    for uid in gone {
                        state.uids[resource]?.remove(uid)
                        work += state.graph.observeDeletion(uid: uid)
                    }
                    state.sync.listed(resource)
                    return (work, state.sync.isComplete)
                case .added(let object), .modified(let object):
                    state.uids[resource, default: []].insert(object.metadata.uid)
                    return (state.graph.observe(object, apiVersion: row.groupVersion, kind: row.kind), false)
                case .deleted(let object):
                    state.uids[resource]?.remove(object.metadata.uid)
                    return (state.graph.observeDeletion(uid: object.metadata.uid), false)
                }
            }
            for item in work { self.queue.add(item) }
            if isComplete { self.synced.finish() }
        }
    }

    // MARK: Acting

    private func resource(of identity: ObjectIdentity) -> ResourceRow? {
        environment.configuration.resources()[GroupVersionKind(apiVersion: identity.apiVersion, kind: identity.kind)]
    }

    private func observeGone(_ uid: String) {
        let work = state.withLock { state in
            if state.absent.count >= Self.absentLimit { state.absent.removeAll() }
            state.absent.insert(uid)
            return state.graph.observeDeletion(uid: uid)
        }
        for item in work { queue.add(item) }
    }

    /// Upstream: attemptToDeleteItem.
    private func attemptToDelete(_ uid: String) async throws {
        guard let node = state.withLock({ $0.graph.nodes[uid] }) else { return }
        if node.isBeingDeleted, !node.isDeletingDependents { return }
        guard let row = resource(of: node.identity) else {
            // A kind that is not served, or not yet: nothing may be concluded from it.
            return
        }
        let resource = row.groupVersionResource
        let namespace = row.namespaced ? node.identity.namespace : nil
        if row.namespaced, node.identity.namespace.isEmpty { return }
        let latest: Object
        do {
            latest = try await client.get(resource, namespace: namespace, name: node.identity.name)
        } catch let error as StatusError where error.isNotFound {
            return observeGone(uid)
        }
        if latest.metadata.uid != uid { return observeGone(uid) }
        if node.isDeletingDependents { return try await continueForegroundDeletion(uid, latest, resource) }

        let references = latest.metadata.ownerReferences
        var states: [String: OwnerState] = [:]
        for reference in references { states[reference.uid] = try await ownerState(reference, of: latest, namespaced: row.namespaced) }
        let dependents = state.withLock { $0.graph.dependents(of: uid) }
        let decision = GarbageDecision.decide(
            references: references, states: states, finalizers: latest.metadata.finalizers, hasDependents: !dependents.isEmpty,
            dependentsDeleting: dependents.contains(where: \.isDeletingDependents))
        switch decision {
        case .keep: break
        case .removeReferences(let uids): try await write(references.filter { !uids.contains($0.uid) }, to: latest, resource)
        case .deleteForeground(let unblock):
            var object = latest
            if unblock {
                object = try await write(
                    references.map { reference in
                        var copy = reference
                        copy.blockOwnerDeletion = false
                        return copy
                    }, to: latest, resource)
            }
            try await delete(object, resource, .foreground)
        case .delete(let propagation): try await delete(latest, resource, propagation)
        }
    }

    /// Upstream: isDangling and classifyReferences.
    private func ownerState(_ reference: OwnerReference, of object: Object, namespaced: Bool) async throws -> OwnerState {
        if state.withLock({ $0.absent.contains(reference.uid) }) { return .absent }
        guard let row = environment.configuration.resources()[GroupVersionKind(apiVersion: reference.apiVersion, kind: reference.kind)] else {
            return .unknown
        }
        if row.namespaced, !namespaced { return .unknown }
        do {
            let owner = try await client.get(
                row.groupVersionResource, namespace: row.namespaced ? object.metadata.namespace : nil, name: reference.name)
            let meta = owner.metadata
            guard meta.uid == reference.uid else { return .absent }
            return meta.isBeingDeleted && meta.finalizers.contains(DependencyGraph.foregroundFinalizer) ? .waitingForDependents : .present
        } catch let error as StatusError where error.isNotFound {
            return .absent
        }
    }

    /// Upstream: processDeletingDependentsItem.
    private func continueForegroundDeletion(_ uid: String, _ latest: Object, _ resource: GroupVersionResource) async throws {
        let blocking = state.withLock { $0.graph.blockingDependents(of: uid) }
        guard blocking.isEmpty else {
            for node in blocking where !node.isDeletingDependents { queue.add(.attemptToDelete(uid: node.identity.uid)) }
            return
        }
        try await removeFinalizer(DependencyGraph.foregroundFinalizer, from: latest, resource)
    }

    /// Upstream: attemptToOrphanWorker.
    private func attemptToOrphan(_ uid: String) async throws {
        let (node, dependents) = state.withLock { ($0.graph.nodes[uid], $0.graph.dependents(of: uid)) }
        guard let node, let row = resource(of: node.identity) else { return }
        for dependent in dependents {
            guard let dependentRow = resource(of: dependent.identity) else { continue }
            let resource = dependentRow.groupVersionResource
            do {
                let object = try await client.get(
                    resource, namespace: dependentRow.namespaced ? dependent.identity.namespace : nil, name: dependent.identity.name)
                guard object.metadata.uid == dependent.identity.uid else { continue }
                let references = object.metadata.ownerReferences
                guard references.contains(where: { $0.uid == uid }) else { continue }
                try await write(references.filter { $0.uid != uid }, to: object, resource)
            } catch let error as StatusError where error.isNotFound {}  // Gone: no dependent any more.
        }
        do {
            let owner = try await client.get(
                row.groupVersionResource, namespace: row.namespaced ? node.identity.namespace : nil, name: node.identity.name)
            guard owner.metadata.uid == uid else { return }
            try await removeFinalizer(DependencyGraph.orphanFinalizer, from: owner, row.groupVersionResource)
        } catch let error as StatusError where error.isNotFound {}
    }

    private func delete(_ object: Object, _ resource: GroupVersionResource, _ propagation: DeletionPropagation) async throws {
        let meta = object.metadata
        do {
            try await client.delete(
                resource, namespace: meta.namespace.isEmpty ? nil : meta.namespace, name: meta.name,
                options: DeleteOptions(
                    propagationPolicy: PropagationPolicy(rawValue: propagation.rawValue), preconditionUID: meta.uid,
                    preconditionResourceVersion: meta.resourceVersion))
        } catch let error as StatusError where error.isNotFound {}
    }

    @discardableResult
    private func write(_ references: [OwnerReference], to object: Object, _ resource: GroupVersionResource) async throws -> Object {
        let meta = object.metadata
        return try await client.patch(
            resource, namespace: meta.namespace.isEmpty ? nil : meta.namespace, name: meta.name, type: .merge,
            [
                "metadata": [
                    "resourceVersion": .string(meta.resourceVersion), "uid": .string(meta.uid),
                    "ownerReferences": references.isEmpty ? .null : .array(references.map(\.value)),
                ]
            ])
    }

    private func removeFinalizer(_ finalizer: String, from object: Object, _ resource: GroupVersionResource) async throws {
        let meta = object.metadata
        let left = meta.finalizers.filter { $0 != finalizer }
        guard left.count != meta.finalizers.count else { return }
        do {
            try await client.patch(
                resource, namespace: meta.namespace.isEmpty ? nil : meta.namespace, name: meta.name, type: .merge,
                [
                    "metadata": [
                        "resourceVersion": .string(meta.resourceVersion), "uid": .string(meta.uid), "finalizers": left.isEmpty ? .null : Value(left),
                    ]
                ])
        } catch let error as StatusError where error.isNotFound {}
    }
}
