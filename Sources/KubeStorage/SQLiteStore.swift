internal import Dispatch
internal import Glibc
import KubeAPI
internal import SQLite
internal import Synchronization

/// The store of a cluster on this machine: one SQLite file.
///
///     write ──▶ queue ──▶ one writer: BEGIN … check, change, number … COMMIT (one fsync) ──▶ observers ──▶ answers
///
/// Writes that come while a commit is on its way to the disk form the next group. Each is checked by itself against what the group did before it, so
/// a
/// conflict fails one write and not its neighbours; a failing disk fails the group, and nothing of it is left. The revision is part of the commit.
package final class SQLiteStore: Store {
    /// Writes of one commit: bounds the time until the first of them is answered.
    static let groupLimit = 512
    /// Writes that wait. More are refused: the disk does not keep up, and memory is finite.
    static let queueLimit = 65_536
    /// Pages of log after which they are merged into the database when the writer is idle (SQLite's own default), and at last even when it is not.
    static let checkpointPages = 1000
    static let checkpointPagesAtLast = 16_000
    /// Expired keys removed in one commit.
    static let expiryLimit: Int64 = 256
    /// After removing expired keys failed (the disk is full).
    static let expiryPause: Int64 = 10

    private struct Pending {
        var write: StoreWrite
        /// Nil for the removal of an expired key.
        var continuation: CheckedContinuation<Int64, any Error>?
    }

    private struct Queue {
        var writes: [Pending] = []
        var isDraining = false
        var isClosed = false
    }

    private let writer: Writer
    private let path: String
    private let dispatch = DispatchQueue(label: "sqlite-store", qos: .userInitiated)
    private let queue = Mutex(Queue())
    private let observers = Mutex<[@Sendable ([StoreEvent]) -> Void]>([])
    private let committed: Atomic<Int64>

    /// Opens or creates the database at `path` (mode 0600); blocks for that time. A database that would grow beyond `maximumBytes` refuses writes as
    /// on a
    /// full disk (upstream: etcd's `--quota-backend-bytes`). Throws `StoreError.unavailable`.
    package init(path: String, maximumBytes: Int64? = nil) throws {
        self.path = path
        do { writer = try Writer(path: path, maximumBytes: maximumBytes) } catch let error as SQLiteError {
            throw StoreError.unavailable(error.description)
        }
        committed = Atomic(writer.revision)
        dispatch.async { [self] in armExpiry() }
    }

    package var revision: Int64 { committed.load(ordering: .acquiring) }

    /// The database with its log.
    package var sizeInBytes: Int64? {
        [path, "\(path)-wal"].reduce(0) { sum, file in
            var status = stat()
            return stat(file, &status) == 0 ? sum + Int64(status.st_size) : sum
        }
    }

    package func observe(_ observer: @escaping @Sendable ([StoreEvent]) -> Void) { observers.withLock { $0.append(observer) } }

    package func load(prefix: String) async throws -> (entries: [StoredEntry], revision: Int64) {
        try await onWriter { writer in
            do { return (try writer.entries(prefix: prefix), writer.revision) } catch let error as SQLiteError {
                throw StoreError.unavailable(error.description)
            }
        }
    }

    package func scan(_ visit: @escaping @Sendable (String, UnsafeRawBufferPointer, Int64) throws -> Void) async throws -> Int64 {
        try await onWriter { writer in
            do {
                try writer.scan(visit)
                return writer.revision
            } catch let error as SQLiteError {
                throw StoreError.unavailable(error.description)
            }
        }
    }

    package func write(_ write: StoreWrite) async throws -> Int64 {
        try await withCheckedThrowingContinuation { continuation in
            let (refusal, wakes) = queue.withLock { queue -> (StoreError?, Bool) in
                if queue.isClosed { return (.closed, false) }
                guard queue.writes.count < Self.queueLimit else { return (.unavailable("\(Self.queueLimit) writes are waiting for the disk"), false) }
                queue.writes.append(Pending(write: write, continuation: continuation))
                defer { queue.isDraining = true }
                return (nil, !queue.isDraining)
            }
            if let refusal { return continuation.resume(throwing: refusal) }
            if wakes { dispatch.async { self.drain() } }
        }
    }

    /// Writes the file anew, without what was deleted or overwritten. Blocks writers for that time. Throws `StoreError.unavailable`.
    package func vacuum() async throws {
        try await onWriter { writer in
            do { try writer.vacuum() } catch let error as SQLiteError { throw StoreError.unavailable(error.description) }
        }
    }

    package func close() async {
        queue.withLock { $0.isClosed = true }
        // The writes queued before are drained by a block that is on the queue already.
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            dispatch.async {
                self.writer.close()
                continuation.resume()
            }
        }
    }

    private func onWriter<T: Sendable>(_ body: @escaping @Sendable (Writer) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            dispatch.async {
                continuation.resume(with: Result { try self.writer.isClosed ? { throw StoreError.closed }() : body(self.writer) })
            }
        }
    }

    /// On the writer: commits groups until no write waits.
    private func drain() {
        while true {
            let group = queue.withLock { queue -> [Pending] in
                let count = min(queue.writes.count, Self.groupLimit)
                let group = Array(queue.writes[..<count])
                queue.writes.removeFirst(count)
                if group.isEmpty { queue.isDraining = false }
                return group
            }
            guard !group.isEmpty else { break }
            commit(group)
            if writer.walPages >= Self.checkpointPagesAtLast { writer.checkpoint() }
        }
        if writer.walPages >= Self.checkpointPages { writer.checkpoint() }
    }

    /// On the writer: one commit, then the observers, then the answers.
    private func commit(_ group: [Pending]) {
        let outcomes = writer.commit(group.map(\.write))
        let events = outcomes.compactMap { try? $0.get() }  // Failures are answered below.
        if let last = events.last {
            committed.store(last.revision, ordering: .releasing)
            for observer in observers.withLock({ $0 }) { observer(events) }
        }
        for (pending, outcome) in zip(group, outcomes) { pending.continuation?.resume(with: outcome.map(\.revision).mapError { $0 as any Error }) }
        if group.contains(where: { $0.write.timeToLive != nil }) { armExpiry() }
    }

    /// On the writer: sees to it that expired keys are removed. Nothing runs while no key has a time to live.
    private func armExpiry() {
        guard let due = writer.nextExpiry(), due != writer.armedExpiry else { return }
        writer.armedExpiry = due
        let seconds = max(0, due - Writer.now)
        dispatch.asyncAfter(wallDeadline: .now() + .seconds(Int(clamping: min(seconds, 1 << 30)))) { [weak self] in self?.expire(due) }
    }

    private func expire(_ due: Int64) {
        // Another key that is due earlier was armed since; the one armed then will come by here.
        guard writer.armedExpiry == due else { return }
        writer.armedExpiry = nil
        let now = Writer.now
        let expired = writer.expired(at: now, limit: Self.expiryLimit)
        if !expired.isEmpty { commit(expired.map { Pending(write: $0, continuation: nil) }) }
        guard let next = writer.nextExpiry(), next <= now, writer.expired(at: now, limit: 1).first?.key == expired.first?.key else {
            return armExpiry()
        }
        // Nothing could be removed: the disk is full. Tried again, not at once.
        writer.armedExpiry = next
        dispatch.asyncAfter(wallDeadline: .now() + .seconds(Int(Self.expiryPause))) { [weak self] in self?.expire(next) }
    }
}
