import HTTPTransport
import KubeAPI

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

    /// Of live servers and of ready ones; `/healthz` is both.
    var live: [HealthCheck]
    var ready: [HealthCheck]

    /// Nil when `path` is not of health.
    func respond(path: String, query: QueryParameters) -> HTTPResponse? {
        let segments = path.split(separator: "/", maxSplits: 1)
        guard let first = segments.first else { return nil }
        let name = String(first)
        let checks: [HealthCheck]
        switch name {
        case "livez": checks = live
        case "readyz", "healthz": checks = live + ready
        default: return nil
        }
        if segments.count == 2 {
            guard let check = checks.first(where: { $0.name == segments[1] }) else { return Responses.text("404 page not found\n", status: 404) }
            guard let failure = check.failure() else { return Responses.text("ok") }
            return Responses.text("internal server error: \(failure)\n", status: 500)
        }
        let excluded = Set(query.all("exclude"))
        var report = ""
        var failed = false
        for check in checks {
            if excluded.contains(check.name) {
                report += "[+]\(check.name) excluded: ok\n"
            } else if check.failure() != nil {
                failed = true
                report += "[-]\(check.name) failed: reason withheld\n"
            } else {
                report += "[+]\(check.name) ok\n"
            }
        }
        if failed { return Responses.text("\(report)\(name) check failed\n", status: 500) }
        return Responses.text(query["verbose"] != nil ? "\(report)\(name) check passed\n" : "ok")
    }
}
