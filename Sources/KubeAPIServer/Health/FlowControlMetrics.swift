import KubeClient

extension FlowController {
    /// Appends what upstream tells of priority and fairness. Upstream: util/flowcontrol/metrics.
    func write(to text: inout MetricsText) {
        let report = report
        func gauge(_ name: String, _ help: String, _ value: (LevelReport) -> Int) {
            text.family("apiserver_flowcontrol_\(name)", "gauge", help)
            for level in report.levels { text.sample("apiserver_flowcontrol_\(name)", [("priority_level", level.name)], value(level)) }
        }
        gauge("nominal_limit_seats", "[BETA] Nominal number of execution seats configured for each priority level") { $0.seats.nominal }
        gauge("lower_limit_seats", "[ALPHA] Configured lower bound on number of execution seats available to each priority level") { $0.seats.lower }
        gauge("upper_limit_seats", "[ALPHA] Configured upper bound on number of execution seats available to each priority level") { $0.seats.upper }
        gauge("current_limit_seats", "[ALPHA] current derived number of execution seats available to each priority level") {
            max($0.seats.nominal, $0.seats.inUse)
        }
        text.family(
            "apiserver_flowcontrol_current_executing_requests", "gauge",
            "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem")
        for one in report.statistics { sample("current_executing_requests", one, one.executing.load(ordering: .relaxed), &text) }
        text.family(
            "apiserver_flowcontrol_current_executing_seats", "gauge",
            "[BETA] Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem"
        )
        for one in report.statistics { sample("current_executing_seats", one, one.seatsInUse.load(ordering: .relaxed), &text) }
        text.family(
            "apiserver_flowcontrol_current_inqueue_requests", "gauge",
            "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem")
        for one in report.statistics { sample("current_inqueue_requests", one, one.waiting.load(ordering: .relaxed), &text) }
        text.family(
            "apiserver_flowcontrol_dispatched_requests_total", "counter", "[BETA] Number of requests executed by API Priority and Fairness subsystem")
        for one in report.statistics { sample("dispatched_requests_total", one, one.dispatched.load(ordering: .relaxed), &text) }
        text.family(
            "apiserver_flowcontrol_rejected_requests_total", "counter", "[BETA] Number of requests rejected by API Priority and Fairness subsystem")
        for one in report.statistics {
            for (why, count) in one.refusals where count > 0 {
                text.sample("apiserver_flowcontrol_rejected_requests_total", labels(one) + [("reason", why.label)], count)
            }
        }
        text.family("apiserver_flowcontrol_request_wait_duration_seconds", "histogram", "[BETA] Length of time a request spent waiting in its queue")
        for one in report.statistics {
            let content = one.waits.content
            guard content.total > 0 else { continue }
            text.histogram(
                "apiserver_flowcontrol_request_wait_duration_seconds", [("execute", "true")] + labels(one), FlowStatistics.buckets, content)
        }
        text.family(
            "apiserver_flowcontrol_request_execution_seconds", "histogram",
            "[ALPHA] Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem"
        )
        for one in report.statistics {
            let content = one.executions.content
            guard content.total > 0 else { continue }
            text.histogram("apiserver_flowcontrol_request_execution_seconds", labels(one), FlowStatistics.buckets, content)
        }
    }

    private func labels(_ one: FlowStatistics) -> [(String, String)] { [("flow_schema", one.schema), ("priority_level", one.level)] }

    private func sample(_ name: String, _ one: FlowStatistics, _ value: Int, _ text: inout MetricsText) {
        text.sample("apiserver_flowcontrol_\(name)", labels(one), value)
    }
}
