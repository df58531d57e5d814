package import KubeAPI
internal import Synchronization

/// A store with a watch cache for each resource: what an API server reads and writes. Every commit is in the caches, and was told to their watchers,
/// before
/// the write returns: who reads after writing reads what was written.
package final class CachedStore: Sendable {
    /// How often watches that want bookmarks get one. Upstream: bookmarkFrequency, a minute.
    static let bookmarkInterval = Duration.seconds(60)

    private enum Feed {
        /// Commits (of expiring keys) during the first load.
        case loading([StoreEvent])
        case live
    }

    private let store: any Store
    private let limits: WatchCache.Limits
    private let progress: Progress
    private let caches: Mutex<[String: WatchCache]>
    /// Held while commits are dispatched.
    private let feed: Mutex<Feed>
    private let bookmarks: Mutex<Task<Void, Never>?>
    /// The revision at each of the last minutes.
    private let rounds = Mutex<[Int64]>([])

    private init(store: any Store, limits: WatchCache.Limits) {
        self.store = store
        self.limits = limits
        progress = Progress(0)
        caches = Mutex([:])
        feed = Mutex(.loading([]))
        bookmarks = Mutex(nil)
    }

    /// Loads all of `store` and follows its commits from then on; the store is the cached store's own from here. Throws `StoreError`.
    package static func open(
        _ store: any Store, limits: WatchCache.Limits = WatchCache.Limits(), clock: any Clock<Duration> = ContinuousClock()
    ) async throws -> CachedStore {
        let cached = CachedStore(store: store, limits: limits)
        store.observe { [weak cached] events in cached?.receive(events) }
        let loader = StoreLoader(sizeInBytes: store.sizeInBytes)
        let revision = try await store.scan { key, value, modRevision in try loader.add(key, value, revision: modRevision) }
        cached.fill(loader.finish(), revision)
        cached.bookmarks.withLock { task in
            task = Task { [weak cached] in
                // Ends with the task: a cancelled sleep throws.
                while (try? await clock.sleep(for: bookmarkInterval)) != nil {
                    cached?.requestBookmarks()
                    cached?.compact()
                }
            }
        }
        return cached
    }

    deinit { bookmarks.withLock { $0?.cancel() } }

    /// Loaded entries become caches.
    private func fill(_ entries: [(key: String, object: Object)], _ revision: Int64) {
        feed.withLock { feed in
            caches.withLock { caches in
                // Sorted by key, the entries of a prefix stand together.
                var start = 0
                while start < entries.count {
                    let prefix = Self.prefix(of: entries[start].key)
                    let end = entries[start...].firstIndex { !$0.key.hasPrefix(prefix) } ?? entries.count
                    caches[prefix] = WatchCache(
                        prefix: prefix, entries: Array(entries[start..<end]), revision: revision, progress: progress, limits: limits)
                    start = end
                }
            }
            progress.revision.store(revision, ordering: .releasing)
            if case .loading(let events) = feed { dispatch(events.filter { $0.revision > revision }) }
            feed = .live
        }
    }

    /// `/registry/pods/` of `/registry/pods/default/web`.
    static func prefix(of key: String) -> String {
        var slashes = 0
        for index in key.utf8.indices where key.utf8[index] == UInt8(ascii: "/") {
            slashes += 1
            if slashes == 3 { return String(key[...index]) }
        }
        return key
    }

    /// The cache of a resource. `prefix` is `/registry/<resource>/`; a resource without objects has an empty cache.
    package func cache(for prefix: String) -> WatchCache {
        caches.withLock { caches in
            if let cache = caches[prefix] { return cache }
            // Nothing was ever dispatched to it: it is complete as of the last progress, and its first event is still to come.
            let cache = WatchCache(
                prefix: prefix, entries: [], revision: progress.revision.load(ordering: .acquiring), progress: progress, limits: limits)
            caches[prefix] = cache
            return cache
        }
    }

    /// Bytes the store has on the disk; nil when it has none.
    package var sizeInBytes: Int64? { store.sizeInBytes }

    /// The revision of the last commit that is in all caches.
    package var revision: Int64 { progress.revision.load(ordering: .acquiring) }

    private func receive(_ events: [StoreEvent]) {
        feed.withLock { feed in
            if case .loading(let waiting) = feed { feed = .loading(waiting + events) } else { dispatch(events) }
        }
    }

    /// With `feed` held, on the writer.
    private func dispatch(_ events: [StoreEvent]) {
        guard let last = events.last else { return }
        var start = 0
        while start < events.count {
            let prefix = Self.prefix(of: events[start].entry.key)
            var end = start + 1
            while end < events.count, events[end].entry.key.hasPrefix(prefix) { end += 1 }
            cache(for: prefix).apply(Array(events[start..<end]))
            start = end
        }
        progress.revision.store(last.revision, ordering: .releasing)
    }

    /// Minutes after which the content of a revision is not shown any more. Upstream: --etcd-compaction-interval.
    static let compactionRounds = 5

    /// Once a minute.
    private func compact() {
        let revision = progress.revision.load(ordering: .acquiring)
        let compacted = rounds.withLock { rounds -> Int64? in
            rounds.append(revision)
            return rounds.count > Self.compactionRounds ? rounds.removeFirst() : nil
        }
        if let compacted { forget(before: compacted) }
    }

    /// From now on contents of revisions before `revision` are not shown.
    package func forget(before revision: Int64) {
        progress.compacted.store(revision, ordering: .releasing)
        for cache in caches.withLock({ Array($0.values) }) { cache.forgetPages() }
    }

    private func requestBookmarks() { for cache in caches.withLock({ Array($0.values) }) { cache.requestBookmarks() } }

    /// Makes one write and returns its revision, when it is durable, cached and told. Throws `StoreError`.
    @discardableResult
    package func write(_ write: StoreWrite) async throws -> Int64 {
        var write = write
        if let value = write.value {
            // The caches could not hold anything else.
            guard let object = try? Object(bytes: value) else { throw StoreError.unavailable("the value of \(write.key) is not a JSON object") }
            write.object = object
        }
        return try await store.write(write)
    }

    /// Creates `key` and returns the object as stored, with its resourceVersion. `object` carries none. Throws `StoreError.alreadyExists`.
    package func create(_ key: String, _ object: Object, timeToLive: Int64? = nil) async throws -> Object {
        let revision = try await store.write(
            StoreWrite(key: key, value: object.bytes, condition: .absent, timeToLive: timeToLive, object: object))
        return object.withResourceVersion(revision)
    }

    /// Replaces the object of `key` if its revision is `expected`, and returns it as stored. Throws `StoreError.conflict`, `.notFound`.
    package func update(_ key: String, _ object: Object, expected: Int64, timeToLive: Int64? = nil) async throws -> Object {
        let revision = try await store.write(
            StoreWrite(key: key, value: object.bytes, condition: .revision(expected), timeToLive: timeToLive, object: object))
        return object.withResourceVersion(revision)
    }

    /// Deletes `key` if its revision is `expected`, and returns the revision of the deletion. Throws `StoreError.conflict`, `.notFound`.
    @discardableResult
    package func delete(_ key: String, expected: Int64) async throws -> Int64 {
        try await store.write(StoreWrite(key: key, value: nil, condition: .revision(expected)))
    }

    /// Finishes what is queued, closes the store and ends all watches.
    package func close() async {
        bookmarks.withLock { $0?.cancel() }
        await store.close()
        for cache in caches.withLock({ Array($0.values) }) { cache.close() }
    }
}
