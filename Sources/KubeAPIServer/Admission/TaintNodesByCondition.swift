import KubeAPI

/// New nodes take no pods until the node life-cycle controller has seen them ready. Upstream: plugin/nodetaint.
struct TaintNodesByCondition: AdmissionPlugin {
    let name = "TaintNodesByCondition"
    static let taint: Value = ["key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"]

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.nodes, .create) else { return }
        let taints = attributes.object[path: "spec", "taints"]?.array ?? []
        let isThere = taints.contains { $0["key"] == Self.taint["key"] && $0["effect"] == Self.taint["effect"] }
        if !isThere { attributes.object[path: "spec", "taints"] = .array(taints + [Self.taint]) }
    }
}
