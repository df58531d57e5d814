package import KubeAPI
internal import Synchronization

/// The revision up to which all caches of a store have seen everything.
final class Progress: Sendable {
    let revision: Atomic<Int64>
    /// Contents of earlier revisions are not shown any more, even where they are still at hand: continued lists end some time, as they do upstream,
    /// where etcd is compacted every five minutes.
    let compacted: Atomic<Int64>
    init(_ revision: Int64) {
        self.revision = Atomic(revision)
        compacted = Atomic(0)
    }
}

/// One page of a list.
package struct ListPage: Sendable {
    package var objects: [Object]
    /// The revision as of which the list is complete.
    package var revision: Int64
    /// Objects after this page; nil when a filter makes the number unknown.
    package var remainingCount: Int?
    /// The key at which the next page begins; nil on the last page.
    package var nextKey: String?
}

/// All objects of one resource, sorted by key and finished for sending (resourceVersion in place), and its recent events. The store's commits feed
/// it; gets,
/// lists and watches are answered from it. Upstream: storage/cacher.
///
/// Invariants: the content is always that of one revision; a subscription's snapshot and its events meet without gap or overlap; feeding never waits
/// for a
/// subscriber: one that falls behind the window of recent events is ended.
package final class WatchCache: Sendable {
    /// How many recent events are kept, for watches that resume and watchers that are slow.
    package struct Limits: Sendable {
        /// At most. At 200 changes a second a watcher may be 20 seconds behind.
        package var events: Int
        /// At least, whatever their age. Upstream: defaultLowerBoundCapacity is 100.
        package var eventsKept: Int
        /// Older ones are dropped, so that an idle cluster keeps little. Longer than the minute between two bookmarks.
        package var age: Duration
        /// Bytes of the events' objects, so that large objects in a hurry do not fill the memory.
        package var bytes: Int

        package init(events: Int = 4096, eventsKept: Int = 128, age: Duration = .seconds(150), bytes: Int = 64 << 20) {
            self.events = events
            self.eventsKept = eventsKept
            self.age = age
            self.bytes = bytes
        }
    }

    /// Contents of unfinished paged lists that are kept, so that all pages show one revision.
    static let pagedListLimit = 16

    struct State {
        var objects: SortedObjects
        var window: EventWindow
        /// The revision of the last event of this cache.
        var lastRevision: Int64
        var waiters = WatchWaiters()
        var pagedLists: [(revision: Int64, objects: SortedObjects)] = []
        /// Counts requests for bookmarks: a subscription that has seen fewer owes one.
        var bookmarkRound: UInt64 = 0
        var isClosed = false
    }

    /// `/registry/<resource>/`: what the keys of this cache begin with.
    package let prefix: String
    let state: Mutex<State>
    let progress: Progress
    /// Held while events are applied and told, so that an observer hears of each object exactly once.
    private let observers = Mutex<[@Sendable (_ old: Object?, _ new: Object?) -> Void]>([])

    /// `entries` are sorted by key and complete as of `revision`.
    init(prefix: String, entries: [(key: String, object: Object)], revision: Int64, progress: Progress, limits: Limits) {
        self.prefix = prefix
        self.progress = progress
        state = Mutex(
            State(objects: SortedObjects(sorted: entries), window: EventWindow(limits: limits, completeAfter: revision), lastRevision: revision))
    }

    /// Everything of this prefix up to this revision is in the cache. Called with the state locked: an event is applied before it counts as progress.
    func revision(_ state: borrowing State) -> Int64 { max(progress.revision.load(ordering: .acquiring), state.lastRevision) }

    /// The revision as of which the cache is complete.
    package var revision: Int64 { state.withLock { revision($0) } }

    package var count: Int { state.withLock(\.objects.count) }

    /// The object of the full key `key`.
    package func get(_ key: String) -> Object? { state.withLock { $0.objects[key] } }

    /// Lists the objects of a namespace, or all, in the order of their keys.
    ///
    /// - Parameters:
    ///   - limit: objects of a page; nil gives all.
    ///   - startKey: a former page's `nextKey`.
    ///   - revision: with `startKey`, the revision of the first page: all pages show the content of that revision. Nil shows the present content.
    /// - Throws: `StatusError` 410 `Expired` when the content of `revision` is no longer held.
    package func list(
        namespace: String? = nil, limit: Int? = nil, startKey: String? = nil, revision wanted: Int64? = nil,
        filter: (@Sendable (Object) -> Bool)? = nil
    ) throws(StatusError) -> ListPage {
        let isCompacted = wanted.map { $0 < progress.compacted.load(ordering: .acquiring) } ?? false
        let found = state.withLock { state -> (objects: SortedObjects, revision: Int64)? in
            let current = revision(state)
            if isCompacted { return nil }
            // No event of this cache came after `wanted`: the present content is that revision's.
            if let wanted, wanted < state.lastRevision {
                if let kept = state.pagedLists.last(where: { $0.revision == wanted }) { return (kept.objects, wanted) }
                return Self.content(state.objects, at: wanted, state.window).map { ($0, wanted) }
            }
            return (state.objects, min(wanted ?? current, current))
        }
        guard let (content, revision) = found else { throw .expired(startKey == nil ? Self.expiredList : Self.expiredContinue) }

        let scope = namespace.map { "\(prefix)\($0)/" } ?? prefix
        let end = content.position(of: Self.end(of: scope))
        let start = content.position(of: max(startKey ?? scope, scope))
        let available = content.distance(from: start, to: end)
        var page = ListPage(objects: [], revision: revision, remainingCount: nil, nextKey: nil)
        guard available > 0 else {
            page.remainingCount = filter == nil ? 0 : nil
            return page
        }
        if filter == nil { page.objects.reserveCapacity(min(limit ?? available, available)) }
        var at = start
        var passed = 0
        while passed < available, let (key, object) = content.entry(at: at) {
            if let limit, limit > 0, page.objects.count >= limit {
                page.nextKey = key
                break
            }
            if filter?(object) ?? true { page.objects.append(object) }
            at = content.advanced(at)
            passed += 1
        }
        if filter == nil { page.remainingCount = available - passed }
        if page.nextKey != nil {
            state.withLock { state in
                guard !state.pagedLists.contains(where: { $0.revision == revision }) else { return }
                state.pagedLists.append((revision, content))
                if state.pagedLists.count > Self.pagedListLimit { state.pagedLists.removeFirst() }
            }
        }
        return page
    }

    /// The content as of `revision`: the present one with all later events taken back; nil when they are not all held.
    private static func content(_ present: SortedObjects, at revision: Int64, _ window: EventWindow) -> SortedObjects? {
        guard revision >= window.droppedThrough else { return nil }
        var content = present
        for record in window.records(after: revision).reversed() {
            if let old = record.old { content.set(record.key, old) } else { content.remove(record.key) }
        }
        return content
    }

    /// Upstream: etcd3.expired.
    static let expiredList = "The resourceVersion for the provided list is too old."
    /// Upstream: storage/continue expired message, etcd3.handleCompactedErrorForPaging.
    static let expiredContinue =
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter."

    /// The first key after all that begin with `scope`, which ends in a slash.
    static func end(of scope: String) -> String { scope.hasSuffix("/") ? String(scope.dropLast()) + "0" : scope + "\u{10FFFF}" }

    /// Subscribes to changes.
    ///
    /// - Parameters:
    ///   - revision: events after this revision are delivered. Nil, as 0: the present objects first, as added, then what follows.
    ///   - sendInitialEvents: the present objects first even though `revision` is given, then `initialEventsEnd`.
    ///   - bookmarks: whether `bookmark` events are delivered (once a minute, when nothing else is due).
    ///   - trigger: what the filter asks for at least, if it can be told: events that cannot concern the watcher then cost it nothing.
    ///   - filter: an object that begins to match is delivered as added, one that ceases to as deleted.
    /// - Throws: `StatusError` 410 `Expired` when events after `revision` were dropped already, 504 when `revision` is in the future.
    package func watch(
        from revision: Int64? = nil, namespace: String? = nil, sendInitialEvents: Bool = false, bookmarks: Bool = false,
        trigger: WatchTrigger? = nil, filter: (@Sendable (Object) -> Bool)? = nil
    ) throws(StatusError) -> WatchSubscription {
        let scope = namespace.map { "\(prefix)\($0)/" } ?? prefix
        let startsWithState = sendInitialEvents || (revision ?? 0) == 0
        let outcome: Result<WatchSubscription, StatusError> = state.withLock { state in
            let current = self.revision(state)
            if let revision, revision > current { return .failure(Self.tooLarge(revision, current: current)) }
            var snapshot: SortedObjects?
            var sequence = state.window.endSequence
            if startsWithState {
                snapshot = state.objects
            } else if let revision {
                guard revision >= state.window.droppedThrough else {
                    return .failure(.expired("too old resource version: \(revision) (\(state.window.droppedThrough))"))
                }
                sequence = state.window.sequence(after: revision)
            }
            return .success(
                WatchSubscription(
                    cache: self, scope: scope, trigger: trigger, filter: filter, wantsBookmarks: bookmarks,
                    announcesInitialEnd: sendInitialEvents, snapshot: snapshot, sequence: sequence,
                    revision: startsWithState ? current : revision ?? current, bookmarkRound: state.bookmarkRound))
        }
        return try outcome.get()
    }

    /// Upstream: storage.NewTooLargeResourceVersionError.
    private static func tooLarge(_ revision: Int64, current: Int64) -> StatusError {
        StatusError(
            code: 504, reason: "Timeout", message: "Too large resource version: \(revision), current: \(current)",
            details: StatusError.Details(
                causes: [StatusError.Cause(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")], retryAfterSeconds: 1
            ))
    }

    /// Calls `observer` for every object there is, as new, and then for every change, on the store's writer, in order, before the writing request is
    /// answered.
    /// It must not block, and must not call `observe`.
    package func observe(_ observer: @escaping @Sendable (_ old: Object?, _ new: Object?) -> Void) {
        observers.withLock { observers in
            let present = state.withLock(\.objects)
            for chunk in present.chunks { for object in chunk.objects { observer(nil, object) } }
            observers.append(observer)
        }
    }

    /// Applies committed events of this prefix, in order. Called on the writer.
    func apply(_ events: [StoreEvent]) {
        observers.withLock { observers in
            var changes: [(old: Object?, new: Object?)] = []
            let now = ContinuousClock.now
            let woken = state.withLock { state -> [(waiter: WatchWaiters.Waiter, resume: WatchWaiters.Resume)] in
                var told: [WatchWaiters.Change] = []
                for event in events {
                    // What is written was checked before it was queued (`CachedStore.write`).
                    let object = event.cachedObject
                    let key = event.entry.key
                    let old = event.kind == .deleted ? state.objects.remove(key) : state.objects.set(key, object)
                    let kind: StoreEvent.Kind = event.kind == .deleted ? .deleted : old == nil ? .created : .updated
                    let resume = WatchWaiters.Resume(sequence: state.window.endSequence, revision: event.revision - 1)
                    state.window.append(EventWindow.Record(kind: kind, key: key, object: object, old: old, revision: event.revision, time: now))
                    state.lastRevision = event.revision
                    if !state.waiters.isEmpty {
                        let wantsNodes = state.waiters.wantsNodes
                        let nodes = wantsNodes ? (WatchWaiters.node(of: old), WatchWaiters.node(of: object)) : (nil, nil)
                        told.append(WatchWaiters.Change(key: key, nodes: nodes, resume: resume))
                    }
                    if !observers.isEmpty { changes.append((old, event.kind == .deleted ? nil : object)) }
                }
                return state.waiters.take(for: told)
            }
            for (old, new) in changes { for observer in observers { observer(old, new) } }
            for (waiter, resume) in woken { waiter.wake(resume) }
        }
    }

    /// Makes every subscription that wants bookmarks deliver one.
    func requestBookmarks() {
        let (woken, resume) = state.withLock { state in
            state.bookmarkRound &+= 1
            // Whoever waits was concerned by nothing so far.
            return (state.waiters.take(where: \.wantsBookmarks), WatchWaiters.Resume(sequence: state.window.endSequence, revision: revision(state)))
        }
        for waiter in woken { waiter.wake(resume) }
    }

    /// Lets go of contents that are not shown any more.
    func forgetPages() {
        let compacted = progress.compacted.load(ordering: .acquiring)
        state.withLock { state in state.pagedLists.removeAll { $0.revision < compacted } }
    }

    /// Ends all subscriptions after what they have not taken yet.
    func close() {
        let (woken, resume) = state.withLock { state in
            state.isClosed = true
            return (state.waiters.take { _ in true }, WatchWaiters.Resume(sequence: state.window.endSequence, revision: revision(state)))
        }
        for waiter in woken { waiter.wake(resume) }
    }
}
