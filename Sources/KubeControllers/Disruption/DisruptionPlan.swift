import KubeAPI

/// The status of a PodDisruptionBudget. Upstream: policy/v1 PodDisruptionBudgetStatus as pkg/controller/disruption writes it.
struct DisruptionStatus: Sendable, Equatable {
    /// How long a pod whose eviction was granted may take to be deleted, before it counts again. Upstream: DeletionTimeout.
    static let deletionTimeout: Int64 = 120

    var currentHealthy: Int64 = 0
    var desiredHealthy: Int64 = 0
    var expectedPods: Int64 = 0
    var disruptionsAllowed: Int64 = 0
    /// RFC 3339 by the pod's name: evictions granted whose deletion was not seen yet.
    var disruptedPods: [String: String] = [:]
    var observedGeneration: Int64 = 0

    init() {}

    init(_ view: JSONView?) {
        currentHealthy = view["currentHealthy"].int ?? 0
        desiredHealthy = view["desiredHealthy"].int ?? 0
        expectedPods = view["expectedPods"].int ?? 0
        disruptionsAllowed = view["disruptionsAllowed"].int ?? 0
        disruptedPods = view["disruptedPods"].stringMap
        observedGeneration = view["observedGeneration"].int ?? 0
    }
}

/// Decisions of the disruption controller. Upstream: pkg/controller/disruption.
enum DisruptionPlan {
    /// What a budget wants of its pods: how many there should be and how many of them healthy. Nil: the budget names neither bound, or one that
    /// cannot be read.
    enum Wish: Sendable, Equatable {
        case minimum(Int64)
        case minimumPart(IntOrString)
        case maximumUnavailable(IntOrString)
        case none
    }

    static func wish(_ budget: Object) -> Wish {
        if let bound = IntOrString(budget["spec"]["maxUnavailable"]) { return .maximumUnavailable(bound) }
        switch IntOrString(budget["spec"]["minAvailable"]) {
        case .int(let number): return .minimum(number)
        case let part?: return .minimumPart(part)
        case nil: return .none
        }
    }

    /// (pods that should be there, healthy ones among them); nil for a text that is no percentage. `scale` is the sum of what the pods' controllers
    /// want. Upstream: getExpectedPodCount.
    static func expected(_ wish: Wish, pods: Int, scale: Int64) -> (expected: Int64, desired: Int64)? {
        switch wish {
        case .none: return (0, 0)
        case .minimum(let number): return (Int64(pods), number)
        case .minimumPart(let part):
            guard let minimum = part.scaled(total: Int(clamping: scale), roundUp: true) else { return nil }
            return (scale, Int64(minimum))
        case .maximumUnavailable(let bound):
            guard let maximum = bound.scaled(total: Int(clamping: scale), roundUp: true) else { return nil }
            return (scale, max(0, scale - Int64(maximum)))
        }
    }

    /// The status, and the seconds after which it must be looked at again because a granted eviction runs out.
    static func status(
        of budget: Object, pods: [Object], expected: Int64, desired: Int64, now: Timestamp
    ) -> (status: DisruptionStatus, recheck: Double?) {
        let granted = budget["status"]["disruptedPods"].stringMap
        var status = DisruptionStatus()
        var recheck: Double?
        for pod in pods {
            let view = PodView(pod)
            guard !view.meta.isBeingDeleted else { continue }
            if let text = granted[view.meta.name], let time = Timestamp(rfc3339: text) {
                let left = time.adding(seconds: DisruptionStatus.deletionTimeout).timeInterval(since: now)
                if left >= 0 {
                    status.disruptedPods[view.meta.name] = text
                    recheck = min(recheck ?? left, left)
                    if left > 0 { continue }
                }
            }
            if view.isReady { status.currentHealthy += 1 }
        }
        status.desiredHealthy = desired
        status.expectedPods = expected
        status.disruptionsAllowed = expected <= 0 ? 0 : max(0, status.currentHealthy - desired)
        status.observedGeneration = budget.metadata.generation
        return (status, recheck)
    }

    /// The budget with its new status; nil when it stands there already. Upstream: updatePdbStatus with pdbhelper.
    static func plan(_ budget: Object, _ status: DisruptionStatus, now: Timestamp) -> Value? {
        let condition = budget["status"]["conditions"].elements.first { $0["type"]?.equals("DisruptionAllowed") ?? false }
        let wanted = status.disruptionsAllowed > 0 ? "True" : "False"
        let isUpToDate = condition["observedGeneration"].int == status.observedGeneration && condition["status"].string == wanted
        if isUpToDate, DisruptionStatus(budget["status"]) == status { return nil }
        var value: Value = [:]
        if status.observedGeneration != 0 { value["observedGeneration"] = .int(status.observedGeneration) }
        if !status.disruptedPods.isEmpty { value["disruptedPods"] = Value(status.disruptedPods) }
        value["disruptionsAllowed"] = .int(status.disruptionsAllowed)
        value["currentHealthy"] = .int(status.currentHealthy)
        value["desiredHealthy"] = .int(status.desiredHealthy)
        value["expectedPods"] = .int(status.expectedPods)
        value["conditions"] = conditions(
            budget, status: wanted, reason: status.disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods", message: "",
            generation: status.observedGeneration, now: now)
        var tree = budget.value
        tree["status"] = value
        return tree
    }

    /// The budget as it is when it cannot be reckoned: nothing may be disturbed. Upstream: failSafe.
    static func failSafe(_ budget: Object, message: String, now: Timestamp) -> Value? {
        var tree = budget.value
        tree[path: "status", "disruptionsAllowed"] = 0
        tree[path: "status", "conditions"] = conditions(
            budget, status: "False", reason: "SyncFailed", message: message, generation: budget["status"]["observedGeneration"].int ?? 0, now: now)
        guard tree != budget.value else { return nil }
        return tree
    }

    private static func conditions(
        _ budget: Object, status: String, reason: String, message: String, generation: Int64, now: Timestamp
    ) -> Value {
        var conditions = budget["status"]["conditions"].elements.map(\.value)
        let place = conditions.firstIndex { $0["type"]?.string == "DisruptionAllowed" }
        let old = place.map { conditions[$0] }
        let isSame = old?["status"]?.string == status
        let transition: Value = isSame ? old?["lastTransitionTime"] ?? .string(now.rfc3339) : .string(now.rfc3339)
        var condition: Value = ["type": "DisruptionAllowed", "status": .string(status)]
        if generation != 0 { condition["observedGeneration"] = .int(generation) }
        condition["lastTransitionTime"] = transition
        condition["reason"] = .string(reason)
        condition["message"] = .string(message)
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        return .array(conditions)
    }
}
