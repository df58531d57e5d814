import KubeAPI
import KubeClient
import Logging

/// Why a pod is collected. Upstream: pkg/controller/podgc.
enum PodGarbage: Sendable, Equatable {
    /// Its node is gone.
    case orphaned
    /// It was deleted before it got a node: no kubelet will ever finish the deletion.
    case unscheduledTerminating
    /// It was deleted on a node that somebody has declared out of service: its kubelet will not finish the deletion.
    case outOfServiceTerminating

    /// Upstream: v1.TaintNodeOutOfService.
    private static let outOfService = "node.kubernetes.io/out-of-service"

    /// What kind of garbage a pod may be, from what the caches know. An orphan must be made sure of before it is deleted.
    static func of(_ pod: Object, node: (String) -> Object?) -> PodGarbage? {
        let view = PodView(pod)
        if view.nodeName.isEmpty { return view.meta.isBeingDeleted ? .unscheduledTerminating : nil }
        guard let node = node(view.nodeName) else { return .orphaned }
        return view.meta.isBeingDeleted && isOutOfService(node) ? .outOfServiceTerminating : nil
    }

    /// Whether a node's pods that are being deleted are beyond its reach: it carries the taint, and is not ready. Upstream: gcTerminating.
    static func isOutOfService(_ node: Object) -> Bool {
        node.condition("Ready")["status"].string != "True"
            && node["spec"]["taints"].elements.contains { $0["key"]?.equals(outOfService) ?? false }
    }

    /// The finished pods to delete so that `threshold` are left: evicted ones first, then the oldest. Upstream: gcTerminated.
    static func surplus(of pods: [Object], threshold: Int) -> [Object] {
        guard threshold > 0 else { return [] }
        let finished = pods.filter { PodView($0).isTerminal && !$0.metadata.isBeingDeleted }
        guard finished.count > threshold else { return [] }
        func evicted(_ pod: Object) -> Bool { pod["status"]["reason"].string == "Evicted" }
        let sorted = finished.sorted { a, b in
            if evicted(a) != evicted(b) { return evicted(a) }
            let (x, y) = (a.metadata.creationTimestamp, b.metadata.creationTimestamp)
            if let x, let y, x != y { return x < y }
            return a.metadata.name < b.metadata.name
        }
        return Array(sorted.prefix(finished.count - threshold))
    }
}

/// Deletes pods that nobody else can: of nodes that are gone or out of service, never scheduled, or finished too many.
/// Upstream: pkg/controller/podgc.
final class PodGCController: Controller {
    let name = "pod-garbage-collector-controller"
    private static let workers = 4

    private enum Key: Hashable, Sendable {
        case pod(String)
        /// Count the finished pods.
        case finished
    }

    private let environment: ControllerEnvironment
    private let nodes: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<Key>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        nodes = environment.informers.informer(for: .nodes)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("podgc", of: Key.self)
        NodeIndex.add(to: pods)
        let (queue, pods, nodes) = (queue, pods.indexer, nodes.indexer)
        let quarantine = environment.configuration.orphanedPodQuarantine
        @Sendable func consider(_ pod: Object) {
            if PodView(pod).isTerminal { queue.addAfter(.finished, .seconds(1)) }
            switch PodGarbage.of(pod, node: nodes.get) {
            case nil: break
            case .unscheduledTerminating?, .outOfServiceTerminating?: queue.add(.pod(pod.metadata.key))
            case .orphaned?: queue.addAfter(.pod(pod.metadata.key), quarantine)
            }
        }
        self.pods.addHandler(InformerHandler(added: consider, updated: { consider($1) }))
        @Sendable func considerAll(on node: Object) {
            guard PodGarbage.isOutOfService(node) else { return }
            for pod in NodeIndex.pods(pods, on: node.metadata.name) where pod.metadata.isBeingDeleted { queue.add(.pod(pod.metadata.key)) }
        }
        self.nodes.addHandler(
            InformerHandler(
                added: { considerAll(on: $0) }, updated: { considerAll(on: $1) },
                deleted: { node in
                    for pod in NodeIndex.pods(pods, on: node.metadata.name) { queue.addAfter(.pod(pod.metadata.key), quarantine) }
                }))
    }

    func run() async throws {
        for informer in [nodes, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { key in
            switch key {
            case .pod(let key): try await self.collect(key)
            case .finished: try await self.collectFinished()
            }
        }
    }

    private func collect(_ key: String) async throws {
        guard let pod = pods.indexer.get(key) else { return }
        let nodes = nodes.indexer
        switch PodGarbage.of(pod, node: nodes.get) {
        case nil: return
        case .unscheduledTerminating?, .outOfServiceTerminating?: try await delete(pod, because: nil)
        case .orphaned?:
            // The cache may be behind: ask before anything is lost.
            do {
                _ = try await client.get(.nodes, name: PodView(pod).nodeName)
                return
            } catch let error as StatusError where error.isNotFound {}
            try await delete(pod, because: "PodGC: node no longer exists")
        }
    }

    private func collectFinished() async throws {
        for pod in PodGarbage.surplus(of: pods.indexer.list(), threshold: environment.configuration.terminatedPodThreshold) {
            try await delete(pod, because: nil)
        }
    }

    /// Marks a pod failed that had not finished, then removes it at once. Upstream: markFailedAndDeletePodWithCondition.
    private func delete(_ pod: Object, because message: String?) async throws {
        let meta = pod.metadata
        do {
            if !PodView(pod).isTerminal {
                // Conditions are merged by their type; the role gives no more than a patch.
                var status: Value = ["phase": "Failed"]
                var value = pod.value
                if let message,
                    value.setPodCondition(
                        type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", message: message, now: environment.now()),
                    let condition = value[path: "status", "conditions"]?.array?.first(where: { $0["type"]?.string == "DisruptionTarget" })
                {
                    status["conditions"] = [condition]
                }
                try await client.patch(
                    .pods, namespace: meta.namespace, name: meta.name, type: .strategicMerge,
                    ["metadata": ["uid": .string(meta.uid)], "status": status], subresource: "status")
            }
            try await client.delete(
                .pods, namespace: meta.namespace, name: meta.name, options: DeleteOptions(gracePeriodSeconds: 0, preconditionUID: meta.uid))
        } catch let error as StatusError where error.isNotFound {}
    }
}
