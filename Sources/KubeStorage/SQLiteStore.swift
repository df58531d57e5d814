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
    /// After a commit of so many writes the next one waits a moment for others: many clients write at once, and each commit costs the processors and
    /// the disk as much as several writes. Fewer clients are not a crowd: all of them may wait for this commit.
    static let crowd = 13
    /// That moment lasts while in each of its steps others came, and so many steps at most. 64 clients wait five times as long for a processor.
    static let gatheringStep = DispatchTimeInterval.milliseconds(1)
    static let gatheringSteps = 4
    /// So many are not kept waiting.
    static let enough = 48
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
        /// The number of the pause during which writes are gathered; nil: there is none.
        var gathering: Int?
        var pauses = 0
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
                let isEnough = queue.gathering != nil && queue.writes.count >= Self.enough
                if isEnough { queue.gathering = nil }
                defer { queue.isDraining = true }
                return (nil, isEnough || !queue.isDraining)
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
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            dispatch.async {
                // What was queued before may wait for more.
                self.drain(gathers: false)
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

    private enum Next {
        case group([Pending])
        /// Others are waited for, in the pause of that number, beside those that wait already.
        case pause(Int, waiting: Int)
        case nothing
    }

    /// On the writer: commits groups until no write waits. `gathers`: between those of a crowd it waits for more.
    private func drain(gathers: Bool = true) {
        guard !writer.isClosed else { return }
        var last = 0
        while true {
            switch queue.withLock({ next(&$0, after: gathers ? last : 0) }) {
            case .group(let group):
                commit(group)
                last = group.count
                if writer.walPages >= Self.checkpointPagesAtLast { writer.checkpoint() }
            case .pause(let number, let waiting): return pause(number, waiting: waiting, step: 1)
            case .nothing:
                if writer.walPages >= Self.checkpointPages { writer.checkpoint() }
                return
            }
        }
    }

    private func pause(_ number: Int, waiting: Int, step: Int) {
        dispatch.asyncAfter(deadline: .now() + Self.gatheringStep) { [self] in
            let more = queue.withLock { queue -> (waiting: Int, isOver: Bool)? in
                // Enough came before.
                guard queue.gathering == number else { return nil }
                let isOver = queue.writes.count <= waiting || step >= Self.gatheringSteps
                if isOver { queue.gathering = nil }
                return (queue.writes.count, isOver)
            }
            guard let more else { return }
            if more.isOver { drain() } else { pause(number, waiting: more.waiting, step: step + 1) }
        }
    }

    /// What comes after a commit of `last` writes.
    private func next(_ queue: inout Queue, after last: Int) -> Next {
        if last >= Self.crowd, queue.writes.count < min(last, Self.enough) {
            queue.pauses &+= 1
            queue.gathering = queue.pauses
            return .pause(queue.pauses, waiting: queue.writes.count)
        }
        guard !queue.writes.isEmpty else {
            queue.isDraining = false
            return .nothing
        }
        let count = min(queue.writes.count, Self.groupLimit)
        defer { queue.writes.removeFirst(count) }
        return .group(Array(queue.writes[..<count]))
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
