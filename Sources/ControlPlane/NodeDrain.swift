internal import KubeAPI
internal import KubeClient

/// Takes a node out of service: cordon, evict, wait, delete. Upstream: kubectl drain.
struct NodeDrain {
    /// How long pods are waited for before the node goes all the same. EKS gives up on a PodDisruptionBudget after 15 minutes when it updates; when
    /// a group is deleted its instances end, and pods only have their own grace.
    private static let patience = Duration.seconds(60)
    private static let evictionRetry = Duration.milliseconds(500)

    let client: KubeClient
    let nodeName: String

    func run() async throws {
        do {
            try await client.patch(.nodes, name: nodeName, type: .strategicMerge, ["spec": ["unschedulable": true]])
        } catch let error as StatusError where error.isNotFound { return }
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            let pods = try await client.list(.pods, options: ListOptions(fieldSelector: "spec.nodeName=\(nodeName)")).items.filter(Self.mustGo)
            if pods.isEmpty { break }
            for pod in pods where !pod.metadata.isBeingDeleted { try await evict(pod) }
            try await Task.sleep(for: Self.evictionRetry)
        }
        do { try await client.delete(.nodes, name: nodeName) } catch let error as StatusError where error.isNotFound {}
    }

    /// Pods of DaemonSets would come back at once, mirror pods belong to the node: both go with it.
    private static func mustGo(_ pod: Object) -> Bool {
        pod.metadata.controller?.kind != "DaemonSet" && pod.metadata.annotations["kubernetes.io/config.mirror"] == nil
    }

    private func evict(_ pod: Object) async throws {
        let eviction: Value = [
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": ["name": .string(pod.metadata.name), "namespace": .string(pod.metadata.namespace)],
        ]
        do {
            try await client.create(.pods, namespace: pod.metadata.namespace, eviction, name: pod.metadata.name, subresource: "eviction")
        } catch let error as StatusError where error.isNotFound || error.code == 429 {}  // Gone already, or a budget says later.
    }
}
