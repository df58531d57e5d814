import KubeAPI
import Synchronization
import Testing

@testable import KubeClient

struct WorkQueueTests {
    @Test("a key added several times is handed out once; one added while processed is handed out again afterwards")
    func deduplication() async {
        let queue = WorkQueue<String>()
        queue.add("a")
        queue.add("b")
        queue.add("a")
        #expect(queue.count == 2)
        #expect(await queue.next() == "a")
        queue.add("a")
        queue.add("a")
        #expect(queue.count == 1, "a is being processed")
        #expect(await queue.next() == "b")
        queue.done("b")
        queue.done("a")
        #expect(queue.count == 1)
        #expect(await queue.next() == "a")
        queue.done("a")
        #expect(queue.count == 0)
    }

    @Test("a waiting worker is woken by a key, by cancellation and by shut-down")
    func waking() async {
        let queue = WorkQueue<Int>()
        async let first = queue.next()
        queue.add(1)
        #expect(await first == 1)
        let cancelled = Task { await queue.next() }
        cancelled.cancel()
        #expect(await cancelled.value == nil)
        async let second = queue.next()
        queue.shutDown()
        #expect(await second == nil)
        queue.add(2)
        #expect(queue.count == 0, "a queue that was shut down takes nothing")
    }

    @Test("what is queued at shut-down is still handed out")
    func draining() async {
        let queue = WorkQueue<Int>()
        queue.add(1)
        queue.shutDown()
        #expect(await queue.next() == 1)
        #expect(await queue.next() == nil)
    }

    @Test("of several delays of a key the earliest counts, and the key comes once")
    func delays() async {
        let clock = ManualClock()
        let queue = WorkQueue<String>(clock: clock)
        queue.addAfter("a", .seconds(10))
        queue.addAfter("a", .seconds(20))
        queue.addAfter("b", .seconds(5))
        queue.addAfter("a", .seconds(3))
        queue.addAfter("now", .zero)
        #expect(await queue.next() == "now")
        while clock.deadlines != [.seconds(3), .seconds(5)] { await Task.yield() }
        clock.advance(by: .seconds(3))
        #expect(await queue.next() == "a")
        queue.done("a")
        clock.advance(by: .seconds(30))
        #expect(await queue.next() == "b")
        #expect(queue.count == 0)
    }

    @Test("failures double the delay from 5 ms to 1000 s until the key is forgotten")
    func backoff() async {
        let clock = ManualClock()
        let queue = WorkQueue<String>(clock: clock)
        var delays: [Duration] = []
        for _ in 0..<20 {
            let before = clock.now
            queue.addRateLimited("a")
            await clock.waitForSleepers()
            delays.append((clock.deadlines.first ?? .zero) - before.offset)
            clock.advance(by: .seconds(1000))
            #expect(await queue.next() == "a")
            queue.done("a")
        }
        #expect(delays[0] == .milliseconds(5) && delays[1] == .milliseconds(10) && delays[10] == .milliseconds(5120))
        #expect(delays[19] == .seconds(1000))
        #expect(queue.failures("a") == 20)
        queue.forget("a")
        queue.addRateLimited("a")
        await clock.waitForSleepers()
        #expect((clock.deadlines.first ?? .zero) - clock.now.offset == .milliseconds(5))
        queue.shutDown()
    }

    @Test("workers never process one key at once, retry what throws, and stop with their task")
    func workers() async {
        struct Failure: Error {}
        let queue = WorkQueue<Int>(backoff: .init(first: .microseconds(10)))
        let active = Counter()
        let journal = Journal()
        let attempts = Counter()
        let run = Task {
            await queue.run(workers: 4) { key in
                #expect(active.change(key, by: 1) == 1)
                await Task.yield()
                _ = active.change(key, by: -1)
                if attempts.change(key, by: 1) <= 2 { throw Failure() }
                journal.add("\(key)")
            }
        }
        for _ in 0..<50 { for key in 0..<20 { queue.add(key) } }
        while Set(journal.lines).count < 20 { await Task.yield() }
        run.cancel()
        await run.value
        // What was still queued can be taken; then the queue has ended, and nobody waits for ever.
        while let key = await queue.next() { queue.done(key) }
        #expect(await queue.next() == nil)
    }
}

final class Counter: Sendable {
    private let counts = Mutex<[Int: Int]>([:])
    func change(_ key: Int, by amount: Int) -> Int {
        counts.withLock {
            $0[key, default: 0] += amount
            return $0[key] ?? 0
        }
    }
}
