internal import Synchronization

/// Something a control plane is told that may change while it runs.
package final class LiveSetting<Value: Sendable & Equatable>: Sendable {
    private struct State {
        var value: Value
        var listener: AsyncStream<Value>.Continuation?
    }

    private let state: Mutex<State>

    package init(_ value: Value) { state = Mutex(State(value: value)) }

    package func set(_ value: Value) {
        state.withLock { state in
            guard state.value != value else { return }
            state.value = value
            state.listener?.yield(value)
        }
    }

    package var value: Value { state.withLock(\.value) }

    /// The value now, then each change; of changes in a row the last. One listener: the last who asked.
    func values() -> AsyncStream<Value> {
        let (stream, continuation) = AsyncStream.makeStream(of: Value.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            state.listener?.finish()
            state.listener = continuation
            continuation.yield(state.value)
        }
        return stream
    }
}
