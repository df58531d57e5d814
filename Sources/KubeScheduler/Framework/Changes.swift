import KubeAPI

/// What a pod's change means to the scheduler.
enum PodChange: Sendable, Equatable {
    /// Nothing that scheduling reads.
    case none
    /// It is on a node: count it there.
    case bound
    /// It waits for us to be scheduled.
    case pending
    /// It is gone, finished, or somebody else's to schedule.
    case remove

    static func of(_ old: Object?, _ new: Object?, schedulerName: String) -> PodChange {
        guard let new else { return .remove }
        let phase = new["status"]["phase"].string
        if phase == "Succeeded" || phase == "Failed" { return .remove }
        if let old, old.metadata.uid == new.metadata.uid, old["status"]["phase"].string != "Succeeded", isSame(old, new) { return .none }
        if !(new["spec"]["nodeName"].string ?? "").isEmpty { return .bound }
        let wanted = new["spec"]["schedulerName"].string ?? schedulerName
        // One that is being deleted will never run: no node is looked for.
        return wanted == schedulerName && !new.metadata.isBeingDeleted ? .pending : .remove
    }

    /// Whether only the status or other things changed that do not count. Compared as bytes: the common case, and cheap.
    private static func isSame(_ old: Object, _ new: Object) -> Bool {
        func same(_ a: JSONView?, _ b: JSONView?) -> Bool {
            switch (a, b) {
            case (nil, nil): true
            case (let a?, let b?): a.rawBytes.elementsEqual(b.rawBytes)
            default: false
            }
        }
        let (before, after) = (old["metadata"], new["metadata"])
        return same(old["spec"], new["spec"]) && same(before["labels"], after["labels"])
            && same(before["deletionTimestamp"], after["deletionTimestamp"]) && same(before["ownerReferences"], after["ownerReferences"])
    }
}

/// What of a node changed that scheduling reads. Upstream: nodeSchedulingPropertiesChange.
struct NodeChange: Sendable, Equatable {
    var events: [ClusterEvent] = []
    /// Whether the cache must take the node over at all: a heartbeat changes nothing.
    var isRelevant = false

    static func of(_ old: Object?, _ new: Object) -> NodeChange {
        guard let old else { return NodeChange(events: [.nodeAdded], isRelevant: true) }
        var change = NodeChange()
        func differs(_ a: JSONView?, _ b: JSONView?) -> Bool {
            switch (a, b) {
            case (nil, nil): false
            case (let a?, let b?): !a.rawBytes.elementsEqual(b.rawBytes)
            default: true
            }
        }
        if differs(old["metadata"]["labels"], new["metadata"]["labels"]) { change.events.append(.nodeLabelsChanged) }
        if differs(old["spec"]["taints"], new["spec"]["taints"]) || differs(old["spec"]["unschedulable"], new["spec"]["unschedulable"]) {
            change.events.append(.nodeTaintsChanged)
        }
        if differs(old["status"]["allocatable"], new["status"]["allocatable"]) { change.events.append(.nodeAllocatableChanged) }
        change.isRelevant = !change.events.isEmpty || differs(old["status"]["images"], new["status"]["images"])
        return change
    }
}

/// The condition that says why a pod is not scheduled. Upstream: podutil.UpdatePodCondition with PodScheduled.
enum PodScheduledCondition {
    /// The pod with the condition written into its status; nil when it stands there already.
    static func failure(_ pod: Object, reason: String, message: String, now: Timestamp) -> Value? {
        var value = pod.value
        var conditions = value[path: "status", "conditions"]?.array ?? []
        let place = conditions.firstIndex { $0["type"]?.string == "PodScheduled" }
        let old = place.map { conditions[$0] }
        if let old, old["status"]?.string == "False", old["reason"]?.string == reason, old["message"]?.string == message { return nil }
        var condition: Value = [
            "type": "PodScheduled", "status": "False", "reason": .string(reason), "message": .string(message), "lastProbeTime": .null,
        ]
        if pod.metadata.generation > 0 { condition["observedGeneration"] = .int(pod.metadata.generation) }
        let transition = old?["status"]?.string == "False" ? old?["lastTransitionTime"] : nil
        condition["lastTransitionTime"] = transition ?? .string(now.rfc3339)
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        value[path: "status", "conditions"] = .array(conditions)
        return value
    }
}
