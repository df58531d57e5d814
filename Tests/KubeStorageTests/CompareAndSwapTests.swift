import Glibc
import KubeAPI
import KubeStorage
import Testing

struct CompareAndSwapTests {
    @Test("creating a key that exists is refused and changes nothing", arguments: StoreKind.allCases)
    func createTwice(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try kind.make(in: folder)
        let first = try await store.write(StoreWrite(key: key("a"), value: Array("{}".utf8), condition: .absent))
        await #expect(throws: StoreError.alreadyExists(key: key("a"))) {
            try await store.write(StoreWrite(key: key("a"), value: Array("{\"x\":1}".utf8), condition: .absent))
        }
        #expect(store.revision == first)
        #expect(try await store.load(prefix: "").entries.map(\.value) == [Array("{}".utf8)])
        await store.close()
    }

    @Test("a stale revision is refused with the current one named; a missing key is not found", arguments: StoreKind.allCases)
    func stale(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try kind.make(in: folder)
        let first = try await store.write(StoreWrite(key: key("a"), value: Array("1".utf8), condition: .absent))
        let second = try await store.write(StoreWrite(key: key("a"), value: Array("2".utf8), condition: .revision(first)))
        #expect(second == first + 1)
        await #expect(throws: StoreError.conflict(key: key("a"), currentRevision: second)) {
            try await store.write(StoreWrite(key: key("a"), value: Array("3".utf8), condition: .revision(first)))
        }
        await #expect(throws: StoreError.conflict(key: key("a"), currentRevision: second)) {
            try await store.write(StoreWrite(key: key("a"), value: nil, condition: .revision(first)))
        }
        await #expect(throws: StoreError.notFound(key: key("b"))) {
            try await store.write(StoreWrite(key: key("b"), value: Array("3".utf8), condition: .revision(first)))
        }
        let entry = try #require(try await store.load(prefix: "").entries.first)
        #expect(entry.createRevision == first && entry.modRevision == second && entry.value == Array("2".utf8))
        await store.close()
    }

    @Test("of many clients that increment one counter by compare-and-swap none loses an increment", arguments: StoreKind.allCases)
    func counter(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try kind.make(in: folder)
        let cached = try await CachedStore.open(store)
        let cache = cached.cache(for: configMaps)
        _ = try await cached.create(key("counter"), object("counter"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var made = 0
                    while made < 25 {
                        let current = try #require(cache.get(key("counter")))
                        let revision = try #require(Int64(current.metadata.resourceVersion))
                        do {
                            _ = try await cached.update(key("counter"), object("counter", number: current.number + 1), expected: revision)
                            made += 1
                        } catch StoreError.conflict {}
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(cache.get(key("counter"))?.number == 200)
        #expect(cached.revision == 1 + 1 + 200)
        await cached.close()
    }

    @Test("a database that is opened again continues its revisions and never uses one twice")
    func restart() async throws {
        let folder = try Folder()
        var store = try SQLiteStore(path: folder.database)
        let first = try await store.write(StoreWrite(key: key("a"), value: Array("1".utf8), condition: .absent))
        let deletion = try await store.write(StoreWrite(key: key("a"), value: nil, condition: .revision(first)))
        await store.close()
        await #expect(throws: StoreError.closed) { try await store.write(StoreWrite(key: key("b"), value: [], condition: .absent)) }

        store = try SQLiteStore(path: folder.database)
        #expect(store.revision == deletion)
        #expect(try await store.load(prefix: "").entries.isEmpty)
        #expect(try await store.write(StoreWrite(key: key("a"), value: Array("1".utf8), condition: .absent)) == deletion + 1)
        await store.close()
    }

    @Test("the database's files are private, and it cannot be opened twice")
    func exclusive() async throws {
        let folder = try Folder()
        let store = try SQLiteStore(path: folder.database)
        _ = try await store.write(StoreWrite(key: key("a"), value: Array("1".utf8), condition: .absent))
        for name in ["db", "db-wal"] { #expect(try mode(of: "\(folder.path)/\(name)") == 0o600) }
        let error = #expect(throws: StoreError.self) { try SQLiteStore(path: folder.database) }
        guard case .unavailable(let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("locked"))
        await store.close()
    }

    @Test("a key with a time to live is removed when it has passed, with an event", .timeLimit(.minutes(1)), arguments: StoreKind.allCases)
    func timeToLive(kind: StoreKind) async throws {
        let folder = try Folder()
        let cached = try await CachedStore.open(try kind.make(in: folder))
        let cache = cached.cache(for: configMaps)
        let subscription = try cache.watch(from: cached.revision)
        _ = try await cached.create(key("kept"), object("kept"))
        _ = try await cached.create(key("gone"), object("gone"), timeToLive: 1)
        for try await event in subscription {
            guard case .deleted(let object, let revision) = event else { continue }
            #expect(object.metadata.name == "gone")
            #expect(object.metadata.resourceVersion == String(revision))
            break
        }
        #expect(try cache.list().objects.map(\.metadata.name) == ["kept"])
        await cached.close()
    }

    @Test("a key with a time to live is removed when it has passed, though the store was opened anew meanwhile", .timeLimit(.minutes(1)))
    func timeToLiveRestart() async throws {
        let folder = try Folder()
        var cached = try await CachedStore.open(try SQLiteStore(path: folder.database))
        _ = try await cached.create(key("kept"), object("kept"))
        _ = try await cached.create(key("gone"), object("gone"), timeToLive: 1)
        await cached.close()
        cached = try await CachedStore.open(try SQLiteStore(path: folder.database))
        let cache = cached.cache(for: configMaps)
        var present: Set<String> = []
        // On a busy machine it may be gone before the watch begins.
        watching: for try await event in try cache.watch(sendInitialEvents: true) {
            switch event {
            case .added(let object, _): present.insert(object.metadata.name)
            case .deleted(let object, _): present.remove(object.metadata.name)
            case .modified, .bookmark, .initialEventsEnd: break
            }
            if case .added = event { continue }
            if present == ["kept"] { break watching }
        }
        #expect(try cache.list().objects.map(\.metadata.name) == ["kept"])
        await cached.close()
    }
}
