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
    var churn: Churn = .none
    /// Pods a second that are asked for: ten times scheduler_perf's threshold. Nil: upstream measures it without one.
    var target: Int?

    /// What happens while the pods are measured. Upstream: the churn operation.
    enum Churn: Sendable {
        case none
        /// A node, a Service and a large pod of high priority are made and deleted every second. Upstream: mode recreate.
        case recreate
        /// A pod is made every 200 ms and stays. Upstream: mode create.
        case create(PodTemplate)
    }

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
            Workload(name: "SchedulingWithMixedChurn", nodes: nodes, initPods: 0, pods: nodes * 2, pod: .plain, churn: .recreate, target: 2650),
            // Four pods fill a node; one of high priority drives three of them out.
            Workload(
                name: "PreemptionAsync", nodes: nodes, initPods: nodes * 4, initPod: .lowPriority, pods: nodes, pod: .plain,
                churn: .create(.highPriority), target: 1600),
            // Upstream runs it on 1,000 nodes only. Every pod costs three deletions and a nomination beside its own two writes.
            Workload(
                name: "PreemptionBasic", nodes: nodes / 5, initPods: nodes / 5 * 4, initPod: .lowPriority, pods: nodes / 5, pod: .highPriority),
        ]
    }
}

/// The pods of the workloads, after scheduler_perf's templates.
enum PodTemplate: Sendable {
    case plain, antiAffinity, affinity, spread
    /// Asks for more than any node has.
    case large
    /// Four of them fill a node; they go at once when they are deleted.
    case lowPriority
    /// Fits a node on which one pod of low priority is left.
    case highPriority

    /// The PriorityClass of `highPriority`: an API server with all its admission takes no bare number.
    static let highPriorityClass: Value = [
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": "high"], "value": 10,
    ]

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
        func container(_ cpu: Value) -> Value {
            [
                "name": "pause", "image": "registry.k8s.io/pause:3.10",
                "resources": ["limits": ["cpu": cpu, "memory": "500Mi"], "requests": ["cpu": cpu, "memory": "500Mi"]],
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
        case .large: spec["containers"] = .array([container("9")])
        case .lowPriority:
            spec["containers"] = .array([container("900m")])
            spec["terminationGracePeriodSeconds"] = 0
        case .highPriority:
            spec["containers"] = .array([container("3000m")])
            spec["priorityClassName"] = "high"
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
