import KubeAPI

/// What the cloud's facts make of a Node. Upstream: cloud-provider/controllers/node and nodelifecycle.
enum CloudNodePlan {
    static let uninitializedTaint = "node.cloudprovider.kubernetes.io/uninitialized"
    static let shutdownTaint = "node.cloudprovider.kubernetes.io/shutdown"

    static func isUninitialized(_ node: Object) -> Bool { node["spec"]["taints"].elements.contains { $0["key"].string == uninitializedTaint } }

    static func isReady(_ node: Object) -> Bool {
        node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
    }

    /// Those of nodes outside the cloud, which is not asked about them. Upstream: nodeadm's hybridProviderIdPrefix.
    private static let hybridPrefix = "eks-hybrid://"

    static func providerID(_ node: Object) -> String? {
        node["spec"]["providerID"].string.flatMap { $0.isEmpty || $0.hasPrefix(hybridPrefix) ? nil : $0 }
    }

    /// The node with the labels and identity of its instance and without the taint that kept pods off until now; nil when all of it stands there.
    static func initialize(_ node: Object, _ facts: InstanceFacts) -> Value? {
        var value = node.value
        var labels: [(String, String)] = []
        if !facts.instanceType.isEmpty {
            labels += [("node.kubernetes.io/instance-type", facts.instanceType), ("beta.kubernetes.io/instance-type", facts.instanceType)]
        }
        if !facts.zone.isEmpty { labels += [("topology.kubernetes.io/zone", facts.zone), ("failure-domain.beta.kubernetes.io/zone", facts.zone)] }
        if !facts.region.isEmpty {
            labels += [("topology.kubernetes.io/region", facts.region), ("failure-domain.beta.kubernetes.io/region", facts.region)]
        }
        for (key, text) in labels { value[path: "metadata", "labels", key] = .string(text) }
        // A provider id is never changed once it stands.
        if providerID(node) == nil { value[path: "spec", "providerID"] = .string(facts.providerID) }
        let taints = (value[path: "spec", "taints"]?.array ?? []).filter { $0["key"]?.string != uninitializedTaint }
        value[path: "spec", "taints"] = taints.isEmpty ? nil : .array(taints)
        guard value != node.value else { return nil }
        return value
    }

    /// The node's status with its instance's addresses; nil when they stand there. What the kubelet says of its host name stays.
    static func addresses(_ node: Object, _ facts: InstanceFacts) -> Value? {
        guard !facts.addresses.isEmpty else { return nil }
        var wanted = facts.addresses.map { ["type": .string($0.type), "address": .string($0.address)] as Value }
        let current = node["status"]["addresses"].elements.map(\.value)
        if !wanted.contains(where: { $0["type"]?.string == "Hostname" }), let hostname = current.first(where: { $0["type"]?.string == "Hostname" }) {
            wanted.append(hostname)
        }
        // The order is no difference: the kubelet writes its own.
        if current.count == wanted.count, wanted.allSatisfy(current.contains) { return nil }
        var value = node.value
        value[path: "status", "addresses"] = .array(wanted)
        return value
    }

    /// The node's taints with or without that of a stopped instance; nil when they are right.
    static func shutdownTaints(_ node: Object, isShutDown: Bool, now: Timestamp) -> [Value]? {
        var taints = node["spec"]["taints"].elements.map(\.value)
        let stands = taints.contains { $0["key"]?.string == shutdownTaint }
        guard stands != isShutDown else { return nil }
        if isShutDown {
            taints.append(["key": .string(shutdownTaint), "effect": "NoSchedule", "timeAdded": .string(now.rfc3339)])
        } else {
            taints.removeAll { $0["key"]?.string == shutdownTaint }
        }
        return taints
    }
}
