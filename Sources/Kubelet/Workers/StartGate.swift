import Glibc
import Synchronization

/// Lets only a few starts at a time through to the runtime. A hundred at once on two cores take a fifth longer in all than the same hundred eight at a
/// time (`make bench-nodes`): they push each other off the cores, and each looks through the mounts of all that are half made. Upstream has no such
/// limit.
///
/// Containers go before sandboxes, so that pods that were begun are finished first. A start that takes long gives its place to others: one that hangs
/// holds nobody up.
final class StartGate: Sendable {
    enum Step: Sendable {
        case sandbox, container
    }

    /// Starts at a time for each core: those that wait for the disk or for a lock leave it free.
    static let perCore = 4
    /// For how long a start has its place.
    static let patience = Duration.seconds(5)

    private struct Waiter: Sendable {
        var number: Int
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State: Sendable {
        var free: Int
        var number = 0
        var sandboxes: [Waiter] = []
        var containers: [Waiter] = []

        mutating func next() -> Waiter? {
            if !containers.isEmpty { return containers.removeFirst() }
            return sandboxes.isEmpty ? nil : sandboxes.removeFirst()
        }
    }

    /// What a start has, and gives back once.
    private final class Place: Sendable {
        private let gate: StartGate
        private let hasLeft = Atomic(false)

        init(_ gate: StartGate) { self.gate = gate }

        func leave() { if !hasLeft.exchange(true, ordering: .relaxed) { gate.leave() } }
    }

    private let state: Mutex<State>
    private let patience: Duration

    /// As many places as this host's cores are worth.
    convenience init() {
        self.init(places: Self.perCore * max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }

    init(places: Int, patience: Duration = StartGate.patience) {
        state = Mutex(State(free: max(1, places)))
        self.patience = patience
    }

    /// Places that nobody has, for tests.
    var free: Int { state.withLock(\.free) }

    /// How many wait, for tests.
    var waiting: Int { state.withLock { $0.sandboxes.count + $0.containers.count } }

    /// Does `body` when its turn comes. Throws `CancellationError` when cancelled while waiting, and what `body` throws.
    func pass<Result: Sendable>(_ step: Step, _ body: @Sendable () async throws -> Result) async throws -> Result {
        try await enter(step)
        let place = Place(self)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await Task.sleep(for: self.patience) } catch { return }  // The start is over.
                place.leave()
            }
            defer {
                place.leave()
                group.cancelAll()
            }
            return try await body()
        }
    }

    private func enter(_ step: Step) async throws {
        let number = state.withLock { state in
            state.number += 1
            return state.number
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome = state.withLock { state -> Result<Void, any Error>? in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.free > 0 {
                        state.free -= 1
                        return .success(())
                    }
                    let waiter = Waiter(number: number, continuation: continuation)
                    if step == .container { state.containers.append(waiter) } else { state.sandboxes.append(waiter) }
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                if let place = state.containers.firstIndex(where: { $0.number == number }) { return state.containers.remove(at: place) }
                return state.sandboxes.firstIndex { $0.number == number }.map { state.sandboxes.remove(at: $0) }
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    private func leave() {
        let next = state.withLock { state -> Waiter? in
            guard let next = state.next() else {
                state.free += 1
                return nil
            }
            return next
        }
        next?.continuation.resume()
    }
}
