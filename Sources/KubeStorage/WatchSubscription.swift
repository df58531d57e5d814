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

/// Events that follow each other, not yet looked at by the watcher they are for. Watchers that asked for the same thing and stand at the same place
/// get equal batches: what one has made of its batch serves the others.
package struct WatchBatch: Sendable {
    /// The sequence numbers of the first event and of the one after the last.
    package let from: UInt64
    package let to: UInt64
    let records: ArraySlice<EventWindow.Record>
    let subscription: WatchSubscription

    /// What of the batch is for the watcher. May be nothing.
    package var events: [WatchCacheEvent] { records.compactMap(subscription.select) }
}

/// What a subscription has for its watcher.
package enum WatchPoll: Sendable {
    /// Objects of the beginning, `initialEventsEnd`, or a bookmark: this watcher's alone.
    case events([WatchCacheEvent])
    case batch(WatchBatch)
    /// Nothing now: `whenReady` tells when.
    case waiting
    /// The store was closed.
    case closed
}

/// One watcher's place in a watch cache's events. It holds a position, not a queue: events stay in the cache's window until it takes them, so a slow
/// watcher costs nothing, and one that is overtaken by the window's end is ended with 410 `Expired`. One consumer.
package final class WatchSubscription: AsyncSequence, Sendable {
    package typealias Element = WatchCacheEvent
    package typealias Failure = any Error

    /// Events of one batch: bounds how long the cache is locked for one watcher.
    static let batchLimit = 256
    /// Bytes of objects in one batch, so that a few large objects do not make a huge response.
    static let batchBytes = 256 * 1024

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
        /// The number under which it waits.
        var waiting: UInt64?
    }

    private let cache: WatchCache
    private let scope: String
    private let trigger: WatchTrigger?
    private let filter: (@Sendable (Object) -> Bool)?
    private let wantsBookmarks: Bool
    private let initialRevision: Int64
    private let state: Mutex<State>

    init(
        cache: WatchCache, scope: String, trigger: WatchTrigger?, filter: (@Sendable (Object) -> Bool)?, wantsBookmarks: Bool,
        announcesInitialEnd: Bool, snapshot: SortedObjects?, sequence: UInt64, revision: Int64, bookmarkRound: UInt64
    ) {
        self.cache = cache
        self.scope = scope
        self.trigger = trigger
        self.filter = filter
        self.wantsBookmarks = wantsBookmarks
        initialRevision = revision
        state = Mutex(
            State(
                snapshot: snapshot, position: snapshot?.position(of: scope) ?? SortedObjects.Position(chunk: 0, index: 0),
                owesInitialEnd: announcesInitialEnd, sequence: sequence, revision: revision, bookmarkRound: bookmarkRound))
    }

    deinit { stop() }

    /// The same for all subscriptions of one cache.
    package var cacheIdentity: ObjectIdentifier { ObjectIdentifier(cache) }

    /// The revision up to which everything was delivered: where a new watch can go on.
    package var progressRevision: Int64 { state.withLock(\.revision) }

    /// What there is now. Never blocks. Throws `StatusError` 410 `Expired` when this watcher was too slow.
    package func poll() throws(StatusError) -> WatchPoll {
        try state.withLock { state throws(StatusError) in
            if let initial = nextInitial(&state) { return .events(initial) }
            return try read(&state)
        }
    }

    /// Calls `wake` once, on any thread, when `poll` has something other than `waiting`; at once when it has. Replaces an earlier call's.
    package func whenReady(_ wake: @escaping @Sendable () -> Void) {
        let (position, round, former) = state.withLock { state in
            defer { state.waiting = nil }
            return (state.sequence, state.bookmarkRound, state.waiting)
        }
        let number = cache.state.withLock { cached -> UInt64? in
            if let former { cached.waiters.remove(former) }
            if cached.window.endSequence != position || cached.isClosed || (wantsBookmarks && cached.bookmarkRound != round) { return nil }
            let number = cached.waiters.number()
            let waiter = WatchWaiters.Waiter(scope: scope, trigger: trigger, wantsBookmarks: wantsBookmarks) { [weak self] resume in
                self?.resume(resume)
                wake()
            }
            cached.waiters.insert(waiter, number)
            return number
        }
        guard let number else { return wake() }
        state.withLock { $0.waiting = number }
    }

    /// Nobody waits for this subscription any more.
    package func stop() {
        guard let number = state.withLock({ $0.waiting }) else { return }
        _ = cache.state.withLock { $0.waiters.remove(number) }
    }

    /// What happened while it waited, up to where it goes on, was of no interest.
    private func resume(_ resume: WatchWaiters.Resume) {
        state.withLock { state in
            state.sequence = Swift.max(state.sequence, resume.sequence)
            state.revision = Swift.max(state.revision, resume.revision)
        }
    }

    /// The next events, at least one; nil when the store was closed or the task is cancelled. Throws `StatusError` 410 `Expired` when this watcher
    /// was too slow.
    package func nextBatch() async throws -> [WatchCacheEvent]? {
        while !Task.isCancelled {
            switch try poll() {
            case .events(let events): return events
            case .batch(let batch):
                let events = batch.events
                if !events.isEmpty { return events }
            case .waiting: await wait()
            case .closed: return nil
            }
        }
        return nil
    }

    private func nextInitial(_ state: inout State) -> [WatchCacheEvent]? {
        if let snapshot = state.snapshot {
            var events: [WatchCacheEvent] = []
            var bytes = 0
            while let (key, object) = snapshot.entry(at: state.position), key.hasPrefix(scope) {
                state.position = snapshot.advanced(state.position)
                guard filter?(object) ?? true else { continue }
                events.append(.added(object, revision: initialRevision))
                bytes += object.bytes.count
                if events.count == Self.batchLimit || bytes >= Self.batchBytes { return events }
            }
            state.snapshot = nil
            if !events.isEmpty { return events }
        }
        guard state.owesInitialEnd else { return nil }
        state.owesInitialEnd = false
        return [.initialEventsEnd(revision: initialRevision)]
    }

    private func read(_ state: inout State) throws(StatusError) -> WatchPoll {
        enum Outcome {
            case records(ArraySlice<EventWindow.Record>)
            case bookmark(Int64, round: UInt64)
            case nothing
            case closed
            case expired(Int64)
        }
        let (sequence, round) = (state.sequence, state.bookmarkRound)
        let outcome = cache.state.withLock { cached -> Outcome in
            guard let records = cached.window.records(from: sequence, limit: Self.batchLimit, bytes: Self.batchBytes) else {
                return .expired(cached.window.droppedThrough)
            }
            if !records.isEmpty { return .records(records) }
            if cached.isClosed { return .closed }
            if wantsBookmarks, cached.bookmarkRound != round { return .bookmark(cache.revision(cached), round: cached.bookmarkRound) }
            return .nothing
        }
        switch outcome {
        case .closed: return .closed
        case .nothing: return .waiting
        case .expired(let dropped):
            throw .expired("too old resource version: \(state.revision) (\(dropped)): the watcher was too slow")
        case .bookmark(let revision, let round):
            state.bookmarkRound = round
            state.revision = Swift.max(state.revision, revision)
            return .events([.bookmark(revision: state.revision)])
        case .records(let records):
            state.sequence &+= UInt64(records.count)
            if let last = records.last { state.revision = last.revision }
            return .batch(WatchBatch(from: sequence, to: state.sequence, records: records, subscription: self))
        }
    }

    /// What `record` is to this watcher.
    fileprivate func select(_ record: EventWindow.Record) -> WatchCacheEvent? {
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

    /// Returns when `poll` may have something, or the task is cancelled.
    private func wait() async {
        let once = Once()
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                once.set(continuation)
                whenReady { once.resume() }
            }
        } onCancel: {
            stop()
            once.resume()
        }
    }

    /// A continuation that may be resumed before it is there, and more than once.
    private final class Once: Sendable {
        private enum State {
            case new
            case waiting(CheckedContinuation<Void, Never>)
            case done
        }
        private let state = Mutex(State.new)

        func set(_ continuation: CheckedContinuation<Void, Never>) {
            let isDone = state.withLock { state in
                if case .done = state { return true }
                state = .waiting(continuation)
                return false
            }
            if isDone { continuation.resume() }
        }

        func resume() {
            let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
                defer { state = .done }
                if case .waiting(let continuation) = state { return continuation }
                return nil
            }
            waiting?.resume()
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
