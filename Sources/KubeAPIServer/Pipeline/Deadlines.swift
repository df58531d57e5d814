import Synchronization

/// Ends work that takes too long. One timer, set for the earliest deadline, serves all work: nearly all is over long before, so a deadline costs an entry
/// in a table and its removal, and a timer runs once a minute while there is work. Upstream: genericfilters.WithTimeoutForNonLongRunningRequests.
final class Deadlines: Sendable {
    /// The work was not over in time.
    struct Exceeded: Error {}

    private struct Entry {
        let due: ContinuousClock.Instant
        let cancel: @Sendable () -> Void
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var last: UInt64 = 0
        /// When the earliest timer fires.
        var armed: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    /// What `work` returns or throws; `Exceeded` when it is not over within `limit`: it is cancelled then, and waited for.
    func run<R: Sendable>(within limit: Duration, _ work: @escaping @Sendable () async throws -> R) async throws -> R {
        let task = Task { try await work() }
        let id = add(Entry(due: .now + limit, cancel: { task.cancel() }))
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        guard state.withLock({ $0.entries.removeValue(forKey: id) }) != nil else { throw Exceeded() }
        return try result.get()
    }

    private func add(_ entry: Entry) -> UInt64 {
        let (id, arms) = state.withLock { state -> (UInt64, Bool) in
            state.last &+= 1
            state.entries[state.last] = entry
            guard state.armed.map({ entry.due < $0 }) ?? true else { return (state.last, false) }
            state.armed = entry.due
            return (state.last, true)
        }
        if arms { arm(entry.due) }
        return id
    }

    private func arm(_ due: ContinuousClock.Instant) {
        Task { [weak self] in
            // Nobody cancels this task, so the sleep ends by its time alone.
            try? await Task.sleep(until: due, clock: .continuous)
            self?.fire(due)
        }
    }

    private func fire(_ due: ContinuousClock.Instant) {
        let now = ContinuousClock.now
        let (late, next) = state.withLock { state -> ([Entry], ContinuousClock.Instant?) in
            // A timer set for an earlier deadline has taken over.
            guard state.armed == due else { return ([], nil) }
            let late = state.entries.filter { $0.value.due <= now }
            for id in late.keys { state.entries[id] = nil }
            state.armed = state.entries.values.lazy.map(\.due).min()
            return (Array(late.values), state.armed)
        }
        if let next { arm(next) }
        for entry in late { entry.cancel() }
    }
}
