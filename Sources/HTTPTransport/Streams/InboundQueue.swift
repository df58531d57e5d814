import NIOCore
import Synchronization

/// What arrives from an event loop for one asynchronous reader, with backpressure both ways: the loop learns when to stop reading, and `demand`
/// tells it when to
/// go on. Elements that arrived before a failure are still delivered.
final class InboundQueue<Element: Sendable>: Sendable {
    private enum End {
        case finished
        case failed(any Error)
    }

    private struct State {
        var elements = CircularBuffer<Element>(initialCapacity: 2)
        var costs = CircularBuffer<Int>(initialCapacity: 2)
        var cost = 0
        var end: End?
        var waiter: CheckedContinuation<Element?, any Error>?
        var isPaused: Bool
    }

    private enum Answer {
        case element(Element?)
        case failure(any Error)
    }

    /// What may wait here (bytes, or whatever `append` counts) before the sender is told to pause.
    private let limit: Int
    private let state: Mutex<State>
    private let demand: @Sendable () -> Void
    private let abandon: @Sendable () -> Void

    /// `isPaused`: whether the sender waits for the first demand. `demand` is called from any thread once the reader wants more from a paused
    /// sender;
    /// `abandon` when the reading task was cancelled, after which nothing more is delivered.
    init(limit: Int, isPaused: Bool = false, demand: @escaping @Sendable () -> Void, abandon: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.demand = demand
        self.abandon = abandon
        state = Mutex(State(isPaused: isPaused))
    }

    /// Adds an element; false asks the caller to stop reading until `demand`. Ignored after the end.
    func append(_ element: Element, cost: Int) -> Bool {
        let (waiter, goOn) = state.withLock { state -> (CheckedContinuation<Element?, any Error>?, Bool) in
            guard state.end == nil else { return (nil, true) }
            if let waiter = state.waiter {
                state.waiter = nil
                return (waiter, true)
            }
            state.elements.append(element)
            state.costs.append(cost)
            state.cost &+= cost
            guard state.cost >= limit else { return (nil, true) }
            state.isPaused = true
            return (nil, false)
        }
        waiter?.resume(returning: element)
        return goOn
    }

    /// The sender is done: what waits is still delivered, then nil.
    func finish() { end(.finished) }

    /// The sender failed: what waits is still delivered, then `error` is thrown.
    func fail(_ error: any Error) { end(.failed(error)) }

    private func end(_ end: End) {
        let waiter = state.withLock { state -> CheckedContinuation<Element?, any Error>? in
            guard state.end == nil else { return nil }
            state.end = end
            defer { state.waiter = nil }
            return state.waiter
        }
        guard let waiter else { return }
        switch end {
        case .finished: waiter.resume(returning: nil)
        case .failed(let error): waiter.resume(throwing: error)
        }
    }

    /// The next element, nil at the end. One caller at a time.
    func next() async throws -> Element? {
        let (answer, wanted) = state.withLock { Self.take(&$0, limit: limit) }
        if wanted { demand() }
        switch answer {
        case .element(let element): return element
        case .failure(let error): throw error
        case nil: break
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (answer, wanted) = state.withLock { state -> (Answer?, Bool) in
                    let taken = Self.take(&state, limit: limit)
                    if taken.0 != nil { return taken }
                    guard state.waiter == nil else { return (.failure(HTTPError.protocolViolation("a body stream has two readers")), false) }
                    state.waiter = continuation
                    defer { state.isPaused = false }
                    return (nil, state.isPaused)
                }
                if wanted { demand() }
                switch answer {
                case .element(let element): continuation.resume(returning: element)
                case .failure(let error): continuation.resume(throwing: error)
                case nil: break
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Takes what is there, and tells whether the paused sender is to go on; nil when there is nothing yet.
    private static func take(_ state: inout State, limit: Int) -> (Answer?, Bool) {
        if let element = state.elements.popFirst() {
            state.cost &-= state.costs.popFirst() ?? 0
            guard state.isPaused, state.cost <= limit / 2, state.end == nil else { return (.element(element), false) }
            state.isPaused = false
            return (.element(element), true)
        }
        switch state.end {
        case .finished: return (.element(nil), false)
        case .failed(let error): return (.failure(error), false)
        case nil: return (nil, false)
        }
    }

    private func cancel() {
        let (waiter, wasOpen) = state.withLock { state -> (CheckedContinuation<Element?, any Error>?, Bool) in
            let wasOpen = state.end == nil
            if wasOpen { state.end = .failed(CancellationError()) }
            defer { state.waiter = nil }
            return (state.waiter, wasOpen)
        }
        waiter?.resume(throwing: CancellationError())
        if wasOpen { abandon() }
    }
}

extension InboundQueue where Element == ByteBuffer {
    /// Bytes that may wait for a body's or tunnel's reader: a few socket reads, so that a fast peer is not stopped at each.
    static var byteLimit: Int { 128 * 1024 }

    func nextBytes() async throws -> [UInt8]? { try await next().map { Array(buffer: $0) } }
}

/// Calls `onDrop` when the last reference to it goes: how a reader that loses interest without a word is noticed.
final class Lease: Sendable {
    private let onDrop: @Sendable () -> Void
    init(onDrop: @escaping @Sendable () -> Void) { self.onDrop = onDrop }
    deinit { onDrop() }
}
