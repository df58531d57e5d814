import KubeAPI
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
    @Test("growth is at most the double or four pods in fifteen seconds, and never more than the maximum")
    func growth() throws {
        let state = try autoscaler([:])
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
