import KubeAPI

/// A metric of one pod.
struct PodMetric: Sendable, Equatable {
    /// In thousandths.
    var value: Int64
    var time = Timestamp(seconds: 0)
    var windowSeconds: Double = 60
}

/// Why a number of replicas cannot be told; the text is upstream's.
struct MetricsError: Error, CustomStringConvertible {
    let description: String
}

/// How many replicas bring a metric to its target. Upstream: pkg/controller/podautoscaler/replica_calculator.go.
struct ReplicaCalculator: Sendable {
    /// Upstream: --horizontal-pod-autoscaler-cpu-initialization-period, --horizontal-pod-autoscaler-initial-readiness-delay.
    static let cpuInitialization: Int64 = 300
    static let initialReadinessDelay: Int64 = 30

    var current: Int
    var scaleUpTolerance: Double
    var scaleDownTolerance: Double
    var now: Timestamp

    private func isTolerable(_ ratio: Double) -> Bool { ratio >= 1 - scaleDownTolerance && ratio <= 1 + scaleUpTolerance }
    private func rounded(_ replicas: Double) -> Int { Int(min(Double(Int32.max), max(0, replicas.rounded(.up)))) }

    /// The pods whose metrics count, and those that might count differently. Upstream: groupPods.
    struct Groups: Sendable, Equatable {
        var ready: Set<String> = []
        var unready: Set<String> = []
        var missing: Set<String> = []
    }

    func group(_ pods: [Object], _ metrics: [String: PodMetric], isCPU: Bool) -> Groups {
        var groups = Groups()
        for pod in pods {
            let view = PodView(pod)
            let name = view.meta.name
            if view.meta.isBeingDeleted || view.phase == "Failed" { continue }
            if view.phase == "Pending" {
                groups.unready.insert(name)
            } else if let metric = metrics[name] {
                if isCPU, isWarmingUp(view, metric) { groups.unready.insert(name) } else { groups.ready.insert(name) }
            } else {
                groups.missing.insert(name)
            }
        }
        return groups
    }

    /// What a pod uses while it starts says little about its load.
    private func isWarmingUp(_ pod: PodView, _ metric: PodMetric) -> Bool {
        guard let ready = pod.condition("Ready"), let start = pod.status["startTime"].string.flatMap(Timestamp.init(rfc3339:)),
            let change = ready["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:))
        else { return true }
        let isUnready = ready["status"].string == "False"
        if now < start.adding(seconds: Self.cpuInitialization) {
            return isUnready || metric.time.timeInterval(since: change) < metric.windowSeconds
        }
        return isUnready && change < start.adding(seconds: Self.initialReadinessDelay)
    }

    /// From what each pod uses. `requests` (in thousandths): the target is a percentage of them; nil: a value for each pod.
    /// Upstream: GetResourceReplicas and calcPlainMetricReplicas.
    func replicas(
        pods: [Object], metrics all: [String: PodMetric], requests: [String: Int64]?, target: Int64, isCPU: Bool
    ) throws(MetricsError) -> (replicas: Int, average: Int64, utilization: Int64?) {
        guard !pods.isEmpty else { throw MetricsError(description: "no pods returned by selector while calculating replica count") }
        let groups = group(pods, all, isCPU: isCPU)
        let metrics = all.filter { groups.ready.contains($0.key) }
        guard !metrics.isEmpty else { throw MetricsError(description: "did not receive metrics for targeted pods (pods might be unready)") }
        let (ratio, average, utilization) = try ratio(metrics, requests, target)
        let withUnready = !groups.unready.isEmpty && ratio > 1
        if !withUnready, groups.missing.isEmpty {
            return (isTolerable(ratio) ? current : rounded(ratio * Double(groups.ready.count)), average, utilization)
        }
        // Of pods that are not known, what would change the least is assumed; nothing, where nothing changes.
        var assumed = metrics
        for name in groups.missing where ratio != 1 {
            let full = requests.map { Int64(clamping: Int128(max(100, target)) * Int128($0[name] ?? 0) / 100) } ?? target
            assumed[name] = PodMetric(value: ratio < 1 ? full : 0)
        }
        if withUnready { for name in groups.unready { assumed[name] = PodMetric(value: 0) } }
        let (newRatio, _, _) = try self.ratio(assumed, requests, target)
        if isTolerable(newRatio) || ratio < 1 && newRatio > 1 || ratio > 1 && newRatio < 1 { return (current, average, utilization) }
        let replicas = rounded(newRatio * Double(assumed.count))
        if newRatio < 1 && replicas > current || newRatio > 1 && replicas < current { return (current, average, utilization) }
        return (replicas, average, utilization)
    }

    private func ratio(
        _ metrics: [String: PodMetric], _ requests: [String: Int64]?, _ target: Int64
    ) throws(MetricsError) -> (ratio: Double, average: Int64, utilization: Int64?) {
        let total = metrics.values.reduce(0.0) { $0 + Double($1.value) }
        let average = total / Double(max(1, metrics.count))
        guard let requests else { return (average / Double(max(1, target)), Self.whole(average), nil) }
        let requested = metrics.keys.reduce(0.0) { $0 + Double(requests[$1] ?? 0) }
        guard requested > 0 else { throw MetricsError(description: "no metrics returned matched known pods") }
        let utilization = (total * 100 / requested).rounded(.down)
        return (utilization / Double(max(1, target)), Self.whole(average), Int64(min(1e9, max(-1e9, utilization))))
    }

    /// Metrics come from other people's servers: any number.
    private static func whole(_ number: Double) -> Int64 { Int64(min(9e18, max(-9e18, number))) }

    /// From one figure for all pods together. Upstream: getUsageRatioReplicaCount.
    func replicas(usage: Double, target: Double, ready: Int) -> Int {
        let ratio = usage / max(target, 1e-9)
        guard current != 0 else { return rounded(ratio) }
        return isTolerable(ratio) ? current : rounded(ratio * Double(ready))
    }

    /// From one figure that each pod is to have its part of. Upstream: GetObjectPerPodMetricReplicas, GetExternalPerPodMetricReplicas.
    func replicas(usage: Double, perPod: Double, statusReplicas: Int) -> Int {
        let ratio = usage / max(perPod * Double(statusReplicas), 1e-9)
        return isTolerable(ratio) && statusReplicas > 0 ? statusReplicas : rounded(usage / max(perPod, 1e-9))
    }

    /// What each pod requests of a resource, in thousandths. Throws for a container that requests none. Upstream: calculatePodRequests.
    static func requests(_ pods: [Object], _ resource: String, container: String?) throws(MetricsError) -> [String: Int64] {
        var requests: [String: Int64] = [:]
        for pod in pods {
            let spec = pod["spec"]
            let sidecars = spec["initContainers"].elements.filter { $0["restartPolicy"].string == "Always" }
            let containers = (spec["containers"].elements + sidecars).filter { container == nil || $0["name"].string == container }
            var sum: Int64 = 0
            for entry in containers {
                guard let amount = entry["resources"]["requests"][resource].quantity else {
                    throw MetricsError(
                        description: "missing request for \(resource) in container \(entry["name"].string ?? "") of Pod \(pod.metadata.name)")
                }
                sum = sum.addingReportingOverflow(amount.milliValue).partialValue
            }
            requests[pod.metadata.name] = max(0, sum)
        }
        return requests
    }
}
