package import AWSProtocol

/// What is done with a node that stays unhealthy. Upstream: eks RepairAction.
package enum RepairAction: String, Codable, Sendable {
    /// Drained, ended, and another one launched.
    case replace = "Replace"
    /// Drained, and its machine started anew.
    case reboot = "Reboot"
    case none = "NoAction"
}

/// Another action or patience for one condition and reason. Upstream: eks NodeRepairConfigOverrides.
package struct NodeRepairOverride: Codable, Sendable, Equatable {
    /// A condition's type: `NetworkingReady`.
    package var condition: String
    /// A condition's reason: `IPAMDNotRunning`.
    package var reason: String
    package var waitMinutes: Int
    package var action: RepairAction

    package init(condition: String, reason: String, waitMinutes: Int, action: RepairAction) {
        self.condition = condition
        self.reason = reason
        self.waitMinutes = waitMinutes
        self.action = action
    }
}

/// How far the repair of a group's nodes goes; of each pair one at most is set. Upstream: eks NodeRepairConfig.
package struct NodeRepairConfig: Codable, Sendable, Equatable {
    package var isEnabled = false
    /// With more unhealthy nodes than this nothing is repaired any more.
    package var unhealthyCount: Int?
    package var unhealthyPercentage: Int?
    /// So many nodes are repaired at once.
    package var parallelCount: Int?
    /// Of the unhealthy ones.
    package var parallelPercentage: Int?
    package var overrides: [NodeRepairOverride] = []

    package init() {}

    /// A request's. Throws InvalidParameterException.
    package init(_ input: AWSJSON) throws(AWSError) {
        isEnabled = input["enabled"]?.boolValue ?? false
        unhealthyCount = input["maxUnhealthyNodeThresholdCount"]?.intValue
        unhealthyPercentage = input["maxUnhealthyNodeThresholdPercentage"]?.intValue
        parallelCount = input["maxParallelNodesRepairedCount"]?.intValue
        parallelPercentage = input["maxParallelNodesRepairedPercentage"]?.intValue
        for (count, share, name) in [
            (unhealthyCount, unhealthyPercentage, "maxUnhealthyNodeThreshold"), (parallelCount, parallelPercentage, "maxParallelNodesRepaired"),
        ] where count != nil && share != nil {
            throw EKSFault.invalidParameter("Only one of \(name)Count and \(name)Percentage can be given")
        }
        for override in input["nodeRepairConfigOverrides"]?.arrayValue ?? [] {
            guard let condition = override["nodeMonitoringCondition"]?.stringValue, let reason = override["nodeUnhealthyReason"]?.stringValue,
                let wait = override["minRepairWaitTimeMins"]?.intValue,
                let action = override["repairAction"]?.stringValue.flatMap(RepairAction.init)
            else {
                throw EKSFault.invalidParameter(
                    "Each of nodeRepairConfigOverrides needs nodeMonitoringCondition, nodeUnhealthyReason, minRepairWaitTimeMins and repairAction")
            }
            overrides.append(NodeRepairOverride(condition: condition, reason: reason, waitMinutes: wait, action: action))
        }
    }

    package var json: AWSJSON {
        .compact([
            "enabled": .bool(isEnabled), "maxUnhealthyNodeThresholdCount": unhealthyCount.map(AWSJSON.integer),
            "maxUnhealthyNodeThresholdPercentage": unhealthyPercentage.map(AWSJSON.integer),
            "maxParallelNodesRepairedCount": parallelCount.map(AWSJSON.integer),
            "maxParallelNodesRepairedPercentage": parallelPercentage.map(AWSJSON.integer),
            "nodeRepairConfigOverrides": overrides.isEmpty ? nil : .array(overrides.map(\.json)),
        ])
    }
}

extension NodeRepairOverride {
    fileprivate var json: AWSJSON {
        [
            "nodeMonitoringCondition": .string(condition), "nodeUnhealthyReason": .string(reason), "minRepairWaitTimeMins": .integer(waitMinutes),
            "repairAction": .string(action.rawValue),
        ]
    }
}
