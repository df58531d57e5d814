package import KubeAPI
internal import Synchronization

/// What a subscription delivers.
package enum WatchCacheEvent: Sendable {
    case added(Object, revision: Int64)
    case modified(Object, old: Object, revision: Int64)
    /// The last object, with the deletion's revision as its resourceVersion; of an object that has left the selection, as it was before it left.
    case deleted(Object, revision: Int64)
    /// All objects of the beginning were delivered: the content as of this revision. Once, when asked for.
    case initialEventsEnd(revision: Int64)
    /// Everything up to this revision was delivered.
    case bookmark(revision: Int64)

    package var revision: Int64 {
        switch self {
        case .added(_, let revision), .deleted(_, let revision), .modified(_, _, let revision), .initialEventsEnd(let revision),
            .bookmark(let revision):
            revision
        }
    }
}

/// One watcher's place in a watch cache's events. It holds a position, not a queue: events stay in the cache's window until it takes them, so a slow
/// watcher
/// costs nothing, and one that is overtaken by the window's end is ended with 410 `Expired`. One consumer.
package final class WatchSubscription: AsyncSequence, Sendable {
    package typealias Element = WatchCacheEvent
    package typealias Failure = any Error

    /// Events of one batch: bounds how long the cache is locked for one watcher.
    static let batchLimit = 256

    private struct State {
        /// The objects of the beginning that were not delivered yet.
        var snapshot: SortedObjects?
        var position = SortedObjects.Position(chunk: 0, index: 0)
        var owesInitialEnd: Bool
        /// The next event to read.
        var sequence: UInt64
        /// Everything up to it was delivered.
        var revision: Int64
        var bookmarkRound: UInt64
    }

    private let cache: WatchCache
    private let scope: String
    private let filter: (@Sendable (Object) -> Bool)?
    private let wantsBookmarks: Bool
    private let initialRevision: Int64
    private let state: Mutex<State>

    init(
        cache: WatchCache, scope: String, filter: (@Sendable (Object) -> Bool)?, wantsBookmarks: Bool, announcesInitialEnd: Bool,
        snapshot: SortedObjects?,
        sequence: UInt64, revision: Int64, bookmarkRound: UInt64
    ) {
        self.cache = cache
        self.scope = scope
        self.filter = filter
        self.wantsBookmarks = wantsBookmarks
        initialRevision = revision
        state = Mutex(
            State(
                snapshot: snapshot, position: snapshot?.position(of: scope) ?? SortedObjects.Position(chunk: 0, index: 0),
                owesInitialEnd: announcesInitialEnd, sequence: sequence, revision: revision, bookmarkRound: bookmarkRound))
    }

    /// The revision up to which everything was delivered: where a new watch can go on.
    package var progressRevision: Int64 { state.withLock(\.revision) }

    /// The next events, at least one; nil when the store was closed or the task is cancelled. Throws `StatusError` 410 `Expired` when this watcher
    /// was too slow.
    package func nextBatch() async throws -> [WatchCacheEvent]? {
        while !Task.isCancelled {
            if let initial = state.withLock({ nextInitial(&$0) }) { return initial }
            switch try state.withLock({ state throws(StatusError) in try read(&state) }) {
            case .events(let events):
                if !events.isEmpty { return events }
            case .nothing(let sequence, let round): await wait(sequence: sequence, round: round)
            case .closed: return nil
            }
        }
        return nil
    }

    private func nextInitial(_ state: inout State) -> [WatchCacheEvent]? {
        if let snapshot = state.snapshot {
            var events: [WatchCacheEvent] = []
            while let (key, object) = snapshot.entry(at: state.position), key.hasPrefix(scope) {
                state.position = snapshot.advanced(state.position)
                if filter?(object) ?? true { events.append(.added(object, revision: initialRevision)) }
                if events.count == Self.batchLimit { return events }
            }
            state.snapshot = nil
            if !events.isEmpty { return events }
        }
        guard state.owesInitialEnd else { return nil }
        state.owesInitialEnd = false
        return [.initialEventsEnd(revision: initialRevision)]
    }

    private enum Read {
        /// May be empty: none that was read is of interest.
        case events([WatchCacheEvent])
        case nothing(sequence: UInt64, round: UInt64)
        case closed
    }

    private func read(_ state: inout State) throws(StatusError) -> Read {
        enum Outcome {
            case records(ArraySlice<EventWindow.Record>)
            case bookmark(Int64, round: UInt64)
            case nothing
            case closed
            case expired(Int64)
        }
        let (sequence, round) = (state.sequence, state.bookmarkRound)
        let outcome = cache.state.withLock { cached -> Outcome in
            guard let records = cached.window.records(from: sequence, limit: Self.batchLimit) else { return .expired(cached.window.droppedThrough) }
            if !records.isEmpty { return .records(records) }
            if cached.isClosed { return .closed }
            if wantsBookmarks, cached.bookmarkRound != round { return .bookmark(cache.revision(cached), round: cached.bookmarkRound) }
            return .nothing
        }
        switch outcome {
        case .closed: return .closed
        case .nothing: return .nothing(sequence: sequence, round: round)
        case .expired(let dropped):
            throw .expired("too old resource version: \(state.revision) (\(dropped)): the watcher was too slow")
        case .bookmark(let revision, let round):
            state.bookmarkRound = round
            state.revision = Swift.max(state.revision, revision)
            return .events([.bookmark(revision: state.revision)])
        case .records(let records):
            state.sequence &+= UInt64(records.count)
            if let last = records.last { state.revision = last.revision }
            return .events(records.compactMap(select))
        }
    }

    /// What `record` is to this watcher.
    private func select(_ record: EventWindow.Record) -> WatchCacheEvent? {
        guard record.key.hasPrefix(scope) else { return nil }
        guard let filter else {
            switch record.kind {
            case .created: return .added(record.object, revision: record.revision)
            case .updated: return .modified(record.object, old: record.old ?? record.object, revision: record.revision)
            case .deleted: return .deleted(record.object, revision: record.revision)
            }
        }
        let isMeant = filter(record.object)
        switch (record.kind, record.old) {
        case (.deleted, _): return isMeant ? .deleted(record.object, revision: record.revision) : nil
        case (_, nil): return isMeant ? .added(record.object, revision: record.revision) : nil
        case (_, let old?):
            switch (filter(old), isMeant) {
            case (true, true): return .modified(record.object, old: old, revision: record.revision)
            case (false, true): return .added(record.object, revision: record.revision)
            case (true, false): return .deleted(old.withResourceVersion(record.revision), revision: record.revision)
            case (false, false): return nil
            }
        }
    }

    /// Returns when there is something after `sequence`, a new round of bookmarks, the cache is closed or the task is cancelled.
    private func wait(sequence: UInt64, round: UInt64) async {
        let number = cache.state.withLock { cached in
            cached.nextWaiter &+= 1
            return cached.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isDue = cache.state.withLock { cached in
                    if cached.window.endSequence != sequence || cached.isClosed || Task.isCancelled { return true }
                    if wantsBookmarks, cached.bookmarkRound != round { return true }
                    cached.waiters[number] = WatchCache.Waiter(keyPrefix: scope, wantsBookmarks: wantsBookmarks, continuation: continuation)
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            cache.state.withLock { $0.waiters.removeValue(forKey: number) }?.continuation.resume()
        }
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let subscription: WatchSubscription
        private var batch: [WatchCacheEvent] = []
        private var taken = 0

        init(_ subscription: WatchSubscription) { self.subscription = subscription }

        package mutating func next() async throws -> WatchCacheEvent? {
            if taken == batch.count {
                guard let next = try await subscription.nextBatch() else { return nil }
                batch = next
                taken = 0
            }
            taken += 1
            return batch[taken - 1]
        }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}
