import KubeAPI
import KubeClient
import Synchronization

/// Finds what selects the same pods as a pod's Services and workload do, for spreading pods that say nothing about it themselves.
/// Upstream: helper.DefaultSelector.
struct WorkloadSelectors: Sendable {
    var services: ServiceSelectors
    /// By kind of the workload.
    var workloads: [String: Indexer]

    /// Nil: the pod belongs to nothing.
    func selector(for pod: PodInfo) -> LabelSelector? {
        var labels: [String: String] = [:]
        for selector in services.selectors(in: pod.namespace) {
            if selector.allSatisfy({ pod.labels[$0.key] == $0.value }) { labels.merge(selector) { $1 } }
        }
        var requirements = LabelSelector(matching: labels).requirements
        if let owner = pod.owner, let workload = workloads[owner.kind]?.get(namespace: pod.namespace, name: owner.name),
            workload.metadata.uid == owner.uid
        {
            if owner.kind == "ReplicationController" {
                requirements += LabelSelector(matching: workload["spec"]["selector"].stringMap).requirements
            } else if let selector = try? LabelSelector(object: workload["spec"]["selector"]) {
                // A selector that cannot be read groups nothing; its own controller reports it.
                requirements += selector.requirements
            }
        }
        return requirements.isEmpty ? nil : LabelSelector(requirements)
    }
}

/// The selectors of Services, taken apart once: every pod asks for all of its namespace.
final class ServiceSelectors: Sendable {
    private let state = Mutex<[String: [String: [String: String]]]>([:])

    func follow(_ services: SharedInformer) {
        services.addHandler(
            InformerHandler(
                added: { [self] in set($0, $0["spec"]["selector"].stringMap) }, updated: { [self] in set($1, $1["spec"]["selector"].stringMap) },
                deleted: { [self] in set($0, [:]) }))
    }

    /// Those that select something.
    func selectors(in namespace: String) -> [[String: String]] { state.withLock { Array(($0[namespace] ?? [:]).values) } }

    private func set(_ service: Object, _ selector: [String: String]) {
        let meta = service.metadata
        state.withLock { $0[meta.namespace, default: [:]][meta.name] = selector.isEmpty ? nil : selector }
    }
}
