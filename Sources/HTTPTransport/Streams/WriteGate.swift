import NIOCore

/// Makes asynchronous writers of one channel wait while the channel is not writable. Everything but `write` belongs to the event loop.
final class WriteGate: @unchecked Sendable {
    /// A write that waits; its identity is the key. Belongs to the event loop.
    private final class Ticket: @unchecked Sendable { var isCancelled = false }

    private let eventLoop: any EventLoop
    private var waiters: [ObjectIdentifier: CheckedContinuation<Void, any Error>] = [:]
    private var failure: (any Error)?

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Runs `operation` on the event loop and returns when the channel takes more. `operation` returns whether the channel is still writable, or
    /// throws.
    /// A cancelled task's operation is performed, but does not wait: it throws `CancellationError` instead.
    func write(_ operation: @escaping @Sendable () throws -> Bool) async throws {
        let ticket = Ticket()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                eventLoop.execute { self.perform(operation, ticket, continuation) }
            }
        } onCancel: {
            eventLoop.execute { self.cancel(ticket) }
        }
    }

    private func perform(_ operation: () throws -> Bool, _ ticket: Ticket, _ continuation: CheckedContinuation<Void, any Error>) {
        if let failure { return continuation.resume(throwing: failure) }
        do {
            if try operation() { return continuation.resume() }
        } catch {
            return continuation.resume(throwing: error)
        }
        // The operation may have closed the channel.
        if let failure { return continuation.resume(throwing: failure) }
        if ticket.isCancelled { return continuation.resume(throwing: CancellationError()) }
        waiters[ObjectIdentifier(ticket)] = continuation
    }

    private func cancel(_ ticket: Ticket) {
        ticket.isCancelled = true
        waiters.removeValue(forKey: ObjectIdentifier(ticket))?.resume(throwing: CancellationError())
    }

    /// The channel is writable again.
    func open() {
        guard !waiters.isEmpty else { return }
        let ready = waiters
        waiters.removeAll()
        for continuation in ready.values { continuation.resume() }
    }

    /// The channel takes nothing any more: waiting and future writes throw `error`.
    func fail(_ error: any Error) {
        guard failure == nil else { return }
        failure = error
        let waiting = waiters
        waiters.removeAll()
        for continuation in waiting.values { continuation.resume(throwing: error) }
    }
}
