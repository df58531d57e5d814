import KubeAPI

/// What a node's kubelet is told beyond its defaults. Upstream: the members of KubeletConfiguration of these names.
package struct NodeKubelet: Codable, Sendable, Equatable {
    /// Processes and threads that each pod may have; nil or not positive: as many as the node.
    package var podPidsLimit: Int64?

    package init() {}

    /// As the node's agent reads it.
    var value: Value {
        var value: Value = [:]
        if let podPidsLimit { value["podPidsLimit"] = .int(podPidsLimit) }
        return value
    }
}
