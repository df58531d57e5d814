import NIOCore
import Synchronization

/// The exchanges of one event loop whose sources have something to send. Whoever wakes many of them, as one change wakes all that watch for it,
/// costs the loop one task, and their connections one flush each.
///
/// A long drain is made in slices, between which the loop's other connections are served, and is followed by a pause: what changes meanwhile
/// goes out together. The loops take turns, so that whatever has a thousand watchers never takes all processors at once from what
/// reads requests and commits them.
final class PumpQueue: Sendable {
    /// A drain shorter than this is followed by no pause: a few watchers hear of each change at once.
    private static let shortDrain = TimeAmount.milliseconds(1)
    /// No change waits longer than this for others to join it.
    private static let longestPause = TimeAmount.milliseconds(20)
    /// After so long what was written is flushed, and the loop looks at its other connections. Longer slices make larger writes, which take less of
    /// a processor, and all wait longer: 1,000 watchers at 200 changes a second heard of them within 40 ms (p99) by slices of 0.5 ms, 50 by 2 ms.
    private static let slice = TimeAmount.microseconds(500)
    /// How many exchanges are served between two looks at the clock.
    private static let clockInterval = 16
    /// The loop runs all tasks that are due, also those that became so meanwhile, before it looks at its connections again: this is later than that.
    private static let afterOthers = TimeAmount.microseconds(50)

    private static let queues = Mutex<[ObjectIdentifier: PumpQueue]>([:])
    private static let turns = Turns(limit: max(1, System.coreCount / 2))

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
        /// Who is served by it, and who of them comes next.
        var ready: [ServerExchange] = []
        var next = 0
        /// From its beginning to its last slice.
        var isBusy = false
        /// During a slice.
        var isRunning = false
        /// Of its slices.
        var took = TimeAmount.zero
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
        // The drain under way starts the next one when it is over.
        guard !drain.value.isBusy else { return }
        drain.value.isBusy = true
        let due = drain.value.pausedUntil
        guard due > NIODeadline.now() else { return run() }
        eventLoop.scheduleTask(deadline: due) { self.run() }
    }

    /// The next slice, when it is this loop's turn.
    private func run() {
        guard Self.turns.take(self) else { return }
        let began = NIODeadline.now()
        if drain.value.ready.isEmpty {
            drain.value.ready = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
        }
        let ready = drain.value.ready
        var next = drain.value.next
        drain.value.isRunning = true
        while next < ready.count {
            ready[next].pump()
            next += 1
            if next.isMultiple(of: Self.clockInterval), NIODeadline.now() - began > Self.slice { break }
        }
        drain.value.isRunning = false
        let flushes = drain.value.flushes
        drain.value.flushes = []
        for flush in flushes { flush() }
        let ended = NIODeadline.now()
        Self.turns.giveBack()
        drain.value.took = drain.value.took + (ended - began)
        if next < ready.count {
            drain.value.next = next
            // Behind the tasks that the slice has left, such as those of streams that ended.
            eventLoop.execute { self.eventLoop.scheduleTask(in: Self.afterOthers) { self.run() } }
        } else {
            finish(at: ended)
        }
    }

    private func finish(at ended: NIODeadline) {
        let took = drain.value.took
        drain.value = Drain()
        if took > Self.shortDrain { drain.value.pausedUntil = ended + min(.nanoseconds(took.nanoseconds / 2), Self.longestPause) }
        if waiting.withLock({ !$0.isEmpty }) { start() }
    }

    /// On the event loop: whether a flush may wait for the end of a slice; then `flush` is called there.
    func postpone(_ flush: @escaping () -> Void) -> Bool {
        guard drain.value.isRunning else { return false }
        drain.value.flushes.append(flush)
        return true
    }

    /// Which loops may drain at once. A loop that is told that it is its turn and has other things to do first holds nobody up: the turn is then
    /// another's.
    private final class Turns: Sendable {
        private let state: Mutex<(free: Int, waiting: [PumpQueue])>

        init(limit: Int) { state = Mutex((limit, [])) }

        /// Whether the queue may run now; if not, its `run` is called when it may try again.
        func take(_ queue: PumpQueue) -> Bool {
            state.withLock { state in
                guard state.free > 0 else {
                    state.waiting.append(queue)
                    return false
                }
                state.free -= 1
                return true
            }
        }

        func giveBack() {
            let next = state.withLock { state -> PumpQueue? in
                state.free += 1
                return state.waiting.isEmpty ? nil : state.waiting.removeFirst()
            }
            if let next { next.eventLoop.execute { next.run() } }
        }
    }
}
