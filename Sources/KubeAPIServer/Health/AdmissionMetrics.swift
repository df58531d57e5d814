import KubeClient
import Synchronization

/// What admission takes: each plug-in, and all of them together. The counters are bound to plug-in, operation and phase at the start. Upstream:
/// apiserver/pkg/admission/metrics.
final class AdmissionMetrics: Sendable {
    enum Phase: Int, CaseIterable {
        case admit, validate
        var label: String { ["admit", "validate"][rawValue] }
    }
    /// Seconds. Upstream: the buckets of controller_admission_duration_seconds.
    static let buckets: [Double] = [0.005, 0.025, 0.1, 0.5, 1, 2.5]
    private static let operations: [AdmissionAttributes.Operation] = [.create, .update, .delete, .connect]

    /// Seconds. Upstream: the buckets of webhook_admission_duration_seconds.
    static let webhookBuckets = buckets + [10, 25]
    /// Series of webhooks held at most: their names are the cluster's users'.
    private static let maximumWebhookSeries = 400

    private struct WebhookKey: Hashable {
        var name: String
        var operation: AdmissionAttributes.Operation
        var phase: Phase
        var isRejected: Bool
    }
    private let webhooks = Mutex<[WebhookKey: Histogram.Content]>([:])

    private let names: [String]
    /// By plug-in (the last being all of them), then operation, phase, and whether it refused.
    private let durations: [Histogram]

    init(_ plugins: [any AdmissionPlugin]) {
        names = plugins.map(\.name)
        let count = (plugins.count + 1) * Self.operations.count * Phase.allCases.count * 2
        durations = (0..<count).map { _ in Histogram(buckets: Self.buckets) }
    }

    private func place(_ plugin: Int, _ operation: AdmissionAttributes.Operation, _ phase: Phase, _ rejected: Bool) -> Int {
        let operation = Self.operations.firstIndex(of: operation) ?? 0
        return ((plugin * Self.operations.count + operation) * Phase.allCases.count + phase.rawValue) * 2 + (rejected ? 1 : 0)
    }

    /// Lets `plugins` work one after the other, until one refuses.
    func run(
        _ plugins: [any AdmissionPlugin], _ operation: AdmissionAttributes.Operation, _ phase: Phase,
        _ work: (any AdmissionPlugin) async throws -> Void
    ) async throws {
        let start = ContinuousClock.now
        var last = start
        for (index, plugin) in plugins.enumerated() {
            do { try await work(plugin) } catch {
                let end = ContinuousClock.now
                durations[place(index, operation, phase, true)].observe((end - last).seconds)
                durations[place(plugins.count, operation, phase, true)].observe((end - start).seconds)
                throw error
            }
            let end = ContinuousClock.now
            durations[place(index, operation, phase, false)].observe((end - last).seconds)
            last = end
        }
        durations[place(plugins.count, operation, phase, false)].observe((last - start).seconds)
    }

    func called(webhook: String, _ operation: AdmissionAttributes.Operation, _ phase: Phase, isRejected: Bool, seconds: Double) {
        let key = WebhookKey(name: webhook, operation: operation, phase: phase, isRejected: isRejected)
        webhooks.withLock { webhooks in
            guard webhooks[key] != nil || webhooks.count < Self.maximumWebhookSeries else { return }
            webhooks[key, default: Histogram.Content(buckets: Self.webhookBuckets.count)].observe(seconds, Self.webhookBuckets)
        }
    }

    func write(to text: inout MetricsText) {
        let name = "apiserver_admission_controller_admission_duration_seconds"
        text.family(
            name, "histogram",
            "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and "
                + "type (validate or admit).")
        for (index, plugin) in names.enumerated() { samples(name, index, [("name", plugin)], &text) }
        let step = "apiserver_admission_step_admission_duration_seconds"
        text.family(
            step, "histogram",
            "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or "
                + "admit).")
        samples(step, names.count, [], &text)
        let webhook = "apiserver_admission_webhook_admission_duration_seconds"
        text.family(
            webhook, "histogram",
            "[STABLE] Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type "
                + "(validate or admit).")
        for (key, content) in webhooks.withLock({ $0 }) {
            let labels = [("name", key.name)] + Self.labels(key.operation, key.phase, key.isRejected)
            text.histogram(webhook, labels, Self.webhookBuckets, content)
        }
    }

    private static func labels(_ operation: AdmissionAttributes.Operation, _ phase: Phase, _ isRejected: Bool) -> [(String, String)] {
        [("operation", operation.rawValue), ("rejected", isRejected ? "true" : "false"), ("type", phase.label)]
    }

    private func samples(_ name: String, _ plugin: Int, _ labels: [(String, String)], _ text: inout MetricsText) {
        for operation in Self.operations {
            for phase in Phase.allCases {
                for rejected in [false, true] {
                    let content = durations[place(plugin, operation, phase, rejected)].content
                    guard content.total > 0 else { continue }
                    text.histogram(name, labels + Self.labels(operation, phase, rejected), Self.buckets, content)
                }
            }
        }
    }
}
