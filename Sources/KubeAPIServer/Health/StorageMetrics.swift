import KubeAPI
import KubeClient
import Synchronization

/// What one resource's writes to the store took, and how many failed. Bound to the resource once: a write finds its counters without looking.
final class StorageOperations: Sendable {
    /// Upstream: the label `operation` of etcd's metrics.
    enum Operation: Int, CaseIterable {
        case create, update, delete
        var label: String { ["create", "update", "delete"][rawValue] }
    }
    /// Seconds. Upstream: etcd_request_duration_seconds' buckets.
    static let buckets = ServerMetrics.buckets

    let resource: GroupResource
    private let creations = Histogram(buckets: buckets)
    private let updates = Histogram(buckets: buckets)
    private let deletions = Histogram(buckets: buckets)
    private let failures = Mutex([Int](repeating: 0, count: Operation.allCases.count))

    init(_ resource: GroupResource) { self.resource = resource }

    private func durations(_ operation: Operation) -> Histogram {
        switch operation {
        case .create: creations
        case .update: updates
        case .delete: deletions
        }
    }

    /// Does `work` and counts it. A write that a condition refused counts as one that failed, as upstream counts it.
    func measure<R: Sendable>(_ operation: Operation, _ work: () async throws -> R) async throws -> R {
        let start = ContinuousClock.now
        defer { durations(operation).observe((ContinuousClock.now - start).seconds) }
        do { return try await work() } catch {
            failures.withLock { $0[operation.rawValue] += 1 }
            throw error
        }
    }

    /// Those that were done at all: their labels, durations and failures.
    var done: [(labels: [(String, String)], durations: Histogram.Content, failures: Int)] {
        let failures = failures.withLock { $0 }
        return Operation.allCases.compactMap { operation in
            let content = durations(operation).content
            guard content.total > 0 else { return nil }
            let labels = [("group", resource.group), ("operation", operation.label), ("resource", resource.resource)]
            return (labels, content, failures[operation.rawValue])
        }
    }
}

/// The store's operations of all resources. The names are etcd's, whose place the store has. Upstream: storage/etcd3/metrics.
final class StorageMetrics: Sendable {
    private let all = Mutex<[GroupResource: StorageOperations]>([:])

    func operations(of resource: GroupResource) -> StorageOperations {
        all.withLock { all in
            if let known = all[resource] { return known }
            let new = StorageOperations(resource)
            all[resource] = new
            return new
        }
    }

    func write(to text: inout MetricsText) {
        let done = all.withLock { Array($0.values) }.sorted { "\($0.resource)" < "\($1.resource)" }.flatMap(\.done)
        text.family(
            "etcd_request_duration_seconds", "histogram", "[ALPHA] Etcd request latency in seconds for each operation and object type.")
        for one in done { text.histogram("etcd_request_duration_seconds", one.labels, StorageOperations.buckets, one.durations) }
        text.family("etcd_requests_total", "counter", "[ALPHA] Etcd request counts for each operation and object type.")
        for one in done { text.sample("etcd_requests_total", one.labels, one.durations.total) }
        text.family("etcd_request_errors_total", "counter", "[ALPHA] Etcd failed request counts for each operation and object type.")
        for one in done where one.failures > 0 { text.sample("etcd_request_errors_total", one.labels, one.failures) }
    }
}
