/// Lets one task at a time work on a volume: a driver may refuse a second call for one while the first is on its way. Upstream: operation executor's
/// pending operations.
actor CSIGate {
    /// Those that wait for each volume that somebody works on.
    private var waiters: [String: [CheckedContinuation<Void, Never>]] = [:]

    /// Throws what the work throws.
    nonisolated func pass<T: Sendable>(_ volume: String, _ work: () async throws -> T) async rethrows -> T {
        await enter(volume)
        do {
            let result = try await work()
            await leave(volume)
            return result
        } catch {
            await leave(volume)
            throw error
        }
    }

    private func enter(_ volume: String) async {
        guard waiters[volume] != nil else { return waiters[volume] = [] }
        await withCheckedContinuation { waiters[volume]?.append($0) }
    }

    private func leave(_ volume: String) {
        guard var waiting = waiters[volume], !waiting.isEmpty else { return waiters[volume] = nil }
        // The next is in at once: nobody can come between.
        let next = waiting.removeFirst()
        waiters[volume] = waiting
        next.resume()
    }
}
