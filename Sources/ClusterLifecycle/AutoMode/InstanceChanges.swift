import Synchronization

/// Tells who looks after a cluster's instances that some came or went.
final class InstanceChanges: Sendable {
    private struct State {
        var listeners: [String: [Int: AsyncStream<Void>.Continuation]] = [:]
        var next = 0
    }

    private let state = Mutex(State())

    func tell(_ cluster: String) {
        let listeners = state.withLock { Array(($0.listeners[cluster] ?? [:]).values) }
        for listener in listeners { listener.yield() }
    }

    func subscribe(_ cluster: String) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.next += 1
            state.listeners[cluster, default: [:]][state.next] = continuation
            return state.next
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { _ = $0.listeners[cluster]?.removeValue(forKey: id) } }
        return stream
    }
}
