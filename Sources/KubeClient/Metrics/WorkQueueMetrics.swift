internal import Synchronization

/// What a work queue has done so far, and does now.
package struct WorkQueueReport: Sendable {
    package var name: String
    package var depth = 0
    package var adds = 0
    package var retries = 0
    /// Seconds between adding a key and taking it.
    package var waits = Histogram.Content(buckets: WorkQueueMetrics.buckets.count)
    /// Seconds between taking a key and being done with it.
    package var works = Histogram.Content(buckets: WorkQueueMetrics.buckets.count)
    /// Seconds that the keys being processed have taken up to now.
    package var running: [Double] = []
}

/// The work queues of one cluster's controllers, for its `/metrics`. Names and labels are upstream's. Upstream:
/// component-base/metrics/prometheus/workqueue.
package final class WorkQueueMetrics: Sendable {
    /// Seconds: ten steps, each ten times the one before. Upstream: ExponentialBuckets(10e-7, 10, 10).
    static let buckets: [Double] = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000]

    /// Each nil once its queue is gone.
    private let reports = Mutex<[@Sendable () -> WorkQueueReport?]>([])

    package init() {}

    func add(_ report: @escaping @Sendable () -> WorkQueueReport?) { reports.withLock { $0.append(report) } }

    /// Those of queues that are still there, by name.
    package var all: [WorkQueueReport] { reports.withLock { $0 }.compactMap { $0() }.sorted { $0.name < $1.name } }

    /// Prometheus' text form.
    package var text: String {
        var text = MetricsText()
        let all = all
        func family(_ name: String, _ type: String, _ help: String, _ write: (WorkQueueReport, String, inout MetricsText) -> Void) {
            text.family("workqueue_\(name)", type, "[BETA] \(help)")
            for report in all { write(report, "workqueue_\(name)", &text) }
        }
        func labels(_ report: WorkQueueReport) -> [(String, String)] { [("name", report.name)] }
        family("adds_total", "counter", "Total number of adds handled by workqueue") { $2.sample($1, labels($0), $0.adds) }
        family("depth", "gauge", "Current depth of workqueue") { $2.sample($1, labels($0), $0.depth) }
        family("longest_running_processor_seconds", "gauge", "How many seconds has the longest running processor for workqueue been running.") {
            $2.sample($1, labels($0), $0.running.max() ?? 0)
        }
        family("queue_duration_seconds", "histogram", "How long in seconds an item stays in workqueue before being requested.") {
            $2.histogram($1, labels($0), Self.buckets, $0.waits)
        }
        family("retries_total", "counter", "Total number of retries handled by workqueue") { $2.sample($1, labels($0), $0.retries) }
        family(
            "unfinished_work_seconds", "gauge",
            "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values indicate stuck threads."
        ) { $2.sample($1, labels($0), $0.running.reduce(0, +)) }
        family("work_duration_seconds", "histogram", "How long in seconds processing an item from workqueue takes.") {
            $2.histogram($1, labels($0), Self.buckets, $0.works)
        }
        return text.text
    }
}
