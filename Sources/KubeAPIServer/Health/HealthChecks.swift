import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization

/// One named condition of the server's health. Upstream: healthz.HealthChecker.
package struct HealthCheck: Sendable {
    package var name: String
    /// Asked on every request: must not block. Nil: healthy; otherwise what is wrong, for an operator (it is shown to authorised users only in the
    /// log's place: the response says "reason withheld", as upstream's does).
    package var failure: @Sendable () -> String?

    package init(name: String, failure: @escaping @Sendable () -> String?) {
        self.name = name
        self.failure = failure
    }
}

/// `/healthz`, `/livez` and `/readyz`, each with `?verbose`, `?exclude=NAME` and a path for each check. Upstream: healthz.InstallHandler.
struct HealthEndpoints: Sendable {
    static let paths: Set<String> = ["/healthz", "/livez", "/readyz"]

    /// Upstream's post-start hooks in their order, so that whoever asks for one finds it. Those that write the default objects fail until these are
    /// there; the others stand for parts that are there when the server answers at all.
    private static let hooks: [(name: String, writes: Bool)] = [
        ("start-apiserver-admission-initializer", false), ("generic-apiserver-start-informers", false),
        ("priority-and-fairness-config-consumer", false), ("priority-and-fairness-filter", false), ("storage-object-count-tracker-hook", false),
        ("start-apiextensions-informers", false), ("start-apiextensions-controllers", false), ("crd-informer-synced", false),
        ("start-system-namespaces-controller", true), ("start-cluster-authentication-info-controller", false),
        ("start-kube-apiserver-identity-lease-controller", false), ("start-kube-apiserver-identity-lease-garbage-collector", false),
        ("start-legacy-token-tracking-controller", false), ("start-service-ip-repair-controllers", false), ("rbac/bootstrap-roles", true),
        ("scheduling/bootstrap-system-priority-classes", true), ("priority-and-fairness-config-producer", true), ("bootstrap-controller", true),
        ("start-kubernetes-service-cidr-controller", true), ("aggregator-reload-proxy-client-cert", false),
        ("start-kube-aggregator-informers", false), ("apiservice-status-local-available-controller", false),
        ("apiservice-status-remote-available-controller", false), ("apiservice-registration-controller", false),
        ("apiservice-discovery-controller", false), ("kube-apiserver-autoregistration", false), ("apiservice-openapi-controller", false),
        ("apiservice-openapiv3-controller", false),
    ]

    /// Of live servers and of ready ones; `/healthz` asks the live ones' too. Upstream: GenericAPIServer.AddHealthChecks.
    var live: [HealthCheck]
    var ready: [HealthCheck]
    private let results = Results()

    init(live: [HealthCheck], ready: [HealthCheck]) {
        self.live = live
        self.ready = ready
    }

    /// How often each check was well and how often not, by endpoint and check.
    private final class Results: Sendable {
        struct Result {
            var passed = 0
            var failed = 0
            var isWell = false
        }
        private let all = Mutex<[String: [String: Result]]>([:])

        func add(_ endpoint: String, _ check: String, isWell: Bool) {
            all.withLock { all in
                var result = all[endpoint]?[check] ?? Result()
                if isWell { result.passed += 1 } else { result.failed += 1 }
                result.isWell = isWell
                all[endpoint, default: [:]][check] = result
            }
        }

        var sorted: [(labels: [(String, String)], result: Result)] {
            all.withLock { $0 }.sorted { $0.key < $1.key }.flatMap { endpoint, checks in
                checks.sorted { $0.key < $1.key }.map { ([("name", $0.key), ("type", endpoint)], $0.value) }
            }
        }
    }

    /// The outcome of the last look at each check, and of all. Upstream: component-base/metrics/prometheus/slis.
    func write(to text: inout MetricsText) {
        let sorted = results.sorted
        text.family("kubernetes_healthcheck", "gauge", "[STABLE] This metric records the result of a single healthcheck.")
        for (labels, result) in sorted { text.sample("kubernetes_healthcheck", labels, result.isWell ? 1 : 0) }
        text.family("kubernetes_healthchecks_total", "counter", "[STABLE] This metric records the results of all healthcheck.")
        for (labels, result) in sorted {
            for (status, count) in [("success", result.passed), ("error", result.failed)] where count > 0 {
                text.sample("kubernetes_healthchecks_total", [labels[0], ("status", status), labels[1]], count)
            }
        }
    }

    /// `stored`: what is wrong with the storage. `bootstrapped`: whether the default objects are written. `shutdown`: whether the server is going.
    static func standard(
        stored: @escaping @Sendable () -> String?, bootstrapped: @escaping @Sendable () -> Bool, isShuttingDown: @escaping @Sendable () -> Bool,
        more: [HealthCheck]
    ) -> HealthEndpoints {
        let hooks = hooks.map { hook in
            HealthCheck(name: "poststarthook/\(hook.name)") { hook.writes && !bootstrapped() ? "not finished" : nil }
        }
        let live = [HealthCheck(name: "ping") { nil }, HealthCheck(name: "log") { nil }, HealthCheck(name: "etcd", failure: stored)]
        let completion = HealthCheck(name: "autoregister-completion") { nil }
        let ready = [
            HealthCheck(name: "etcd-readiness", failure: stored), HealthCheck(name: "informer-sync") { nil },
        ]
        let shutdown = HealthCheck(name: "shutdown") { isShuttingDown() ? "process is shutting down" : nil }
        return HealthEndpoints(live: live + hooks + [completion], ready: live + ready + hooks + [completion] + more + [shutdown])
    }

    /// Nil when `path` is not of health.
    func respond(path: String, query: QueryParameters) -> HTTPResponse? {
        let segments = path.split(separator: "/", maxSplits: 1)
        guard let first = segments.first else { return nil }
        let name = String(first)
        let checks: [HealthCheck]
        switch name {
        case "livez": checks = live
        case "readyz": checks = ready
        case "healthz": checks = live
        default: return nil
        }
        if segments.count == 2 {
            guard let check = checks.first(where: { $0.name == segments[1] }) else { return Responses.text("404 page not found\n", status: 404) }
            guard let failure = check.failure() else { return Responses.text("ok") }
            return Responses.text("internal server error: \(failure)\n", status: 500)
        }
        var excluded = Set(query.all("exclude"))
        var report = ""
        var failed = false
        for check in checks {
            if excluded.remove(check.name) != nil {
                report += "[+]\(check.name) excluded: ok\n"
                continue
            }
            let isWell = check.failure() == nil
            results.add(name, check.name, isWell: isWell)
            if !isWell {
                failed = true
                report += "[-]\(check.name) failed: reason withheld\n"
            } else {
                report += "[+]\(check.name) ok\n"
            }
        }
        if !excluded.isEmpty {
            let names = excluded.sorted().map(\.goQuoted).joined(separator: ",")
            report += "warn: some health checks cannot be excluded: no matches for \(names)\n"
        }
        if failed { return Responses.text("\(report)\(name) check failed\n", status: 500) }
        return Responses.text(query["verbose"] != nil ? "\(report)\(name) check passed\n" : "ok")
    }
}
