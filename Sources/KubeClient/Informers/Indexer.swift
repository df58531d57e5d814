package import KubeAPI
internal import Synchronization

/// Gives the values under which an index finds an object.
package typealias IndexFunction = @Sendable (Object) -> [String]

/// Objects of one resource by key (`namespace/name`, or `name`), with named indices. Upstream: client-go/tools/cache.ThreadSafeStore.
package final class Indexer: Sendable {
    private struct Index {
        var function: IndexFunction
        var keys: [String: Set<String>] = [:]

        mutating func add(_ object: Object, _ key: String) { for value in function(object) { keys[value, default: []].insert(key) } }

        mutating func remove(_ object: Object, _ key: String) {
            for value in function(object) {
                keys[value]?.remove(key)
                if keys[value]?.isEmpty == true { keys[value] = nil }
            }
        }
    }

    private struct State {
        var objects: [String: Object] = [:]
        var indices: [String: Index] = [:]

        mutating func set(_ key: String, _ object: Object?) -> Object? {
            let old = objects[key]
            objects[key] = object
            for name in indices.keys {
                if let old { indices[name]?.remove(old, key) }
                if let object { indices[name]?.add(object, key) }
            }
            return old
        }
    }

    /// The index by namespace, always there. Upstream: cache.NamespaceIndex.
    package static let namespaceIndex = "namespace"

    private let state = Mutex(State())

    package init() {
        state.withLock { $0.indices[Self.namespaceIndex] = Index(function: { [$0.metadata.namespace] }) }
    }

    /// Adds the index `name`, over the objects already there too. An index of that name that exists stays.
    package func addIndex(_ name: String, _ function: @escaping IndexFunction) {
        state.withLock { state in
            guard state.indices[name] == nil else { return }
            var index = Index(function: function)
            for (key, object) in state.objects { index.add(object, key) }
            state.indices[name] = index
        }
    }

    /// The object with `key`: `namespace/name`, or `name` for cluster-scoped resources.
    package func get(_ key: String) -> Object? { state.withLock { $0.objects[key] } }

    package func get(namespace: String?, name: String) -> Object? {
        get(namespace.map { $0.isEmpty ? name : "\($0)/\(name)" } ?? name)
    }

    /// All objects, or those of a namespace; in no particular order.
    package func list(namespace: String? = nil) -> [Object] {
        guard let namespace else { return state.withLock { Array($0.objects.values) } }
        return byIndex(Self.namespaceIndex, namespace)
    }

    /// The objects that the index `name` gives for `value`; none when there is no such index. In no particular order.
    package func byIndex(_ name: String, _ value: String) -> [Object] {
        state.withLock { state in (state.indices[name]?.keys[value] ?? []).compactMap { state.objects[$0] } }
    }

    package var keys: [String] { state.withLock { Array($0.objects.keys) } }
    package var count: Int { state.withLock { $0.objects.count } }

    /// Sets or replaces an object; gives the one it replaces. For tests and informers.
    @discardableResult
    package func set(_ object: Object) -> Object? { state.withLock { $0.set(object.metadata.key, object) } }

    /// Removes the object with `key` and gives it.
    @discardableResult
    package func remove(_ key: String) -> Object? { state.withLock { $0.set(key, nil) } }
}

/// Reads of an informer's cache. Upstream: client-go's generated listers.
package struct Lister: Sendable {
    package let indexer: Indexer

    package init(indexer: Indexer) { self.indexer = indexer }

    package func get(namespace: String? = nil, name: String) -> Object? { indexer.get(namespace: namespace, name: name) }
    package func get(key: String) -> Object? { indexer.get(key) }
    package func list(namespace: String? = nil) -> [Object] { indexer.list(namespace: namespace) }
    package func byIndex(_ name: String, _ value: String) -> [Object] { indexer.byIndex(name, value) }
}
