import KubeAPI
internal import Synchronization

/// A store that forgets everything when it is closed: for tests, and for clusters that are thrown away.
package final class MemoryStore: Store {
    private struct State {
        var entries: [String: StoredEntry] = [:]
        var revision = firstRevision
        var observers: [@Sendable ([StoreEvent]) -> Void] = []
        var expirations: [String: Task<Void, Never>] = [:]
        var isClosed = false
    }

    /// Of an empty store. Not 0, which clients take for "any revision".
    static let firstRevision: Int64 = 1

    /// Held while events are observed, which keeps them in order.
    private let state = Mutex(State())
    private let committed = Atomic<Int64>(firstRevision)
    private let clock: any Clock<Duration>

    package init(clock: any Clock<Duration> = ContinuousClock()) { self.clock = clock }

    package var revision: Int64 { committed.load(ordering: .acquiring) }

    package func load(prefix: String) async throws -> (entries: [StoredEntry], revision: Int64) {
        try state.withLock { state in
            guard !state.isClosed else { throw StoreError.closed }
            return (state.entries.values.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }, state.revision)
        }
    }

    package func scan(_ visit: @escaping @Sendable (String, UnsafeRawBufferPointer, Int64) throws -> Void) async throws -> Int64 {
        let (entries, revision) = try await load(prefix: "")
        for entry in entries { try entry.value.withUnsafeBytes { try visit(entry.key, $0, entry.modRevision) } }
        return revision
    }

    package func observe(_ observer: @escaping @Sendable ([StoreEvent]) -> Void) { state.withLock { $0.observers.append(observer) } }

    package func write(_ write: StoreWrite) async throws -> Int64 { try commit(write) }

    private func commit(_ write: StoreWrite) throws(StoreError) -> Int64 {
        try state.withLock { state throws(StoreError) in
            guard !state.isClosed else { throw .closed }
            let change = try Change(write, current: state.entries[write.key], revision: state.revision + 1)
            state.revision += 1
            state.entries[write.key] = change.stored
            committed.store(state.revision, ordering: .releasing)
            state.expirations.removeValue(forKey: write.key)?.cancel()
            if let seconds = write.timeToLive, write.value != nil {
                state.expirations[write.key] = expiration(of: write.key, state.revision, after: seconds)
            }
            for observer in state.observers { observer([change.event]) }
            return state.revision
        }
    }

    private func expiration(of key: String, _ revision: Int64, after seconds: Int64) -> Task<Void, Never> {
        Task { [weak self, clock] in
            guard (try? await clock.sleep(for: .seconds(seconds))) != nil else { return }  // Cancelled: written again, deleted, or closed.
            // A key that was changed meanwhile lives on: its condition does not hold.
            _ = try? self?.commit(StoreWrite(key: key, value: nil, condition: .revision(revision)))
        }
    }

    package func close() async {
        state.withLock { state in
            state.isClosed = true
            for task in state.expirations.values { task.cancel() }
        }
    }
}

/// What one write does to one key.
struct Change {
    /// After the change; nil when deleted.
    var stored: StoredEntry?
    var event: StoreEvent

    /// Checks the write's condition against `current`. Throws `StoreError`.
    init(_ write: StoreWrite, current: StoredEntry?, revision: Int64) throws(StoreError) {
        switch write.condition {
        case .absent:
            if current != nil { throw .alreadyExists(key: write.key) }
        case .revision(let expected):
            guard let current else { throw .notFound(key: write.key) }
            guard current.modRevision == expected else { throw .conflict(key: write.key, currentRevision: current.modRevision) }
        }
        guard let value = write.value else {
            guard var entry = current else { throw .notFound(key: write.key) }
            entry.modRevision = revision
            event = StoreEvent(kind: .deleted, entry: entry)
            return
        }
        let entry = StoredEntry(key: write.key, value: value, createRevision: current?.createRevision ?? revision, modRevision: revision)
        stored = entry
        event = StoreEvent(kind: current == nil ? .created : .updated, entry: entry, object: write.object)
    }
}
