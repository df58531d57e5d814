import KubeAPI
import KubeStorage
import Testing

struct ExpiredRevisionTests {
    private func filled(_ count: Int, limits: WatchCache.Limits) async throws -> CachedStore {
        let cached = try await CachedStore.open(MemoryStore(), limits: limits)
        for number in 0..<count { _ = try await cached.create(key("n\(number)"), object("n\(number)", number: number)) }
        return cached
    }

    @Test("a watch from a revision whose events were dropped is refused with 410 Expired, one revision later it is not")
    func tooOld() async throws {
        let cached = try await filled(30, limits: WatchCache.Limits(events: 10, eventsKept: 10))
        let cache = cached.cache(for: configMaps)
        // Revisions 2...31; the last ten are 22...31.
        let error = #expect(throws: StatusError.self) { try cache.watch(from: 20) }
        #expect(error?.code == 410 && error?.reason == "Expired")
        #expect(error?.message == "too old resource version: 20 (21)")
        let batch = try await cache.watch(from: 21).nextBatch()
        #expect(batch?.map(\.revision) == Array(22...31))
        await cached.close()
    }

    @Test("a watch from before the store was opened is refused with 410 Expired, one from the last revision is not")
    func restart() async throws {
        let folder = try Folder()
        var cached = try await CachedStore.open(try SQLiteStore(path: folder.database))
        _ = try await cached.create(key("a"), object("a"))
        _ = try await cached.create(key("b"), object("b"))
        await cached.close()
        cached = try await CachedStore.open(try SQLiteStore(path: folder.database))
        let cache = cached.cache(for: configMaps)
        #expect(cached.revision == 3)
        #expect(throws: StatusError.self) { try cache.watch(from: 2) }
        let subscription = try cache.watch(from: 3)
        _ = try await cached.create(key("c"), object("c"))
        #expect(try await subscription.nextBatch()?.map(\.revision) == [4])
        await cached.close()
    }

    @Test("a watch from a revision in the future is refused with 504")
    func tooNew() async throws {
        let cached = try await filled(1, limits: WatchCache.Limits())
        let error = #expect(throws: StatusError.self) { try cached.cache(for: configMaps).watch(from: 1000) }
        #expect(error?.code == 504 && error?.details?.causes.first?.reason == "ResourceVersionTooLarge")
        await cached.close()
    }

    @Test("a watcher that is overtaken by the window is ended with 410 and holds nobody up")
    func slow() async throws {
        let cached = try await filled(1, limits: WatchCache.Limits(events: 10, eventsKept: 10))
        let cache = cached.cache(for: configMaps)
        let subscription = try cache.watch(from: 2)
        for number in 1...11 { _ = try await cached.create(key("n\(number)"), object("n\(number)")) }
        let error = await #expect(throws: StatusError.self) { try await subscription.nextBatch() }
        #expect(error?.isExpired == true)
        await cached.close()
    }

    @Test("old events are dropped by age, but some are always kept")
    func age() async throws {
        let cached = try await filled(30, limits: WatchCache.Limits(events: 100, eventsKept: 5, age: .zero))
        let cache = cached.cache(for: configMaps)
        #expect(throws: StatusError.self) { try cache.watch(from: 25) }
        #expect(try await cache.watch(from: 26).nextBatch()?.count == 5)
        await cached.close()
    }

    @Test("all pages of a list show one revision, though objects change between them; a forgotten revision is 410 Expired")
    func pages() async throws {
        let cached = try await filled(600, limits: WatchCache.Limits())
        let cache = cached.cache(for: configMaps)
        var page = try cache.list(limit: 250)
        let revision = page.revision
        #expect(revision == 601 && page.objects.count == 250 && page.remainingCount == 350)
        var names = page.objects.map(\.metadata.name)
        _ = try await cached.create(key("n999"), object("n999"))
        try await cached.delete(key("n98"), expected: 100)
        while let next = page.nextKey {
            page = try cache.list(limit: 250, startKey: next, revision: revision)
            #expect(page.revision == revision)
            names += page.objects.map(\.metadata.name)
        }
        #expect(names == (0..<600).map { "n\($0)" }.sorted())
        #expect(try cache.list(limit: 10, startKey: key("n5"), revision: revision).objects.count == 10)
        // More lists than are kept: the window still tells that content, until it is compacted.
        for number in 1000..<1020 {
            _ = try await cached.create(key("n\(number)"), object("n\(number)"))
            _ = try cache.list(limit: 10)
        }
        #expect(try cache.list(limit: 10, startKey: key("n5"), revision: revision).objects.count == 10)
        cached.forget(before: cached.revision)
        let error = #expect(throws: StatusError.self) { try cache.list(limit: 10, startKey: key("n5"), revision: revision) }
        #expect(error?.isExpired == true)
        await cached.close()
    }

    @Test("a list is sorted by key and narrowed by namespace, page and filter")
    func lists() async throws {
        let cached = try await CachedStore.open(MemoryStore())
        let cache = cached.cache(for: configMaps)
        for number in (0..<900).shuffled() {
            let namespace = ["a", "a-b", "b"][number % 3]
            _ = try await cached.create(key("n\(number)", namespace: namespace), object("n\(number)", namespace: namespace, number: number))
        }
        let keys = try cache.list().objects.map(\.metadata.key)
        #expect(keys.count == 900 && Set(keys).count == 900)
        #expect(keys.map { "\(configMaps)\($0)" } == keys.map { "\(configMaps)\($0)" }.sorted())
        #expect(try cache.list(namespace: "a").objects.allSatisfy { $0.metadata.namespace == "a" })
        #expect(try cache.list(namespace: "a").objects.count == 300)
        #expect(try cache.list(namespace: "none").objects.isEmpty)
        #expect(try cache.list(namespace: "b", filter: { $0.number < 30 }).objects.count == 10)
        for number in (0..<900).shuffled().prefix(700) {
            let key = key("n\(number)", namespace: ["a", "a-b", "b"][number % 3])
            let present = try #require(cache.get(key))
            try await cached.delete(key, expected: try #require(Int64(present.metadata.resourceVersion)))
        }
        #expect(cache.count == 200)
        #expect(try cache.list().objects.count == 200)
        await cached.close()
    }
}
