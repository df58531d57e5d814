import KubeAPI

/// What is shown of a NodeClass. Upstream: karpenter-provider-aws EC2NodeClass status conditions; those of EKS's NodeClass have the same names.
enum NodeClassPlan {
    /// Why nodes cannot be made of it; nil: they can.
    static func problem(_ facts: NodeClassFacts) -> (reason: String, message: String)? {
        if facts.subnets.isEmpty { return ("SubnetsNotFound", "SubnetSelector did not match any Subnets") }
        if facts.securityGroups.isEmpty { return ("SecurityGroupsNotFound", "SecurityGroupSelector did not match any SecurityGroups") }
        return facts.roleProblem.map { ("UnauthorizedNodeRole", $0) }
    }

    /// The status as it should be; nil when it is so.
    static func status(_ object: Object, _ facts: NodeClassFacts, now: Timestamp) -> Value? {
        func condition(_ type: String, _ isMet: Bool, _ reason: String, _ message: String) -> StatusCondition {
            isMet ? StatusCondition(type) : StatusCondition(type, "False", reason: reason, message: message)
        }
        let problem = problem(facts)
        let conditions = [
            condition("SubnetsReady", !facts.subnets.isEmpty, "SubnetsNotFound", "SubnetSelector did not match any Subnets"),
            condition(
                "SecurityGroupsReady", !facts.securityGroups.isEmpty, "SecurityGroupsNotFound",
                "SecurityGroupSelector did not match any SecurityGroups"
            ),
            condition("InstanceProfileReady", facts.roleProblem == nil, "UnauthorizedNodeRole", facts.roleProblem ?? ""),
            condition("Ready", problem == nil, problem?.reason ?? "", problem?.message ?? ""),
        ]
        let status: Value = [
            "subnets": .array(
                facts.subnets.map { ["id": .string($0.id), "zone": .string($0.zone), "zoneID": .string($0.zoneID)] }),
            "securityGroups": .array(facts.securityGroups.map { ["id": .string($0.id), "name": .string($0.name)] }),
            "instanceProfile": .string(facts.instanceProfile),
        ]
        var result = status
        let merged = StatusCondition.merged(conditions, into: object, now: now)
        if let merged { result["conditions"] = merged }
        let isSame = status.object.map { members in members.allSatisfy { object["status"][$0.0].value == $0.1 } } ?? true
        guard merged != nil || !isSame else { return nil }
        return result
    }
}
