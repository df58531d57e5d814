internal import KubeAPI
package import KubeClient

/// Takes a node out of service: cordon, evict, wait. Upstream: kubectl drain.
package struct NodeDrain: Sendable {
    private static let evictionRetry = Duration.milliseconds(500)

    let client: KubeClient
    let nodeName: String
    /// How long pods are waited for.
    let patience: Duration

    /// `client` may be the node's own.
    package init(client: KubeClient, nodeName: String, patience: Duration) {
        self.client = client
        self.nodeName = nodeName
        self.patience = patience
    }

    /// Whether all pods that must go are gone; those of a node that is not there are. Throws what the API server answers.
    package func run() async throws -> Bool {
        do {
            try await client.patch(.nodes, name: nodeName, type: .strategicMerge, ["spec": ["unschedulable": true]])
        } catch let error as StatusError where error.isNotFound { return true }
        let deadline = ContinuousClock.now + patience
        while true {
            let pods = try await client.list(.pods, options: ListOptions(fieldSelector: "spec.nodeName=\(nodeName)")).items.filter(Self.mustGo)
            if pods.isEmpty { return true }
            for pod in pods where !pod.metadata.isBeingDeleted { try await evict(pod) }
            guard ContinuousClock.now + Self.evictionRetry < deadline else { return false }
            try await Task.sleep(for: Self.evictionRetry)
        }
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
