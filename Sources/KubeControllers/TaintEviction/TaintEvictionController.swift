import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Deletes pods that do not tolerate their node's NoExecute taints, or no longer. Upstream: pkg/controller/tainteviction.
final class TaintEvictionController: Controller {
    let name = "taint-eviction-controller"
    /// Upstream: UpdateWorkerSize.
    private static let workers = 8

    private let environment: ControllerEnvironment
    private let nodes: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    /// Pods told to leave at a later time, and when they were told first.
    private let scheduled = Mutex<[String: Timestamp]>([:])
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        nodes = environment.informers.informer(for: .nodes)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("taint-eviction")
        recorder = environment.recorder(name)
        NodeIndex.add(to: pods)
        let (queue, pods) = (queue, pods.indexer)
        @Sendable func enqueuePods(on node: Object) {
            for pod in NodeIndex.pods(pods, on: node.metadata.name) { queue.add(pod.metadata.key) }
        }
        nodes.addHandler(
            InformerHandler(
                added: { if !Self.noExecute($0).isEmpty { enqueuePods(on: $0) } },
                updated: { old, new in if Self.noExecute(old) != Self.noExecute(new) { enqueuePods(on: new) } }))
        self.pods.addHandler(
            InformerHandler(
                added: { if $0["spec"]["nodeName"].string != nil { queue.add($0.metadata.key) } },
                updated: { old, new in
                    let moved = old["spec"]["nodeName"].string != new["spec"]["nodeName"].string
                    if moved || old["spec"]["tolerations"].value != new["spec"]["tolerations"].value { queue.add(new.metadata.key) }
                }, deleted: { [weak self] pod in self?.scheduled.withLock { $0[pod.metadata.key] = nil } }))
    }

    private static func noExecute(_ node: Object) -> [Taint] {
        node["spec"]["taints"].elements.map(Taint.init(view:)).filter { $0.effect == "NoExecute" }
    }

    func run() async throws {
        for informer in [nodes, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    private func sync(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), !pod.metadata.isBeingDeleted, let nodeName = pod["spec"]["nodeName"].string,
            let node = nodes.indexer.get(nodeName)
        else { return }
        let now = environment.now()
        let since = scheduled.withLock { $0[key] }
        switch EvictionTime.of(pod: pod, taints: Self.noExecute(node), now: now, since: since) {
        case .never:
            if scheduled.withLock({ $0.removeValue(forKey: key) }) != nil {
                recorder.event(pod, .normal, reason: "TaintManagerEviction", message: "Cancelling deletion of Pod \(key)")
            }
        case .at(let time) where time > now:
            scheduled.withLock { $0[key] = since ?? now }
            queue.addAfter(key, .fromSeconds(time.timeInterval(since: now) + 0.001))
        case .at:
            recorder.event(pod, .normal, reason: "TaintManagerEviction", message: "Marking for deletion Pod \(key)")
            try await evict(pod, now)
            scheduled.withLock { $0[key] = nil }
        }
    }

    /// Upstream: addConditionAndDeletePod.
    private func evict(_ pod: Object, _ now: Timestamp) async throws {
        let meta = pod.metadata
        do {
            var value = pod.value
            if value.setPodCondition(
                type: "DisruptionTarget", status: "True", reason: "DeletionByTaintManager", message: "Taint manager: deleting due to NoExecute taint",
                now: now)
            {
                try await client.updateStatus(.pods, value)
            }
            try await client.delete(.pods, namespace: meta.namespace, name: meta.name, options: DeleteOptions(preconditionUID: meta.uid))
        } catch let error as StatusError where error.isNotFound {}
    }
}
