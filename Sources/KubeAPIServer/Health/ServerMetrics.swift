import KubeAPI
import Synchronization

/// The server's counters, in Prometheus' text form. Names and labels are upstream's, so that stock dashboards work.
final class ServerMetrics: Sendable {
    /// Label sets held at most: labels come from resources served and status codes, but a client chooses among them (CVE-2020-8552).
    static let maximumSeries = 2_000
    /// Seconds. Upstream: apiserver_request_duration_seconds' buckets, thinned.
    static let buckets: [Double] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 5, 10, 20, 30, 60]

    private struct RequestKey: Hashable {
        var verb: String
        var group: String
        var version: String
        var resource: String
        var subresource: String
        var scope: String
        var code: Int
    }
    private struct DurationKey: Hashable {
        var verb: String
        var group: String
        var resource: String
    }
    private struct Histogram {
        var counts = [UInt64](repeating: 0, count: ServerMetrics.buckets.count + 1)
        var sum = 0.0
        var total: UInt64 = 0
    }
    private struct State {
        var requests: [RequestKey: UInt64] = [:]
        var durations: [DurationKey: Histogram] = [:]
        var watches = 0
    }
    private let state = Mutex(State())

    /// Counts one finished request. Long-running requests are counted without a duration.
    func record(_ info: RequestInfo, code: Int, duration: Duration?) {
        let scope = !info.isResourceRequest ? "" : !info.name.isEmpty ? "resource" : info.namespace.isEmpty ? "cluster" : "namespace"
        let verb = info.verb.uppercased()
        let key = RequestKey(
            verb: verb, group: info.apiGroup, version: info.apiVersion, resource: info.resource, subresource: info.subresource, scope: scope,
            code: code)
        let seconds = duration.map { Double($0.components.seconds) + Double($0.components.attoseconds) / 1e18 }
        state.withLock { state in
            if state.requests[key] != nil || state.requests.count < Self.maximumSeries { state.requests[key, default: 0] += 1 }
            guard let seconds else { return }
            let durationKey = DurationKey(verb: verb, group: info.apiGroup, resource: info.resource)
            guard state.durations[durationKey] != nil || state.durations.count < Self.maximumSeries else { return }
            let bucket = Self.buckets.firstIndex { seconds <= $0 } ?? Self.buckets.count
            state.durations[durationKey, default: Histogram()].counts[bucket] += 1
            state.durations[durationKey, default: Histogram()].sum += seconds
            state.durations[durationKey, default: Histogram()].total += 1
        }
    }

    /// Watches open now: +1 as one begins, -1 as it ends.
    func watches(_ change: Int) { state.withLock { $0.watches += change } }

    /// The text of `/metrics`.
    func text(inFlight: (readOnly: Int, mutating: Int), revision: Int64) -> String {
        let state = state.withLock { $0 }
        var out =
            "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, group, version, "
            + "resource, scope and HTTP response code.\n"
        out += "# TYPE apiserver_request_total counter\n"
        for (key, count) in state.requests {
            out += "apiserver_request_total{code=\"\(key.code)\",group=\"\(key.group)\",resource=\"\(key.resource)\",scope=\"\(key.scope)\","
            out += "subresource=\"\(key.subresource)\",verb=\"\(key.verb)\",version=\"\(key.version)\"} \(count)\n"
        }
        out +=
            "# HELP apiserver_request_duration_seconds Response latency distribution in seconds.\n# TYPE "
            + "apiserver_request_duration_seconds histogram\n"
        for (key, histogram) in state.durations {
            let labels = "group=\"\(key.group)\",resource=\"\(key.resource)\",verb=\"\(key.verb)\""
            var cumulative: UInt64 = 0
            for (index, bound) in Self.buckets.enumerated() {
                cumulative += histogram.counts[index]
                out += "apiserver_request_duration_seconds_bucket{\(labels),le=\"\(bound)\"} \(cumulative)\n"
            }
            out += "apiserver_request_duration_seconds_bucket{\(labels),le=\"+Inf\"} \(histogram.total)\n"
            out += "apiserver_request_duration_seconds_sum{\(labels)} \(histogram.sum)\n"
            out += "apiserver_request_duration_seconds_count{\(labels)} \(histogram.total)\n"
        }
        out += "# TYPE apiserver_current_inflight_requests gauge\n"
        out += "apiserver_current_inflight_requests{request_kind=\"mutating\"} \(inFlight.mutating)\n"
        out += "apiserver_current_inflight_requests{request_kind=\"readOnly\"} \(inFlight.readOnly)\n"
        out += "# TYPE apiserver_longrunning_requests gauge\napiserver_longrunning_requests{verb=\"WATCH\"} \(state.watches)\n"
        out += "# TYPE apiserver_storage_revision gauge\napiserver_storage_revision \(revision)\n"
        return out
    }
}
