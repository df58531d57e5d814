import KubeAPI
import KubeClient

/// Keeps the ConfigMap `kube-root-ca.crt` in every namespace, by which pods know the API server. Upstream:
/// pkg/controller/certificates/rootcacertpublisher.
final class RootCAPublisher: Controller {
    let name = "root-ca-certificate-publisher-controller"
    static let configMap = "kube-root-ca.crt"
    static let description =
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
        + "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
    private static let workers = 1

    private let environment: ControllerEnvironment
    private let namespaces: SharedInformer
    private let configMaps: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        namespaces = environment.informers.informer(for: .namespaces)
        // Only these ConfigMaps are cached, not every one of the cluster.
        configMaps = environment.informers.informer(for: .configMaps, fieldSelector: "metadata.name=\(Self.configMap)")
        queue = environment.queue("root-ca")
        let queue = queue
        namespaces.addHandler(InformerHandler(added: { queue.add($0.metadata.name) }, updated: { queue.add($1.metadata.name) }))
        configMaps.addHandler(.any { queue.add($0.metadata.namespace) })
    }

    func run() async throws {
        for informer in [namespaces, configMaps] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// The ConfigMap to write: a new one, a repaired one, or nil when `existing` is right.
    static func plan(namespace: String, rootCA: String, existing: Object?) -> Value? {
        let annotation = "kubernetes.io/description"
        guard let existing else {
            return [
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": ["name": .string(configMap), "namespace": .string(namespace), "annotations": [annotation: .string(description)]],
                "data": ["ca.crt": .string(rootCA)],
            ]
        }
        if existing["data"].stringMap == ["ca.crt": rootCA], !existing.metadata.annotations[annotation, default: ""].isEmpty { return nil }
        var value = existing.value
        value["data"] = ["ca.crt": .string(rootCA)]
        value[path: "metadata", "annotations", annotation] = .string(description)
        return value
    }

    private func sync(_ namespace: String) async throws {
        guard let object = namespaces.indexer.get(namespace), !object.metadata.isBeingDeleted else { return }
        let existing = configMaps.indexer.get(namespace: namespace, name: Self.configMap)
        guard let wanted = Self.plan(namespace: namespace, rootCA: environment.configuration.rootCAPEM, existing: existing) else { return }
        do {
            if existing == nil {
                try await environment.client.create(.configMaps, wanted)
            } else {
                try await environment.client.update(.configMaps, wanted)
            }
        } catch let error as StatusError where error.isAlreadyExists || error.isNamespaceTerminating || error.isNotFound {
            // The cache lags behind, or the namespace is going; the event that follows brings us back here.
        }
    }
}
