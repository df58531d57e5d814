import KubeAPI
import KubeClient

/// Reads one metric of one workload and says how many replicas it asks for. Upstream: computeReplicasForMetric with computeStatusFor….
struct Measurement: Sendable {
    let reader: MetricsReader
    let namespace: String
    /// Selects the workload's pods.
    let selector: String
    let pods: [Object]
    let statusReplicas: Int
    let resources: @Sendable () -> ResourceTable
    let calculator: ReplicaCalculator

    /// With the metric's entry of `status.currentMetrics`. Throws `MetricsError` and what the reading throws.
    func propose(_ metric: MetricSpec) async throws -> (replicas: Int, status: Value) {
        switch metric.source {
        case .resource(let name, let container): return try await resource(metric, name, container)
        case .pods:
            let metrics = try await read(metric) { try await reader.pods(metric, namespace: namespace, selector: selector) }
            let result = try calculator.replicas(pods: pods, metrics: metrics, requests: nil, target: milli(metric.target), isCPU: false)
            return (result.replicas, ["type": "Pods", "pods": ["metric": named(metric), "current": average(result.average)]])
        case .object(let kind, let name):
            let usage = try await read(metric) {
                guard let row = resources()[kind] else { throw MetricsError(description: "no matches for kind \"\(kind.kind)\"") }
                return try await reader.object(metric, row, name: name, namespace: namespace)
            }
            let object: Value = ["apiVersion": .string(kind.apiVersion), "kind": .string(kind.kind), "name": .string(name)]
            return (
                total(usage, metric),
                ["type": "Object", "object": ["metric": named(metric), "describedObject": object, "current": current(usage, metric)]]
            )
        case .external:
            let usage = try await read(metric) { try await reader.external(metric, namespace: namespace) }
            return (total(usage, metric), ["type": "External", "external": ["metric": named(metric), "current": current(usage, metric)]])
        }
    }

    private func read<Answer>(_ metric: MetricSpec, _ ask: () async throws -> Answer) async throws -> Answer {
        do {
            return try await ask()
        } catch let error as MetricsError {
            throw MetricsError(description: metric.unread(in: namespace) + error.description)
        }
    }

    private func resource(_ metric: MetricSpec, _ name: String, _ container: String?) async throws -> (replicas: Int, status: Value) {
        let metrics = try await read(metric) {
            try await reader.resource(name, container: container, namespace: namespace, selector: selector)
        }
        var requests: [String: Int64]?
        var target = milli(metric.target)
        if case .utilization(let percent) = metric.target {
            requests = try ReplicaCalculator.requests(pods, name, container: container)
            target = percent
        }
        let result = try calculator.replicas(pods: pods, metrics: metrics, requests: requests, target: target, isCPU: name == "cpu")
        var current = average(result.average)
        if let utilization = result.utilization { current["averageUtilization"] = .int(utilization) }
        var body: Value = ["name": .string(name), "current": current]
        if let container { body["container"] = .string(container) }
        let type = container == nil ? "Resource" : "ContainerResource"
        return (result.replicas, ["type": .string(type), container == nil ? "resource" : "containerResource": body])
    }

    private func total(_ usage: Double, _ metric: MetricSpec) -> Int {
        if case .averageValue(let part) = metric.target {
            return calculator.replicas(usage: usage, perPod: part.double, statusReplicas: statusReplicas)
        }
        let ready = pods.count { PodView($0).phase == "Running" && PodView($0).isReady }
        return calculator.replicas(usage: usage, target: Double(milli(metric.target)) / 1000, ready: ready)
    }

    private func milli(_ target: MetricSpec.Target) -> Int64 {
        switch target {
        case .utilization(let percent): percent
        case .averageValue(let quantity), .value(let quantity): quantity.milliValue
        }
    }

    private func named(_ metric: MetricSpec) -> Value { ["name": .string(metric.metricName)] }
    private func average(_ milli: Int64) -> Value { ["averageValue": .string(Quantity(milli: milli).description)] }

    private func current(_ usage: Double, _ metric: MetricSpec) -> Value {
        let milli = Int64(max(-9e15, min(9e15, usage * 1000)))
        guard case .averageValue = metric.target else { return ["value": .string(Quantity(milli: milli).description)] }
        return average(milli / Int64(max(1, statusReplicas)))
    }
}
