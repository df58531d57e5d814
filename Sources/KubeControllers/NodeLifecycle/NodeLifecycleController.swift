import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Watches nodes' signs of life, marks silent ones and taints them. Upstream: pkg/controller/nodelifecycle.
///
/// Upstream looks at all nodes every five seconds; here each node is looked at when it or its lease changes, and when its grace period would end.
final class NodeLifecycleController: Controller {
    let name = "node-lifecycle-controller"
    /// Upstream: scheduler.UpdateWorkerSize.
    private static let workers = 8
    private static let leaseNamespace = "kube-node-lease"
    /// On nodes whose silence says nothing about their zone. Upstream: labelNodeDisruptionExclusion.
    private static let excludedLabel = "node.kubernetes.io/exclude-disruption"
    /// Between looks at a silent node of a disrupted zone. Upstream: --node-monitor-period.
    private static let disruptedZoneRecheck = Duration.seconds(5)

    private let environment: ControllerEnvironment
    private let nodes: SharedInformer
    private let leases: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let health = Mutex<[String: NodeHealth]>([:])
    /// Uids of the nodes that were told of, by name. Upstream: knownNodeSet.
    private let known = Mutex<[String: String]>([:])
    /// Nodes that fell silent and whose pods are not all marked yet. Upstream: nodesToRetry.
    private let unmarked = Mutex<Set<String>>([])
    private let zones: Mutex<ZoneDisruption>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        let configuration = environment.configuration
        nodes = environment.informers.informer(for: .nodes)
        leases = environment.informers.informer(for: .leases, namespace: Self.leaseNamespace)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("node-lifecycle")
        recorder = environment.recorder("node-controller")
        zones = Mutex(
            ZoneDisruption(
                evictionRate: configuration.nodeEvictionRate, secondaryRate: configuration.secondaryNodeEvictionRate,
                largeClusterThreshold: configuration.largeClusterThreshold, unhealthyThreshold: configuration.unhealthyZoneThreshold))
        NodeIndex.add(to: pods)
        let queue = queue
        nodes.addHandler(.any { queue.add($0.metadata.name) })
        leases.addHandler(.any { queue.add($0.metadata.name) })
    }

    func run() async throws {
        for informer in [nodes, leases, pods] { try await informer.waitForSync() }
        // Zones are judged by all their nodes from the first decision on, not by those that happened to be looked at.
        for node in nodes.indexer.list() {
            let isReady = node.condition("Ready")["status"].string == "True"
            zones.withLock { Self.observe(node, ready: isReady, &$0) }
        }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: monitorNodeHealth and doNoExecuteTaintingPass, doNoScheduleTaintingPass, for one node.
    private func sync(_ name: String) async throws {
        guard let node = nodes.indexer.get(name) else {
            health.withLock { $0[name] = nil }
            zones.withLock { $0.remove(node: name) }
            _ = unmarked.withLock { $0.remove(name) }
            if let uid = known.withLock({ $0.removeValue(forKey: name) }) { tell(name, uid, "RemovingNode", "Removing Node \(name) from Controller") }
            return
        }
        let now = environment.now()
        let configuration = environment.configuration
        let lease = leases.indexer.get(namespace: Self.leaseNamespace, name: name)
        let before = health.withLock { $0[name] }
        let (after, verdict) = NodeHealthMonitor.observe(
            node: node, lease: lease, health: before, grace: configuration.nodeMonitorGracePeriod.inSeconds,
            startupGrace: configuration.nodeStartupGracePeriod.inSeconds, now: now)

        var current = node
        if let conditions = verdict.conditions {
            var value = node.value
            value[path: "status", "conditions"] = .array(conditions)
            current = try await client.updateStatus(.nodes, value)
        }
        // Remembered only once written, so that a refused write is tried again.
        health.withLock { $0[name] = after }
        if known.withLock({ $0.updateValue(node.metadata.uid, forKey: name) }) == nil {
            tell(name, node.metadata.uid, "RegisteredNode", "Registered Node \(name) in Controller")
        }
        if verdict.becameNotReady {
            recorder.event(node, .normal, reason: "NodeNotReady", message: "Node \(name) status is now: NodeNotReady")
            _ = unmarked.withLock { $0.insert(name) }
        }
        try await taint(current, verdict.ready, now)
        if verdict.ready != "True", unmarked.withLock({ $0.contains(name) }) { try await markPodsNotReady(on: name, now: now) }
        _ = unmarked.withLock { $0.remove(name) }
        if let seconds = verdict.checkAfter { queue.addAfter(name, .fromSeconds(seconds)) }
    }

    private func taint(_ node: Object, _ ready: String, _ now: Timestamp) async throws {
        let name = node.metadata.name
        let (wasAll, isAll, wait) = zones.withLock { zones in
            let was = zones.allFullyDisrupted
            Self.observe(node, ready: ready == "True", &zones)
            let wait = NodeTaints.needsEviction(node: node, ready: ready) ? zones.acquire(node: name, now: now) : nil
            return (was, zones.allFullyDisrupted, wait)
        }
        // The whole cluster fell silent, or came back: what may be evicted changes for every node.
        if wasAll != isAll { for other in nodes.indexer.keys where other != name { queue.add(other) } }
        if let wait, wait > 0 {
            queue.addAfter(name, .fromSeconds(wait + 0.001))
        } else if wait == nil, !isAll, NodeTaints.needsEviction(node: node, ready: ready) {
            // Its zone is too badly hit to evict from; that changes with other nodes.
            queue.addAfter(name, Self.disruptedZoneRecheck)
        }
        guard let taints = NodeTaints.plan(node: node, ready: ready, mayEvict: wait == 0, forbidEvict: isAll, now: now) else { return }
        let meta = node.metadata
        try await client.patch(
            .nodes, name: name, type: .merge,
            [
                "metadata": ["resourceVersion": .string(meta.resourceVersion), "uid": .string(meta.uid)],
                "spec": ["taints": taints.isEmpty ? .null : .array(taints)],
            ])
    }

    /// Region and zone together, as zones of different regions may share a name. Upstream: nodetopology.GetZoneKey.
    private static func zone(of node: Object) -> String {
        let labels = node.metadata.labels
        return "\(labels["topology.kubernetes.io/region"] ?? ""):\u{0}:\(labels["topology.kubernetes.io/zone"] ?? "")"
    }

    /// Upstream: isNodeExcludedFromDisruptionChecks, of which every value of the label makes one.
    private static func observe(_ node: Object, ready: Bool, _ zones: inout ZoneDisruption) {
        let meta = node.metadata
        zones.observe(node: meta.name, zone: zone(of: node), ready: ready, counts: meta.labels[excludedLabel] == nil)
    }

    /// Upstream: controllerutil.RecordNodeEvent.
    private func tell(_ name: String, _ uid: String, _ reason: String, _ what: String) {
        let node = ObjectReference(apiVersion: "v1", kind: "Node", name: name, uid: uid)
        recorder.event(regarding: node, .normal, reason: reason, message: "Node \(name) event: \(what)")
    }

    /// Pods of a node that nobody hears of cannot be counted on. Upstream: controllerutil.MarkPodsNotReady.
    private func markPodsNotReady(on node: String, now: Timestamp) async throws {
        var first: (any Error)?
        for pod in NodeIndex.pods(pods.indexer, on: node) where PodView(pod).isReady {
            var value = pod.value
            guard value.setPodCondition(type: "Ready", status: "False", now: now) else { continue }
            do {
                try await client.updateStatus(.pods, value)
                recorder.event(pod, .warning, reason: "NodeNotReady", message: "Node is not ready")
            } catch let error as StatusError {
                if !error.isNotFound { first = first ?? error }
            }
        }
        if let first { throw first }
    }
}

/// Finds pods by the node they are bound to.
enum NodeIndex {
    static let name = "spec.nodeName"

    static func add(to pods: SharedInformer) {
        pods.addIndex(name) { pod in pod["spec"]["nodeName"].string.map { [$0] } ?? [] }
    }

    static func pods(_ indexer: Indexer, on node: String) -> [Object] { indexer.byIndex(name, node) }
}
