import KubeAPI

/// What is shown of a NodePool. Upstream: karpenter.sh/v1 NodePoolStatus.
enum NodePoolPlan {
    /// The status as it should be; nil when it is so. `isClassReady`: nil, there is no such class.
    static func status(_ pool: NodePool, _ usage: ResourceList, isClassReady: Bool?, now: Timestamp) -> Value? {
        let problem: (reason: String, message: String)? =
            switch isClassReady {
            case .some(true): nil
            case .some(false): ("NodeClassNotReady", "NodeClassReady=False")
            case .none: ("NodeClassNotFound", "NodeClass not found on cluster")
            }
        func condition(_ type: String) -> StatusCondition {
            problem.map { StatusCondition(type, "False", reason: $0.reason, message: $0.message) } ?? StatusCondition(type)
        }
        let conditions = [StatusCondition("ValidationSucceeded"), condition("NodeClassReady"), condition("Ready")]
        let resources = NodeModel.value(usage)
        let nodes = usage["nodes"]?.value ?? 0
        let merged = StatusCondition.merged(conditions, into: pool.object, now: now)
        let old = pool.object["status"]
        guard merged != nil || old["resources"].value != resources || old["nodes"].int != nodes else { return nil }
        var status: Value = ["resources": resources, "nodes": .int(nodes)]
        if let merged { status["conditions"] = merged }
        return status
    }
}
