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

    /// - Parameter schedulers: the names of whose pods are ours to schedule.
    static func of(_ old: Object?, _ new: Object?, schedulers: [String]) -> PodChange {
        guard let new else { return .remove }
        let phase = new["status"]["phase"].string
        if phase == "Succeeded" || phase == "Failed" { return .remove }
        if let old, old.metadata.uid == new.metadata.uid, old["status"]["phase"].string != "Succeeded", isSame(old, new) { return .none }
        if !(new["spec"]["nodeName"].string ?? "").isEmpty { return .bound }
        let wanted = schedulerName(of: new)
        // One that is being deleted will never run: no node is looked for.
        return schedulers.contains(wanted) && !new.metadata.isBeingDeleted ? .pending : .remove
    }

    /// Whose it is to schedule a pod; the API server fills it in.
    static func schedulerName(of pod: Object) -> String { pod["spec"]["schedulerName"].string ?? Scheduler.defaultName }

    /// Whether a pod's spec has got its node and nothing else. Its labels may be others: a binding adds those of the node's zone.
    static func isBinding(_ old: Object, _ new: Object) -> Bool {
        let (before, after) = (old["metadata"], new["metadata"])
        guard before["uid"].string == after["uid"].string, old["spec"]["nodeName"] == nil, let node = new["spec"]["nodeName"],
            let short = old["spec"]?.rawBytes, let long = new["spec"]?.rawBytes, after["deletionTimestamp"] == nil
        else { return false }
        // `"nodeName":"…",` has been put in, wherever.
        let added = node.rawBytes.count + 12
        guard long.count == short.count + added else { return false }
        let same = zip(short, long).prefix { $0 == $1 }.count
        return short.dropFirst(same).elementsEqual(long.dropFirst(same + added))
    }

    /// Whether a waiting pod's ResourceClaims have been made. Its spec, which alone counts otherwise, is the same.
    static func hasGotClaims(_ old: Object, _ new: Object) -> Bool {
        new.mayContain("resourceClaimStatuses") && new["spec"]["nodeName"] == nil
            && old["status"]["resourceClaimStatuses"].value != new["status"]["resourceClaimStatuses"].value
    }

    /// Whether a pod has been taken on by its node.
    static func isStart(_ old: Object, _ new: Object) -> Bool {
        old["status"]["startTime"].string == nil && new["status"]["startTime"].string != nil && !(new["spec"]["nodeName"].string ?? "").isEmpty
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
        // While a pod is resized, what it takes of its node stands in its status.
        if old.mayContain("PodResize") || new.mayContain("PodResize"), !same(old["status"], new["status"]) { return false }
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

/// Conditions that the scheduler writes into pods' status. Upstream: podutil.UpdatePodCondition.
enum PodConditions {
    /// Why a pod is not scheduled; nil when it stands there already.
    static func unscheduled(_ pod: Object, reason: String, message: String, now: Timestamp) -> Value? {
        condition("PodScheduled", "False", reason, message, of: pod, now)
    }

    /// That a pod goes to make room for one of higher priority; nil when it stands there already. Upstream: DefaultPreemption's prepareCandidate.
    static func preempted(_ pod: Object, by scheduler: String, now: Timestamp) -> Value? {
        condition("DisruptionTarget", "True", "PreemptionByScheduler", "\(scheduler): preempting to accommodate a higher priority pod", of: pod, now)
    }

    private static func condition(
        _ type: String, _ status: String, _ reason: String, _ message: String, of pod: Object, _ now: Timestamp
    ) -> Value? {
        let old = pod["status"]["conditions"].elements.first { $0["type"].string == type }
        let isSame = old["status"].string == status
        if isSame, old["reason"].string == reason, old["message"].string == message { return nil }
        let transition = isSame ? old["lastTransitionTime"].string : nil
        var condition: Value = [
            "type": .string(type), "status": .string(status), "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": .string(transition ?? now.rfc3339),
        ]
        if pod.metadata.generation > 0 { condition["observedGeneration"] = .int(pod.metadata.generation) }
        return condition
    }
}
