import NIOCore
import Synchronization

/// The exchanges of one event loop whose sources have something to send. Whoever wakes many of them, as one change wakes all that watch for it,
/// costs the loop one task, and their connections one flush each.
///
/// A drain that was long is followed by a pause as long: what changes meanwhile goes out together, and the loop's other connections are served
/// between.
final class PumpQueue: Sendable {
    /// A drain shorter than this is followed by no pause: a few watchers hear of each change at once.
    private static let shortDrain = TimeAmount.milliseconds(1)
    /// No change waits longer than this for others to join it.
    private static let longestPause = TimeAmount.milliseconds(20)

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
        /// Nothing is drained before.
        var pausedUntil = NIODeadline.uptimeNanoseconds(0)
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
        if isFirst { eventLoop.execute { self.start() } }
    }

    private func start() {
        let due = drain.value.pausedUntil
        guard due > NIODeadline.now() else { return run() }
        eventLoop.scheduleTask(deadline: due) { self.run() }
    }

    private func run() {
        let began = NIODeadline.now()
        let ready = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        drain.value.isRunning = true
        for exchange in ready { exchange.pump() }
        let flushes = drain.value.flushes
        drain.value = Drain()
        for flush in flushes { flush() }
        let ended = NIODeadline.now()
        let took = ended - began
        if took > Self.shortDrain { drain.value.pausedUntil = ended + min(took, Self.longestPause) }
    }

    /// On the event loop: whether a flush may wait for the end of a drain; then `flush` is called there.
    func postpone(_ flush: @escaping () -> Void) -> Bool {
        guard drain.value.isRunning else { return false }
        drain.value.flushes.append(flush)
        return true
    }
}
