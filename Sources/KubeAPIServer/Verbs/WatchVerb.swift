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
            bookmarks: options.allowWatchBookmarks, trigger: trigger(options), filter: filter(options))
        return WatchSession(
            scope: scope, subscription: subscription, selection: scope.custom?.conversion.webhook != nil && !options.selectsAll ? options : nil,
            allowsBookmarks: options.allowWatchBookmarks, lifetime: .seconds(min(seconds, Int64(Int32.max))),
            namespace: info.namespace, options: options)
    }

    /// What a watch's selector asks for at least. Upstream: the indexers and the trigger function of pods' strategy.
    private func trigger(_ options: ListOptions) -> WatchTrigger? {
        if let name = options.fields.exactMatch("metadata.name") { return .name(name) }
        guard row.group.isEmpty, row.resource == "pods", let node = options.fields.exactMatch("spec.nodeName"), !node.isEmpty else { return nil }
        return .node(node)
    }
}

/// One client's watch: what the cache's subscription delivers, as events of this scope's version, until its time is over.
struct WatchSession: Sendable {
    /// Upstream: the annotation that ends the initial events of a streaming list.
    static let initialEventsEnd = "k8s.io/initial-events-end"

    let scope: RequestScope
    let subscription: WatchSubscription
    /// What selects objects after a webhook has converted them; nil where the subscription selects.
    fileprivate let selection: ListOptions?
    fileprivate let allowsBookmarks: Bool
    let lifetime: Duration
    fileprivate let namespace: String
    fileprivate let options: ListOptions

    /// What all watches that deliver the same events have in common; `form` is what their frames look like.
    func key(form: String) -> SharedFrames.Key {
        SharedFrames.Key(
            cache: subscription.cacheIdentity, resource: scope.row.groupVersionResource, namespace: namespace, labels: options.labels.description,
            fields: options.fields.requirements.map { "\($0.field)\($0.negated ? "!=" : "=")\($0.value)" }.joined(separator: ","),
            bookmarks: allowsBookmarks, form: form)
    }

    /// Events of a built-in kind as clients see them.
    func events(_ batch: [WatchCacheEvent]) -> [WatchEvent] { batch.compactMap(event) }

    /// Tells the client from where to go on when a watch's time is over. Upstream sends such a bookmark shortly before the end.
    var lastBookmark: WatchEvent? { allowsBookmarks ? bookmark(subscription.progressRevision, annotations: [:]) : nil }

    /// Delivers batches, in commit order, until the time is over, the store is closed or the task is cancelled. A client that is too slow gets an
    /// ERROR event with 410 as its last, which makes it list again. Throws what `deliver` throws.
    func run(_ deliver: @escaping @Sendable ([WatchEvent]) async throws -> Void) async throws {
        let isOver = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    while let batch = try await subscription.nextBatch() {
                        let events = scope.custom == nil ? batch.compactMap(event) : try await customEvents(batch)
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
            if let custom = scope.custom {
                // A resource that changes or goes ends its watches. Upstream: removeStorage_locked.
                group.addTask {
                    await custom.retirement.wait()
                    return true
                }
            }
            let first = try await group.next() ?? true
            group.cancelAll()
            // The pump is asked to end and is waited for: it must not write after this.
            while let other = try await group.next() { if !other { return false } }
            return first
        }
        if isOver, !Task.isCancelled, let bookmark = lastBookmark { try await deliver([bookmark]) }
    }

    /// Events of a custom resource: objects in the version asked for, which may take a webhook. Throws what that fails with.
    private func customEvents(_ batch: [WatchCacheEvent]) async throws -> [WatchEvent] {
        var events: [WatchEvent] = []
        events.reserveCapacity(batch.count)
        for event in batch {
            switch event {
            case .added(let object, _): try await append(.added, object, old: nil, to: &events)
            case .modified(let object, let old, _): try await append(.modified, object, old: old, to: &events)
            case .deleted(let object, _): try await append(.deleted, object, old: nil, to: &events)
            case .initialEventsEnd, .bookmark: if let event = self.event(event) { events.append(event) }
            }
        }
        return events
    }

    private func append(_ kind: WatchEvent.Kind, _ object: Object, old: Object?, to events: inout [WatchEvent]) async throws {
        let shown = try await scope.shown(object)
        guard let selection else { return events.append(WatchEvent(kind: kind, object: shown)) }
        let isMeant = selection.matches(shown)
        guard let old else {
            if isMeant { events.append(WatchEvent(kind: kind, object: shown)) }
            return
        }
        let before = try await scope.shown(old)
        switch (selection.matches(before), isMeant) {
        case (true, true): events.append(WatchEvent(kind: .modified, object: shown))
        case (false, true): events.append(WatchEvent(kind: .added, object: shown))
        case (true, false):
            let revision = Int64(object.metadata.resourceVersion) ?? 0
            events.append(WatchEvent(kind: .deleted, object: before.withResourceVersion(revision)))
        case (false, false): break
        }
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
