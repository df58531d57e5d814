import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Deadlines")
struct DeadlinesTests {
    private struct Broken: Error {}

    @Test("work that is over in time answers what it makes, or throws what it throws")
    func inTime() async throws {
        let deadlines = Deadlines()
        let made = try await deadlines.run(within: .seconds(60)) { 7 }
        #expect(made == 7)
        await #expect(throws: Broken.self) { try await deadlines.run(within: .seconds(60)) { throw Broken() } }
    }

    @Test("work that takes too long is cancelled, also when a later deadline was set before it")
    func late() async throws {
        let deadlines = Deadlines()
        let long = Task { try await deadlines.run(within: .seconds(60)) { try await Task.sleep(for: .seconds(30)) } }
        defer { long.cancel() }
        let wasCancelled = Mutex(false)
        await #expect(throws: Deadlines.Exceeded.self) {
            try await deadlines.run(within: .milliseconds(20)) {
                do {
                    try await Task.sleep(for: .seconds(30))
                } catch {
                    wasCancelled.withLock { $0 = true }
                    throw error
                }
            }
        }
        #expect(wasCancelled.withLock { $0 })
        // The timer goes on with the deadlines that are left.
        await #expect(throws: Deadlines.Exceeded.self) {
            try await deadlines.run(within: .milliseconds(20)) { try await Task.sleep(for: .seconds(30)) }
        }
    }

    @Test("cancelling the caller cancels the work")
    func cancelled() async {
        let deadlines = Deadlines()
        let caller = Task { try await deadlines.run(within: .seconds(60)) { try await Task.sleep(for: .seconds(30)) } }
        caller.cancel()
        await #expect(throws: CancellationError.self) { try await caller.value }
    }
}
