import KubeAPI

/// What is remembered of one node's signs of life: when they were last seen, by our own clock (a node's clock may be wrong).
/// Upstream: nodelifecycle.nodeHealthData.
struct NodeHealth: Sendable, Equatable {
    /// When the last sign of life was seen: a new heartbeat or a renewed lease.
    var lastSeen: Timestamp
    var heartbeat: String
    var leaseRenewTime: String
}

/// What to do about a node after looking at it.
struct NodeVerdict: Sendable, Equatable {
    /// The node's conditions with those that turned Unknown; nil when they stay.
    var conditions: [Value]?
    /// `True`, `False` or `Unknown`: Ready as it is after this. Empty: the node has not reported yet, and still may.
    var ready: String
    /// Ready was True until it is taken away here: its pods must be marked not ready, and an event told. Of a kubelet that says itself that it is not
    /// ready, this is false: it looks after its pods.
    var becameNotReady: Bool
    /// Seconds until the node would be given up, if nothing is heard of it.
    var checkAfter: Double?
}

/// Decides whether a node is alive. Upstream: tryUpdateNodeHealth in pkg/controller/nodelifecycle.
enum NodeHealthMonitor {
    /// Conditions only a kubelet can know, which turn Unknown with it.
    static let kubeletConditions = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]

    /// - Parameters:
    ///   - health: what was remembered; nil the first time, then the node gets the whole grace period from now.
    static func observe(
        node: Object, lease: Object?, health: NodeHealth?, grace: Double, startupGrace: Double, now: Timestamp
    ) -> (health: NodeHealth, verdict: NodeVerdict) {
        let ready = node.condition("Ready")
        let heartbeat = ready?["lastHeartbeatTime"].string ?? ""
        let renewTime = lease?["spec"]["renewTime"].string ?? ""
        let created = node.metadata.creationTimestamp ?? now
        let readyStatus = ready.map { $0["status"].string ?? "Unknown" } ?? ""

        var next: NodeHealth
        if let health {
            next = health
            if heartbeat != health.heartbeat || renewTime != health.leaseRenewTime { next.lastSeen = now }
        } else {
            // A node that has reported is watched from now on; one that never has, from its creation.
            next = NodeHealth(lastSeen: ready == nil ? created : now, heartbeat: heartbeat, leaseRenewTime: renewTime)
        }
        next.heartbeat = heartbeat
        next.leaseRenewTime = renewTime

        let patience = ready == nil ? startupGrace : grace
        let silence = now.timeInterval(since: next.lastSeen)
        var verdict = NodeVerdict(conditions: nil, ready: readyStatus, becameNotReady: false, checkAfter: nil)
        if silence > patience {
            verdict.conditions = unknownConditions(node, created: created, now: now)
            verdict.ready = "Unknown"
            if verdict.conditions != nil {
                // What is written here comes back as an event; it is no sign of life.
                next.heartbeat = ready == nil ? created.rfc3339 : heartbeat
            }
        } else {
            verdict.checkAfter = patience - silence + 0.001
        }
        verdict.becameNotReady = readyStatus == "True" && verdict.ready != "True"
        return (next, verdict)
    }

    private static func unknownConditions(_ node: Object, created: Timestamp, now: Timestamp) -> [Value]? {
        var conditions = node["status"]["conditions"].elements.map(\.value)
        var changed = false
        for type in kubeletConditions {
            if let place = conditions.firstIndex(where: { $0["type"]?.string == type }) {
                guard conditions[place]["status"]?.string != "Unknown" else { continue }
                conditions[place]["status"] = "Unknown"
                conditions[place]["reason"] = "NodeStatusUnknown"
                conditions[place]["message"] = "Kubelet stopped posting node status."
                conditions[place]["lastTransitionTime"] = .string(now.rfc3339)
            } else {
                conditions.append([
                    "type": .string(type), "status": "Unknown", "reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": .string(created.rfc3339), "lastTransitionTime": .string(now.rfc3339),
                ])
            }
            changed = true
        }
        return changed ? conditions : nil
    }
}

/// The taints that a node's conditions call for. Upstream: nodelifecycle's taint maps.
enum NodeTaints {
    static let notReady = "node.kubernetes.io/not-ready"
    static let unreachable = "node.kubernetes.io/unreachable"
    static let unschedulable = "node.kubernetes.io/unschedulable"
    /// Condition type and status to taint key.
    private static let byCondition: [(type: String, status: String, key: String)] = [
        ("Ready", "False", notReady), ("Ready", "Unknown", unreachable), ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
        ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"), ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
        ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ]
    private static let managed = Set(byCondition.map(\.key) + [unschedulable])

    /// The node's taints as they should be, or nil when they are. Taints of others are kept.
    /// - Parameters:
    ///   - ready: Ready as this controller sees it.
    ///   - mayEvict: whether a NoExecute taint may be added now. Taking one away is always allowed.
    ///   - forbidEvict: all zones are down, so it is this controller that is cut off: no NoExecute taint may stand.
    static func plan(node: Object, ready: String, mayEvict: Bool, forbidEvict: Bool, now: Timestamp) -> [Value]? {
        let current = node["spec"]["taints"].elements.map(\.value)
        var wanted: [String] = byCondition.filter { rule in
            (rule.type == "Ready" ? ready : node.condition(rule.type)?["status"].string ?? "") == rule.status
        }.map(\.key)
        // A node that has not reported takes no pods yet; it is not evicted either.
        if ready.isEmpty { wanted.append(notReady) }
        if node["spec"]["unschedulable"].bool ?? false { wanted.append(unschedulable) }
        let evicting = ready == "False" ? notReady : ready == "Unknown" ? unreachable : nil

        var taints: [Value] = []
        var present: Set<String> = []
        for taint in current {
            let key = taint["key"]?.string ?? ""
            switch taint["effect"]?.string {
            case "NoSchedule" where managed.contains(key):
                guard wanted.contains(key), present.insert(key).inserted else { continue }
                taints.append(taint)
            case "NoExecute" where key == notReady || key == unreachable:
                if forbidEvict || key != evicting { continue }
                taints.append(taint)
            default: taints.append(taint)
            }
        }
        for key in wanted where !present.contains(key) {
            taints.append(["key": .string(key), "effect": "NoSchedule", "timeAdded": .string(now.rfc3339)])
        }
        // One eviction taint takes the other's place without asking: the pods are being evicted already.
        let hadOther = current.contains {
            let key = $0["key"]?.string ?? ""
            return $0["effect"]?.string == "NoExecute" && (key == notReady || key == unreachable)
        }
        if let evicting, !forbidEvict, mayEvict || hadOther,
            !taints.contains(where: { $0["effect"]?.string == "NoExecute" && $0["key"]?.string == evicting })
        {
            taints.append(["key": .string(evicting), "effect": "NoExecute", "timeAdded": .string(now.rfc3339)])
        }
        return Value.semanticallyEqual(.array(current), .array(taints)) ? nil : taints
    }

    /// Whether an eviction taint is called for and does not stand yet.
    static func needsEviction(node: Object, ready: String) -> Bool {
        guard ready == "False" || ready == "Unknown" else { return false }
        return !node["spec"]["taints"].elements.contains {
            let key = $0["key"].string ?? ""
            return $0["effect"].string == "NoExecute" && (key == notReady || key == unreachable)
        }
    }
}

extension Object {
    /// An entry of `status.conditions`.
    func condition(_ type: String) -> JSONView? { self["status"]["conditions"].elements.first { $0["type"]?.equals(type) ?? false } }
}
