package import KubeAPI
package import KubeClient
package import Logging

/// Gives new nodes the identity of their instances, and deletes the nodes of instances that are gone.
/// Upstream: cloud-provider/controllers/node and nodelifecycle.
package final class CloudNodeController: Sendable {
    /// Upstream: --concurrent-node-syncs.
    private static let workers = 4

    private let client: KubeClient
    private let provider: any InstanceProvider
    private let informers: InformerFactory
    private let ownsInformers: Bool
    private let nodes: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let now: @Sendable () -> Timestamp
    private let logger: Logger

    /// `informers`: shared ones that the caller runs; nil: the controller makes and runs its own.
    package init(
        client: KubeClient, provider: any InstanceProvider, informers: InformerFactory? = nil, now: @escaping @Sendable () -> Timestamp = { .now },
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "cloud-node-controller"), metrics: WorkQueueMetrics? = nil
    ) {
        self.client = client
        self.provider = provider
        self.now = now
        self.logger = logger
        ownsInformers = informers == nil
        self.informers = informers ?? InformerFactory(client: client, clock: clock, logger: logger)
        nodes = self.informers.informer(for: .nodes)
        queue = WorkQueue(name: "cloud-node", backoff: .init(first: .milliseconds(50), limit: .seconds(60)), clock: clock, metrics: metrics)
        recorder = EventRecorder(client: client, component: "cloud-node-controller", clock: clock, wallClock: now, logger: logger)
        let queue = queue
        nodes.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.name) },
                updated: { old, new in
                    // Heartbeats change nothing here.
                    if CloudNodePlan.isUninitialized(new) || CloudNodePlan.isReady(old) != CloudNodePlan.isReady(new) { queue.add(new.metadata.name) }
                }))
    }

    /// Runs until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            if ownsInformers { group.addTask { await self.informers.run() } }
            group.addTask { await self.recorder.run() }
            group.addTask {
                for await _ in self.provider.changes {
                    for name in self.nodes.indexer.keys { self.queue.add(name) }
                }
            }
            group.addTask {
                // Only cancellation ends the wait early.
                do { try await self.nodes.waitForSync() } catch { return }
                await self.queue.run(workers: Self.workers, logger: self.logger) { try await self.sync($0) }
            }
        }
    }

    private func sync(_ name: String) async throws {
        guard let node = nodes.indexer.get(name), !node.metadata.isBeingDeleted else { return }
        if CloudNodePlan.isUninitialized(node) {
            guard let facts = try await provider.instance(forNodeName: name) else {
                // A node of an instance that is not known (yet): it stays tainted, and is deleted once it is known to be gone.
                if let id = CloudNodePlan.providerID(node), try await !provider.instanceExists(providerID: id) { return try await delete(node) }
                throw StatusError.internalError("the cloud knows no instance for node \(name) yet")
            }
            try await initialize(node, facts)
            return
        }
        guard let id = CloudNodePlan.providerID(node) else { return }
        guard try await provider.instanceExists(providerID: id) else { return try await delete(node) }
        // A node that reports is not stopped; the cloud need not be asked.
        let isShutDown = CloudNodePlan.isReady(node) ? false : try await provider.instanceIsShutDown(providerID: id)
        if let taints = CloudNodePlan.shutdownTaints(node, isShutDown: isShutDown, now: now()) {
            try await client.patch(
                .nodes, name: name, type: .merge,
                [
                    "metadata": ["resourceVersion": .string(node.metadata.resourceVersion)],
                    "spec": ["taints": taints.isEmpty ? .null : .array(taints)],
                ])
        }
        if let facts = try await provider.instance(forNodeName: name), let value = CloudNodePlan.addresses(node, facts) {
            try await client.updateStatus(.nodes, value)
        }
    }

    /// Upstream: CloudNodeController.syncNode.
    private func initialize(_ node: Object, _ facts: InstanceFacts) async throws {
        var current = node
        // Addresses first: once the taint is gone, pods may come that ask for them.
        if let value = CloudNodePlan.addresses(current, facts) { current = try await client.updateStatus(.nodes, value) }
        if let value = CloudNodePlan.initialize(current, facts) { try await client.update(.nodes, value) }
        recorder.event(node, .normal, reason: "Synced", message: "Node synced successfully")
    }

    /// Upstream: CloudNodeLifecycleController.MonitorNodes.
    private func delete(_ node: Object) async throws {
        let name = node.metadata.name
        recorder.event(
            node, .normal, reason: "DeletingNode",
            message: "Deleting node \(name) because it does not exist in the cloud provider")
        do {
            try await client.delete(.nodes, name: name, options: DeleteOptions(preconditionUID: node.metadata.uid))
        } catch let error as StatusError where error.isNotFound {}
    }
}
