import KubeAPI
import KubeClient
import Logging

/// Writes the legacy Endpoints of Services with a selector. Upstream: pkg/controller/endpoint.
final class EndpointsController: Controller {
    let name = "endpoints-controller"
    /// Upstream: --concurrent-endpoint-syncs.
    private static let workers = 5
    private static let managedBy = "endpoints.kubernetes.io/managed-by"

    private let environment: ControllerEnvironment
    private let services: SharedInformer
    private let pods: SharedInformer
    private let endpoints: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        services = environment.informers.informer(for: .services)
        pods = environment.informers.informer(for: .pods)
        endpoints = environment.informers.informer(for: .endpoints)
        queue = environment.queue("endpoints")
        recorder = environment.recorder(name)
        let (queue, services) = (queue, services.indexer)
        self.services.addHandler(.any { queue.add($0.metadata.key) })
        ServicePods.addHandler(to: pods, services: services, queue: queue)
        endpoints.addHandler(.any { queue.add($0.metadata.key) })
    }

    func run() async throws {
        for informer in [services, pods, endpoints] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: syncService.
    private func sync(_ key: String) async throws {
        let existing = endpoints.indexer.get(key)
        guard let object = services.indexer.get(key) else {
            // Only what this controller made goes with the Service; Endpoints written by hand are their writer's.
            guard let existing, existing.metadata.labels[Self.managedBy] != nil else { return }
            do {
                try await client.delete(
                    .endpoints, namespace: existing.metadata.namespace, name: existing.metadata.name,
                    options: DeleteOptions(preconditionUID: existing.metadata.uid))
            } catch let error as StatusError where error.isNotFound {}
            return
        }
        let service = ServiceState(object)
        if service.type == "ExternalName" || service.selector.isEmpty || object.metadata.isBeingDeleted { return }
        let selected = ServicePods.pods(of: service, in: pods.indexer)
        guard let wanted = EndpointsPlanner.plan(service: service, pods: selected, existing: existing) else { return }
        do {
            if existing == nil { try await client.create(.endpoints, wanted) } else { try await client.update(.endpoints, wanted) }
        } catch let error as StatusError where error.isNamespaceTerminating {
            return
        } catch let error as StatusError where error.isAlreadyExists {
            throw error  // The cache is a moment behind.
        } catch let error as StatusError where !error.isConflict {
            recorder.event(
                object, .warning, reason: existing == nil ? "FailedToCreateEndpoint" : "FailedToUpdateEndpoint",
                message: "Failed to \(existing == nil ? "create" : "update") endpoint \(key): \(error.message)")
            throw error
        }
    }
}
