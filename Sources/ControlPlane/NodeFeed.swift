internal import KubeAPI
internal import KubeClient
internal import Synchronization

/// Something about all nodes as streams: the present state to each new subscriber, then the changes. Fed by the nodes' informer.
final class NodeFeed<Value: Equatable & Sendable>: Sendable {
    private struct State {
        var values: [String: Value] = [:]
        var subscribers: [Int: AsyncStream<(name: String, value: Value)>.Continuation] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Mutex(State())
    private let read: @Sendable (Object) -> Value
    /// What is told of a node that is gone.
    private let absent: Value

    init(absent: Value, _ read: @escaping @Sendable (Object) -> Value) {
        self.absent = absent
        self.read = read
    }

    func follow(_ informer: SharedInformer) {
        informer.addHandler(
            InformerHandler(
                added: { [self] node in update(node.metadata.name, read(node)) },
                updated: { [self] _, node in update(node.metadata.name, read(node)) },
                deleted: { [self] node in update(node.metadata.name, nil) }))
    }

    func subscribe() -> AsyncStream<(name: String, value: Value)> {
        let (stream, continuation) = AsyncStream.makeStream(of: (name: String, value: Value).self)
        let id = state.withLock { state -> Int? in
            for (name, value) in state.values { continuation.yield((name, value)) }
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

    /// Whether the node's value becomes `wanted` within `patience`.
    func wait(for wanted: Value, of node: String, patience: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await (name, value) in self.subscribe() where name == node && value == wanted { return true }
                return false
            }
            group.addTask {
                // Cancelled: the other task has answered.
                try? await Task.sleep(for: patience)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    func finish() {
        let subscribers = state.withLock { state in
            state.isFinished = true
            defer { state.subscribers = [:] }
            return state.subscribers
        }
        for subscriber in subscribers.values { subscriber.finish() }
    }

    /// Nil: the node is gone.
    private func update(_ name: String, _ value: Value?) {
        state.withLock { state in
            guard state.values[name] != value else { return }
            state.values[name] = value
            for subscriber in state.subscribers.values { subscriber.yield((name, value ?? absent)) }
        }
    }
}

/// What the service follows of a cluster's nodes.
struct NodeFeeds: Sendable {
    /// A node that is gone is not Ready.
    let readiness = NodeFeed(absent: NodeObservation()) { NodeObservation($0) }
    /// The revision of the certificate authorities that a node goes by; empty for one that does not say.
    let authorities = NodeFeed(absent: "") { $0.metadata.annotations[ClusterAuthorities.nodeAnnotation] ?? "" }

    func follow(_ informer: SharedInformer) {
        readiness.follow(informer)
        authorities.follow(informer)
    }

    func finish() {
        readiness.finish()
        authorities.finish()
    }
}
