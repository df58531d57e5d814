import KubeAPI

/// One of scheduler_perf's workloads, after its description in kubernetes/test/integration/scheduler_perf: nodes, pods that are there before, and
/// pods that are measured.
struct Workload: Sendable {
    var name: String
    var nodes: Int
    /// Values of the nodes' zone label, given in turn; none: no label.
    var zones: [String] = []
    var initPods: Int
    var initPod: PodTemplate = .plain
    /// Whether the pods before can be scheduled, and are waited for.
    var initPodsFit = true
    var pods: Int
    var pod: PodTemplate
    /// Whether a node, a Service and a large pod are made and deleted every second meanwhile.
    var churns = false
    /// Pods a second that are asked for: ten times scheduler_perf's threshold.
    var target: Int

    /// The workloads at 5,000 nodes (fewer for a trial).
    static func all(nodes: Int) -> [Workload] {
        let zones = ["moon-1", "moon-2", "moon-3"]
        return [
            Workload(name: "SchedulingBasic", nodes: nodes, initPods: nodes / 5, pods: nodes * 2, pod: .plain, target: 2700),
            Workload(
                name: "SchedulingPodAntiAffinity", nodes: nodes, initPods: nodes / 5, initPod: .antiAffinity, pods: nodes * 2 / 5,
                pod: .antiAffinity, target: 600),
            Workload(
                name: "SchedulingPodAffinity", nodes: nodes, zones: ["zone1"], initPods: nodes, initPod: .affinity, pods: nodes, pod: .affinity,
                target: 700),
            Workload(name: "TopologySpreading", nodes: nodes, zones: zones, initPods: nodes, pods: nodes, pod: .spread, target: 850),
            Workload(
                name: "Unschedulable", nodes: nodes, initPods: 200, initPod: .large, initPodsFit: false, pods: nodes * 2, pod: .plain, target: 2700),
            Workload(name: "SchedulingWithMixedChurn", nodes: nodes, initPods: 0, pods: nodes * 2, pod: .plain, churns: true, target: 2650),
        ]
    }
}

/// The pods of the workloads, after scheduler_perf's templates.
enum PodTemplate: Sendable {
    case plain, antiAffinity, affinity, spread
    /// Asks for more than any node has.
    case large

    func object(_ name: String, namespace: String) -> Value {
        var labels: Value = [:]
        var spec: Value = [
            "containers": [
                [
                    "name": "pause", "image": "registry.k8s.io/pause:3.10", "ports": [["containerPort": 80]],
                    "resources": [
                        "limits": ["cpu": "100m", "memory": "500Mi"], "requests": ["cpu": "100m", "memory": "500Mi"],
                    ],
                ]
            ]
        ]
        func term(_ color: Value, _ key: Value) -> Value {
            [
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    ["labelSelector": ["matchLabels": ["color": color]], "topologyKey": key, "namespaces": ["sched-1", "sched-0"]]
                ]
            ]
        }
        switch self {
        case .plain: break
        case .antiAffinity:
            labels = ["color": "green", "name": "test"]
            spec["affinity"] = ["podAntiAffinity": term("green", "kubernetes.io/hostname")]
        case .affinity:
            labels = ["color": "blue"]
            spec["affinity"] = ["podAffinity": term("blue", "topology.kubernetes.io/zone")]
        case .spread:
            labels = ["color": "blue"]
            spec["topologySpreadConstraints"] = [
                [
                    "maxSkew": 5, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": ["matchLabels": ["color": "blue"]],
                ]
            ]
        case .large:
            spec["containers"] = [
                [
                    "name": "pause", "image": "registry.k8s.io/pause:3.10",
                    "resources": ["limits": ["cpu": "9", "memory": "500Mi"], "requests": ["cpu": "9", "memory": "500Mi"]],
                ]
            ]
        }
        return [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(name), "namespace": .string(namespace), "labels": labels], "spec": spec,
        ]
    }
}

/// A node of the workloads.
enum NodeTemplate {
    static func object(_ number: Int, zones: [String]) -> Value {
        let name = "scheduler-perf-\(number)"
        var labels: Value = ["kubernetes.io/hostname": .string(name)]
        if !zones.isEmpty { labels["topology.kubernetes.io/zone"] = .string(zones[number % zones.count]) }
        return named(name, labels)
    }

    static func named(_ name: String, _ labels: Value = [:]) -> Value {
        let amounts: Value = ["cpu": "4", "memory": "32Gi", "pods": "110"]
        return [
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": labels],
            "status": [
                "capacity": amounts, "allocatable": amounts, "phase": "Running", "conditions": [["type": "Ready", "status": "True"]],
            ],
        ]
    }
}
