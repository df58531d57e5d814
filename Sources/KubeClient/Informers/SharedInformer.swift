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

/// Whose handlers end together. Upstream: cache.ResourceEventHandlerRegistration.
final class HandlerScope: Sendable {}

/// A cache of one resource, kept by one reflector and shared by many handlers. Upstream: cache.SharedIndexInformer.
package final class SharedInformer: Sendable {
    fileprivate let core: InformerCore
    /// Nil: its handlers stay.
    private let scope: HandlerScope?

    package convenience init(reflector: Reflector) { self.init(InformerCore(reflector: reflector), scope: nil) }

    fileprivate init(_ core: InformerCore, scope: HandlerScope?) {
        self.core = core
        self.scope = scope
    }

    package var resource: GroupVersionResource { core.resource }
    package var indexer: Indexer { core.indexer }
    package var lister: Lister { Lister(indexer: indexer) }

    /// Adds a handler; it hears of all objects already in the cache first, as added.
    package func addHandler(_ handler: InformerHandler) { core.addHandler(handler, scope) }

    /// See `Indexer.addIndex`.
    package func addIndex(_ name: String, _ function: @escaping IndexFunction) { indexer.addIndex(name, function) }

    /// Whether the first list is in the cache and was told to the handlers.
    package var hasSynced: Bool { core.hasSynced }

    /// Returns once `hasSynced`. Throws `CancellationError` when the task is cancelled before.
    package func waitForSync() async throws { try await core.waitForSync() }

    /// Keeps the cache until the task is cancelled. Run once.
    package func run() async { await core.run() }
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
    /// Where the informers are, and whose handlers these are, if this is a view of another factory.
    private let view: (parent: InformerFactory, scope: HandlerScope)?

    package init(client: KubeClient, clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "informer")) {
        self.client = client
        self.clock = clock
        self.logger = logger
        view = nil
        (added, addedContinuation) = AsyncStream.makeStream()
    }

    private init(viewOf parent: InformerFactory) {
        client = parent.client
        clock = parent.clock
        logger = parent.logger
        view = (parent, HandlerScope())
        (added, addedContinuation) = AsyncStream.makeStream()
    }

    /// A view of the same informers, which the parent runs, for somebody who comes and goes: `removeHandlers` takes away what was added through it.
    package func makeView() -> InformerFactory { InformerFactory(viewOf: self) }

    /// Takes away all handlers that were added through this view. Nothing is taken away from a factory that is none.
    package func removeHandlers() {
        guard let view else { return }
        for informer in informers.withLock({ Array($0.values) }) { informer.core.removeHandlers(of: view.scope) }
    }

    /// The informer of a resource, made when first asked for. It runs as soon as the factory does.
    package func informer(
        for resource: GroupVersionResource, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil
    ) -> SharedInformer {
        let selecting = ListOptions(labelSelector: labelSelector, fieldSelector: fieldSelector)
        return informers.withLock { informers in
            let key = Key(resource: resource, namespace: namespace, selecting: selecting)
            if let informer = informers[key] { return informer }
            if let view {
                let shared = view.parent.informer(
                    for: resource, namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector)
                let informer = SharedInformer(shared.core, scope: view.scope)
                informers[key] = informer
                return informer
            }
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
