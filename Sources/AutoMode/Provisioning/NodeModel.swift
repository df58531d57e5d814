import KubeAPI

/// Node objects as they will be, for simulations.
enum NodeModel {
    /// A node of a pool that is not there yet.
    static func node(named name: String, labels: [String: String], taints: [Value], allocatable: ResourceList) throws -> Object {
        var labels = labels
        labels[Names.hostname] = name
        return try Object([
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": Value(labels)], "spec": ["taints": .array(taints)],
            "status": ["allocatable": value(allocatable)],
        ])
    }

    static func value(_ list: ResourceList) -> Value {
        .object(Members(list.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.description)) }))
    }

    /// A claim's node before it is there.
    static func node(of claim: NodeClaim, _ type: InstanceType?) throws -> Object {
        try node(named: claim.name, labels: claim.labels(type), taints: claim.taints, allocatable: type?.allocatable ?? [:])
    }

    /// A claim's node that is there, as it will be when it is ready: without the taints that go by themselves, and with the room it will have. One that
    /// was ready before is taken as it is.
    static func settled(_ node: Object, _ claim: NodeClaim, _ type: InstanceType?) throws -> Object {
        guard !claim.isInitialized else { return node }
        var value = node.value
        let startup = claim.startupTaints
        let taints = (value[path: "spec", "taints"]?.array ?? []).filter { taint in
            !Names.ephemeralTaints.contains(taint["key"]?.string ?? "")
                && !startup.contains { $0["key"] == taint["key"] && $0["effect"] == taint["effect"] }
        }
        value[path: "spec", "taints"] = .array(taints)
        if let type { value[path: "status", "allocatable"] = NodeModel.value(type.allocatable) }
        return try Object(value)
    }
}
