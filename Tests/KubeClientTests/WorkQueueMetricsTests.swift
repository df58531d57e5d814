import Testing

@testable import KubeClient

@Suite("Metrics of work queues")
struct WorkQueueMetricsTests {
    @Test("adds, depth, waiting, work done and under way, and retries are counted as upstream counts them")
    func counts() async throws {
        let clock = ManualClock()
        let metrics = WorkQueueMetrics()
        let queue = WorkQueue<String>(name: "deployment", clock: clock, metrics: metrics)
        queue.add("a")
        queue.add("a")
        queue.add("b")
        var report = try #require(metrics.all.first)
        #expect(report.adds == 2 && report.depth == 2, "a key that is queued already is no add")
        clock.advance(by: .seconds(2))
        #expect(await queue.next() == "a")
        queue.add("a")
        clock.advance(by: .seconds(3))
        report = try #require(metrics.all.first)
        #expect(report.adds == 3 && report.depth == 2 && report.running == [3])
        #expect(report.waits.total == 1 && report.waits.sum == 2)
        queue.done("a")
        queue.addRateLimited("c")
        report = try #require(metrics.all.first)
        #expect(report.works.total == 1 && report.works.sum == 3 && report.running.isEmpty && report.retries == 1)

        let text = metrics.text
        for line in [
            "workqueue_adds_total{name=\"deployment\"} 3", "workqueue_depth{name=\"deployment\"} 2", "workqueue_retries_total{name=\"deployment\"} 1",
            "workqueue_queue_duration_seconds_bucket{name=\"deployment\",le=\"10\"} 1",
            "workqueue_work_duration_seconds_sum{name=\"deployment\"} 3", "workqueue_unfinished_work_seconds{name=\"deployment\"} 0",
            "workqueue_longest_running_processor_seconds{name=\"deployment\"} 0", "# TYPE workqueue_queue_duration_seconds histogram",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
    }

    @Test("a queue that is gone is counted no more")
    func gone() {
        let metrics = WorkQueueMetrics()
        do {
            let queue = WorkQueue<Int>(name: "short", metrics: metrics)
            queue.add(1)
            #expect(metrics.all.count == 1)
        }
        #expect(metrics.all.isEmpty)
    }
}
