internal import KubeAPI
internal import KubeClient
internal import Synchronization

/// What a node says of itself: whether it is Ready, and the conditions by which it is unhealthy.
package struct NodeObservation: Sendable, Equatable {
    /// A condition that is not as it should be. Upstream: core/v1 NodeCondition.
    package struct Problem: Sendable, Equatable {
        package var condition: String
        package var reason: String
        /// Of its last transition, seconds since 1970.
        package var since: Double
    }
    package var name: String
    package var isReady = false
    package var problems: [Problem] = []

    /// One that is gone.
    init(name: String) { self.name = name }

    /// Conditions whose type ends in `Ready` should be True; pressures are the scheduler's and the kubelet's matter.
    init(_ node: Object) {
        name = node.metadata.name
        for condition in node["status"]["conditions"].elements {
            guard let type = condition["type"].string, type.hasSuffix("Ready") else { continue }
            let status = condition["status"].string
            if type == "Ready", status == "True" { isReady = true }
            // Only the kubelet's own silence makes a node unhealthy, not that of who reports more.
            guard status == "False" || (type == "Ready" && status == "Unknown") else { continue }
            let since = condition["lastTransitionTime"].string.flatMap { Timestamp(rfc3339: $0) }
            let seconds = since.map { Double($0.microseconds) / 1_000_000 } ?? 0
            problems.append(Problem(condition: type, reason: condition["reason"].string ?? "", since: seconds))
        }
    }
}

/// Observations of nodes as streams: the present state to each new subscriber, then the changes. Fed by the nodes' informer.
final class NodeReadinessFeed: Sendable {
    private struct State {
        var nodes: [String: NodeObservation] = [:]
        var subscribers: [Int: AsyncStream<NodeObservation>.Continuation] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    func follow(_ informer: SharedInformer) {
        informer.addHandler(
            InformerHandler(
                added: { [self] node in update(node.metadata.name, NodeObservation(node)) },
                updated: { [self] _, node in update(node.metadata.name, NodeObservation(node)) },
                deleted: { [self] node in update(node.metadata.name, nil) }))
    }

    func subscribe() -> AsyncStream<NodeObservation> {
        let (stream, continuation) = AsyncStream.makeStream(of: NodeObservation.self)
        let id = state.withLock { state -> Int? in
            for node in state.nodes.values { continuation.yield(node) }
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
    private func update(_ name: String, _ node: NodeObservation?) {
        state.withLock { state in
            guard state.nodes[name] != node else { return }
            state.nodes[name] = node
            for subscriber in state.subscribers.values { subscriber.yield(node ?? NodeObservation(name: name)) }
        }
    }
}
