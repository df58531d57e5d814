import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Counts the objects of resources by namespace, from the first time a quota names one. It keeps names, no objects: a quota on Secrets shall not put
/// every Secret into memory a second time. Upstream: QuotaMonitor.
final class ObjectCounter: Sendable {
    private struct State {
        /// Names by namespace; nil until the first list.
        var names: [GroupResource: [String: Set<String>]?] = [:]
        var tasks: [GroupResource: Task<Void, Never>] = [:]
    }

    private let environment: ControllerEnvironment
    private let state = Mutex(State())
    /// Called with the namespace whose objects have become fewer, and with nil when a resource is counted for the first time.
    private let changed: @Sendable (String?) -> Void

    init(_ environment: ControllerEnvironment, changed: @escaping @Sendable (String?) -> Void) {
        self.environment = environment
        self.changed = changed
    }

    /// How many a namespace has; nil when they are not counted yet.
    func count(_ resource: GroupResource, in namespace: String) -> Int? {
        state.withLock { state in
            guard let names = state.names[resource] ?? nil else { return nil }
            return names[namespace]?.count ?? 0
        }
    }

    /// Starts counting what is not counted yet, and stops what is no longer served.
    func watch(_ resources: Set<GroupResource>, served: ResourceTable) {
        state.withLock { state in
            for (resource, task) in state.tasks where served[resource].isEmpty {
                task.cancel()
                state.tasks[resource] = nil
                state.names[resource] = .none
            }
            for resource in resources where state.tasks[resource] == nil {
                guard let row = served[resource].first(where: { $0.supports("list") && $0.supports("watch") }) else { continue }
                state.tasks[resource] = Task { await follow(row.groupVersionResource) }
            }
        }
    }

    func stop() {
        let tasks = state.withLock { state in
            defer { state = State() }
            return state.tasks.values.map { $0 }
        }
        for task in tasks { task.cancel() }
    }

    private func follow(_ resource: GroupVersionResource) async {
        let reflector = Reflector(client: environment.client, resource: resource, clock: environment.clock, logger: environment.logger)
        let key = resource.groupResource
        await reflector.run { change in
            switch change {
            case .replaced(let objects):
                var names: [String: Set<String>] = [:]
                for object in objects { names[object.metadata.namespace, default: []].insert(object.metadata.name) }
                self.state.withLock { $0.names[key] = names }
                self.changed(nil)
            case .added(let object), .modified(let object):
                let metadata = object.metadata
                self.state.withLock { _ = $0.names[key]??[metadata.namespace, default: []].insert(metadata.name) }
            case .deleted(let object):
                let metadata = object.metadata
                self.state.withLock { _ = $0.names[key]??[metadata.namespace]?.remove(metadata.name) }
                self.changed(metadata.namespace)
            }
        }
    }
}
