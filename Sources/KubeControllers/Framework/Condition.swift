import KubeAPI

/// One entry of `status.conditions` as workloads and namespaces write it. Times are RFC 3339 texts, kept as they were read.
/// Upstream: apps/v1 DeploymentCondition, ReplicaSetCondition, core/v1 NamespaceCondition.
struct Condition: Sendable, Equatable {
    var type: String
    /// `True`, `False` or `Unknown`.
    var status: String
    var reason: String = ""
    var message: String = ""
    /// Only Jobs have it; empty elsewhere.
    var lastProbeTime: String = ""
    /// Only Deployments have it; empty elsewhere.
    var lastUpdateTime: String = ""
    var lastTransitionTime: String = ""

    init(type: String, status: String, reason: String = "", message: String = "", lastUpdateTime: String = "", lastTransitionTime: String = "") {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
        self.lastUpdateTime = lastUpdateTime
        self.lastTransitionTime = lastTransitionTime
    }

    init(view: JSONView) {
        type = view["type"].string ?? ""
        status = view["status"].string ?? ""
        reason = view["reason"].string ?? ""
        message = view["message"].string ?? ""
        lastProbeTime = view["lastProbeTime"].string ?? ""
        lastUpdateTime = view["lastUpdateTime"].string ?? ""
        lastTransitionTime = view["lastTransitionTime"].string ?? ""
    }

    var value: Value {
        var entry: Value = ["type": .string(type), "status": .string(status)]
        if !lastProbeTime.isEmpty { entry["lastProbeTime"] = .string(lastProbeTime) }
        if !lastUpdateTime.isEmpty { entry["lastUpdateTime"] = .string(lastUpdateTime) }
        if !lastTransitionTime.isEmpty { entry["lastTransitionTime"] = .string(lastTransitionTime) }
        if !reason.isEmpty { entry["reason"] = .string(reason) }
        if !message.isEmpty { entry["message"] = .string(message) }
        return entry
    }
}

extension [Condition] {
    /// The condition of a type, or nil.
    func condition(_ type: String) -> Condition? { first { $0.type == type } }

    /// Replaces the condition of the same type unless status and reason are unchanged; the transition time stays while the status stays.
    /// Upstream: deploymentutil.SetDeploymentCondition, replicaset.SetCondition.
    mutating func set(_ condition: Condition) {
        let current = self.condition(condition.type)
        if let current, current.status == condition.status, current.reason == condition.reason { return }
        var condition = condition
        if let current, current.status == condition.status { condition.lastTransitionTime = current.lastTransitionTime }
        remove(condition.type)
        append(condition)
    }

    mutating func remove(_ type: String) { removeAll { $0.type == type } }

    var value: Value { .array(map(\.value)) }
}
