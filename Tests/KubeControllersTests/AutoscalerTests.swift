import KubeAPI
import KubeClient
import Testing

@testable import KubeControllers

private func autoscaler(_ spec: Value) throws -> AutoscalerState {
    var whole: Value = ["minReplicas": 1, "maxReplicas": 20, "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": "web"]]
    for (key, value) in spec.object ?? Members() { whole[key] = value }
    return AutoscalerState(try object(["metadata": ["name": "a", "namespace": "default", "uid": "u"], "spec": whole]))
}

private func calculator(_ current: Int, after seconds: Int64 = 3600) -> ReplicaCalculator {
    ReplicaCalculator(current: current, scaleUpTolerance: 0.1, scaleDownTolerance: 0.1, now: epoch.adding(seconds: seconds))
}

private func running(_ name: String, cpu: String? = "100m", phase: String = "Running", ready: Bool = true) throws -> Object {
    var value = try pod(name, phase: phase, ready: ready).value
    value[path: "status", "startTime"] = .string(epoch.rfc3339)
    if let cpu { value[path: "spec", "containers"] = [["name": "c", "resources": ["requests": ["cpu": .string(cpu)]]]] }
    return try object(value)
}

private func used(_ values: [String: Int64]) -> [String: PodMetric] {
    values.mapValues { PodMetric(value: $0, time: epoch.adding(seconds: 3590)) }
}

@Suite("Autoscaler: replicas")
struct ReplicaCalculatorTests {
    private func replicas(_ current: Int, _ pods: [Object], _ metrics: [String: Int64], target: Int64) throws -> Int {
        try calculator(current).replicas(
            pods: pods, metrics: used(metrics), requests: try ReplicaCalculator.requests(pods, "cpu", container: nil), target: target, isCPU: true
        ).replicas
    }

    @Test("replicas grow and shrink with utilization, and stay within the tolerance")
    func utilization() throws {
        let pods = try [running("a"), running("b")]
        #expect(try replicas(2, pods, ["a": 100, "b": 100], target: 50) == 4)
        #expect(try replicas(2, pods, ["a": 20, "b": 20], target: 50) == 1)
        #expect(try replicas(2, pods, ["a": 54, "b": 54], target: 50) == 2)
    }

    @Test("pods without figures count against a change")
    func missing() throws {
        let pods = try [running("a"), running("b"), running("c")]
        // Up: the missing one is taken for idle, 200 % of 300 instead of 200.
        #expect(try replicas(3, pods, ["a": 100, "b": 100], target: 50) == 4)
        // Down: it is taken for fully busy.
        #expect(try replicas(3, pods, ["a": 10, "b": 10], target: 50) == 3)
    }

    @Test("at exactly the target, pods without figures are assumed to use nothing but what the others do")
    func missingAtTarget() throws {
        let pods = try [running("a"), running("b"), running("c")]
        #expect(try replicas(3, pods, ["a": 50, "b": 50], target: 50) == 3)
        let plain = try calculator(3).replicas(
            pods: pods, metrics: used(["a": 50, "b": 50]), requests: nil, target: 50, isCPU: false)
        #expect(plain.replicas == 3)
    }

    @Test("no figure traps, however large: tolerances, targets and what others' servers tell")
    func extremes() throws {
        let pods = try [running("a"), running("b")]
        let odd = ReplicaCalculator(current: 2, scaleUpTolerance: -1, scaleDownTolerance: 0.1, now: epoch.adding(seconds: 3600))
        #expect(odd.replicas(usage: 100, target: 100, ready: 2) == 2)
        let gibibyte: Int64 = 1_073_741_824_000
        let requests = ["a": gibibyte, "b": gibibyte]
        let missing = try calculator(2).replicas(
            pods: pods, metrics: used(["a": 1]), requests: requests, target: Int64(Int32.max), isCPU: false)
        #expect(missing.replicas == 1)
        for value in [Int64.max, Int64.min] {
            let metrics = used(["a": value, "b": value])
            let plain = try calculator(2).replicas(pods: pods, metrics: metrics, requests: nil, target: 1000, isCPU: false)
            #expect(plain.replicas == (value > 0 ? Int(Int32.max) : 0))
            let part = try calculator(2).replicas(pods: pods, metrics: metrics, requests: requests, target: 50, isCPU: false)
            #expect(part.utilization != nil)
            #expect(calculator(2).replicas(usage: Double(value), perPod: 1, statusReplicas: Int(Int32.max)) >= 0)
        }
    }

    @Test("pods that are pending or warm up do not speed growth up")
    func unready() throws {
        let pods = try [running("a"), running("b", phase: "Pending", ready: false)]
        #expect(try replicas(2, pods, ["a": 100], target: 50) == 2)
        #expect(throws: MetricsError.self) { try replicas(1, [try running("b", phase: "Pending")], ["b": 100], target: 50) }
    }

    @Test("a container without a request is named")
    func request() throws {
        #expect(throws: MetricsError.self) { try ReplicaCalculator.requests([try running("a", cpu: nil)], "cpu", container: nil) }
    }

    @Test("figures of objects and of the outside")
    func totals() {
        #expect(calculator(2).replicas(usage: 300, target: 100, ready: 2) == 6)
        #expect(calculator(2).replicas(usage: 105, target: 100, ready: 2) == 2)
        #expect(calculator(2).replicas(usage: 300, perPod: 100, statusReplicas: 2) == 3)
        #expect(calculator(0).replicas(usage: 30, target: 10, ready: 0) == 3)
    }
}

@Suite("Autoscaler: behaviour")
struct AutoscalerHistoryTests {
    @Test("without a behaviour growth is at most to the double, or to four, at once, and never above the maximum")
    func plainGrowth() throws {
        let state = try autoscaler([:])
        var history = AutoscalerHistory()
        let small = history.limit(20, current: 1, state, now: epoch)
        #expect(small.replicas == 4 && small.limit?.reason == "ScaleUpLimit")
        // What was done just now does not matter.
        #expect(history.limit(20, current: 4, state, now: epoch.adding(seconds: 1)).replicas == 8)
        let most = history.limit(30, current: 12, state, now: epoch.adding(seconds: 2))
        #expect(most.replicas == 20 && most.limit?.reason == "TooManyReplicas")
        #expect(history.limit(20, current: 12, state, now: epoch.adding(seconds: 3)).ability.reason == "ScaleDownStabilized")
    }

    @Test("without a behaviour the highest recommendation of five minutes holds, but for the minimum")
    func plainStabilization() throws {
        let state = try autoscaler(["minReplicas": 2])
        var history = AutoscalerHistory()
        _ = history.limit(6, current: 6, state, now: epoch)
        #expect(history.limit(1, current: 6, state, now: epoch.adding(seconds: 300)).replicas == 6)
        let later = history.limit(1, current: 6, state, now: epoch.adding(seconds: 301))
        #expect(later.replicas == 2 && later.limit?.reason == "TooFewReplicas")
        #expect(later.ability.reason == "ReadyForNewScale")
    }

    @Test("growth is at most the double or four pods in fifteen seconds, and never more than the maximum")
    func growth() throws {
        let state = try autoscaler(["behavior": ["scaleUp": ["selectPolicy": "Max"]]])
        var history = AutoscalerHistory()
        #expect(history.limit(20, current: 2, state, now: epoch).replicas == 6)
        #expect(history.limit(20, current: 2, state, now: epoch).limit?.reason == "ScaleUpLimit")
        history.scaled(from: 2, to: 6, at: epoch)
        // Within the same period no more, afterwards the double.
        #expect(history.limit(30, current: 6, state, now: epoch.adding(seconds: 5)).replicas == 6)
        #expect(history.limit(30, current: 6, state, now: epoch.adding(seconds: 16)).replicas == 12)
        #expect(history.limit(30, current: 18, state, now: epoch.adding(seconds: 40)).limit?.reason == "TooManyReplicas")
    }

    @Test("shrinking waits for five minutes of lower recommendations")
    func stabilization() throws {
        let state = try autoscaler([:])
        var history = AutoscalerHistory()
        _ = history.limit(10, current: 10, state, now: epoch)
        let soon = history.limit(2, current: 10, state, now: epoch.adding(seconds: 60))
        #expect(soon.replicas == 10 && soon.ability.reason == "ScaleDownStabilized")
        #expect(history.limit(2, current: 10, state, now: epoch.adding(seconds: 301)).replicas == 2)
    }

    @Test("own policies, and none at all, are kept")
    func policies() throws {
        let slow = try autoscaler([
            "behavior": ["scaleDown": ["stabilizationWindowSeconds": 0, "policies": [["type": "Pods", "value": 1, "periodSeconds": 60]]]]
        ])
        var history = AutoscalerHistory()
        _ = history.limit(10, current: 10, slow, now: epoch.adding(seconds: -1))
        #expect(history.limit(2, current: 10, slow, now: epoch).replicas == 9)
        let never = try autoscaler(["behavior": ["scaleUp": ["selectPolicy": "Disabled"]]])
        var other = AutoscalerHistory()
        #expect(other.limit(10, current: 3, never, now: epoch).replicas == 3)
    }

    @Test("every source of metrics is read")
    func sources() throws {
        let state = try autoscaler([
            "metrics": [
                ["type": "Resource", "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 50]]],
                [
                    "type": "ContainerResource",
                    "containerResource": ["name": "memory", "container": "app", "target": ["type": "AverageValue", "averageValue": "100Mi"]],
                ],
                ["type": "Pods", "pods": ["metric": ["name": "rps"], "target": ["type": "AverageValue", "averageValue": "10"]]],
                [
                    "type": "Object",
                    "object": [
                        "metric": ["name": "hits"], "describedObject": ["apiVersion": "v1", "kind": "Service", "name": "s"],
                        "target": ["type": "Value", "value": "5"],
                    ],
                ],
                [
                    "type": "External",
                    "external": ["metric": ["name": "queue", "selector": ["matchLabels": ["a": "b"]]], "target": ["type": "Value", "value": "5"]],
                ],
            ]
        ])
        #expect(
            state.metrics.map(\.failureReason) == [
                "FailedGetResourceMetric", "FailedGetContainerResourceMetric", "FailedGetPodsMetric", "FailedGetObjectMetric",
                "FailedGetExternalMetric",
            ])
    }
}

@Suite("Autoscaler: what it tells")
struct AutoscalerTextTests {
    private let specs: Value = [
        ["type": "Resource", "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 50]]],
        ["type": "Resource", "resource": ["name": "memory", "target": ["type": "AverageValue", "averageValue": "1Gi"]]],
        [
            "type": "ContainerResource",
            "containerResource": ["name": "cpu", "container": "app", "target": ["type": "Utilization", "averageUtilization": 50]],
        ],
        ["type": "Pods", "pods": ["metric": ["name": "rps"], "target": ["type": "AverageValue", "averageValue": "10"]]],
        [
            "type": "Object",
            "object": [
                "metric": ["name": "hits"], "describedObject": ["apiVersion": "v1", "kind": "Service", "name": "s"],
                "target": ["type": "Value", "value": "5"],
            ],
        ],
        [
            "type": "External",
            "external": ["metric": ["name": "queue", "selector": ["matchLabels": ["a": "b"]]], "target": ["type": "Value", "value": "5"]],
        ],
        ["type": "External", "external": ["metric": ["name": "queue"], "target": ["type": "AverageValue", "averageValue": "5"]]],
    ]
    private let selector = "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}"

    @Test("metrics are named as upstream names them")
    func names() throws {
        #expect(
            try autoscaler(["metrics": specs]).metrics.map(\.description) == [
                "cpu resource utilization (percentage of request)", "memory resource",
                "cpu container resource utilization (percentage of request)", "pods metric rps", "Service metric hits",
                "external metric queue(\(selector))", "external metric queue(nil)",
            ])
    }

    private func propose(_ metric: MetricSpec, _ server: PlayedServer) async throws -> String {
        let measurement = Measurement(
            reader: MetricsReader(client: KubeClient(transport: server)), namespace: "default", selector: "app=web", pods: [], statusReplicas: 1,
            resources: { .shared }, calculator: calculator(1))
        do { _ = try await measurement.propose(metric) } catch let error as MetricsError { return error.description }
        return ""
    }

    @Test("a metric that cannot be read fails with upstream's words, alone and among all")
    func unread() async throws {
        let server = PlayedServer { _ in throw StatusError.badRequest("no") }
        let expected: [(event: String, whole: String)] = [
            (
                "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: no",
                "failed to get cpu resource metric value: "
            ),
            (
                "failed to get memory usage: unable to get metrics for resource memory: unable to fetch metrics from resource metrics API: no",
                "failed to get memory resource metric value: "
            ),
            (
                "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: no",
                "failed to get app container metric value: "
            ),
            ("unable to get metric rps: unable to fetch metrics from custom metrics API: no", "failed to get pods metric value: "),
            (
                "unable to get metric hits: Service on default s/unable to fetch metrics from custom metrics API: no",
                "failed to get object metric value: "
            ),
            (
                "unable to get external metric default/queue/\(selector): unable to fetch metrics from external metrics API: no",
                "failed to get queue external metric value: failed to get external metric queue: "
            ),
            (
                "unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API: no",
                "failed to get queue external metric value: failed to get queue external metric: "
            ),
        ]
        let metrics = try autoscaler(["metrics": specs]).metrics
        #expect(metrics.count == expected.count)
        for (metric, expected) in zip(metrics, expected) {
            let error = try await propose(metric, server)
            #expect(metric.failure(error) == expected.event)
            #expect(metric.failureAmongAll(error) == expected.whole + expected.event)
        }
    }

    @Test("a server without figures, and a workload without pods, are told apart")
    func empty() async throws {
        let server = PlayedServer { _ in try object(["apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetricsList", "metadata": [:], "items": []])
        }
        #expect(
            try await propose(.defaultCPU, server) == "unable to get metrics for resource cpu: no metrics returned from resource metrics API")
        let item: Value = [
            "metadata": ["name": "a", "namespace": "default"], "timestamp": .string(epoch.rfc3339), "window": "30s",
            "containers": [["name": "c", "usage": ["cpu": "100m"]]],
        ]
        let full = PlayedServer { _ in
            try object(["apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetricsList", "metadata": [:], "items": [item]])
        }
        #expect(try await propose(.defaultCPU, full) == "no pods returned by selector while calculating replica count")
    }

    @Test("what Go prints of a selector")
    func selectorText() throws {
        let selector = try object([
            "matchLabels": ["b": "2", "a": "1"], "matchExpressions": [["key": "k", "operator": "In", "values": ["x", "y"]]],
        ])
        #expect(
            MetricSpec.goText(of: selector.root)
                == "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
                + "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}")
    }

    @Test("autoscalers of the same pods are found, those of others and of other namespaces are not")
    func ambiguous() throws {
        var selectors = AutoscalerSelectors()
        let pods = [try pod("a", labels: ["app": "web", "tier": "front"])]
        selectors.set(try LabelSelector(parsing: "app=web"), of: "default/one", in: "default")
        selectors.set(try LabelSelector(parsing: "app=db"), of: "default/other", in: "default")
        selectors.set(try LabelSelector(parsing: "app=web"), of: "team/one", in: "team")
        #expect(selectors.having(oneOf: pods, in: "default") == ["default/one"])
        selectors.set(try LabelSelector(parsing: "tier in (front)"), of: "default/a", in: "default")
        #expect(selectors.having(oneOf: pods, in: "default") == ["default/a", "default/one"])
        #expect(selectors.having(oneOf: [], in: "default").isEmpty)
        selectors.remove("default/one", in: "default")
        #expect(selectors.having(oneOf: pods, in: "default") == ["default/a"])
    }

    @Test("the status keeps what was desired and measured until that is known anew")
    func kept() throws {
        let status = try object([
            "currentReplicas": 3, "desiredReplicas": 5, "currentMetrics": [["type": "Resource"]], "lastScaleTime": .string(epoch.rfc3339),
        ])
        let value = AutoscalerOutcome(status.root, now: epoch).value
        #expect(value["currentReplicas"]?.int == 3 && value["desiredReplicas"]?.int == 5)
        #expect(value["currentMetrics"]?.array?.count == 1)
    }
}
