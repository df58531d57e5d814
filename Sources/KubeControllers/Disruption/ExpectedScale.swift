import KubeAPI
import KubeClient

/// Why a budget's pods cannot be counted; the text is upstream's and stands in the budget's condition.
struct DisruptionError: Error, CustomStringConvertible {
    let description: String
}

/// How many pods the controllers of a budget's pods want together. Upstream: DisruptionController.getExpectedScale with its finders.
struct ExpectedScale: Sendable {
    let client: KubeClient
    let replicaSets: Indexer
    let deployments: Indexer
    let statefulSets: Indexer
    let replicationControllers: Indexer
    let resources: @Sendable () -> ResourceTable

    /// The sum, and whether some pods have no controller (they do not count). Throws `DisruptionError` and what the client throws.
    func sum(of pods: [Object]) async throws -> (scale: Int64, hasUnmanaged: Bool) {
        var scales: [String: Int64] = [:]
        var seen: Set<String> = []
        var hasUnmanaged = false
        for pod in pods {
            guard let controller = pod.metadata.controller else {
                hasUnmanaged = true
                continue
            }
            // Pods of one controller are many: it is looked up once.
            guard seen.insert(controller.uid).inserted else { continue }
            guard let (uid, scale) = try await find(controller, in: pod.metadata.namespace) else {
                throw DisruptionError(description: "found no controllers for pod \(pod.metadata.name.goQuoted)")
            }
            // Others' resources may say any number; of replicas there are 32 bits.
            scales[uid] = Int64(Int32(clamping: max(0, scale)))
        }
        return (scales.values.reduce(0) { $0 &+ $1 }, hasUnmanaged)
    }

    private func find(_ controller: OwnerReference, in namespace: String) async throws -> (uid: String, scale: Int64)? {
        let kind = GroupVersionKind(apiVersion: controller.apiVersion, kind: controller.kind)
        func known(_ indexer: Indexer) -> Object? {
            indexer.get(namespace: namespace, name: controller.name).flatMap { $0.metadata.uid == controller.uid ? $0 : nil }
        }
        func scale(_ object: Object) -> (String, Int64) { (object.metadata.uid, object["spec"]["replicas"].int ?? 1) }
        switch (kind.group, kind.kind) {
        case ("apps", "ReplicaSet"):
            guard let set = known(replicaSets) else { return nil }
            guard let owner = set.metadata.controller, owner.kind == "Deployment" else { return scale(set) }
            let deployment = deployments.get(namespace: namespace, name: owner.name)
            return deployment.flatMap { $0.metadata.uid == owner.uid ? scale($0) : nil }
        case ("apps", "StatefulSet"): return known(statefulSets).map(scale)
        case ("", "ReplicationController"): return known(replicationControllers).map(scale)
        default: return try await askScale(controller, kind, namespace)
        }
    }

    /// Any other controller says it by its scale subresource. Upstream: getScaleController.
    private func askScale(_ controller: OwnerReference, _ kind: GroupVersionKind, _ namespace: String) async throws -> (String, Int64)? {
        guard let row = resources()[kind] else {
            throw DisruptionError(description: "no matches for kind \(kind.kind.goQuoted) in version \(kind.apiVersion.goQuoted)")
        }
        guard row.subresource("scale") != nil else {
            throw DisruptionError(description: "\(row.groupResource) does not implement the scale subresource")
        }
        do {
            let scale = try await client.get(row.groupVersionResource, namespace: namespace, name: controller.name, subresource: "scale")
            guard scale.metadata.uid == controller.uid else { return nil }
            return (controller.uid, scale["spec"]["replicas"].int ?? 0)
        } catch let error as StatusError where error.isNotFound {
            return nil
        }
    }
}
