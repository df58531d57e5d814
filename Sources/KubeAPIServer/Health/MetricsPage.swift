import HTTPTransport
import KubeAPI

/// The page `/metrics`: everything the server counts. Upstream: component-base/metrics/legacyregistry.
enum MetricsPage {
    /// Prometheus' text form.
    static let contentType = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

    static func response(_ server: APIServer, _ running: APIServer.Running) -> HTTPResponse {
        var text = MetricsText()
        server.metrics.write(to: &text)
        running.flow.write(to: &text)
        server.auditor?.write(to: &text)
        storage(running, &text)
        let version = server.configuration.version
        text.family("kubernetes_build_info", "gauge", "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version and platform.")
        text.sample(
            "kubernetes_build_info",
            [("git_version", version.gitVersion), ("major", "1"), ("minor", version.minor), ("platform", "linux")], 1)
        ProcessMetrics.write(to: &text)
        for write in running.components.metrics { text.raw(write()) }
        var response = Responses.text(text.text)
        response.fields["Content-Type"] = contentType
        return response
    }

    private static func storage(_ running: APIServer.Running, _ text: inout MetricsText) {
        text.family("apiserver_storage_objects", "gauge", "[STABLE] Number of stored objects at the time of last check split by kind.")
        var seen: Set<GroupResource> = []
        for row in running.environment.registry.table.rows where row.isStored && seen.insert(row.groupResource).inserted {
            text.sample(
                "apiserver_storage_objects", [("resource", "\(row.groupResource)")], running.environment.registry.count(of: row.groupResource))
        }
        text.family("apiserver_storage_revision", "gauge", "The revision up to which reads are complete.")
        text.sample("apiserver_storage_revision", [], running.store.revision)
    }
}

extension MetricsText {
    /// Text that is in the form already.
    mutating func raw(_ more: String) { text += more.hasSuffix("\n") || more.isEmpty ? more : more + "\n" }
}
