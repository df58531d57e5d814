package import KubeAPI
package import Logging
internal import Synchronization

/// What a user of an informer wants to hear. Called in order, from the informer's task, after the cache was changed; must not block and must not add
/// handlers. Usually adds a key to a work queue. Upstream: cache.ResourceEventHandlerFuncs.
package struct InformerHandler: Sendable {
    package var added: @Sendable (Object) -> Void
    /// The old and the new object.
    package var updated: @Sendable (Object, Object) -> Void
    /// The last object known.
    package var deleted: @Sendable (Object) -> Void

    package init(
        added: @escaping @Sendable (Object) -> Void = { _ in }, updated: @escaping @Sendable (Object, Object) -> Void = { _, _ in },
        deleted: @escaping @Sendable (Object) -> Void = { _ in }
    ) {
        self.added = added
        self.updated = updated
        self.deleted = deleted
    }

    /// Hears of every change alike: the new object, or the last one of a deletion.
    package static func any(_ changed: @escaping @Sendable (Object) -> Void) -> InformerHandler {
        InformerHandler(added: changed, updated: { _, new in changed(new) }, deleted: changed)
    }
}

/// A cache of one resource, kept by one reflector and shared by many handlers. Upstream: cache.SharedIndexInformer.
package final class SharedInformer: Sendable {
    private struct Sync {
        var isSynced = false
        var nextNumber: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    }

    package let resource: GroupVersionResource
    package let indexer = Indexer()
    private let reflector: Reflector
    /// Held while a change is applied and told, so that a new handler hears of each object exactly once.
    private let handlers = Mutex<[InformerHandler]>([])
    private let sync = Mutex(Sync())

    package init(reflector: Reflector) {
        self.reflector = reflector
        resource = reflector.resource
    }

    package var lister: Lister { Lister(indexer: indexer) }

    /// Adds a handler; it hears of all objects already in the cache first, as added.
    package func addHandler(_ handler: InformerHandler) {
        handlers.withLock { handlers in
            for object in indexer.list() { handler.added(object) }
            handlers.append(handler)
        }
    }

    /// See `Indexer.addIndex`.
    package func addIndex(_ name: String, _ function: @escaping IndexFunction) { indexer.addIndex(name, function) }

    /// Whether the first list is in the cache and was told to the handlers.
    package var hasSynced: Bool { sync.withLock(\.isSynced) }

    /// Returns once `hasSynced`. Throws `CancellationError` when the task is cancelled before.
    package func waitForSync() async throws {
        let number = sync.withLock { sync in
            sync.nextNumber &+= 1
            return sync.nextNumber
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome: Result<Void, any Error>? = sync.withLock { sync in
                    if sync.isSynced { return .success(()) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    sync.waiters[number] = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            sync.withLock { $0.waiters.removeValue(forKey: number) }?.resume(throwing: CancellationError())
        }
    }

    /// Keeps the cache until the task is cancelled. Run once.
    package func run() async {
        await reflector.run { self.apply($0) }
    }

    private func apply(_ change: Reflector.Change) {
        handlers.withLock { handlers in
            switch change {
            case .replaced(let objects): replace(with: objects, handlers)
            case .added(let object), .modified(let object): set(object, handlers)
            case .deleted(let object):
                guard indexer.remove(object.metadata.key) != nil else { return }
                for handler in handlers { handler.deleted(object) }
            }
        }
        guard case .replaced = change else { return }
        let waiters = sync.withLock { sync in
            sync.isSynced = true
            defer { sync.waiters = [:] }
            return sync.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    private func replace(with objects: [Object], _ handlers: [InformerHandler]) {
        var gone = Set(indexer.keys)
        for object in objects {
            gone.remove(object.metadata.key)
            set(object, handlers)
        }
        for key in gone.sorted() {
            guard let object = indexer.remove(key) else { continue }
            for handler in handlers { handler.deleted(object) }
        }
    }

    private func set(_ object: Object, _ handlers: [InformerHandler]) {
        guard let old = indexer.set(object) else {
            for handler in handlers { handler.added(object) }
            return
        }
        let (before, after) = (old.metadata, object.metadata)
        // A relist brings most objects unchanged.
        if before.resourceVersion == after.resourceVersion, !after.resourceVersion.isEmpty { return }
        if before.uid != after.uid {
            // Deleted and made anew while we were not watching: nobody may take the new one for the old.
            for handler in handlers {
                handler.deleted(old)
                handler.added(object)
            }
        } else {
            for handler in handlers { handler.updated(old, object) }
        }
    }
}

/// One informer for each resource and selection, shared by all who ask. Upstream: client-go/informers.SharedInformerFactory.
package final class InformerFactory: Sendable {
    private struct Key: Hashable {
        var resource: GroupVersionResource
        var namespace: String?
        var selecting: ListOptions
    }

    package let client: KubeClient
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let informers = Mutex<[Key: SharedInformer]>([:])
    private let added: AsyncStream<SharedInformer>
    private let addedContinuation: AsyncStream<SharedInformer>.Continuation

    package init(client: KubeClient, clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "informer")) {
        self.client = client
        self.clock = clock
        self.logger = logger
        (added, addedContinuation) = AsyncStream.makeStream()
    }

    /// The informer of a resource, made when first asked for. It runs as soon as the factory does.
    package func informer(
        for resource: GroupVersionResource, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil
    ) -> SharedInformer {
        let selecting = ListOptions(labelSelector: labelSelector, fieldSelector: fieldSelector)
        return informers.withLock { informers in
            let key = Key(resource: resource, namespace: namespace, selecting: selecting)
            if let informer = informers[key] { return informer }
            let reflector = Reflector(client: client, resource: resource, namespace: namespace, selecting: selecting, clock: clock, logger: logger)
            let informer = SharedInformer(reflector: reflector)
            informers[key] = informer
            addedContinuation.yield(informer)
            return informer
        }
    }

    /// Runs all informers, those asked for later too, until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await informer in added {
                group.addTask { await informer.run() }
            }
        }
    }

    /// Returns once all informers asked for so far have synced. Throws `CancellationError`.
    package func waitForSync() async throws {
        for informer in informers.withLock({ Array($0.values) }) { try await informer.waitForSync() }
    }
}
