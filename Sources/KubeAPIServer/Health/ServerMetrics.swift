import KubeAPI
import KubeClient
import Synchronization

/// The server's counters. Names and labels are upstream's, so that stock dashboards and alerts work. Label values are bounded: they come from
/// resources served, known verbs and status codes, never from what a client wrote (CVE-2020-8552). Upstream: endpoints/metrics.
final class ServerMetrics: Sendable {
    /// Series held at most, whatever goes wrong with the bounds of their labels.
    static let maximumSeries = 4_000
    /// Seconds. Upstream: apiserver_request_duration_seconds' buckets.
    static let buckets: [Double] = [
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
    ]
    /// Bytes. Upstream: apiserver_response_sizes' buckets.
    static let sizeBuckets: [Double] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000]

    private struct RequestKey: Hashable {
        var verb: String
        var group: String
        var version: String
        var resource: String
        var subresource: String
        /// `resource`, `namespace`, `cluster` or nothing.
        var scope: UInt8
        var isDryRun: Bool

        static let scopes = ["", "resource", "namespace", "cluster"]

        var labels: [(String, String)] {
            [
                ("component", "apiserver"), ("dry_run", isDryRun ? "All" : ""), ("group", group), ("resource", resource),
                ("scope", Self.scopes[Int(scope)]), ("subresource", subresource), ("verb", verb), ("version", version),
            ]
        }
    }
    private struct Series {
        var codes: [(code: Int, count: UInt64)] = []
        var durations = Histogram.Content(buckets: ServerMetrics.buckets.count)
        var sizes = Histogram.Content(buckets: ServerMetrics.sizeBuckets.count)

        mutating func count(_ code: Int) {
            if let place = codes.firstIndex(where: { $0.code == code }) { codes[place].count += 1 } else { codes.append((code, 1)) }
        }
    }
    private struct State {
        var requests: [RequestKey: Series] = [:]
        var watches: [GroupVersionResource: Int] = [:]
        var watchEvents: [GroupVersionKind: UInt64] = [:]
        var authenticated: [String: UInt64] = [:]
        var terminations: [Int: UInt64] = [:]
    }
    private let state = Mutex(State())

    /// How the authentication of requests ended. Upstream: authentication_attempts' label `result`.
    enum Authentication: Int, CaseIterable {
        case success, failure, error
        var label: String { ["success", "failure", "error"][rawValue] }
    }
    private let successes = Atomic<Int>(0)
    private let failures = Atomic<Int>(0)
    private let errors = Atomic<Int>(0)
    private let readOnly = Atomic<Int>(0)
    private let mutating = Atomic<Int>(0)

    /// Counts one finished request. Long-running requests are counted without a duration. `isServed`: the path led to a resource of ours; of others
    /// no part of the path becomes a label.
    func record(_ info: RequestInfo, code: Int, duration: Duration?, isServed: Bool = true, isDryRun: Bool = false, bytes: Int? = nil) {
        let isKnown = info.isResourceRequest && isServed
        let key = RequestKey(
            verb: Self.verb(info), group: isKnown ? info.apiGroup : "", version: isKnown ? info.apiVersion : "",
            resource: isKnown ? info.resource : "", subresource: isKnown ? info.subresource : "",
            scope: !isKnown ? 0 : !info.name.isEmpty ? 1 : info.namespace.isEmpty ? 3 : 2, isDryRun: isDryRun)
        state.withLock { state in
            guard state.requests[key] != nil || state.requests.count < Self.maximumSeries else { return }
            state.requests[key, default: Series()].count(code)
            if let duration { state.requests[key]?.durations.observe(duration.seconds, Self.buckets) }
            if let bytes { state.requests[key]?.sizes.observe(Double(bytes), Self.sizeBuckets) }
        }
    }

    /// Upstream: metrics.CanonicalVerb and cleanVerb.
    private static func verb(_ info: RequestInfo) -> String {
        switch info.verb {
        case "get": "GET"
        case "list": "LIST"
        case "watch": "WATCH"
        case "create", "post": "POST"
        case "update", "put": "PUT"
        case "patch": "PATCH"
        case "delete": "DELETE"
        case "deletecollection": "DELETECOLLECTION"
        case "head": "GET"
        default: "other"
        }
    }

    /// A request was refused or broken off before it was worked on. Upstream: apiserver_request_terminations_total.
    func terminated(code: Int) { state.withLock { $0.terminations[code, default: 0] += 1 } }

    /// Watches open now: +1 as one begins, -1 as it ends.
    func watches(_ change: Int, _ resource: GroupVersionResource? = nil) {
        let resource = resource ?? GroupVersionResource(group: "", version: "", resource: "")
        state.withLock { $0.watches[resource, default: 0] += change }
    }

    /// Events sent by watches.
    func watchEvents(_ count: Int, _ kind: GroupVersionKind) { state.withLock { $0.watchEvents[kind, default: 0] += UInt64(max(0, count)) } }

    func authenticated(_ result: Authentication) {
        switch result {
        case .success: successes.wrappingAdd(1, ordering: .relaxed)
        case .failure: failures.wrappingAdd(1, ordering: .relaxed)
        case .error: errors.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// A request that is not long-running begins (+1) or ends (-1).
    func inFlight(_ change: Int, isMutating: Bool) {
        if isMutating { mutating.wrappingAdd(change, ordering: .relaxed) } else { readOnly.wrappingAdd(change, ordering: .relaxed) }
    }

    /// Appends all of it.
    func write(to text: inout MetricsText) {
        let state = state.withLock { $0 }
        text.family(
            "apiserver_request_total", "counter",
            "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP "
                + "response code.")
        for (key, series) in state.requests {
            for (code, count) in series.codes { text.sample("apiserver_request_total", [("code", String(code))] + key.labels, count) }
        }
        text.family(
            "apiserver_request_duration_seconds", "histogram",
            "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component."
        )
        for (key, series) in state.requests where series.durations.total > 0 {
            text.histogram("apiserver_request_duration_seconds", key.labels, Self.buckets, series.durations)
        }
        text.family(
            "apiserver_request_sli_duration_seconds", "histogram",
            "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds.")
        for (key, series) in state.requests where series.durations.total > 0 {
            text.histogram(
                "apiserver_request_sli_duration_seconds", key.labels.filter { $0.0 != "dry_run" }, Self.buckets, series.durations)
        }
        text.family("apiserver_response_sizes", "histogram", "[STABLE] Response size distribution in bytes.")
        for (key, series) in state.requests where series.sizes.total > 0 {
            text.histogram("apiserver_response_sizes", key.labels.filter { $0.0 != "dry_run" }, Self.sizeBuckets, series.sizes)
        }
        text.family(
            "apiserver_current_inflight_requests", "gauge", "[STABLE] Maximal number of currently used inflight request limit of this apiserver.")
        text.sample("apiserver_current_inflight_requests", [("request_kind", "mutating")], mutating.load(ordering: .relaxed))
        text.sample("apiserver_current_inflight_requests", [("request_kind", "readOnly")], readOnly.load(ordering: .relaxed))
        text.family("apiserver_longrunning_requests", "gauge", "[STABLE] Gauge of all active long-running apiserver requests.")
        for (resource, count) in state.watches {
            text.sample(
                "apiserver_longrunning_requests",
                [
                    ("component", "apiserver"), ("group", resource.group), ("resource", resource.resource), ("scope", "cluster"),
                    ("subresource", ""), ("verb", "WATCH"), ("version", resource.version),
                ], count)
        }
        text.family("apiserver_watch_events_total", "counter", "[ALPHA] Number of events sent in watch clients")
        for (kind, count) in state.watchEvents {
            text.sample("apiserver_watch_events_total", [("group", kind.group), ("kind", kind.kind), ("version", kind.version)], count)
        }
        text.family("apiserver_request_terminations_total", "counter", "[ALPHA] Number of requests which apiserver terminated in self-defense.")
        for (code, count) in state.terminations {
            text.sample("apiserver_request_terminations_total", [("code", String(code)), ("component", "apiserver")], count)
        }
        text.family("authentication_attempts", "counter", "[ALPHA] Counter of authenticated attempts.")
        text.sample("authentication_attempts", [("result", "success")], successes.load(ordering: .relaxed))
        text.sample("authentication_attempts", [("result", "failure")], failures.load(ordering: .relaxed))
        text.sample("authentication_attempts", [("result", "error")], errors.load(ordering: .relaxed))
        text.family("authenticated_user_requests", "counter", "[ALPHA] Counter of authenticated requests broken out by username.")
        text.sample("authenticated_user_requests", [("username", "other")], successes.load(ordering: .relaxed))
    }
}
