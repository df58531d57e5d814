import Synchronization
import Testing

@testable import Kubelet

@Suite("Starts at a time")
struct StartGateTests {
    /// What has begun, in order, and the ends that the test gives.
    private final class Starts: Sendable {
        private let begun = Mutex<[String]>([])
        let changes: AsyncStream<Void>
        private let changed: AsyncStream<Void>.Continuation

        init() { (changes, changed) = AsyncStream.makeStream() }

        var names: [String] { begun.withLock { $0 } }

        func begin(_ name: String) {
            begun.withLock { $0.append(name) }
            changed.yield()
        }

        /// Waits until so many have begun.
        func wait(for count: Int) async {
            if names.count >= count { return }
            for await _ in changes where names.count >= count { return }
        }
    }

    private func waitUntil(_ gate: StartGate, has waiting: Int) async { while gate.waiting != waiting { await Task.yield() } }

    @Test("no more than there are places for go on; containers go before sandboxes, each in the order of their coming")
    func order() async throws {
        let (gate, starts) = (StartGate(places: 1, patience: .seconds(600)), Starts())
        let (blocked, unblock) = AsyncStream<Never>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await gate.pass(.sandbox) {
                    starts.begin("first")
                    for await _ in blocked {}
                }
            }
            await starts.wait(for: 1)
            for (number, step) in [StartGate.Step.sandbox, .container, .sandbox, .container].enumerated() {
                group.addTask { try await gate.pass(step) { starts.begin("\(step) \(number)") } }
                await waitUntil(gate, has: number + 1)
            }
            #expect(starts.names == ["first"])
            unblock.finish()
            try await group.waitForAll()
        }
        #expect(starts.names == ["first", "container 1", "container 3", "sandbox 0", "sandbox 2"])
        // Its place is free again, also after an error.
        struct Failure: Error {}
        await #expect(throws: Failure.self) { try await gate.pass(.container) { throw Failure() } }
        #expect(try await gate.pass(.container) { 7 } == 7)
    }

    @Test("one that hangs holds nobody up, and gives its place back once only")
    func patience() async throws {
        let (gate, starts) = (StartGate(places: 1, patience: .milliseconds(20)), Starts())
        let (blocked, unblock) = AsyncStream<Never>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await gate.pass(.container) {
                    starts.begin("hangs")
                    for await _ in blocked {}
                }
            }
            await starts.wait(for: 1)
            try await gate.pass(.sandbox) { starts.begin("goes on") }
            unblock.finish()
            try await group.waitForAll()
        }
        #expect(starts.names == ["hangs", "goes on"])
        #expect(gate.free == 1)
    }

    @Test("one that is cancelled while it waits is out, and its place in the row with it")
    func cancellation() async throws {
        let gate = StartGate(places: 1, patience: .seconds(600))
        let (blocked, unblock) = AsyncStream<Never>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (began, begin) = AsyncStream<Never>.makeStream()
            group.addTask {
                try await gate.pass(.sandbox) {
                    begin.finish()
                    for await _ in blocked {}
                }
            }
            for await _ in began {}
            let waiting = Task { try await gate.pass(.sandbox) {} }
            await waitUntil(gate, has: 1)
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            #expect(gate.waiting == 0)
            unblock.finish()
            try await group.waitForAll()
        }
        try await gate.pass(.container) {}
    }
}
