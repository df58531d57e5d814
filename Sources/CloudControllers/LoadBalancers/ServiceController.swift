import KubeAPI
package import KubeClient
package import Logging

/// Gives Services of type LoadBalancer their balancers, and takes them away. Upstream: cloud-provider/controllers/service.Controller.
package final class ServiceController: Sendable {
    /// Upstream: --concurrent-service-syncs is 1; balancers here are made in milliseconds.
    private static let workers = 2
    private static let serviceIndex = "load-balancer-service"
    private static let serviceLabel = "kubernetes.io/service-name"

    private let client: KubeClient
    private let provider: any LoadBalancerProvider
    private let services: SharedInformer
    private let nodes: SharedInformer
    private let slices: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let logger: Logger

    /// `informers` are shared ones that the caller runs.
    package init(
        client: KubeClient, provider: any LoadBalancerProvider, informers: InformerFactory, clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "service-controller")
    ) {
        self.client = client
        self.provider = provider
        self.logger = logger
        services = informers.informer(for: .services)
        nodes = informers.informer(for: .nodes)
        slices = informers.informer(for: .endpointSlices)
        // Upstream: minRetryDelay 5 s, maxRetryDelay 5 min; a host's own balancers may be asked again sooner.
        queue = WorkQueue(name: "service", backoff: .init(first: .milliseconds(200), limit: .seconds(300)), clock: clock)
        recorder = EventRecorder(client: client, component: "service-controller", clock: clock, logger: logger)
        slices.addIndex(Self.serviceIndex) { [Self.service(of: $0)] }
        let (queue, services) = (queue, services)
        services.addHandler(.any { if LoadBalancerPlan.isWanted($0) || LoadBalancerPlan.hasFinalizer($0) { queue.add($0.metadata.key) } })
        slices.addHandler(
            .any { slice in
                let key = Self.service(of: slice)
                if let service = services.indexer.get(key), LoadBalancerPlan.isWanted(service) { queue.add(key) }
            })
        let all: @Sendable () -> Void = {
            for service in services.indexer.list() where LoadBalancerPlan.isWanted(service) { queue.add(service.metadata.key) }
        }
        nodes.addHandler(
            InformerHandler(
                added: { _ in all() },
                updated: { old, new in
                    let isSame =
                        CloudNodePlan.isReady(old) == CloudNodePlan.isReady(new) && old.metadata.labels == new.metadata.labels
                        && old["spec"].value == new["spec"].value && old.metadata.isBeingDeleted == new.metadata.isBeingDeleted
                    if !isSame { all() }
                }, deleted: { _ in all() }))
    }

    private static func service(of slice: Object) -> String {
        "\(slice.metadata.namespace)/\(slice["metadata"]["labels"][serviceLabel].string ?? "")"
    }

    /// Runs until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.recorder.run() }
            group.addTask {
                // Only cancellation ends the wait early.
                do { for informer in [self.services, self.nodes, self.slices] { try await informer.waitForSync() } } catch { return }
                await self.queue.run(workers: Self.workers, logger: self.logger) { try await self.sync($0) }
            }
        }
    }

    private func sync(_ key: String) async throws {
        guard let service = services.indexer.get(key) else { return }
        guard LoadBalancerPlan.isWanted(service) else { return try await cleanUp(service) }
        if !LoadBalancerPlan.hasFinalizer(service) {
            // First, so that a balancer is never without somebody who remembers it.
            try await setFinalizers(service, service.metadata.finalizers + [LoadBalancerPlan.finalizer])
        }
        let wanted = LoadBalancerPlan.balancer(
            for: service, nodes: nodes.indexer.list(), slices: slices.indexer.byIndex(Self.serviceIndex, key))
        do {
            let address = try await provider.ensure(wanted)
            let ingress: Value = [["ip": .string(address), "ipMode": "VIP"]]
            guard service["status"]["loadBalancer"]["ingress"].value != ingress else { return }
            try await writeStatus(service, ["ingress": ingress])
            recorder.event(
                regarding: ObjectReference(service), .normal, reason: "EnsuredLoadBalancer", message: "Ensured load balancer")
        } catch {
            recorder.event(
                regarding: ObjectReference(service), .warning, reason: "SyncLoadBalancerFailed", message: "Error syncing load balancer: \(error)")
            throw error
        }
    }

    private func cleanUp(_ service: Object) async throws {
        guard LoadBalancerPlan.hasFinalizer(service) else { return }
        try await provider.remove(id: service.metadata.uid)
        if !service.metadata.isBeingDeleted { try await writeStatus(service, [:]) }
        try await setFinalizers(service, service.metadata.finalizers.filter { $0 != LoadBalancerPlan.finalizer })
    }

    private func setFinalizers(_ service: Object, _ finalizers: [String]) async throws {
        do {
            try await client.patch(
                .services, namespace: service.metadata.namespace, name: service.metadata.name, type: .merge,
                ["metadata": ["resourceVersion": .string(service.metadata.resourceVersion), "finalizers": Value(finalizers)]])
        } catch let error as StatusError where error.isNotFound {}
    }

    private func writeStatus(_ service: Object, _ balancer: Value) async throws {
        try await client.patch(
            .services, namespace: service.metadata.namespace, name: service.metadata.name, type: .merge, ["status": ["loadBalancer": balancer]],
            subresource: "status")
    }
}
