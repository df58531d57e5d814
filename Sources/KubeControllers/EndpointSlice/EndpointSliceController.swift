import KubeAPI
import KubeClient
import Logging

/// Writes the EndpointSlices of Services with a selector. Upstream: pkg/controller/endpointslice.
final class EndpointSliceController: Controller {
    let name = "endpoint-slice-controller"
    /// Upstream: --concurrent-service-endpoint-syncs.
    private static let workers = 5
    static let zoneLabel = "topology.kubernetes.io/zone"

    /// Not an error of anybody's: the cache is a moment behind.
    private struct CacheIsStale: Error {}

    private let environment: ControllerEnvironment
    private let services: SharedInformer
    private let pods: SharedInformer
    private let nodes: SharedInformer
    private let slices: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let tracker = EndpointSliceTracker()
    private let topology = TopologyCache()
    private static let serviceIndex = "service"
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        services = environment.informers.informer(for: .services)
        pods = environment.informers.informer(for: .pods)
        nodes = environment.informers.informer(for: .nodes)
        slices = environment.informers.informer(for: .endpointSlices)
        queue = environment.queue("endpointslice")
        recorder = environment.recorder(name)
        slices.addIndex(Self.serviceIndex) { Self.serviceKey(of: $0).map { [$0] } ?? [] }
        let (queue, tracker, services, topology) = (queue, tracker, services.indexer, topology)
        self.services.addHandler(.any { queue.add($0.metadata.key) })
        ServicePods.addHandler(to: pods, services: services, queue: queue)
        slices.addHandler(
            InformerHandler(
                added: { if let key = Self.serviceKey(of: $0) { queue.add(key) } },
                updated: { old, new in for slice in [old, new] { if let key = Self.serviceKey(of: slice) { queue.add(key) } } },
                deleted: { slice in
                    guard let key = Self.serviceKey(of: slice) else { return }
                    tracker.observeDeletion(key, uid: slice.metadata.uid)
                    queue.add(key)
                }))
        let capacity: @Sendable (String, Object?) -> Void = { name, node in for key in topology.observe(name, node) { queue.add(key) } }
        nodes.addHandler(
            InformerHandler(
                added: { capacity($0.metadata.name, $0) },
                updated: { old, new in
                    capacity(new.metadata.name, new)
                    // Endpoints carry their node's zone, and are left out while traffic is shifted away from it.
                    guard
                        old.metadata.labels[Self.zoneLabel] != new.metadata.labels[Self.zoneLabel]
                            || old.metadata.annotations[ZonalShift.annotation] != new.metadata.annotations[ZonalShift.annotation]
                    else { return }
                    for service in services.list() { queue.add(service.metadata.key) }
                }, deleted: { capacity($0.metadata.name, nil) }))
    }

    private static func serviceKey(of slice: Object) -> String? {
        let labels = slice.metadata.labels
        guard labels[EndpointSlicePlanner.managedByLabel] == EndpointSlicePlanner.managedBy,
            let service = labels[EndpointSlicePlanner.serviceNameLabel]
        else { return nil }
        return "\(slice.metadata.namespace)/\(service)"
    }

    func run() async throws {
        for informer in [services, pods, nodes, slices] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: syncService.
    private func sync(_ key: String) async throws {
        guard let object = services.indexer.get(key) else {
            // Its slices go with it, by their owner reference.
            tracker.forget(key)
            topology.forget(key)
            return
        }
        let service = ServiceState(object)
        if service.selector.isEmpty || object.metadata.isBeingDeleted { return }
        let existing = slices.indexer.byIndex(Self.serviceIndex, key)
        if tracker.isStale(key, existing) { throw CacheIsStale() }
        let selected = ServicePods.pods(of: service, in: pods.indexer)
        var zones: [String: String] = [:]
        var shifted: Set<String> = []
        for pod in selected {
            let name = PodView(pod).nodeName
            guard !name.isEmpty, zones[name] == nil, let node = nodes.indexer.get(name) else { continue }
            zones[name] = node.metadata.labels[Self.zoneLabel]
            if let zone = zones[name], node.metadata.annotations[ZonalShift.annotation] != nil { shifted.insert(zone) }
        }
        let plan = EndpointSlicePlanner.plan(
            service: service, pods: selected, zones: zones, existing: existing, ratios: topology.ratios, excludedZones: shifted)
        do {
            for value in plan.creates { tracker.expect(key, try await client.create(.endpointSlices, value)) }
            for value in plan.updates { tracker.expect(key, try await client.update(.endpointSlices, value)) }
            for name in plan.deletes {
                guard let slice = existing.first(where: { $0.metadata.name == name }) else { continue }
                tracker.expectDeletion(key, uid: slice.metadata.uid)
                do {
                    try await client.delete(
                        .endpointSlices, namespace: service.namespace, name: name, options: DeleteOptions(preconditionUID: slice.metadata.uid))
                } catch {
                    tracker.observeDeletion(key, uid: slice.metadata.uid)
                    if !((error as? StatusError)?.isNotFound ?? false) { throw error }
                }
            }
            topology.keep(key, families: plan.topology.keys)
            for (family, outcome) in plan.topology.sorted(by: { $0.key < $1.key }) {
                guard let event = topology.note(key, family: family, outcome) else { continue }
                recorder.event(object, event.type, reason: event.reason, message: event.message)
            }
        } catch let error as StatusError where error.isNamespaceTerminating {
            return
        } catch let error as StatusError where !error.isConflict && !error.isNotFound {
            recorder.event(
                object, .warning, reason: "FailedToUpdateEndpointSlices",
                message: "Error updating Endpoint Slices for Service \(key): \(error.message)")
            throw error
        }
    }
}

/// Which pods belong to a Service, and which Services a pod's change concerns: shared by both endpoint controllers.
enum ServicePods {
    static func pods(of service: ServiceState, in pods: Indexer) -> [Object] {
        pods.list(namespace: service.namespace).filter { service.selects($0.metadata.labels) }
    }

    /// Queues the Services that select a pod when something of the pod changed that endpoints show. Upstream:
    /// endpointutil.GetServicesToUpdateOnPodChange.
    static func addHandler(to pods: SharedInformer, services: Indexer, queue: WorkQueue<String>) {
        @Sendable func enqueue(_ labels: [String: String], _ namespace: String) {
            guard !labels.isEmpty else { return }
            for service in services.list(namespace: namespace) where ServiceState.selector(of: service, matches: labels) {
                queue.add(service.metadata.key)
            }
        }
        pods.addHandler(
            InformerHandler(
                added: { enqueue($0.metadata.labels, $0.metadata.namespace) },
                updated: { old, new in
                    let (before, after) = (old.metadata.labels, new.metadata.labels)
                    guard before != after || endpointFacts(old) != endpointFacts(new) else { return }
                    enqueue(after, new.metadata.namespace)
                    if before != after { enqueue(before, new.metadata.namespace) }
                }, deleted: { enqueue($0.metadata.labels, $0.metadata.namespace) }))
    }

    private static func endpointFacts(_ pod: Object) -> [String] {
        let view = PodView(pod)
        let addresses = view.status["podIPs"].elements.compactMap { $0["ip"].string }
        return [
            view.nodeName, view.status["podIP"].string ?? "", view.isReady ? "ready" : "", view.meta.isBeingDeleted ? "terminating" : "",
            view.isTerminal ? "terminal" : "", view.spec["hostname"].string ?? "", view.spec["subdomain"].string ?? "",
        ] + addresses
    }
}

extension ServiceState {
    /// As `selects`, without reading the whole Service.
    static func selector(of service: Object, matches labels: [String: String]) -> Bool {
        guard let selector = service["spec"]["selector"] else { return false }
        var isEmpty = true
        for (key, value) in selector.members {
            isEmpty = false
            guard let label = labels[key], value.equals(label) else { return false }
        }
        return !isEmpty
    }
}
