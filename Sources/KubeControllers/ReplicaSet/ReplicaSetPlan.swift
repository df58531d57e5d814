import KubeAPI

/// `status` of a ReplicaSet. Upstream: apps/v1 ReplicaSetStatus.
struct ReplicaSetStatus: Sendable, Equatable {
    var replicas = 0
    var fullyLabeledReplicas = 0
    var readyReplicas = 0
    var availableReplicas = 0
    var terminatingReplicas: Int?
    var observedGeneration: Int64 = 0
    var conditions: [Condition] = []

    init(_ view: JSONView?) {
        func count(_ key: String) -> Int { Int(clamping: view[key].int ?? 0) }
        replicas = count("replicas")
        fullyLabeledReplicas = count("fullyLabeledReplicas")
        readyReplicas = count("readyReplicas")
        availableReplicas = count("availableReplicas")
        terminatingReplicas = view["terminatingReplicas"].int.map { Int(clamping: $0) }
        observedGeneration = view["observedGeneration"].int ?? 0
        conditions = view["conditions"].elements.map(Condition.init(view:))
    }

    /// The status for the wire. `replicas` always stands there, other counts of zero do not, as upstream's omitempty has it.
    var value: Value {
        var status: Value = ["replicas": .int(Int64(replicas))]
        func put(_ key: String, _ number: Int) { if number != 0 { status[key] = .int(Int64(number)) } }
        put("fullyLabeledReplicas", fullyLabeledReplicas)
        put("readyReplicas", readyReplicas)
        put("availableReplicas", availableReplicas)
        if let terminatingReplicas { status["terminatingReplicas"] = .int(Int64(terminatingReplicas)) }
        if observedGeneration != 0 { status["observedGeneration"] = .int(observedGeneration) }
        if !conditions.isEmpty { status["conditions"] = conditions.value }
        return status
    }
}

/// What a ReplicaSet's controller has to do to its pods.
enum ReplicaSetChange: Sendable {
    case create(count: Int)
    case delete([Object])
}

/// Decisions of the ReplicaSet controller. Upstream: pkg/controller/replicaset.
enum ReplicaSetPlanner {
    /// Pods created or deleted in one go at most, so that one large ReplicaSet cannot starve the others. Upstream: BurstReplicas.
    static let burst = 500

    /// The step from the pods there are to the pods wanted. Upstream: manageReplicas.
    static func plan(desired: Int, active: [Object], related: [Object], now: Timestamp) -> ReplicaSetChange? {
        if active.count < desired { return .create(count: min(desired - active.count, burst)) }
        if active.count > desired {
            return .delete(ActivePodsWithRanks.podsToDelete(active: active, related: related, count: min(active.count - desired, burst), now: now))
        }
        return nil
    }

    /// What failed in the last step.
    struct Failure: Sendable { var creating: Bool, message: String }

    /// Upstream: calculateStatus.
    static func status(of set: Object, active: [Object], terminating: Int, failure: Failure?, now: Timestamp) -> ReplicaSetStatus {
        var status = ReplicaSetStatus(set["status"])
        let templateLabels = set["spec"]["template"]["metadata"]["labels"].stringMap
        let minReadySeconds = Int(clamping: set["spec"]["minReadySeconds"].int ?? 0)
        status.replicas = active.count
        status.fullyLabeledReplicas = 0
        status.readyReplicas = 0
        status.availableReplicas = 0
        for pod in active {
            let view = PodView(pod)
            let labels = view.meta.labels
            if templateLabels.allSatisfy({ labels[$0.key] == $0.value }) { status.fullyLabeledReplicas += 1 }
            guard view.isReady else { continue }
            status.readyReplicas += 1
            if view.isAvailable(minReadySeconds: minReadySeconds, now: now) { status.availableReplicas += 1 }
        }
        status.terminatingReplicas = terminating
        status.observedGeneration = set.metadata.generation
        if let failure {
            if status.conditions.condition("ReplicaFailure") == nil {
                status.conditions.set(
                    Condition(
                        type: "ReplicaFailure", status: "True", reason: failure.creating ? "FailedCreate" : "FailedDelete", message: failure.message,
                        lastTransitionTime: now.rfc3339))
            }
        } else {
            status.conditions.remove("ReplicaFailure")
        }
        return status
    }

    /// Seconds until the next ready pod becomes available, so that the status can be counted again then; nil when none is waiting.
    static func nextAvailability(of set: Object, active: [Object], now: Timestamp) -> Double? {
        let minReadySeconds = Int(clamping: set["spec"]["minReadySeconds"].int ?? 0)
        guard minReadySeconds > 0 else { return nil }
        return active.compactMap { PodView($0).secondsUntilAvailable(minReadySeconds: minReadySeconds, now: now) }.filter { $0 > 0 }.min()
    }
}
