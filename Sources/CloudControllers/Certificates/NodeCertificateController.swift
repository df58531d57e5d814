package import KubeAPI
package import KubeClient
package import Logging

/// Approves what nodes ask to be certified beside their kubelets' client certificates: the certificates of their kubelets' servers, for the names and
/// addresses of their instances or of the remote node networks, and those of their service proxies. Upstream: EKS's certificate controller.
package final class NodeCertificateController: Sendable {
    private static let workers = 2

    private let client: KubeClient
    private let provider: any InstanceProvider
    private let requests: SharedInformer
    private let queue: WorkQueue<String>
    private let now: @Sendable () -> Timestamp
    private let logger: Logger

    /// The informers are run by the caller.
    package init(
        client: KubeClient, provider: any InstanceProvider, informers: InformerFactory, now: @escaping @Sendable () -> Timestamp = { .now },
        logger: Logger, metrics: WorkQueueMetrics? = nil
    ) {
        self.client = client
        self.provider = provider
        self.now = now
        self.logger = logger
        requests = informers.informer(for: .certificateSigningRequests)
        queue = WorkQueue(name: "node-certificates", backoff: .init(first: .milliseconds(200), limit: .seconds(60)), metrics: metrics)
        let queue = queue
        requests.addHandler(InformerHandler(added: { queue.add($0.metadata.name) }, updated: { queue.add($1.metadata.name) }))
    }

    /// Runs until the task is cancelled.
    package func run() async {
        // Only cancellation ends the wait early.
        do { try await requests.waitForSync() } catch { return }
        await queue.run(workers: Self.workers, logger: logger) { try await self.sync($0) }
    }

    private func sync(_ name: String) async throws {
        guard let object = requests.indexer.get(name) else { return }
        switch NodeCertificatePlan.question(object) {
        case .none: return
        case .approve: try await approve(object, "Auto approving the service proxy's own certificate.")
        case .node(let node, let dnsNames, let addresses):
            guard let facts = try await provider.instance(forNodeName: node) else {
                let networks = try await provider.remoteNodeNetworks()
                guard NodeCertificatePlan.covers(networks, node: node, dnsNames: dnsNames, addresses: addresses) else {
                    throw StatusError.internalError(
                        "the cloud knows no instance for node \(node) yet, and the request is not for an address of the remote node networks")
                }
                return try await approve(object, "Auto approving the kubelet's serving certificate for an address of the remote node networks.")
            }
            guard NodeCertificatePlan.covers(facts, node: node, dnsNames: dnsNames, addresses: addresses) else {
                return logger.warning("a node asks for names that are not its instance's", metadata: ["node": "\(node)", "request": "\(name)"])
            }
            try await approve(object, "Auto approving the kubelet's serving certificate for its instance.")
        }
    }

    private func approve(_ object: Object, _ message: String) async throws {
        let time = now().rfc3339
        var tree = object.value
        let condition: Value = [
            "type": "Approved", "status": "True", "reason": "AutoApproved", "message": .string(message), "lastUpdateTime": .string(time),
            "lastTransitionTime": .string(time),
        ]
        tree[path: "status", "conditions"] = .array((tree[path: "status", "conditions"]?.array ?? []) + [condition])
        do { try await client.update(.certificateSigningRequests, tree, subresource: "approval") } catch let error as StatusError
            where error.isNotFound || error.isConflict
        {
            // Gone, or changed: the change brings the key back.
        }
    }
}
