import KubeAPI
internal import Synchronization

/// What all views of one `SharedInformer` share: the cache, the reflector that keeps it, and everybody who hears of it.
final class InformerCore: Sendable {
    private struct Sync {
        var isSynced = false
        var nextNumber: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    }

    private typealias Registration = (handler: InformerHandler, scope: HandlerScope?)

    let resource: GroupVersionResource
    let indexer = Indexer()
    private let reflector: Reflector
    /// Held while a change is applied and told, so that a new handler hears of each object exactly once.
    private let handlers = Mutex<[Registration]>([])
    private let sync = Mutex(Sync())

    init(reflector: Reflector) {
        self.reflector = reflector
        resource = reflector.resource
    }

    func addHandler(_ handler: InformerHandler, _ scope: HandlerScope?) {
        handlers.withLock { handlers in
            for object in indexer.list() { handler.added(object) }
            handlers.append((handler, scope))
        }
    }

    func removeHandlers(of scope: HandlerScope) { handlers.withLock { $0.removeAll { $0.scope === scope } } }

    var hasSynced: Bool { sync.withLock(\.isSynced) }

    func waitForSync() async throws {
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

    func run() async {
        await reflector.run { self.apply($0) }
    }

    private func apply(_ change: Reflector.Change) {
        handlers.withLock { handlers in
            switch change {
            case .replaced(let objects): replace(with: objects, handlers)
            case .added(let object), .modified(let object): set(object, handlers)
            case .deleted(let object):
                guard indexer.remove(object.metadata.key) != nil else { return }
                for (handler, _) in handlers { handler.deleted(object) }
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

    private func replace(with objects: [Object], _ handlers: [Registration]) {
        var gone = Set(indexer.keys)
        for object in objects {
            gone.remove(object.metadata.key)
            set(object, handlers)
        }
        for key in gone.sorted() {
            guard let object = indexer.remove(key) else { continue }
            for (handler, _) in handlers { handler.deleted(object) }
        }
    }

    private func set(_ object: Object, _ handlers: [Registration]) {
        guard let old = indexer.set(object) else {
            for (handler, _) in handlers { handler.added(object) }
            return
        }
        let (before, after) = (old.metadata, object.metadata)
        // A relist brings most objects unchanged.
        if before.resourceVersion == after.resourceVersion, !after.resourceVersion.isEmpty { return }
        if before.uid != after.uid {
            // Deleted and made anew while we were not watching: nobody may take the new one for the old.
            for (handler, _) in handlers {
                handler.deleted(old)
                handler.added(object)
            }
        } else {
            for (handler, _) in handlers { handler.updated(old, object) }
        }
    }
}
