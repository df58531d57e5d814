import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Keeps the fleet's nodes and their pods in one control plane: two queues and one timer, however many nodes there are.
final class FleetWorker: Sendable {
    /// Writes under way at once: enough to fill the store's commit groups.
    private static let nodeWorkers = 16
    private static let podWorkers = 32
    private static let leaseWorkers = 16

    private struct State {
        var addresses = AddressRange.pods
        /// By uid of a pod: the revision of our last write, which the cache may not show yet.
        var written: [String: Int64] = [:]
    }

    private let fleet: SimulatedFleet
    private let client: KubeClient
    private let pods: SharedInformer
    private let nodes: SharedInformer
    private let podQueue: WorkQueue<String>
    private let nodeQueue: WorkQueue<String>
    private let time: any Clock<Duration>
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let state = Mutex(State())
    private let isNeeded: AsyncStream<Void>
    private let needed: AsyncStream<Void>.Continuation

    init(
        fleet: SimulatedFleet, client: KubeClient, informers: InformerFactory, now: @escaping @Sendable () -> Timestamp, clock: any Clock<Duration>,
        logger: Logger
    ) {
        self.fleet = fleet
        self.client = client
        self.now = now
        self.logger = logger
        time = clock
        pods = informers.informer(for: .pods)
        nodes = informers.informer(for: .nodes)
        podQueue = WorkQueue(name: "simulated-pods", clock: clock)
        nodeQueue = WorkQueue(name: "simulated-nodes", clock: clock)
        (isNeeded, needed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        pods.addHandler(
            InformerHandler(
                added: { [weak self] in self?.podChanged($0) }, updated: { [weak self] in self?.podChanged($1) },
                deleted: { [weak self] in self?.podGone($0) }))
        // The node life cycle controller doubts a node whose lease was late: it is told otherwise.
        nodes.addHandler(
            InformerHandler(updated: { [weak self] _, node in
                if node["metadata"]["labels"][SimulatedNode.runtimeLabel] != nil, !NodeObjects.isReady(node) {
                    self?.nodeQueue.add(node.metadata.name)
                }
            }))
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            do {
                try await nodes.waitForSync()
                try await pods.waitForSync()
            } catch { return }
            came(fleet.names)
            group.addTask { await self.nodeQueue.run(workers: Self.nodeWorkers, logger: self.logger) { try await self.syncNode($0) } }
            group.addTask { await self.podQueue.run(workers: Self.podWorkers, logger: self.logger) { try await self.syncPod($0) } }
            group.addTask { await self.renewLeases() }
        }
    }

    /// Nodes have been added to the fleet.
    func came(_ names: [String]) {
        if names.isEmpty { return }
        needed.yield()
        for name in names { nodeQueue.add(name) }
        let new = Set(names)
        for pod in pods.indexer.list() where new.contains(pod["spec"]["nodeName"].string ?? "") { podQueue.add(pod.metadata.key) }
    }

    // MARK: Nodes

    private func syncNode(_ name: String) async throws {
        guard let node = fleet.node(name) else { return }
        guard let known = nodes.indexer.get(name) else {
            do {
                let made = try await client.create(.nodes, NodeObjects.node(node, now: now()))
                try await makeLease(name, uid: made.metadata.uid)
            } catch let error as StatusError where error.isConflict {
                // It was there and the cache is behind, or an older control plane made it: its lease is renewed.
            }
            return
        }
        guard !known.metadata.isBeingDeleted, !NodeObjects.isReady(known) else { return }
        try await client.patch(.nodes, name: name, type: .strategicMerge, ["status": NodeObjects.status(node, now: now())], subresource: "status")
    }

    private func makeLease(_ name: String, uid: String) async throws {
        do { try await client.create(.leases, NodeObjects.lease(name, uid: uid, now: now())) } catch let error as StatusError where error.isConflict {
            try await client.delete(.leases, namespace: NodeObjects.leaseNamespace, name: name)
            try await client.create(.leases, NodeObjects.lease(name, uid: uid, now: now()))
        }
    }

    /// Goes round the wheel, one slot after the other; rests while there are no nodes.
    private func renewLeases() async {
        var signals = isNeeded.makeAsyncIterator()
        let tick = LeaseWheel.period / LeaseWheel.slotCount
        while await signals.next() != nil {
            var slot = 0
            while !fleet.names.isEmpty {
                let names = fleet.leases(inSlot: slot)
                slot = (slot + 1) % LeaseWheel.slotCount
                let began = ContinuousClock.now
                if !names.isEmpty { await renew(names) }
                // What the writes took is not waited for again.
                do { try await time.sleep(for: max(.zero, tick - (ContinuousClock.now - began))) } catch { return }
            }
        }
    }

    private func renew(_ names: [String]) async {
        await withDiscardingTaskGroup { group in
            for worker in 0..<min(Self.leaseWorkers, names.count) {
                group.addTask {
                    for index in stride(from: worker, to: names.count, by: Self.leaseWorkers) { await self.renew(names[index]) }
                }
            }
        }
    }

    private func renew(_ name: String) async {
        guard let node = nodes.indexer.get(name) else { return }
        do {
            try await client.patch(
                .leases, namespace: NodeObjects.leaseNamespace, name: name, type: .merge, ["spec": ["renewTime": .string(now().rfc3339Micro)]])
        } catch let error as StatusError where error.isNotFound {
            do { try await makeLease(name, uid: node.metadata.uid) } catch {
                logger.debug("no lease", metadata: ["node": "\(name)", "error": "\(error)"])
            }
        } catch {
            // The next round renews it in time.
            logger.debug("a lease was not renewed", metadata: ["node": "\(name)", "error": "\(error)"])
        }
    }

    // MARK: Pods

    private func podChanged(_ pod: Object) {
        guard let node = pod["spec"]["nodeName"].string, fleet.node(node) != nil else { return }
        podQueue.add(pod.metadata.key)
    }

    private func podGone(_ pod: Object) {
        let uid = pod.metadata.uid
        state.withLock { state in
            state.addresses.release(uid)
            state.written[uid] = nil
        }
    }

    private func syncPod(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), let node = pod["spec"]["nodeName"].string.flatMap({ fleet.node($0) }) else { return }
        let uid = pod.metadata.uid
        let isBehind = state.withLock { state in
            _ = pod["status"]["podIP"].string.map { state.addresses.address(of: uid, seen: $0) }
            return state.written[uid].map { $0 > Int64(pod.metadata.resourceVersion) ?? .max } ?? false
        }
        // Our own last change is on its way: it brings the pod here again.
        if isBehind { return }
        let time = now()
        switch PodLife.next(pod, now: time) {
        case .nothing: return
        case .wait(let seconds): podQueue.addAfter(key, .milliseconds(Int64(seconds * 1000) + 1))
        case .start:
            let usesHost = pod["spec"]["hostNetwork"].bool ?? false
            let own: String? = usesHost ? node.address : state.withLock { $0.addresses.address(of: uid) }
            guard let address = own else { throw StatusError.internalError("no address is left for pod \(key)") }
            try await write(pod, PodStatus.running(pod, podIP: address, hostIP: node.address, now: time))
        case .restart(let code): try await write(pod, PodStatus.restarted(pod, code: code, now: time))
        case .finish(let code): try await write(pod, PodStatus.finished(pod, code: code, now: time))
        case .remove:
            do {
                try await client.delete(
                    .pods, namespace: pod.metadata.namespace, name: pod.metadata.name,
                    options: DeleteOptions(gracePeriodSeconds: 0, preconditionUID: uid))
            } catch let error as StatusError where error.isNotFound || error.isConflict {}  // Gone, and perhaps another in its place.
        }
    }

    private func write(_ pod: Object, _ patch: Value) async throws {
        let meta = pod.metadata
        var patch = patch
        // The very pod that was looked at.
        patch["metadata"] = ["uid": .string(meta.uid)]
        do {
            let made = try await client.patch(
                .pods, namespace: meta.namespace, name: meta.name, type: .strategicMerge, patch, subresource: "status")
            state.withLock { $0.written[meta.uid] = Int64(made.metadata.resourceVersion) }
        } catch let error as StatusError where error.isNotFound {}
    }
}
