import KubeAPI
import KubeClient
import Synchronization

/// Tells kubelets, by an annotation of their nodes, for how many seconds they may keep Secrets and ConfigMaps without asking: the more nodes, the longer.
/// Upstream: pkg/controller/ttl.
final class NodeTTLController: Controller {
    let name = "ttl-controller"
    /// Upstream: v1.ObjectTTLAnnotationKey.
    static let annotation = "node.alpha.kubernetes.io/ttl"
    /// Upstream: 5 workers in startTTLController.
    private static let workers = 5

    /// A size of clusters, and its seconds. Sizes overlap, so that a cluster at a limit does not go back and forth. Upstream: ttlBoundaries.
    struct Step: Sendable {
        var nodes: ClosedRange<Int>
        var seconds: Int
    }

    static let steps = [
        Step(nodes: 0...100, seconds: 0), Step(nodes: 90...500, seconds: 15), Step(nodes: 450...1000, seconds: 30),
        Step(nodes: 900...2000, seconds: 60), Step(nodes: 1800...Int.max, seconds: 300),
    ]

    /// The place in `steps` for so many nodes, coming from another.
    static func step(_ present: Int, nodes: Int) -> Int {
        var step = present
        while step + 1 < steps.count, nodes > steps[step].nodes.upperBound { step += 1 }
        while step > 0, nodes < steps[step].nodes.lowerBound { step -= 1 }
        return step
    }

    private let environment: ControllerEnvironment
    private let nodes: SharedInformer
    private let queue: WorkQueue<String>
    private let present = Mutex(0)

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        nodes = environment.informers.informer(for: .nodes)
        queue = environment.queue("ttlcontroller")
        let queue = queue
        // A node's next status brings it up to date when the cluster has grown.
        let look: @Sendable (Object) -> Void = { [weak self] node in
            guard let self, node["metadata"]["annotations"][Self.annotation].string != wanted() else { return }
            queue.add(node.metadata.name)
        }
        nodes.addHandler(InformerHandler(added: look, updated: { look($1) }))
    }

    private func wanted() -> String {
        let count = nodes.indexer.count
        return present.withLock { present in
            present = Self.step(present, nodes: count)
            return String(Self.steps[present].seconds)
        }
    }

    func run() async throws {
        try await nodes.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: updateNodeIfNeeded.
    private func sync(_ name: String) async throws {
        guard let node = nodes.indexer.get(name) else { return }
        let wanted = wanted()
        guard node["metadata"]["annotations"][Self.annotation].string != wanted else { return }
        do {
            try await environment.client.patch(
                .nodes, name: name, type: .strategicMerge, ["metadata": ["annotations": [Self.annotation: .string(wanted)]]])
        } catch let error as StatusError where error.isNotFound {}  // Gone meanwhile.
    }
}
