import KubeAPI
import KubeClient

/// Finds what selects the same pods as a pod's Services and workload do, for spreading pods that say nothing about it themselves.
/// Upstream: helper.DefaultSelector.
struct WorkloadSelectors: Sendable {
    var services: Indexer
    /// By kind of the workload.
    var workloads: [String: Indexer]

    /// Nil: the pod belongs to nothing.
    func selector(for pod: PodInfo) -> LabelSelector? {
        var labels: [String: String] = [:]
        for service in services.list(namespace: pod.namespace) {
            let selector = service["spec"]["selector"].stringMap
            if !selector.isEmpty, selector.allSatisfy({ pod.labels[$0.key] == $0.value }) { labels.merge(selector) { $1 } }
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
