import Glibc
import KubeAPI
import KubeStorage
import Testing

/// What a watcher is promised, while many writers write, watchers come and go, some are too slow, and history is compacted.
struct WatchContractTests {
    private static let watchers = 50
    private static let writers = 4
    private static let keysOfWriter = 25
    /// So few that slow watchers are overtaken.
    private static let keptEvents = 256
    private static let endName = "end"
    /// Few in CI; `EYRIE_WATCH_EVENTS` asks for more.
    private static var changes: Int { getenv("EYRIE_WATCH_EVENTS").flatMap { Int(String(cString: $0)) } ?? 4000 }

    /// A change as its writer made it, or as a watcher saw it.
    private struct Change: Equatable {
        var revision: Int64
        var name: String
        /// Nil: deleted.
        var number: Int?
    }

    /// What one watcher saw without a gap: from a list, or a resumption of it, to where it listed again.
    private struct Stretch {
        var from: Int64
        var changes: [Change] = []
    }

    private struct Outcome {
        var stretches: [Stretch] = []
        var state: [String: Int] = [:]
        var expirations = 0
        var resumptions = 0
        var comparisons = 0
        var problems: [String] = []
    }

    @Test("R5: watchers that come and go, or are slow, miss nothing, see nothing twice, and end with what a list shows", .timeLimit(.minutes(10)))
    func contract() async throws {
        let cached = try await CachedStore.open(
            MemoryStore(), limits: WatchCache.Limits(events: Self.keptEvents, eventsKept: Self.keptEvents))
        let log = Locked<[Change]>([])
        let outcomes = try await withThrowingTaskGroup(of: Outcome.self) { group in
            for watcher in 0..<Self.watchers { group.addTask { try await Self.watch(cached, watcher) } }
            try await withThrowingTaskGroup(of: Void.self) { writing in
                for writer in 0..<Self.writers { writing.addTask { try await Self.write(cached, writer, log) } }
                try await writing.waitForAll()
            }
            _ = try await cached.create(key(Self.endName), object(Self.endName))
            var outcomes: [Outcome] = []
            for try await outcome in group { outcomes.append(outcome) }
            return outcomes
        }
        let made = log.withLock { $0.sorted { $0.revision < $1.revision } }
        let final = Self.contents(try cached.cache(for: configMaps).list().objects)
        #expect(Set(made.map(\.revision)).count == made.count)
        for outcome in outcomes {
            #expect(outcome.problems == [])
            #expect(outcome.state == final)
            for stretch in outcome.stretches {
                guard let last = stretch.changes.last else { continue }
                let expected = made.filter { $0.revision > stretch.from && $0.revision <= last.revision }
                #expect(stretch.changes == expected, "from \(stretch.from) to \(last.revision)")
            }
        }
        // The run has been through what it is about.
        #expect(outcomes.contains { $0.resumptions > 0 } && outcomes.contains { $0.expirations > 0 } && outcomes.contains { $0.comparisons > 0 })
        await cached.close()
    }

    private static func contents(_ objects: [Object]) -> [String: Int] {
        var contents: [String: Int] = [:]
        for object in objects where object.metadata.name != endName { contents[object.metadata.name] = object.number }
        return contents
    }

    private static func write(_ cached: CachedStore, _ writer: Int, _ log: Locked<[Change]>) async throws {
        var revisions: [String: Int64] = [:]
        for number in 0..<changes / writers {
            let name = "w\(writer)-\(Int.random(in: 0..<keysOfWriter))"
            let change: Change
            if let revision = revisions[name] {
                if Int.random(in: 0..<4) == 0 {
                    change = Change(revision: try await cached.delete(key(name), expected: revision), name: name, number: nil)
                    revisions[name] = nil
                } else {
                    let made = try await cached.update(key(name), object(name, number: number), expected: revision)
                    change = Change(revision: try #require(Int64(made.metadata.resourceVersion)), name: name, number: number)
                    revisions[name] = change.revision
                }
            } else {
                let made = try await cached.create(key(name), object(name, number: number))
                change = Change(revision: try #require(Int64(made.metadata.resourceVersion)), name: name, number: number)
                revisions[name] = change.revision
            }
            log.withLock { $0.append(change) }
            if number.isMultiple(of: 50) { cached.forget(before: cached.revision - Int64(keptEvents / 2)) }
            // Watchers get a turn; with memory alone nothing here ever waits.
            if number.isMultiple(of: 8) { await Task.yield() }
        }
    }

    /// Follows all changes until the last, listing anew when it is told to, as client-go's reflector does.
    private static func watch(_ cached: CachedStore, _ number: Int) async throws -> Outcome {
        let cache = cached.cache(for: configMaps)
        let isSlow = number.isMultiple(of: 5)
        var outcome = Outcome()
        var isOver = false
        while !isOver {
            let page = try cache.list()
            outcome.state = contents(page.objects)
            outcome.stretches.append(Stretch(from: page.revision))
            if page.objects.contains(where: { $0.metadata.name == endName }) { break }
            var revision = page.revision
            do {
                while !isOver {
                    // One connection.
                    let subscription = try cache.watch(from: revision)
                    var batches = Int.random(in: 1...20)
                    while !isOver, batches > 0, let batch = try await subscription.nextBatch() {
                        batches -= 1
                        for event in batch where !isOver { isOver = take(event, &outcome, &revision) }
                        if isSlow { for _ in 0..<Int.random(in: 0..<400) { await Task.yield() } }
                    }
                    outcome.resumptions += 1
                    if Int.random(in: 0..<4) == 0, !isOver { compare(cache, revision, &outcome) }
                }
            } catch let error as StatusError {
                if error.code != 410 { outcome.problems.append("\(error)") }
                outcome.expirations += 1
            }
        }
        return outcome
    }

    /// Gives whether it was the last one.
    private static func take(_ event: WatchCacheEvent, _ outcome: inout Outcome, _ last: inout Int64) -> Bool {
        let change: Change
        let name: String
        switch event {
        case .added(let object, let revision):
            name = object.metadata.name
            if outcome.state[name] != nil { outcome.problems.append("\(name) is added twice, at \(revision)") }
            change = Change(revision: revision, name: name, number: object.number)
        case .modified(let object, _, let revision):
            name = object.metadata.name
            if outcome.state[name] == nil { outcome.problems.append("\(name) is modified before it is added, at \(revision)") }
            change = Change(revision: revision, name: name, number: object.number)
        case .deleted(let object, let revision):
            name = object.metadata.name
            if outcome.state[name] == nil { outcome.problems.append("\(name) is deleted before it is added, at \(revision)") }
            change = Change(revision: revision, name: name, number: nil)
        case .initialEventsEnd, .bookmark:
            outcome.problems.append("an event nobody asked for")
            return false
        }
        if change.revision <= last { outcome.problems.append("\(change.revision) comes after \(last)") }
        last = change.revision
        if name == endName { return true }
        outcome.state[name] = change.number
        outcome.stretches[outcome.stretches.count - 1].changes.append(change)
        return false
    }

    /// A list of the revision a watcher has come to shows what the watcher has, or is refused as compacted.
    private static func compare(_ cache: WatchCache, _ revision: Int64, _ outcome: inout Outcome) {
        do {
            if contents(try cache.list(revision: revision).objects) != outcome.state { outcome.problems.append("another content at \(revision)") }
            outcome.comparisons += 1
        } catch {
            if error.code != 410 { outcome.problems.append("\(error)") }
        }
    }
}
