import KubeAPI

/// What a cluster's Auto Mode is told by its `computeConfig`.
package struct AutoModeSettings: Sendable, Equatable {
    /// Built-in pools that are on: `general-purpose`, `system`.
    package var nodePools: [String]
    /// The name of the IAM role that nodes of the NodeClass `default` have; nil: there is no such class.
    package var nodeRole: String?
    package var subnetIDs: [String]
    package var securityGroupIDs: [String]

    package init(nodePools: [String], nodeRole: String?, subnetIDs: [String], securityGroupIDs: [String]) {
        self.nodePools = nodePools
        self.nodeRole = nodeRole
        self.subnetIDs = subnetIDs
        self.securityGroupIDs = securityGroupIDs
    }
}

/// The NodeClass and the NodePools that EKS makes. Upstream: EKS User Guide, "Enable or Disable Built-in NodePools"; the objects as EKS's clusters show
/// them.
enum BuiltInObjects {
    static let className = "default"
    static let label = ["app.kubernetes.io/managed-by": "eks"]
    static let poolNames = ["general-purpose", "system"]

    /// Nil: no built-in pool is on, and EKS makes no class then.
    static func nodeClass(_ settings: AutoModeSettings) -> Value? {
        guard let role = settings.nodeRole, !settings.nodePools.isEmpty else { return nil }
        func terms(_ ids: [String]) -> Value { .array(ids.map { ["id": .string($0)] }) }
        return [
            "apiVersion": "eks.amazonaws.com/v1", "kind": "NodeClass", "metadata": ["name": .string(className), "labels": Value(label)],
            "spec": [
                "role": .string(role), "subnetSelectorTerms": terms(settings.subnetIDs),
                "securityGroupSelectorTerms": terms(settings.securityGroupIDs), "snatPolicy": "Random", "networkPolicy": "DefaultAllow",
                "networkPolicyEventLogs": "Disabled", "ephemeralStorage": ["size": "80Gi", "iops": 3000, "throughput": 125],
            ],
        ]
    }

    static func nodePools(_ settings: AutoModeSettings) -> [Value] {
        poolNames.filter(settings.nodePools.contains).map { name in
            let isSystem = name == "system"
            let architectures: [String] = isSystem ? ["amd64", "arm64"] : ["amd64"]
            let requirements = [
                Requirement(key: Names.capacityType, op: "In", values: ["on-demand"]),
                Requirement(key: "eks.amazonaws.com/instance-category", op: "In", values: ["c", "m", "r"]),
                Requirement(key: "eks.amazonaws.com/instance-generation", op: "Gt", values: ["4"]),
                Requirement(key: Names.architecture, op: "In", values: architectures),
                Requirement(key: Names.operatingSystem, op: "In", values: ["linux"]),
            ]
            var template: Value = [
                "expireAfter": "336h", "terminationGracePeriod": .string(NodePool.defaultGrace),
                "nodeClassRef": ["group": "eks.amazonaws.com", "kind": "NodeClass", "name": .string(className)],
                "requirements": .array(requirements.map(\.value)),
            ]
            if isSystem { template["taints"] = [["key": "CriticalAddonsOnly", "effect": "NoSchedule"]] }
            return [
                "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": ["name": .string(name), "labels": Value(label)],
                "spec": [
                    "disruption": [
                        "budgets": [["nodes": "10%"]], "consolidateAfter": "30s", "consolidationPolicy": "WhenEmptyOrUnderutilized",
                    ],
                    "template": ["metadata": [:], "spec": template],
                ],
            ]
        }
    }
}
