import KubeAPI
import Synchronization

/// Decides requests on quotas a namespace at a time: requests that come while a batch is being written form the next one, so that many clients cost
/// one write of a quota's status instead of a conflict each. Upstream: quotaEvaluator in admission/plugin/resourcequota.
final class QuotaEvaluator: Sendable {
    /// Writes of a batch tried on newer quotas. Upstream: checkQuotas with 3 retries.
    private static let attempts = 4

    private struct Waiter: Sendable {
        let request: QuotaRequest
        let continuation: CheckedContinuation<Void, any Error>
    }

    private let quotas: @Sendable (String) -> [Object]
    private let writer: any ObjectWriter
    private let now: @Sendable () -> Timestamp
    /// Waiting requests of the namespaces that are being worked on.
    private let waiting = Mutex<[String: [Waiter]]>([:])

    init(quotas: @escaping @Sendable (String) -> [Object], writer: any ObjectWriter, now: @escaping @Sendable () -> Timestamp) {
        self.quotas = quotas
        self.writer = writer
        self.now = now
    }

    /// Returns when the request is booked. Throws `StatusError` Forbidden when it exceeds a quota.
    func evaluate(_ request: QuotaRequest) async throws {
        let namespace = request.attributes.namespace
        try await withCheckedThrowingContinuation { continuation in
            let waiter = Waiter(request: request, continuation: continuation)
            let isFirst = waiting.withLock { waiting in
                if waiting[namespace] != nil {
                    waiting[namespace]?.append(waiter)
                    return false
                }
                waiting[namespace] = [waiter]
                return true
            }
            // The first starts the namespace's worker, which ends when nobody waits any more.
            if isFirst { Task { await work(namespace) } }
        }
    }

    private func work(_ namespace: String) async {
        while true {
            let batch: [Waiter]? = waiting.withLock { waiting in
                guard let batch = waiting[namespace], !batch.isEmpty else {
                    waiting[namespace] = nil
                    return nil
                }
                waiting[namespace] = []
                return batch
            }
            guard let batch else { return }
            await decide(batch, namespace)
        }
    }

    private func decide(_ batch: [Waiter], _ namespace: String) async {
        var results = [Result<Void, any Error>?](repeating: nil, count: batch.count)
        var only: Set<String>?
        for attempt in 1...Self.attempts {
            let present = quotas(namespace).filter { only?.contains($0.metadata.name) ?? true }
            var running = present.map(RunningQuota.init)
            for (index, waiter) in batch.enumerated() where results[index] == nil {
                var next = running
                do {
                    try waiter.request.book(on: &next, now: now())
                } catch {
                    results[index] = .failure(error)
                    continue
                }
                if waiter.request.attributes.dryRun { results[index] = .success(()) } else { running = next }
            }
            let failed = await write(running.filter(\.isChanged))
            guard !failed.isEmpty else { break }
            // What the others booked stands; those that failed are tried again on their newest state.
            only = Set(failed.keys)
            guard attempt == Self.attempts, let error = failed.first?.value else { continue }
            for index in results.indices where results[index] == nil { results[index] = .failure(error) }
        }
        for (waiter, result) in zip(batch, results) { waiter.continuation.resume(with: result ?? .success(())) }
    }

    /// Gives the quotas whose write failed, with the errors.
    private func write(_ changed: [RunningQuota]) async -> [String: any Error] {
        var failed: [String: any Error] = [:]
        for quota in changed {
            var tree = quota.view.object.value
            tree[path: "status", "used"] = quota.used.value
            do { _ = try await writer.replace(.resourceQuotas, quota.view.object, with: tree) } catch { failed[quota.view.name] = error }
        }
        return failed
    }
}
