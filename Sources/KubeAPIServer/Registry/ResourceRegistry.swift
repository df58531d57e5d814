package import KubeAPI
import KubeStorage
import Synchronization

/// The resources that are served, each with its scope. It reads for others, too: admission, authorisers and strategies see objects through it.
package final class ResourceRegistry: ObjectReader {
    struct State {
        var table: ResourceTable
        var scopes: [GroupVersionResource: RequestScope] = [:]
        /// The stored version's scope of each resource.
        var storages: [GroupResource: RequestScope] = [:]
        /// The versions of each CustomResourceDefinition, by its name, served or not.
        var definitions: [String: [CustomResourceVersion]] = [:]
        /// Those that are served.
        var custom: [GroupVersionResource: CustomResourceVersion] = [:]
        /// Grows with every change of what is served.
        var generation: UInt64 = 0
    }
    let store: CachedStore
    let state: Mutex<State>
    let metrics = StorageMetrics()

    init(store: CachedStore, table: ResourceTable) {
        self.store = store
        state = Mutex(State(table: table))
    }

    /// Builds the scopes. Called once when the strategies are there, before anything is served.
    func install(strategies: [GroupResource: any ResourceStrategy]) {
        state.withLock { state in
            for row in state.table.rows {
                let conversion = VersionConversion.conversion(for: row)
                let scope = RequestScope(
                    row: row, storage: storage(row), strategy: strategies[row.groupResource],
                    conversion: conversion, nameRule: .rule(for: row), custom: nil)
                state.scopes[row.groupVersionResource] = scope
                if conversion == nil, state.storages[row.groupResource] == nil { state.storages[row.groupResource] = scope }
            }
        }
    }

    package var table: ResourceTable { state.withLock(\.table) }
    /// The revision as of which reads are complete.
    package var revision: Int64 { store.revision }

    func scope(_ resource: GroupVersionResource) -> RequestScope? { state.withLock { $0.scopes[resource] } }

    /// Before `install`, what authorisers read has storages too, without strategies.
    private func storage(_ resource: GroupResource) -> (row: ResourceRow, storage: ResourceStorage)? {
        let (scope, row) = state.withLock { ($0.storages[resource], $0.table[resource].first) }
        if let scope { return (scope.row, scope.storage) }
        return row.map { ($0, storage($0)) }
    }

    /// The objects of a row, built in or custom.
    func storage(_ row: ResourceRow) -> ResourceStorage {
        ResourceStorage(prefix: StorageKeys.prefix(row), store: store, operations: metrics.operations(of: row.groupResource))
    }

    /// How many objects of a resource there are, 0 for one that is not served.
    func count(of resource: GroupResource) -> Int { storage(resource)?.storage.count ?? 0 }

    package func get(_ resource: GroupResource, namespace: String, name: String) -> Object? {
        guard let (row, storage) = storage(resource) else { return nil }
        return storage.get(namespace: row.namespaced ? namespace : "", name: name)
    }

    package func list(_ resource: GroupResource, namespace: String?) -> [Object] {
        guard let (row, storage) = storage(resource) else { return [] }
        return storage.list(namespace: row.namespaced ? namespace : nil).objects
    }

    package func observe(_ resource: GroupResource, _ changed: @escaping @Sendable (_ old: Object?, _ new: Object?) -> Void) {
        guard let (row, storage) = storage(resource) else { return }
        let kind = row.kind
        let group = row.group
        storage.observe(changed) { $0.kind == kind && $0.groupVersionKind.group == group }
    }
}
