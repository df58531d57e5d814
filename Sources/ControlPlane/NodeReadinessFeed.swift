internal import KubeAPI
internal import KubeClient
internal import Synchronization

/// Readiness of nodes as streams: the present state to each new subscriber, then the changes. Fed by the nodes' informer.
final class NodeReadinessFeed: Sendable {
    private struct State {
        var ready: [String: Bool] = [:]
        var subscribers: [Int: AsyncStream<(name: String, isReady: Bool)>.Continuation] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    func follow(_ informer: SharedInformer) {
        informer.addHandler(
            InformerHandler(
                added: { [self] node in update(node.metadata.name, Self.isReady(node)) },
                updated: { [self] _, node in update(node.metadata.name, Self.isReady(node)) },
                deleted: { [self] node in update(node.metadata.name, nil) }))
    }

    func subscribe() -> AsyncStream<(name: String, isReady: Bool)> {
        let (stream, continuation) = AsyncStream.makeStream(of: (name: String, isReady: Bool).self)
        let id = state.withLock { state -> Int? in
            for (name, isReady) in state.ready { continuation.yield((name, isReady)) }
            guard !state.isFinished else { return nil }
            state.next += 1
            state.subscribers[state.next] = continuation
            return state.next
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { _ = $0.subscribers.removeValue(forKey: id) } }
        return stream
    }

    func finish() {
        let subscribers = state.withLock { state in
            state.isFinished = true
            defer { state.subscribers = [:] }
            return state.subscribers
        }
        for subscriber in subscribers.values { subscriber.finish() }
    }

    /// Nil: the node is gone, told as not Ready.
    private func update(_ name: String, _ isReady: Bool?) {
        state.withLock { state in
            guard state.ready[name] != isReady else { return }
            state.ready[name] = isReady
            for subscriber in state.subscribers.values { subscriber.yield((name, isReady ?? false)) }
        }
    }

    private static func isReady(_ node: Object) -> Bool {
        node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
    }
}
