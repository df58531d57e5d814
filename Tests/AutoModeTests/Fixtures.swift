import KubeAPI
import KubeScheduler

@testable import AutoMode

/// Parts of clusters for decisions.
enum Fixtures {
    static let now = Timestamp(seconds: 1_800_000_000)

    static let types: [InstanceType] = [
        ("c6a.large", 2, 4_096), ("c6a.xlarge", 4, 8_192), ("c6a.2xlarge", 8, 16_384), ("m5.large", 2, 8_192), ("m6i.xlarge", 4, 16_384),
        ("r5.large", 2, 16_384), ("t3.medium", 2, 4_096),
    ].compactMap { InstanceType(name: $0, vcpus: $1, memoryMiB: $2, architecture: "amd64", maxPods: 29, reserved: ["cpu": Quantity(milli: 70)]) }

    static func pool(_ name: String = "general", _ change: (inout Value) -> Void = { _ in }) throws -> NodePool {
        var value: Value = [
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": ["name": .string(name), "uid": .string("pool-\(name)"), "generation": 1],
            "spec": [
                "disruption": ["consolidateAfter": "30s", "consolidationPolicy": "WhenEmptyOrUnderutilized", "budgets": [["nodes": "100%"]]],
                "template": [
                    "spec": [
                        "nodeClassRef": ["group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"], "expireAfter": "336h",
                        "requirements": [
                            ["key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]],
                            ["key": "eks.amazonaws.com/instance-category", "operator": "In", "values": ["c", "m", "r"]],
                            ["key": "eks.amazonaws.com/instance-generation", "operator": "Gt", "values": ["4"]],
                        ],
                    ]
                ],
            ],
            "status": ["conditions": [["type": "Ready", "status": "True"]]],
        ]
        change(&value)
        return NodePool(try Object(value))
    }

    static func pod(_ name: String, cpu: String = "500m", memory: String = "256Mi", _ change: (inout Value) -> Void = { _ in }) throws -> SimulatedPod
    {
        var value: Value = [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": .string(name), "namespace": "default", "uid": .string("uid-\(name)"), "labels": ["app": "web"],
                "ownerReferences": [["apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": true]],
            ],
            "spec": ["containers": [["name": "c", "resources": ["requests": ["cpu": .string(cpu), "memory": .string(memory)]]]]],
        ]
        change(&value)
        return SimulatedPod(try Object(value))
    }

    static func snapshot(pools: [NodePool], pending: [SimulatedPod] = [], nodes: [NodeState] = []) -> ClusterSnapshot {
        var snapshot = ClusterSnapshot()
        snapshot.pools = pools
        snapshot.pending = pending
        snapshot.nodes = nodes
        snapshot.zones = ["default": ["eu-1a", "eu-1b"]]
        snapshot.types = Dictionary(uniqueKeysWithValues: types.map { ($0.name, $0) })
        snapshot.region = "eu-1"
        return snapshot
    }

    /// A node of a pool that has been ready since `readySeconds` before now.
    static func node(
        _ name: String, of pool: NodePool, type: String = "c6a.large", readySeconds: Int64 = 600, lastPodSeconds: Int64? = nil,
        pods: [SimulatedPod] = [], _ change: (inout Value) -> Void = { _ in }
    ) throws -> NodeState {
        let known = types.first { $0.name == type }
        let ready = now.adding(seconds: -readySeconds).rfc3339
        var labels = known?.labels ?? [:]
        labels.merge(["karpenter.sh/nodepool": pool.name, "karpenter.sh/capacity-type": "on-demand", "topology.kubernetes.io/zone": "eu-1a"]) { $1 }
        var status: Value = [
            "nodeName": .string(name), "imageID": "ami-1", "providerID": .string("aws:///eu-1a/\(name)"),
            "conditions": .array(
                ["Launched", "Registered", "Initialized", "Ready"].map {
                    ["type": .string($0), "status": "True", "lastTransitionTime": .string(ready)]
                }),
        ]
        if let lastPodSeconds { status["lastPodEventTime"] = .string(now.adding(seconds: -lastPodSeconds).rfc3339) }
        var value: Value = [
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
            "metadata": [
                "name": .string("claim-\(name)"), "uid": .string("claim-uid-\(name)"), "labels": Value(labels), "creationTimestamp": .string(ready),
                "annotations": ["karpenter.sh/nodepool-hash": .string(pool.hash), "karpenter.sh/nodepool-hash-version": "v3"],
            ],
            "spec": ["nodeClassRef": ["name": "default"], "requirements": []], "status": status,
        ]
        change(&value)
        let claim = NodeClaim(try Object(value))
        let object = try NodeModel.node(named: name, labels: labels, taints: pool.taints, allocatable: known?.allocatable ?? [:])
        return NodeState(name: name, object: object, claim: claim, isLeaving: claim.isBeingDeleted, pods: pods)
    }
}
