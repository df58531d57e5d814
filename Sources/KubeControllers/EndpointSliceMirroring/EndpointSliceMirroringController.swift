import KubeAPI
import KubeClient
import Logging

/// Mirrors Endpoints that somebody writes by hand into EndpointSlices, which are what proxies read.
/// Upstream: pkg/controller/endpointslicemirroring.
final class EndpointSliceMirroringController: Controller {
    let name = "endpointslice-mirroring-controller"
    /// Upstream: --mirroring-concurrent-service-endpoint-syncs.
    private static let workers = 5
    private static let index = "mirrored endpoints"

    private let environment: ControllerEnvironment
    private let services: SharedInformer
    private let endpoints: SharedInformer
    private let slices: SharedInformer
    private let queue: WorkQueue<String>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        services = environment.informers.informer(for: .services)
        endpoints = environment.informers.informer(for: .endpoints)
        slices = environment.informers.informer(for: .endpointSlices)
        queue = environment.queue("endpoint_slice_mirroring")
        slices.addIndex(Self.index) { slice in Self.key(of: slice).map { [$0] } ?? [] }
        let queue = queue
        services.addHandler(.any { queue.add($0.metadata.key) })
        endpoints.addHandler(.any { queue.add($0.metadata.key) })
        // Somebody else's hand in a slice is undone.
        slices.addHandler(
            InformerHandler(
                updated: { if let key = Self.key(of: $1) { queue.add(key) } }, deleted: { if let key = Self.key(of: $0) { queue.add(key) } }))
    }

    /// The key of the Endpoints that one of our slices is of.
    private static func key(of slice: Object) -> String? {
        let meta = slice.metadata
        guard meta.labels[EndpointSlicePlanner.managedByLabel] == MirrorPlanner.managedBy else { return nil }
        return meta.labels[EndpointSlicePlanner.serviceNameLabel].map { "\(meta.namespace)/\($0)" }
    }

    func run() async throws {
        for informer in [services, endpoints, slices] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    private func sync(_ key: String) async throws {
        let source = endpoints.indexer.get(key).flatMap { MirrorPlanner.isMirrored($0, service: services.indexer.get(key)) ? $0 : nil }
        let existing = slices.indexer.byIndex(Self.index, key)
        guard source != nil || !existing.isEmpty else { return }
        let plan = MirrorPlanner.plan(source, existing: existing)
        let namespace = key.split(separator: "/").first.map(String.init)
        do {
            for slice in plan.creates { try await client.create(.endpointSlices, slice) }
            for slice in plan.updates { try await client.update(.endpointSlices, slice) }
            for name in plan.deletes {
                do { try await client.delete(.endpointSlices, namespace: namespace, name: name) } catch let error as StatusError
                    where error.isNotFound
                {}
            }
        } catch let error as StatusError where error.isNamespaceTerminating {}
    }
}
