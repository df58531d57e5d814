import KubeAPI
import KubeClient
import Synchronization

@testable import KubeControllers

/// 2026-01-01T00:00:00Z: where the tests' clocks begin.
let epoch = Timestamp(seconds: 1_767_225_600)

func object(_ value: Value) throws -> Object { try Object(value) }

/// A pod as its kubelet would report it.
func pod(
    _ name: String, node: String = "n1", phase: String = "Running", ready: Bool = true, readySince: Timestamp? = epoch, created: Timestamp = epoch,
    labels: [String: String] = ["app": "web"], ip: String? = nil, deleting: Bool = false, restarts: Int64 = 0, cost: String? = nil,
    tolerations: [Value] = [], ports: [Value] = [], owner: OwnerReference? = nil
) throws -> Object {
    var metadata: Value = [
        "name": .string(name), "namespace": "default", "uid": .string("uid-\(name)"), "labels": Value(labels),
        "creationTimestamp": .string(created.rfc3339),
    ]
    if deleting { metadata["deletionTimestamp"] = .string(epoch.rfc3339) }
    if let cost { metadata[path: "annotations", "controller.kubernetes.io/pod-deletion-cost"] = .string(cost) }
    if let owner { metadata["ownerReferences"] = [owner.value] }
    var spec: Value = ["containers": [["name": "c", "image": "nginx", "ports": .array(ports)]]]
    if !node.isEmpty { spec["nodeName"] = .string(node) }
    if !tolerations.isEmpty { spec["tolerations"] = .array(tolerations) }
    var condition: Value = ["type": "Ready", "status": ready ? "True" : "False"]
    if let readySince { condition["lastTransitionTime"] = .string(readySince.rfc3339) }
    var status: Value = ["phase": .string(phase), "conditions": [condition], "containerStatuses": [["name": "c", "restartCount": .int(restarts)]]]
    if let ip {
        status["podIP"] = .string(ip)
        status["podIPs"] = [["ip": .string(ip)]]
    }
    return try object(["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status])
}

func node(
    _ name: String, ready: String? = "True", heartbeat: Timestamp = epoch, created: Timestamp = epoch, taints: [Value] = [],
    unschedulable: Bool = false,
    labels: [String: String] = [:]
) throws -> Object {
    var spec: Value = [:]
    if !taints.isEmpty { spec["taints"] = .array(taints) }
    if unschedulable { spec["unschedulable"] = true }
    var conditions: [Value] = []
    if let ready {
        conditions.append([
            "type": "Ready", "status": .string(ready), "lastHeartbeatTime": .string(heartbeat.rfc3339), "lastTransitionTime": .string(epoch.rfc3339),
        ])
        conditions.append(["type": "MemoryPressure", "status": "False", "lastHeartbeatTime": .string(heartbeat.rfc3339)])
    }
    return try object([
        "apiVersion": "v1", "kind": "Node",
        "metadata": [
            "name": .string(name), "uid": .string("uid-\(name)"), "creationTimestamp": .string(created.rfc3339), "labels": Value(labels),
        ], "spec": spec, "status": ["conditions": .array(conditions)],
    ])
}

func lease(_ node: String, renewed: Timestamp) throws -> Object {
    try object([
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": .string(node), "namespace": "kube-node-lease"],
        "spec": ["renewTime": .string(renewed.rfc3339Micro)],
    ])
}

/// An API server played by a closure, which remembers what it was asked.
final class PlayedServer: KubeTransport {
    private let asked = Mutex<[KubeRequest]>([])
    private let answer: @Sendable (KubeRequest) throws -> Object

    init(_ answer: @escaping @Sendable (KubeRequest) throws -> Object) { self.answer = answer }

    /// `verb resource/name` of each request, in order.
    var requests: [String] { asked.withLock { $0.map { "\($0.verb.rawValue) \($0.resource.resource)/\($0.name ?? "")" } } }

    /// The bodies of the requests of a verb, in order.
    func bodies(_ verb: KubeRequest.Verb) throws -> [Value] {
        try asked.withLock { asked in try asked.filter { $0.verb == verb }.map { try Object(bytes: $0.body ?? []).value } }
    }

    func perform(_ request: KubeRequest) async throws -> Object {
        asked.withLock { $0.append(request) }
        return try answer(request)
    }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        throw StatusError.serviceUnavailable("nothing is watched here")
    }
}
