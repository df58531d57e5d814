import KubeAPI
import KubeStorage
import Testing

struct WatchOrderTests {
    /// Writes at random until each of `writers` has made `count` changes; at last the object `end`.
    private func write(_ cached: CachedStore, writers: Int, count: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var known: [String: Int64] = [:]
                    for number in 0..<count {
                        // Names of its own: conditions always hold.
                        let name = "w\(writer)-\(Int.random(in: 0..<5))"
                        let namespace = name.hasSuffix("0") ? "other" : "default"
                        let key = key(name, namespace: namespace)
                        let new = try object(name, namespace: namespace, number: number, labels: ["even": number.isMultiple(of: 2) ? "yes" : "no"])
                        if let revision = known[name] {
                            if Int.random(in: 0..<4) == 0 {
                                try await cached.delete(key, expected: revision)
                                known[name] = nil
                            } else {
                                known[name] = Int64(try await cached.update(key, new, expected: revision).metadata.resourceVersion)
                            }
                        } else {
                            known[name] = Int64(try await cached.create(key, new).metadata.resourceVersion)
                        }
                        if number % 7 == 0 {
                            try await cached.write(
                                StoreWrite(key: "/registry/secrets/w\(writer)/\(number)", value: Array("{}".utf8), condition: .absent))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        _ = try await cached.create(key("end"), object("end", labels: ["even": "yes"]))
    }

    /// Watches until `end` comes, going away and coming back at random; gives the revisions it saw and the content it put together.
    private func follow(
        _ cache: WatchCache, namespace: String?, filter: (@Sendable (Object) -> Bool)?
    ) async throws -> (revisions: [Int64], content: [String: String]) {
        var revisions: [Int64] = []
        var content: [String: String] = [:]
        var resume: Int64 = 1
        while true {
            var patience = Int.random(in: 1...60)
            let subscription = try cache.watch(from: resume, namespace: namespace, bookmarks: true, filter: filter)
            for try await event in subscription {
                #expect(event.revision > resume || { if case .bookmark = event { true } else { false } }())
                resume = event.revision
                switch event {
                case .added(let object, let revision):
                    #expect(content[object.metadata.key] == nil, "added twice: \(object.metadata.key)")
                    #expect(object.metadata.resourceVersion == String(revision))
                    content[object.metadata.key] = object.metadata.resourceVersion
                    revisions.append(revision)
                    if object.metadata.name == "end" { return (revisions, content) }
                case .modified(let object, let old, let revision):
                    #expect(content[object.metadata.key] == old.metadata.resourceVersion)
                    content[object.metadata.key] = object.metadata.resourceVersion
                    revisions.append(revision)
                case .deleted(let object, let revision):
                    #expect(content.removeValue(forKey: object.metadata.key) != nil, "deleted what was not there: \(object.metadata.key)")
                    #expect(object.metadata.resourceVersion == String(revision))
                    revisions.append(revision)
                case .initialEventsEnd, .bookmark: break
                }
                patience -= 1
                if patience == 0 { break }
            }
        }
    }

    @Test("watchers that come and go miss nothing, get nothing twice and nothing out of order", arguments: StoreKind.allCases)
    func order(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try kind.make(in: folder)
        let all = Locked<[Int64]>([])
        store.observe { events in
            all.withLock { $0 += events.filter { $0.entry.key.hasPrefix(configMaps) }.map(\.revision) }
        }
        let cached = try await CachedStore.open(store, limits: WatchCache.Limits(events: 1 << 20, eventsKept: 1 << 20))
        let cache = cached.cache(for: configMaps)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await write(cached, writers: 8, count: 100) }
            for _ in 0..<6 {
                group.addTask {
                    let (revisions, content) = try await follow(cache, namespace: nil, filter: nil)
                    #expect(revisions == all.withLock { $0 })
                    #expect(
                        content == Dictionary(uniqueKeysWithValues: try cache.list().objects.map { ($0.metadata.key, $0.metadata.resourceVersion) }))
                }
            }
            for _ in 0..<4 {
                group.addTask {
                    let filter: @Sendable (Object) -> Bool = { $0["metadata"]["labels"]["even"].string == "yes" }
                    let (revisions, content) = try await follow(cache, namespace: "default", filter: filter)
                    #expect(revisions == revisions.sorted() && Set(revisions).count == revisions.count)
                    let listed = try cache.list(namespace: "default", filter: filter).objects
                    #expect(content == Dictionary(uniqueKeysWithValues: listed.map { ($0.metadata.key, $0.metadata.resourceVersion) }))
                }
            }
            try await group.waitForAll()
        }
        await cached.close()
    }

    @Test("a watch that begins with the state meets the events that follow without gap or overlap", arguments: StoreKind.allCases)
    func initialState(kind: StoreKind) async throws {
        let folder = try Folder()
        let cached = try await CachedStore.open(try kind.make(in: folder))
        let cache = cached.cache(for: configMaps)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await write(cached, writers: 4, count: 100) }
            for _ in 0..<8 {
                group.addTask {
                    // Begins somewhere in the middle.
                    var patience = Int.random(in: 1...200)
                    for try await _ in try cache.watch(from: 1) {
                        patience -= 1
                        if patience == 0 { break }
                    }
                    var content: [String: String] = [:]
                    var initialEnd: Int64?
                    watching: for try await event in try cache.watch(sendInitialEvents: true) {
                        switch event {
                        case .added(let object, _):
                            #expect(content.updateValue(object.metadata.resourceVersion, forKey: object.metadata.key) == nil)
                            if object.metadata.name == "end", initialEnd != nil { break watching }
                        case .modified(let object, let old, let revision):
                            #expect(content.updateValue(object.metadata.resourceVersion, forKey: object.metadata.key) == old.metadata.resourceVersion)
                            #expect(revision > initialEnd ?? .max)
                        case .deleted(let object, let revision):
                            #expect(content.removeValue(forKey: object.metadata.key) != nil)
                            #expect(revision > initialEnd ?? .max)
                        case .initialEventsEnd(let revision):
                            #expect(initialEnd == nil)
                            initialEnd = revision
                            if content["default/end"] != nil { break watching }
                        case .bookmark: break
                        }
                    }
                    #expect(
                        content == Dictionary(uniqueKeysWithValues: try cache.list().objects.map { ($0.metadata.key, $0.metadata.resourceVersion) }))
                }
            }
            try await group.waitForAll()
        }
        await cached.close()
    }

    @Test("no wake-up is lost when an event comes just as a watcher begins to wait", .timeLimit(.minutes(1)))
    func wakeUps() async throws {
        let cached = try await CachedStore.open(MemoryStore())
        let subscription = try cached.cache(for: configMaps).watch(from: 1)
        for number in 0..<2000 {
            async let batch = subscription.nextBatch()
            let made = try await cached.create(key("n\(number)"), object("n\(number)"))
            #expect(try await batch?.map { String($0.revision) } == [made.metadata.resourceVersion])
        }
        await cached.close()
    }

    @Test("an observer hears of every object once and then of every change, before the write is answered")
    func observers() async throws {
        let cached = try await CachedStore.open(MemoryStore())
        let cache = cached.cache(for: configMaps)
        let first = try await cached.create(key("a"), object("a", number: 1))
        let heard = Locked<[String]>([])
        cache.observe { old, new in heard.withLock { $0.append("\(old?.number ?? -1)>\(new?.number ?? -1)") } }
        #expect(heard.withLock { $0 } == ["-1>1"])
        let second = try await cached.update(key("a"), object("a", number: 2), expected: try #require(Int64(first.metadata.resourceVersion)))
        #expect(heard.withLock { $0 } == ["-1>1", "1>2"])
        try await cached.delete(key("a"), expected: try #require(Int64(second.metadata.resourceVersion)))
        #expect(heard.withLock { $0 } == ["-1>1", "1>2", "2>-1"])
        await cached.close()
    }

    @Test("a bookmark names the store's progress though nothing of the watched resource happened; closing ends a watch")
    func bookmarks() async throws {
        let clock = StepClock()
        let cached = try await CachedStore.open(MemoryStore(), clock: clock)
        let cache = cached.cache(for: configMaps)
        _ = try await cached.create(key("a"), object("a"))
        let subscription = try cache.watch(from: cached.revision, bookmarks: true)
        try await cached.write(StoreWrite(key: "/registry/secrets/default/s", value: Array("{}".utf8), condition: .absent))
        await clock.step()
        let batch = try #require(try await subscription.nextBatch())
        guard case .bookmark(let revision) = batch.first, batch.count == 1 else {
            Issue.record("no bookmark: \(batch)")
            return
        }
        #expect(revision == cached.revision)
        await cached.close()
        #expect(try await subscription.nextBatch()?.count == nil)
    }
}

/// A clock on which a sleeper wakes when the test steps.
final class StepClock: Clock {
    struct Instant: InstantProtocol {
        var offset: Duration = .zero
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
    }

    private let steps = AsyncStream<Void>.makeStream()
    var now: Instant { Instant() }
    var minimumResolution: Duration { .zero }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        for await _ in steps.stream { return }
        throw CancellationError()
    }

    /// Wakes the sleeper, now or when it next sleeps.
    func step() async { steps.continuation.yield() }
}
