import KubeAPI

@testable import KubeScheduler

let epoch = Timestamp(seconds: 1_767_225_600)

func object(_ value: Value) throws -> Object { try Object(value) }

func node(
    _ name: String, cpu: String = "4", memory: String = "8Gi", pods: String = "110", labels: [String: String] = [:], taints: [Value] = [],
    unschedulable: Bool = false, images: [(String, Int64)] = []
) throws -> Object {
    var all = labels
    all["kubernetes.io/hostname"] = name
    var spec: Value = [:]
    if !taints.isEmpty { spec["taints"] = .array(taints) }
    if unschedulable { spec["unschedulable"] = true }
    return try object([
        "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "uid": .string("uid-\(name)"), "labels": Value(all)], "spec": spec,
        "status": [
            "allocatable": ["cpu": .string(cpu), "memory": .string(memory), "pods": .string(pods)],
            "images": .array(images.map { ["names": [.string($0.0)], "sizeBytes": .int($0.1)] }),
        ],
    ])
}

func podObject(
    _ name: String, namespace: String = "default", cpu: String? = nil, memory: String? = nil, node: String = "", labels: [String: String] = [:],
    priority: Int64 = 0, spec extra: (inout Value) -> Void = { _ in }
) throws -> Object {
    var requests: Value = [:]
    if let cpu { requests["cpu"] = .string(cpu) }
    if let memory { requests["memory"] = .string(memory) }
    var spec: Value = ["containers": [["name": "c", "image": "nginx:1.15", "resources": ["requests": requests]]], "priority": .int(priority)]
    if !node.isEmpty { spec["nodeName"] = .string(node) }
    extra(&spec)
    return try object([
        "apiVersion": "v1", "kind": "Pod",
        "metadata": [
            "name": .string(name), "namespace": .string(namespace), "uid": .string("uid-\(name)"), "labels": Value(labels),
            "creationTimestamp": .string(epoch.rfc3339),
        ], "spec": spec, "status": ["phase": "Pending"],
    ])
}

func pod(
    _ name: String, namespace: String = "default", cpu: String? = nil, memory: String? = nil, node: String = "", labels: [String: String] = [:],
    priority: Int64 = 0, spec: (inout Value) -> Void = { _ in }
) throws -> PodInfo {
    PodInfo(
        try podObject(name, namespace: namespace, cpu: cpu, memory: memory, node: node, labels: labels, priority: priority, spec: spec))
}

func cache(_ nodes: [Object], _ pods: [PodInfo] = []) -> SchedulerCache {
    var cache = SchedulerCache()
    for node in nodes { cache.setNode(node) }
    for pod in pods { cache.set(pod) }
    return cache
}

/// The outcome for one pod; among equals the first.
func schedule(_ pod: PodInfo, _ cache: SchedulerCache, workload: LabelSelector? = nil) -> SchedulingCycle.Outcome {
    var cache = cache
    var cycle = SchedulingCycle()
    return cycle.schedule(CycleInput(pod: pod, workloadSelector: workload), &cache, random: { _ in 0 })
}

func message(_ outcome: SchedulingCycle.Outcome) -> String? {
    if case .unfit(let error) = outcome { return error.message }
    return nil
}

/// Weighted totals by node.
func totals(_ pod: PodInfo, _ cache: SchedulerCache, workload: LabelSelector? = nil) -> [String: Int64] {
    var cache = cache
    let nodes = cache.nodes.filter(\.isPresent)
    var cycle = SchedulingCycle()
    let totals = cycle.totals(of: nodes.map(\.place), CycleInput(pod: pod, workloadSelector: workload), nil, &cache)
    return Dictionary(uniqueKeysWithValues: zip(nodes.map(\.name), totals))
}
