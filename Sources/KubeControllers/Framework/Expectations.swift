import KubeAPI
import Synchronization

/// What a controller has asked for and not yet seen in its cache, by the key of the workload. Until it has seen it (or five minutes have passed) its
/// cache
/// is too old to count pods by, and it must not create or delete more. Upstream: controller.UIDTrackingControllerExpectations.
final class Expectations: Sendable {
    private struct Entry {
        var creations = 0
        /// Keys of the pods whose deletion was asked for.
        var deletions: Set<String> = []
        var since: Timestamp
    }

    /// Upstream: controller.ExpectationsTimeout. Longer than any watch takes to break and be mended.
    static let timeoutSeconds: Int64 = 300

    private let entries = Mutex<[String: Entry]>([:])

    func expect(_ key: String, creations: Int, deletions: [String], now: Timestamp) {
        entries.withLock { $0[key] = Entry(creations: creations, deletions: Set(deletions), since: now) }
    }

    func expectCreations(_ key: String, _ count: Int, now: Timestamp) { entries.withLock { $0[key] = Entry(creations: count, since: now) } }

    func expectDeletions(_ key: String, _ pods: [String], now: Timestamp) { entries.withLock { $0[key] = Entry(deletions: Set(pods), since: now) } }

    /// A creation was seen, or will not come because it failed.
    func creationObserved(_ key: String, _ count: Int = 1) {
        entries.withLock { $0[key]?.creations -= count }
    }

    /// A deletion was seen, or will not come because it failed.
    func deletionObserved(_ key: String, _ pod: String) {
        entries.withLock { _ = $0[key]?.deletions.remove(pod) }
    }

    /// Whether the cache can be trusted. Upstream: SatisfiedExpectations.
    func satisfied(_ key: String, now: Timestamp) -> Bool {
        entries.withLock { entries in
            guard let entry = entries[key] else { return true }
            if entry.creations <= 0, entry.deletions.isEmpty { return true }
            return entry.since.adding(seconds: Self.timeoutSeconds) < now
        }
    }

    func forget(_ key: String) { entries.withLock { $0[key] = nil } }
}

/// The largest batch of `slowStartBatch`: the API server works on 200 writes at once, for everyone together.
private let largestBatch = 64

/// How many calls to make at once when many are the same: 1, 2, 4, …, so that a call that always fails is tried once and not a thousand times.
/// Upstream: slowStartBatch.
func slowStartBatch(_ count: Int, initial: Int = 1, _ call: @escaping @Sendable () async throws -> Void) async -> (
    succeeded: Int, error: (any Error)?
) {
    var remaining = count
    var succeeded = 0
    var batch = min(initial, remaining)
    while batch > 0 {
        let size = batch
        let failures = await withTaskGroup(of: (any Error)?.self) { group in
            for _ in 0..<size {
                group.addTask {
                    do {
                        try await call()
                        return nil
                    } catch { return error }
                }
            }
            var failures: [any Error] = []
            for await failure in group { if let failure { failures.append(failure) } }
            return failures
        }
        succeeded += size - failures.count
        if let first = failures.first { return (succeeded, first) }
        remaining -= size
        batch = min(2 * size, largestBatch, remaining)
    }
    return (succeeded, nil)
}
