internal import KubeAPI

/// A node that is a record: what a kubelet would say of it at its start.
package struct SimulatedNode: Sendable, Equatable {
    /// The label and its value by which everyone knows a node that runs no processes.
    package static let runtimeLabel = "eyrie.dev/runtime"
    package static let runtime = "simulated"

    package var name: String
    package var address: String
    /// `aws:///us-west-2a/i-0123456789abcdef0`
    package var providerID: String
    package var vcpus: Int
    package var memoryMiB: Int
    package var maxPods: Int
    package var labels: [String: String]
    package var taints: [(key: String, value: String, effect: String)]
    /// As the node reports it: `v1.36.2-eks-eyrie`.
    package var kubeletVersion: String

    package init(
        name: String, address: String, providerID: String, vcpus: Int, memoryMiB: Int, maxPods: Int, labels: [String: String],
        taints: [(key: String, value: String, effect: String)], kubeletVersion: String
    ) {
        self.name = name
        self.address = address
        self.providerID = providerID
        self.vcpus = vcpus
        self.memoryMiB = memoryMiB
        self.maxPods = maxPods
        self.labels = labels
        self.taints = taints
        self.kubeletVersion = kubeletVersion
    }

    package static func == (a: SimulatedNode, b: SimulatedNode) -> Bool {
        a.name == b.name && a.address == b.address && a.providerID == b.providerID && a.vcpus == b.vcpus && a.memoryMiB == b.memoryMiB
            && a.maxPods == b.maxPods && a.labels == b.labels && a.kubeletVersion == b.kubeletVersion
            && a.taints.map { [$0.key, $0.value, $0.effect] } == b.taints.map { [$0.key, $0.value, $0.effect] }
    }
}

/// A simulated node's objects: pure. Upstream: pkg/kubelet/kubelet_node_status.go, component-helpers' lease controller.
enum NodeObjects {
    static let leaseNamespace = "kube-node-lease"
    /// Upstream: nodeLeaseDurationSeconds.
    static let leaseDurationSeconds: Int64 = 40
    /// No disk is behind it: enough for any test.
    private static let ephemeralStorage = "100Gi"

    /// The Node as a kubelet registers it, Ready already: nothing has to start first.
    static func node(_ node: SimulatedNode, now: Timestamp) -> Value {
        var labels = node.labels
        labels[SimulatedNode.runtimeLabel] = SimulatedNode.runtime
        var spec: Value = ["providerID": .string(node.providerID)]
        if !node.taints.isEmpty {
            spec["taints"] = .array(
                node.taints.map { taint in
                    var value: Value = ["key": .string(taint.key), "effect": .string(taint.effect)]
                    if !taint.value.isEmpty { value["value"] = .string(taint.value) }
                    return value
                })
        }
        return [
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(node.name), "labels": Value(labels)], "spec": spec,
            "status": status(node, now: now),
        ]
    }

    static func status(_ node: SimulatedNode, now: Timestamp) -> Value {
        func amounts(_ milliCPU: Int, _ memoryMiB: Int) -> Value {
            [
                "cpu": .string("\(milliCPU)m"), "memory": .string("\(memoryMiB)Mi"), "pods": .string("\(node.maxPods)"),
                "ephemeral-storage": .string(ephemeralStorage),
            ]
        }
        func condition(_ type: String, _ status: String, _ reason: String, _ message: String) -> Value {
            [
                "type": .string(type), "status": .string(status), "lastHeartbeatTime": .string(now.rfc3339),
                "lastTransitionTime": .string(now.rfc3339), "reason": .string(reason), "message": .string(message),
            ]
        }
        let (cpu, memory) = reserved(node)
        return [
            "capacity": amounts(node.vcpus * 1000, node.memoryMiB),
            "allocatable": amounts(max(0, node.vcpus * 1000 - cpu), max(0, node.memoryMiB - memory)),
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "addresses": [
                ["type": "InternalIP", "address": .string(node.address)], ["type": "InternalDNS", "address": .string(node.name)],
                ["type": "Hostname", "address": .string(node.name)],
            ],
            "nodeInfo": [
                "machineID": .string(node.name), "systemUUID": .string(node.name), "bootID": "", "kernelVersion": "", "osImage": "none",
                "containerRuntimeVersion": .string("\(SimulatedNode.runtime)://1.0.0"), "kubeletVersion": .string(node.kubeletVersion),
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": .string(node.labels["kubernetes.io/arch"] ?? "amd64"),
            ],
        ]
    }

    /// What EKS keeps back on a node, in millicores and MiB. Upstream: amazon-eks-ami, kubelet's kube-reserved.
    private static func reserved(_ node: SimulatedNode) -> (milliCPU: Int, memoryMiB: Int) {
        let cpus = node.vcpus
        let cpu = 60 + (cpus > 1 ? 10 : 0) + min(max(cpus - 2, 0), 2) * 5 + max(cpus - 4, 0) * 5 / 2
        return (cpu, 255 + 11 * node.maxPods)
    }

    /// The lease of a node that is there; it goes with the node.
    static func lease(_ name: String, uid: String, now: Timestamp) -> Value {
        [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": [
                "name": .string(name), "namespace": .string(leaseNamespace),
                "ownerReferences": [["apiVersion": "v1", "kind": "Node", "name": .string(name), "uid": .string(uid)]],
            ],
            "spec": [
                "holderIdentity": .string(name), "leaseDurationSeconds": .int(leaseDurationSeconds), "renewTime": .string(now.rfc3339Micro),
            ],
        ]
    }

    static func isReady(_ node: Object) -> Bool {
        node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
    }
}
