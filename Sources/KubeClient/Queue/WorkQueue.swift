internal import KubeAPI
package import Logging
internal import Synchronization

/// A queue of keys for controllers. A key stands in it once however often it is added; a key added while it is being processed is queued again when
/// that is
/// done, so one key is never processed by two workers at once. Upstream: client-go/util/workqueue (Type, delaying and rate-limiting queue).
package final class WorkQueue<Key: Hashable & Sendable>: Sendable {
    /// Delays of `addRateLimited`: the first, doubled with each failure, up to the last. Upstream: workqueue.DefaultControllerRateLimiter.
    package struct Backoff: Sendable {
        package var first: Duration
        package var limit: Duration
        package init(first: Duration = .milliseconds(5), limit: Duration = .seconds(1000)) {
            self.first = first
            self.limit = limit
        }
    }

    private struct Delayed {
        var due: Duration
        var number: UInt64
        var task: Task<Void, Never>
    }

    private struct Waiter {
        var number: UInt64
        var continuation: CheckedContinuation<Key?, Never>
    }

    private struct State {
        var queue: [Key] = []
        var head = 0
        /// Keys that need processing: queued, or added while being processed.
        var dirty: Set<Key> = []
        var processing: Set<Key> = []
        /// Counted where somebody wants to know, with the times at which keys were queued and taken.
        var report: WorkQueueReport?
        var queuedAt: [Key: Duration] = [:]
        var takenAt: [Key: Duration] = [:]
        var waiters: [Waiter] = []
        var delayed: [Key: Delayed] = [:]
        var failures: [Key: Int] = [:]
        var nextNumber: UInt64 = 0
        var isShutDown = false

        mutating func number() -> UInt64 {
            nextNumber &+= 1
            return nextNumber
        }

        mutating func pop(_ time: TimeSource) -> Key? {
            guard head < queue.count else { return nil }
            let key = queue[head]
            head += 1
            // The taken front is dropped now and then, so that taking stays cheap and the array does not grow for ever.
            if head > 64, head * 2 > queue.count {
                queue.removeFirst(head)
                head = 0
            }
            dirty.remove(key)
            processing.insert(key)
            if report != nil {
                let now = time.now()
                if let queued = queuedAt.removeValue(forKey: key) { report?.waits.observe((now - queued).inSeconds, WorkQueueMetrics.buckets) }
                takenAt[key] = now
            }
            return key
        }

        /// Ends the processing of `key`; false when it was not processed.
        mutating func finish(_ key: Key, _ time: TimeSource) -> Bool {
            guard processing.remove(key) != nil else { return false }
            if let taken = takenAt.removeValue(forKey: key) {
                report?.works.observe((time.now() - taken).inSeconds, WorkQueueMetrics.buckets)
            }
            return true
        }

        /// Queues `key`; gives the waiter to wake with it, if one waits.
        mutating func enqueue(_ key: Key) -> Waiter? {
            queue.append(key)
            guard !waiters.isEmpty else { return nil }
            return waiters.removeFirst()
        }
    }

    private let state = Mutex(State())
    private let time: TimeSource
    private let backoff: Backoff
    package let name: String

    /// `metrics`: where it is counted; nil: nowhere.
    package init(
        name: String = "", backoff: Backoff = Backoff(), clock: any Clock<Duration> = ContinuousClock(), metrics: WorkQueueMetrics? = nil
    ) {
        self.name = name
        self.backoff = backoff
        time = TimeSource(clock)
        guard let metrics else { return }
        state.withLock { $0.report = WorkQueueReport(name: name) }
        metrics.add { [weak self] in self?.report }
    }

    private var report: WorkQueueReport? {
        state.withLock { state in
            guard var report = state.report else { return nil }
            let now = time.now()
            report.depth = state.dirty.count
            report.running = state.takenAt.values.map { (now - $0).inSeconds }
            return report
        }
    }

    /// Keys waiting to be processed (not those being processed, not the delayed ones).
    package var count: Int { state.withLock { $0.queue.count - $0.head } }

    /// Marks `key` as in need of processing.
    package func add(_ key: Key) {
        let woken = state.withLock { state -> (Waiter, Key?)? in
            guard !state.isShutDown, state.dirty.insert(key).inserted else { return nil }
            if state.report != nil {
                state.report?.adds += 1
                state.queuedAt[key] = time.now()
            }
            guard !state.processing.contains(key) else { return nil }
            return state.enqueue(key).map { ($0, state.pop(time)) }
        }
        if let (waiter, key) = woken { waiter.continuation.resume(returning: key) }
    }

    /// Adds `key` once `delay` has passed. Of several delays of one key the earliest counts.
    package func addAfter(_ key: Key, _ delay: Duration) {
        guard delay > .zero else { return add(key) }
        let due = time.now() + delay
        state.withLock { state in
            if state.isShutDown { return }
            if let earlier = state.delayed[key] {
                guard due < earlier.due else { return }
                earlier.task.cancel()
            }
            let number = state.number()
            let task = Task { [weak self, time] in
                // A cancelled sleep means that the key was taken over by an earlier delay or the queue was shut down.
                guard (try? await time.sleep(delay)) != nil else { return }
                self?.delayEnded(key, number)
            }
            state.delayed[key] = Delayed(due: due, number: number, task: task)
        }
    }

    private func delayEnded(_ key: Key, _ number: UInt64) {
        let isCurrent = state.withLock { state in
            guard state.delayed[key]?.number == number else { return false }
            state.delayed[key] = nil
            return true
        }
        if isCurrent { add(key) }
    }

    /// Adds `key` after a delay that doubles with each call until `forget`.
    package func addRateLimited(_ key: Key) {
        let failures = state.withLock { state in
            let failures = state.failures[key, default: 0]
            state.failures[key] = failures + 1
            state.report?.retries += 1
            return failures
        }
        // 2^40 times any first delay is past every limit; more would overflow.
        let delay = failures > 40 ? backoff.limit : min(backoff.limit, backoff.first * (1 << failures))
        addAfter(key, delay)
    }

    /// How often `key` was added by `addRateLimited` since it was last forgotten.
    package func failures(_ key: Key) -> Int { state.withLock { $0.failures[key] ?? 0 } }

    /// Makes the next `addRateLimited` of `key` begin with the first delay again.
    package func forget(_ key: Key) { state.withLock { _ = $0.failures.removeValue(forKey: key) } }

    /// The next key; nil when the queue was shut down and is empty, or the task is cancelled. `done` must be called with it.
    package func next() async -> Key? {
        let number = state.withLock { $0.number() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Key?, Never>) in
                // The answer, or nil to wait for one.
                let answer = state.withLock { state -> Key?? in
                    if Task.isCancelled { return .some(nil) }
                    if let key = state.pop(time) { return .some(key) }
                    if state.isShutDown { return .some(nil) }
                    state.waiters.append(Waiter(number: number, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: nil)
        }
    }

    /// Ends the processing of `key`; it is queued again if it was added meanwhile.
    package func done(_ key: Key) {
        let woken = state.withLock { state -> (Waiter, Key?)? in
            guard state.finish(key, time), state.dirty.contains(key) else { return nil }
            return state.enqueue(key).map { ($0, state.pop(time)) }
        }
        if let (waiter, key) = woken { waiter.continuation.resume(returning: key) }
    }

    /// Takes no more keys; what is queued can still be taken, delayed keys are dropped.
    package func shutDown() {
        let (waiters, tasks) = state.withLock { state in
            state.isShutDown = true
            defer {
                state.waiters = []
                state.delayed = [:]
            }
            return (state.waiters, state.delayed.values.map(\.task))
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
        for task in tasks { task.cancel() }
    }

    /// Conflicts and the like pass by themselves. What is forbidden does not, and is told at once; any other failure when it has lasted (the tenth
    /// failure comes some five seconds after the first). Each once in a row of failures, so that the log stays short.
    private func logLevel(of error: any Error, failures: Int) -> Logger.Level {
        if (error as? StatusError)?.code == 403, failures == 0 { return .warning }
        return failures == 9 ? .warning : .debug
    }

    /// Processes keys with `workers` tasks until the task is cancelled or the queue shut down. A key whose processing throws is added again
    /// rate-limited;
    /// one that succeeds is forgotten. On return no body is running and the queue is shut down.
    package func run(workers: Int, logger: Logger? = nil, _ process: @escaping @Sendable (Key) async throws -> Void) async {
        await withDiscardingTaskGroup { group in
            for _ in 0..<max(1, workers) {
                group.addTask {
                    while let key = await self.next() {
                        do {
                            try await process(key)
                            self.forget(key)
                        } catch is CancellationError {
                            // The controller is being stopped; its next start begins from the caches again.
                        } catch {
                            let text = (error as? StatusError)?.message ?? "\(error)"
                            logger?.log(
                                level: self.logLevel(of: error, failures: self.failures(key)), "will retry",
                                metadata: ["queue": "\(self.name)", "key": "\(key)", "error": "\(text)"])
                            self.addRateLimited(key)
                        }
                        self.done(key)
                    }
                }
            }
        }
        shutDown()
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
