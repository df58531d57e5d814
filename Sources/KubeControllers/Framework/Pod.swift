import KubeAPI

/// What controllers read of a Pod. Upstream: pkg/api/v1/pod.
struct PodView: Sendable {
    let object: Object

    init(_ object: Object) { self.object = object }

    var meta: ObjectMeta { object.metadata }
    var spec: JSONView? { object["spec"] }
    var status: JSONView? { object["status"] }
    var phase: String { status["phase"].string ?? "" }
    var nodeName: String { spec["nodeName"].string ?? "" }
    var isTerminal: Bool { phase == "Succeeded" || phase == "Failed" }
    /// Neither finished nor being deleted. Upstream: controller.IsPodActive.
    var isActive: Bool { !isTerminal && !meta.isBeingDeleted }
    /// Being deleted, not finished yet. Upstream: controller.IsPodTerminating.
    var isTerminating: Bool { !isTerminal && meta.isBeingDeleted }

    func condition(_ type: String) -> JSONView? { status["conditions"].elements.first { $0["type"]?.equals(type) ?? false } }

    var isReady: Bool { condition("Ready")["status"].string == "True" }

    /// Since when it is ready; nil when it is not.
    var readyTime: Timestamp? {
        guard let ready = condition("Ready"), ready["status"].string == "True" else { return nil }
        return ready["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:))
    }

    /// Ready for at least `minReadySeconds`. Upstream: podutil.IsPodAvailable.
    func isAvailable(minReadySeconds: Int, now: Timestamp) -> Bool {
        guard isReady else { return false }
        return secondsUntilAvailable(minReadySeconds: minReadySeconds, now: now).map { $0 <= 0 } ?? (minReadySeconds == 0)
    }

    /// Seconds until a ready pod counts as available, zero or less when it does; nil when it is not ready.
    func secondsUntilAvailable(minReadySeconds: Int, now: Timestamp) -> Double? {
        guard isReady else { return nil }
        if minReadySeconds == 0 { return 0 }
        guard let since = readyTime else { return nil }
        return since.adding(seconds: Int64(minReadySeconds)).timeInterval(since: now)
    }

    /// The most restarts of any container: ordinary ones, and init containers that keep running. Upstream: maxContainerRestarts.
    var restarts: (regular: Int64, sidecar: Int64) {
        let regular = status["containerStatuses"].elements.map { $0["restartCount"].int ?? 0 }.max() ?? 0
        let sidecars = Set(spec["initContainers"].elements.filter { $0["restartPolicy"].string == "Always" }.compactMap { $0["name"].string })
        let statuses = status["initContainerStatuses"].elements.filter { sidecars.contains($0["name"].string ?? "") }
        return (regular, statuses.map { $0["restartCount"].int ?? 0 }.max() ?? 0)
    }
}

extension Value {
    /// Writes a condition into a pod's `status.conditions`; false when it stands there already. The transition time moves only with the status.
    /// Upstream: podutil.UpdatePodCondition.
    mutating func setPodCondition(type: String, status: String, reason: String = "", message: String = "", now: Timestamp) -> Bool {
        var conditions = self[path: "status", "conditions"]?.array ?? []
        let place = conditions.firstIndex { $0["type"]?.string == type }
        let old = place.map { conditions[$0] }
        if let old, old["status"]?.string == status, (old["reason"]?.string ?? "") == reason, (old["message"]?.string ?? "") == message {
            return false
        }
        var condition: Value = ["type": .string(type), "status": .string(status), "lastProbeTime": .null]
        let transition = old?["status"]?.string == status ? old?["lastTransitionTime"] : nil
        condition["lastTransitionTime"] = transition ?? .string(now.rfc3339)
        if !reason.isEmpty { condition["reason"] = .string(reason) }
        if !message.isEmpty { condition["message"] = .string(message) }
        if let generation = old?["observedGeneration"] { condition["observedGeneration"] = generation }
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        self[path: "status", "conditions"] = .array(conditions)
        return true
    }
}

/// Makes a pod from a workload's template. Upstream: controller.GetPodFromTemplate.
enum PodFactory {
    /// The pod for the wire: labels, annotations and finalizers of the template, a name made by the server from `prefix`, and the workload as its
    /// controller.
    static func pod(template: JSONView?, namespace: String, prefix: String, owner: OwnerReference) -> Value {
        var metadata: Value = ["generateName": .string(prefix), "namespace": .string(namespace)]
        let source = template["metadata"]
        for key in ["labels", "annotations", "finalizers"] {
            if let value = source[key].value, !value.isBlank { metadata[key] = value }
        }
        metadata["ownerReferences"] = [owner.value]
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"].value ?? [:]]
    }

    /// `NAME-`. Upstream: getPodsPrefix (which leaves the dash out where the name would then be invalid: never for names the API accepted).
    static func prefix(of owner: String) -> String { owner + "-" }
}
