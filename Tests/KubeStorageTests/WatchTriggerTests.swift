import KubeAPI
import Synchronization
import Testing

@testable import KubeStorage

@Suite("Watchers and what concerns them", .timeLimit(.minutes(1)))
struct WatchTriggerTests {
    private func pod(_ name: String, node: String? = nil) throws -> Object {
        var tree: Value = ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": "default"], "spec": [:]]
        if let node { tree[path: "spec", "nodeName"] = .string(node) }
        return try Object(tree)
    }

    private final class Count: Sendable {
        private let value = Atomic(0)
        func add() { value.add(1, ordering: .relaxed) }
        var now: Int { value.load(ordering: .relaxed) }
    }

    @Test("an event wakes the watchers of its node, of its name and of everything, and no others")
    func triggers() async throws {
        let cached = try await CachedStore.open(MemoryStore())
        let cache = cached.cache(for: "/registry/pods/")
        let triggers: [(WatchTrigger?, String?)] = [
            (.node("n1"), nil), (.node("n2"), nil), (.name("a"), nil), (.name("b"), nil), (nil, nil), (nil, "other"), (.name("a"), "other"),
        ]
        let counts = triggers.map { _ in Count() }
        let watches = try triggers.map { trigger, namespace in
            try cache.watch(from: cached.revision, namespace: namespace, trigger: trigger)
        }
        for (watch, count) in zip(watches, counts) { watch.whenReady { count.add() } }
        let made = try await cached.create("/registry/pods/default/a", try pod("a"))
        #expect(counts.map(\.now) == [0, 0, 1, 0, 1, 0, 0])
        _ = try await cached.update(
            "/registry/pods/default/a", try pod("a", node: "n1"), expected: try #require(Int64(made.metadata.resourceVersion)))
        #expect(counts.map(\.now) == [1, 0, 1, 0, 1, 0, 0])
        await cached.close()
    }

    @Test("a watcher that slept through more events than are kept goes on where it was woken, if none of them concerned it")
    func sleeper() async throws {
        let cached = try await CachedStore.open(MemoryStore(), limits: WatchCache.Limits(events: 10, eventsKept: 10))
        let cache = cached.cache(for: configMaps)
        let other = try cache.watch(from: cached.revision, namespace: "other")
        let named = try cache.watch(from: cached.revision, trigger: .name("wanted")) { $0.metadata.name == "wanted" }
        async let first = other.nextBatch()
        async let second = named.nextBatch()
        // Both wait before anything happens.
        while cache.state.withLock({ $0.waiters.count }) < 2 { await Task.yield() }
        for number in 0..<50 { _ = try await cached.create(key("n\(number)"), object("n\(number)")) }
        _ = try await cached.create(key("x", namespace: "other"), object("x", namespace: "other"))
        _ = try await cached.create(key("wanted"), object("wanted"))
        #expect(try await first?.count == 1)
        #expect(try await second?.map(\.revision) == [cached.revision])
        await cached.close()
    }

    @Test("a stopped subscription is not woken and leaves nothing behind")
    func stopped() async throws {
        let cached = try await CachedStore.open(MemoryStore())
        let cache = cached.cache(for: configMaps)
        let watch = try cache.watch(from: cached.revision, trigger: .node("n"))
        let count = Count()
        watch.whenReady { count.add() }
        watch.stop()
        #expect(cache.state.withLock { $0.waiters.isEmpty && !$0.waiters.wantsNodes })
        _ = try await cached.create(key("a"), object("a"))
        #expect(count.now == 0)
        await cached.close()
    }

    @Test("watchers at one place get equal batches, and batches are bounded in bytes")
    func batches() async throws {
        let cached = try await CachedStore.open(MemoryStore())
        let cache = cached.cache(for: configMaps)
        let watches = try (0..<2).map { _ in try cache.watch(from: cached.revision) }
        let padding = String(repeating: "x", count: 100_000)
        for number in 0..<5 {
            _ = try await cached.create(key("n\(number)"), Object(["metadata": ["name": "n", "namespace": "default"], "data": .string(padding)]))
        }
        var sizes: [[UInt64]] = [[], []]
        for (index, watch) in watches.enumerated() {
            while case .batch(let batch) = try watch.poll() { sizes[index].append(batch.to - batch.from) }
        }
        #expect(sizes == [[3, 2], [3, 2]])
        await cached.close()
    }

    @Test("the window of events is bounded in bytes")
    func windowBytes() async throws {
        let cached = try await CachedStore.open(MemoryStore(), limits: WatchCache.Limits(bytes: 100_000))
        let cache = cached.cache(for: configMaps)
        let padding = String(repeating: "x", count: 30_000)
        for number in 0..<10 {
            _ = try await cached.create(key("n\(number)"), Object(["metadata": ["name": "n", "namespace": "default"], "data": .string(padding)]))
        }
        #expect(cache.state.withLock { $0.window.count } == 3)
        await cached.close()
    }

    @Test("a list of a past revision shows that revision's content, until its events are gone or it is compacted")
    func exact() async throws {
        let cached = try await CachedStore.open(MemoryStore(), limits: WatchCache.Limits(events: 10, eventsKept: 10))
        let cache = cached.cache(for: configMaps)
        var contents: [Int64: [String]] = [:]
        func note() throws { contents[cached.revision] = try cache.list().objects.map { "\($0.metadata.name)=\($0.number)" } }
        for number in 0..<4 {
            _ = try await cached.create(key("n\(number)"), object("n\(number)"))
            try note()
        }
        let third = try #require(cache.get(key("n2")).flatMap { Int64($0.metadata.resourceVersion) })
        _ = try await cached.update(key("n2"), object("n2", number: 7), expected: third)
        try note()
        let first = try #require(cache.get(key("n0")).flatMap { Int64($0.metadata.resourceVersion) })
        try await cached.delete(key("n0"), expected: first)
        try note()
        for (revision, content) in contents {
            #expect(try cache.list(revision: revision).objects.map { "\($0.metadata.name)=\($0.number)" } == content)
        }
        cached.forget(before: cached.revision - 1)
        let error = #expect(throws: StatusError.self) { try cache.list(revision: cached.revision - 2) }
        #expect(error?.message == "The resourceVersion for the provided list is too old.")
        #expect(try cache.list(revision: cached.revision - 1).objects.count == 4)
        await cached.close()
    }
}
