import KubeAPI
import KubeStorage

/// The objects of one resource, whatever the version: its part of the store's keys and of a watch cache. Upstream: genericregistry.Store's storage.
struct ResourceStorage: Sendable {
    /// What the keys begin with, with a slash at its end: `/registry/pods/`, `/registry/services/specs/`, `/registry/GROUP/RESOURCE/`.
    let prefix: String
    /// What of `prefix` the cache's own prefix (two path segments) leaves over: empty, `specs`, `RESOURCE`.
    private let part: String
    private let store: CachedStore
    private let cache: WatchCache
    private let operations: StorageOperations

    init(prefix: String, store: CachedStore, operations: StorageOperations) {
        self.prefix = prefix
        self.store = store
        self.operations = operations
        let segments = prefix.split(separator: "/")
        let cached = "/" + segments.prefix(2).joined(separator: "/") + "/"
        part = segments.dropFirst(2).joined(separator: "/")
        cache = store.cache(for: cached)
    }

    private func key(namespace: String, name: String) -> String { namespace.isEmpty ? prefix + name : "\(prefix)\(namespace)/\(name)" }

    /// What the cache calls a namespace: the path between its prefix and the names.
    private func scope(_ namespace: String?) -> String? {
        switch (part.isEmpty, namespace) {
        case (true, let namespace): namespace
        case (false, nil): part
        case (false, let namespace?): "\(part)/\(namespace)"
        }
    }

    /// Objects there are; of resources that share a cache all of them.
    var count: Int { cache.count }

    /// The revision as of which reads are complete.
    var revision: Int64 { cache.revision }

    func get(namespace: String, name: String) -> Object? {
        // Names hold no slashes: one with a slash would reach into another namespace.
        name.utf8.contains(UInt8(ascii: "/")) ? nil : cache.get(key(namespace: namespace, name: name))
    }

    /// All objects of a namespace, or of all (nil), in the order of their keys.
    func list(namespace: String?) -> (objects: [Object], revision: Int64) {
        do {
            let page = try cache.list(namespace: scope(namespace))
            return (page.objects, page.revision)
        } catch {
            // Only lists of a past revision are refused.
            return ([], cache.revision)
        }
    }

    /// A page; `start` is a key relative to the list's prefix, as `ListPage.nextKey` of the page before, made relative by `relative`.
    func page(
        namespace: String?, limit: Int?, start: String?, revision: Int64?, filter: (@Sendable (Object) -> Bool)?
    ) throws(StatusError) -> ListPage {
        try cache.list(
            namespace: scope(namespace), limit: limit, startKey: start.map { listPrefix(namespace) + $0 }, revision: revision, filter: filter)
    }

    /// `key` without the prefix of a list of `namespace`.
    func relative(_ key: String, namespace: String?) -> String { String(key.dropFirst(listPrefix(namespace).count)) }

    private func listPrefix(_ namespace: String?) -> String { namespace.map { "\(prefix)\($0)/" } ?? prefix }

    /// Throws `StatusError` 410 when changes after `revision` are no longer all held, 504 when it is of the future. Nil: the present objects first.
    func watch(
        namespace: String?, from revision: Int64?, sendInitialEvents: Bool, bookmarks: Bool, trigger: WatchTrigger? = nil,
        filter: (@Sendable (Object) -> Bool)?
    ) throws(StatusError) -> WatchSubscription {
        try cache.watch(
            from: revision, namespace: scope(namespace), sendInitialEvents: sendInitialEvents, bookmarks: bookmarks, trigger: trigger, filter: filter)
    }

    /// Calls `changed` for every object there is and for every change, on the store's writer.
    func observe(_ changed: @escaping @Sendable (_ old: Object?, _ new: Object?) -> Void, isMeant: @escaping @Sendable (Object) -> Bool) {
        guard !part.isEmpty else { return cache.observe(changed) }
        // A cache of several resources: services and endpoints, or all custom resources of a group.
        cache.observe { old, new in if let object = new ?? old, isMeant(object) { changed(old, new) } }
    }

    /// Throws `StoreError.alreadyExists`.
    func create(_ object: Object, namespace: String, name: String, timeToLive: Int64?) async throws -> Object {
        try await operations.measure(.create) { try await store.create(key(namespace: namespace, name: name), object, timeToLive: timeToLive) }
    }

    /// Throws `StoreError.conflict` when `old` is not the present object any more.
    func replace(_ old: Object, with object: Object, timeToLive: Int64?) async throws -> Object {
        let metadata = old.metadata
        return try await operations.measure(.update) {
            try await store.update(
                key(namespace: metadata.namespace, name: metadata.name), object, expected: Int64(metadata.resourceVersion) ?? 0,
                timeToLive: timeToLive)
        }
    }

    /// Removes `old` for good and returns it with the revision of its deletion. Throws `StoreError.conflict` when it is not the present object any
    /// more.
    func remove(_ old: Object) async throws -> Object {
        let metadata = old.metadata
        let revision = try await operations.measure(.delete) {
            try await store.delete(key(namespace: metadata.namespace, name: metadata.name), expected: Int64(metadata.resourceVersion) ?? 0)
        }
        return old.withResourceVersion(revision)
    }
}
