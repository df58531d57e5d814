import KubeAPI
import KubeClient

/// Asks the three groups of metrics. Upstream: pkg/controller/podautoscaler/metrics.
struct MetricsReader: Sendable {
    let client: KubeClient

    private static let podMetrics = GroupVersionResource(group: "metrics.k8s.io", version: "v1beta1", resource: "pods")

    /// What the chosen pods use of a resource: all containers together, or one. Upstream: GetResourceMetric.
    func resource(_ resource: String, container: String?, namespace: String, selector: String) async throws -> [String: PodMetric] {
        let list = try await fetch("resource") {
            try await client.list(Self.podMetrics, namespace: namespace, options: ListOptions(labelSelector: selector))
        }
        guard !list.items.isEmpty else { throw MetricsError(description: "no metrics returned from resource metrics API") }
        var metrics: [String: PodMetric] = [:]
        for item in list.items {
            let containers = item["containers"].elements.filter { container == nil || $0["name"].string == container }
            let amounts = containers.map { $0["usage"][resource].quantity?.milliValue }
            // A pod of which one container is not known is missing as a whole.
            guard !amounts.isEmpty, !amounts.contains(where: { $0 == nil }) else { continue }
            metrics[item.metadata.name] = PodMetric(
                value: amounts.reduce(0) { $0.addingReportingOverflow($1 ?? 0).partialValue },
                time: item["timestamp"].string.flatMap(Timestamp.init(rfc3339:)) ?? Timestamp(seconds: 0), windowSeconds: Self.window(item))
        }
        return metrics
    }

    /// Of a metric that an adapter has of pods. Upstream: GetRawMetric.
    func pods(_ metric: MetricSpec, namespace: String, selector: String) async throws -> [String: PodMetric] {
        var query = [(name: "labelSelector", value: selector)]
        if let own = metric.selector { query.append(("metricLabelSelector", "\(own)")) }
        let list = try await custom("pods", namespace, "*", metric.metricName, query)
        var metrics: [String: PodMetric] = [:]
        for item in list["items"].elements {
            guard let name = item["describedObject"]["name"].string, let value = item["value"].quantity else { continue }
            metrics[name] = PodMetric(value: value.milliValue)
        }
        return metrics
    }

    /// Of a metric that an adapter has of one object. Upstream: GetObjectMetric.
    func object(_ metric: MetricSpec, _ row: ResourceRow, name: String, namespace: String) async throws -> Double {
        let query = metric.selector.map { [(name: "metricLabelSelector", value: "\($0)")] } ?? []
        let resource = row.group.isEmpty ? row.resource : "\(row.resource).\(row.group)"
        let list = try await custom(resource, row.namespaced ? namespace : nil, name, metric.metricName, query)
        guard let value = list["items"].elements.first?["value"].quantity else {
            throw MetricsError(description: "no metrics returned from custom metrics API")
        }
        return value.double
    }

    /// The sum of what the outside tells. Upstream: GetExternalMetric.
    func external(_ metric: MetricSpec, namespace: String) async throws -> Double {
        let resource = GroupVersionResource(group: "external.metrics.k8s.io", version: "v1beta1", resource: metric.metricName)
        let list = try await fetch("external") {
            try await client.list(resource, namespace: namespace, options: ListOptions(labelSelector: metric.selector.map { "\($0)" }))
        }
        guard !list.items.isEmpty else { throw MetricsError(description: "no metrics returned from external metrics API") }
        return list.items.reduce(0) { $0 + ($1["value"].quantity?.double ?? 0) }
    }

    private func custom(
        _ resource: String, _ namespace: String?, _ name: String, _ metric: String, _ query: [(name: String, value: String)]
    ) async throws -> Object {
        let metrics = GroupVersionResource(group: "custom.metrics.k8s.io", version: "v1beta2", resource: resource)
        return try await fetch("custom") {
            try await client.transport.perform(
                KubeRequest(.get, metrics, namespace: namespace, name: name, subresource: metric, query: query))
        }
    }

    /// Upstream: the errors of pkg/controller/podautoscaler/metrics/client.go.
    private func fetch<Answer>(_ api: String, _ ask: () async throws -> Answer) async throws -> Answer {
        do {
            return try await ask()
        } catch let error as StatusError {
            throw MetricsError(description: "unable to fetch metrics from \(api) metrics API: \(error.message)")
        }
    }

    /// `1m30s` or `1500ms` in seconds.
    private static func window(_ item: Object) -> Double {
        var rest = Substring(item["window"].string ?? "")
        var seconds = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            let unit = rest.dropFirst(number.count).prefix { $0.isLetter }
            rest = rest.dropFirst(number.count + unit.count)
            guard let amount = Double(number), let factor = ["h": 3600.0, "m": 60, "s": 1, "ms": 1e-3][String(unit)] else { return 60 }
            seconds += amount * factor
        }
        return seconds == 0 ? 60 : seconds
    }
}
