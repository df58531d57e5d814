import KubeAPI

/// The priority levels and flow schemas every cluster starts with. Upstream: k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap.
enum FlowControlDefaults {
    /// Seats a level has by its shares, how much of them others may borrow (percent), and its queues: nil rejects at once.
    private struct Level {
        var name: String
        var shares: Int64
        var lendable: Int64
        var queuing: (queues: Int64, hand: Int64)?
    }

    private static let levels: [Level] = [
        Level(name: "catch-all", shares: 5, lendable: 0, queuing: nil),
        Level(name: "global-default", shares: 20, lendable: 50, queuing: (128, 6)),
        Level(name: "leader-election", shares: 10, lendable: 0, queuing: (16, 4)),
        Level(name: "node-high", shares: 40, lendable: 25, queuing: (64, 6)),
        Level(name: "system", shares: 30, lendable: 33, queuing: (64, 6)),
        Level(name: "workload-high", shares: 40, lendable: 50, queuing: (128, 6)),
        Level(name: "workload-low", shares: 100, lendable: 90, queuing: (128, 6)),
    ]

    static func priorityLevels() -> [Value] {
        let exempt: Value = ["type": "Exempt", "exempt": ["lendablePercent": 0, "nominalConcurrencyShares": 0]]
        let limited = levels.map { level in
            var response: Value = ["type": "Reject"]
            if let queuing = level.queuing {
                response = [
                    "type": "Queue", "queuing": ["handSize": .int(queuing.hand), "queueLengthLimit": 50, "queues": .int(queuing.queues)],
                ]
            }
            let spec: Value = [
                "type": "Limited",
                "limited": ["lendablePercent": .int(level.lendable), "limitResponse": response, "nominalConcurrencyShares": .int(level.shares)],
            ]
            return object("PriorityLevelConfiguration", level.name, spec)
        }
        return [object("PriorityLevelConfiguration", "exempt", exempt)] + limited
    }

    private enum Rules {
        case everything
        case everyResource(groups: [String], resources: [String], verbs: [String], clusterScope: Bool)
        case paths([String])
    }

    private static func rules(_ rules: [Rules], _ subjects: [Value]) -> Value {
        var rule: Value = ["subjects": .array(subjects)]
        var resourceRules: [Value] = []
        var pathRules: [Value] = []
        for entry in rules {
            switch entry {
            case .everything:
                pathRules.append(["nonResourceURLs": ["*"], "verbs": ["*"]])
                resourceRules.append(["apiGroups": ["*"], "clusterScope": true, "namespaces": ["*"], "resources": ["*"], "verbs": ["*"]])
            case .everyResource(let groups, let resources, let verbs, let clusterScope):
                var resourceRule: Value = ["apiGroups": Value(groups), "namespaces": ["*"], "resources": Value(resources), "verbs": Value(verbs)]
                if clusterScope { resourceRule["clusterScope"] = true }
                resourceRules.append(resourceRule)
            case .paths(let paths): pathRules.append(["nonResourceURLs": Value(paths), "verbs": ["get"]])
            }
        }
        if !pathRules.isEmpty { rule["nonResourceRules"] = .array(pathRules) }
        if !resourceRules.isEmpty { rule["resourceRules"] = .array(resourceRules) }
        return [rule]
    }

    static func flowSchemas() -> [Value] {
        func user(_ name: String) -> Value { ["kind": "User", "user": ["name": .string(name)]] }
        func group(_ name: String) -> Value { ["kind": "Group", "group": ["name": .string(name)]] }
        let kubeSystem: Value = ["kind": "ServiceAccount", "serviceAccount": ["name": "*", "namespace": "kube-system"]]
        let everyone = [group("system:unauthenticated"), group("system:authenticated")]
        let leases = Rules.everyResource(
            groups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"], clusterScope: false)
        let nodeHigh: [Rules] = [
            .everyResource(groups: [""], resources: ["nodes", "nodes/status"], verbs: ["*"], clusterScope: true),
            .everyResource(groups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["*"], clusterScope: false),
        ]
        let components = [user("system:kube-controller-manager"), user("system:kube-scheduler"), kubeSystem]
        return [
            schema("exempt", 1, level: "exempt", by: nil, rules([.everything], [group("system:masters")])),
            schema("probes", 2, level: "exempt", by: nil, rules([.paths(["/healthz", "/readyz", "/livez"])], everyone)),
            schema("system-leader-election", 100, level: "leader-election", by: "ByUser", rules([leases], components)),
            schema("system-node-high", 400, level: "node-high", by: "ByUser", rules(nodeHigh, [group("system:nodes")])),
            schema("system-nodes", 500, level: "system", by: "ByUser", rules([.everything], [group("system:nodes")])),
            schema("kube-controller-manager", 800, level: "workload-high", by: "ByNamespace", rules([.everything], [components[0]])),
            schema("kube-scheduler", 800, level: "workload-high", by: "ByNamespace", rules([.everything], [components[1]])),
            schema("kube-system-service-accounts", 900, level: "workload-high", by: "ByNamespace", rules([.everything], [kubeSystem])),
            schema("service-accounts", 9000, level: "workload-low", by: "ByUser", rules([.everything], [group("system:serviceaccounts")])),
            schema("global-default", 9900, level: "global-default", by: "ByUser", rules([.everything], everyone)),
            schema("catch-all", 10000, level: "catch-all", by: "ByUser", rules([.everything], everyone)),
        ]
    }

    private static func schema(_ name: String, _ precedence: Int64, level: String, by distinguisher: String?, _ rules: Value) -> Value {
        var spec: Value = [
            "matchingPrecedence": .int(precedence), "priorityLevelConfiguration": ["name": .string(level)], "rules": rules,
        ]
        if let distinguisher { spec["distinguisherMethod"] = ["type": .string(distinguisher)] }
        return object("FlowSchema", name, spec)
    }

    private static func object(_ kind: String, _ name: String, _ spec: Value) -> Value {
        [
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": .string(kind),
            "metadata": ["name": .string(name), "annotations": ["apf.kubernetes.io/autoupdate-spec": "true"]], "spec": spec,
        ]
    }
}
