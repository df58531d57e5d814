import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Metrics")
struct MetricsTests {
    /// The API server's stable metrics. Upstream: test/instrumentation/testdata/stable-metrics-list.yaml, of the parts an API server has.
    private static let stable = [
        "apiserver_admission_controller_admission_duration_seconds", "apiserver_admission_step_admission_duration_seconds",
        "apiserver_admission_webhook_admission_duration_seconds", "apiserver_current_inflight_requests", "apiserver_longrunning_requests",
        "apiserver_request_duration_seconds", "apiserver_request_total", "apiserver_requested_deprecated_apis", "apiserver_response_sizes",
        "apiserver_storage_objects", "kubernetes_healthcheck", "kubernetes_healthchecks_total",
    ]

    @Test("every stable metric that an API server has is served, each with one HELP and one TYPE, and no sample stands twice")
    func stableList() async throws {
        let test = try await TestServer()
        let text = await test.http("GET", "/metrics").text
        for name in Self.stable { #expect(text.contains("# TYPE \(name) "), "\(name)") }
        let lines = text.split(separator: "\n")
        let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
        #expect(Set(types).count == types.count, "a family stands twice")
        let samples = lines.filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != " " } }
        #expect(Set(samples).count == samples.count, "a sample stands twice")
        await test.server.stop()
    }

    @Test("writes to the store are counted by resource, those that were refused as errors; admission by plug-in; health by check")
    func operations() async throws {
        let hooks = try await WebhookServer.reviews { _, request in ["allowed": .bool(request["object"]["metadata"]["name"].string != "no")] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.configure("Validating", hooks, path: "/")
        try await test.create("configmaps", configMap("a"))
        try await test.update("configmaps", configMap("a", ["k": "v"]))
        _ = await failure { try await test.create("configmaps", configMap("a")) }
        _ = await failure { try await test.create("configmaps", configMap("no")) }
        try await test.delete("configmaps", "a")
        _ = await test.http("GET", "/api/v1/endpoints")
        _ = await test.http("GET", "/readyz")
        let text = await test.http("GET", "/metrics").text
        for line in [
            "etcd_requests_total{group=\"\",operation=\"create\",resource=\"configmaps\"} 2",
            "etcd_request_errors_total{group=\"\",operation=\"create\",resource=\"configmaps\"} 1",
            "etcd_requests_total{group=\"\",operation=\"update\",resource=\"configmaps\"} 1",
            "etcd_request_duration_seconds_count{group=\"\",operation=\"delete\",resource=\"configmaps\"} 1",
            "apiserver_admission_step_admission_duration_seconds_count{operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 1",
            "apiserver_admission_webhook_admission_duration_seconds_count{name=\"hook.example.com\",operation=\"CREATE\",rejected=\"true\","
                + "type=\"validate\"} 1",
            "apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"} 1",
            "kubernetes_healthcheck{name=\"ping\",type=\"readyz\"} 1",
            "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"readyz\"} 1",
            "apiserver_resource_objects{group=\"\",resource=\"namespaces\"} 1",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a refusal names no more than a thousand faults, however many there are")
    func boundedErrors() async throws {
        let test = try await TestServer()
        let owners = Value.array([Value](repeating: [:], count: 20_000))
        let object: Value = ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "a", "ownerReferences": owners]]
        let start = ContinuousClock.now
        let error = await failure { try await test.create("configmaps", object) }
        #expect(error?.code == 422 && error?.details?.causes.count == FieldErrors.limit)
        #expect(ContinuousClock.now - start < .seconds(5))
        await test.server.stop()
    }
}
