import HTTPTransport
import KubeAPI
import KubeClient

/// The page `/metrics`: everything the server counts. Upstream: component-base/metrics/legacyregistry.
enum MetricsPage {
    /// Prometheus' text form.
    static let contentType = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

    static func response(_ server: APIServer, _ running: APIServer.Running) -> HTTPResponse {
        var text = MetricsText()
        server.metrics.write(to: &text)
        server.deprecated.write(to: &text)
        running.flow.write(to: &text)
        server.auditor?.write(to: &text)
        storage(running, &text)
        running.environment.admissionMetrics.write(to: &text)
        running.health.write(to: &text)
        text.raw(server.workQueues.text)
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
        let registry = running.environment.registry
        registry.metrics.write(to: &text)
        var seen: Set<GroupResource> = []
        let counts = registry.table.rows.filter { $0.isStored && seen.insert($0.groupResource).inserted }.map { row in
            (resource: row.groupResource, count: registry.count(of: row.groupResource))
        }
        text.family("apiserver_storage_objects", "gauge", "[STABLE] Number of stored objects at the time of last check split by kind.")
        for one in counts { text.sample("apiserver_storage_objects", [("resource", "\(one.resource)")], one.count) }
        text.family("apiserver_resource_objects", "gauge", "[ALPHA] Number of stored objects at the time of last check split by kind.")
        for one in counts {
            text.sample("apiserver_resource_objects", [("group", one.resource.group), ("resource", one.resource.resource)], one.count)
        }
        if let size = running.store.sizeInBytes {
            text.family(
                "apiserver_storage_size_bytes", "gauge", "[STABLE] Size of the storage database file physically allocated in bytes.")
            text.sample("apiserver_storage_size_bytes", [("storage_cluster_id", "etcd-0")], size)
        }
        text.family("apiserver_storage_revision", "gauge", "The revision up to which reads are complete.")
        text.sample("apiserver_storage_revision", [], running.store.revision)
    }
}
