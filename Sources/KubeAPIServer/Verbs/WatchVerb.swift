import KubeAPI
import KubeClient
import KubeStorage

extension ResourceVerbs {
    /// Without `timeoutSeconds` a watch lasts this long and up to twice as long, so that clients do not all come back at once. Upstream:
    /// --min-request-timeout.
    static var minimumWatchSeconds: Int64 { 1800 }

    /// Upstream: handlers.ListResource with watch, over cacher.Watch. Throws 410 `Expired` when changes since the resourceVersion asked for are not
    /// all held.
    func watch() throws -> WatchSession {
        var options = try ListOptions(request.query, row: row, isWatch: true)
        if info.isWatchPath, !info.name.isEmpty, options.fields.exactMatch("metadata.name") == nil {
            options.fields = FieldSelector(options.fields.requirements + [.init(field: "metadata.name", value: info.name)])
        }
        let seconds =
            options.timeoutSeconds.flatMap { $0 > 0 ? $0 : nil } ?? Int64.random(in: Self.minimumWatchSeconds...(2 * Self.minimumWatchSeconds))
        var from = try options.revision() ?? 0
        // `sendInitialEvents=false` without a revision means: from now on.
        if options.sendInitialEvents == false, from == 0 { from = scope.storage.revision }
        let subscription = try scope.storage.watch(
            namespace: row.namespaced && !info.namespace.isEmpty ? info.namespace : nil, from: from,
            sendInitialEvents: options.sendInitialEvents == true,
            bookmarks: options.allowWatchBookmarks, filter: filter(options))
        return WatchSession(
            scope: scope, subscription: subscription, allowsBookmarks: options.allowWatchBookmarks, lifetime: .seconds(min(seconds, Int64(Int32.max)))
        )
    }
}

/// One client's watch: what the cache's subscription delivers, as events of this scope's version, until its time is over.
struct WatchSession: Sendable {
    /// Upstream: the annotation that ends the initial events of a streaming list.
    static let initialEventsEnd = "k8s.io/initial-events-end"

    let scope: RequestScope
    fileprivate let subscription: WatchSubscription
    fileprivate let allowsBookmarks: Bool
    fileprivate let lifetime: Duration

    /// Delivers batches, in commit order, until the time is over, the store is closed or the task is cancelled. A client that is too slow gets an
    /// ERROR event with 410 as its last, which makes it list again. Throws what `deliver` throws.
    func run(_ deliver: @escaping @Sendable ([WatchEvent]) async throws -> Void) async throws {
        let isOver = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    while let batch = try await subscription.nextBatch() {
                        let events = batch.compactMap(event)
                        if !events.isEmpty { try await deliver(events) }
                    }
                } catch let error as StatusError {
                    try await deliver([WatchEvent(kind: .error, object: try Object(error.value))])
                    return false
                }
                return true
            }
            group.addTask {
                do { try await Task.sleep(for: lifetime) } catch is CancellationError { return true }
                return true
            }
            let first = try await group.next() ?? true
            group.cancelAll()
            // The pump is asked to end and is waited for: it must not write after this.
            while let other = try await group.next() { if !other { return false } }
            return first
        }
        // The client goes on from here. Upstream sends such a bookmark shortly before the end.
        if isOver, allowsBookmarks, !Task.isCancelled { try await deliver([bookmark(subscription.progressRevision, annotations: [:])]) }
    }

    private func event(_ event: WatchCacheEvent) -> WatchEvent? {
        switch event {
        case .added(let object, _): WatchEvent(kind: .added, object: scope.external(object))
        case .modified(let object, _, _): WatchEvent(kind: .modified, object: scope.external(object))
        case .deleted(let object, _): WatchEvent(kind: .deleted, object: scope.external(object))
        case .initialEventsEnd(let revision): allowsBookmarks ? bookmark(revision, annotations: [Self.initialEventsEnd: "true"]) : nil
        case .bookmark(let revision): bookmark(revision, annotations: [:])
        }
    }

    private func bookmark(_ revision: Int64, annotations: [String: String]) -> WatchEvent {
        var metadata: Value = ["resourceVersion": .string(String(revision)), "creationTimestamp": .null]
        if !annotations.isEmpty { metadata["annotations"] = Value(annotations) }
        let kind = scope.row.groupVersionKind
        let tree: Value = ["kind": .string(kind.kind), "apiVersion": .string(kind.apiVersion), "metadata": metadata]
        return WatchEvent(kind: .bookmark, object: Object(tree: tree))
    }
}

extension Object {
    /// An object of a tree that this server's own code has built, so that it is one.
    init(tree: Value) {
        do { try self.init(tree) } catch { self.init(Object.empty.document) }
    }
    private static let empty: Object = {
        do { return try Object(json: "{}") } catch { preconditionFailure("{} is a JSON object") }
    }()
}
