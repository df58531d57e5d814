internal import KubeAPI
internal import KubeClient

/// Changes a Node object as the service's node manager does: cordon, labels, taints.
struct NodeEdit {
    /// Writes that another's write may overtake before it is given up.
    private static let attempts = 10

    let client: KubeClient
    let nodeName: String

    func uncordon() async throws {
        do { try await client.patch(.nodes, name: nodeName, type: .merge, ["spec": ["unschedulable": .null]]) } catch let error as StatusError
            where error.isNotFound
        {}
    }

    /// Taints are a list under a key and an effect: it is written as a whole, on the version that was read.
    func change(labels: [String: String], without removed: [String], taints: [ControlPlane.Taint], without removedTaints: [ControlPlane.Taint])
        async throws
    {
        for attempt in 1...Self.attempts {
            do {
                let node = try await client.get(.nodes, name: nodeName)
                var patch = Members()
                for label in removed { patch[label] = .null }
                for (key, value) in labels { patch[key] = .string(value) }
                let kept = node["spec"]["taints"].elements.filter { old in
                    !(taints + removedTaints).contains { $0.key == old["key"].string && $0.effect == old["effect"].string }
                }
                let added = taints.map { taint -> Value in
                    ["key": .string(taint.key), "value": .string(taint.value), "effect": .string(taint.effect)]
                }
                try await client.patch(
                    .nodes, name: nodeName, type: .merge,
                    [
                        "metadata": ["labels": .object(patch), "resourceVersion": .string(node.metadata.resourceVersion)],
                        "spec": ["taints": .array(kept.map(\.value) + added)],
                    ])
                return
            } catch let error as StatusError where error.isNotFound { return } catch let error as StatusError
                where error.code == 409 && attempt < Self.attempts
            { continue }
        }
    }
}
