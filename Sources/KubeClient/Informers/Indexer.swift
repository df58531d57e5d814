package import KubeAPI
internal import Synchronization

/// Gives the values under which an index finds an object.
package typealias IndexFunction = @Sendable (Object) -> [String]

/// Objects of one resource by key (`namespace/name`, or `name`), with named indices. Upstream: client-go/tools/cache.ThreadSafeStore.
package final class Indexer: Sendable {
    private struct Index {
        var function: IndexFunction
        var keys: [String: Set<String>] = [:]

        mutating func change(_ key: String, from old: Object?, to new: Object?) {
            let (before, after) = (old.map(function) ?? [], new.map(function) ?? [])
            // An object's place in an index seldom changes with it.
            if before == after { return }
            for value in before {
                keys[value]?.remove(key)
                if keys[value]?.isEmpty == true { keys[value] = nil }
            }
            for value in after { keys[value, default: []].insert(key) }
        }
    }

    private struct State {
        var objects: [String: Object] = [:]
        var indices: [Index] = []
        var places: [String: Int] = [:]

        func index(_ name: String) -> Index? { places[name].map { indices[$0] } }

        mutating func add(_ index: Index, _ name: String) {
            places[name] = indices.count
            indices.append(index)
        }

        mutating func set(_ key: String, _ object: Object?) -> Object? {
            let old = objects[key]
            objects[key] = object
            // In place: a copy of an index for each change would make many objects quadratic.
            for place in indices.indices { indices[place].change(key, from: old, to: object) }
            return old
        }
    }

    /// The index by namespace, always there. Upstream: cache.NamespaceIndex.
    package static let namespaceIndex = "namespace"

    private let state = Mutex(State())

    package init() {
        state.withLock { $0.add(Index(function: { [$0.metadata.namespace] }), Self.namespaceIndex) }
    }

    /// Adds the index `name`, over the objects already there too. An index of that name that exists stays.
    package func addIndex(_ name: String, _ function: @escaping IndexFunction) {
        state.withLock { state in
            guard state.places[name] == nil else { return }
            var index = Index(function: function)
            for (key, object) in state.objects { index.change(key, from: nil, to: object) }
            state.add(index, name)
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
        state.withLock { state in (state.index(name)?.keys[value] ?? []).compactMap { state.objects[$0] } }
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
