import NIOCore
import Synchronization

/// The exchanges of one event loop whose sources have something to send. Whoever wakes many of them, as one change wakes all that watch for it, costs the
/// loop one task, and their connections one flush each.
final class PumpQueue: Sendable {
    private static let queues = Mutex<[ObjectIdentifier: PumpQueue]>([:])

    /// The queue of a loop. Loops live as long as the process.
    static func of(_ eventLoop: any EventLoop) -> PumpQueue {
        queues.withLock { queues in
            let key = ObjectIdentifier(eventLoop)
            if let known = queues[key] { return known }
            let made = PumpQueue(eventLoop)
            queues[key] = made
            return made
        }
    }

    private let eventLoop: any EventLoop
    private let waiting = Mutex<[ServerExchange]>([])
    private let drain: NIOLoopBoundBox<Drain>

    /// What one drain is about. Belongs to the event loop.
    private struct Drain {
        var isRunning = false
        /// Flushes that were put off.
        var flushes: [() -> Void] = []
    }

    private init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        drain = .makeBoxSendingValue(Drain(), eventLoop: eventLoop)
    }

    /// From any thread.
    func add(_ exchange: ServerExchange) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(exchange)
            return waiting.count == 1
        }
        if isFirst { eventLoop.execute { self.run() } }
    }

    private func run() {
        let ready = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        drain.value.isRunning = true
        for exchange in ready { exchange.pump() }
        let flushes = drain.value.flushes
        drain.value = Drain()
        for flush in flushes { flush() }
    }

    /// On the event loop: whether a flush may wait for the end of a drain; then `flush` is called there.
    func postpone(_ flush: @escaping () -> Void) -> Bool {
        guard drain.value.isRunning else { return false }
        drain.value.flushes.append(flush)
        return true
    }
}
