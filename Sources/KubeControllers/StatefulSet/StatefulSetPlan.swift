import KubeAPI

/// What a StatefulSet's controller has to do next, in order.
struct StatefulSetPlan: Sendable {
    enum Change: Sendable {
        /// Create an ordinal's pod, its claims first.
        case create(ordinal: Int, pod: Value, claims: [Value])
        /// Create claims that a pending pod waits for, where they are missing.
        case ensureClaims(ordinal: Int, claims: [Value])
        /// Give a pod its identity's labels back.
        case relabel(Value)
        /// `why` is an event to record (reason, message), or nil.
        case delete(Object, why: JobEvent?)
    }

    var changes: [Change] = []
    var status: StatefulSetStatus
}

/// Decides about a StatefulSet's pods, one ordinal after the other. Upstream: updateStatefulSet in pkg/controller/statefulset.
struct StatefulSetPlanner {
    let set: StatefulSetState
    /// Names of the revisions, which pods carry as a label.
    let currentRevision: String
    let updateRevision: String
    let currentTemplate: Value
    let updateTemplate: Value
    let now: Timestamp
    private let pods: [Int: Object]

    init(
        set: StatefulSetState, pods: [Object], currentRevision: String, updateRevision: String, currentTemplate: Value, updateTemplate: Value,
        now: Timestamp
    ) {
        self.set = set
        self.currentRevision = currentRevision
        self.updateRevision = updateRevision
        self.currentTemplate = currentTemplate
        self.updateTemplate = updateTemplate
        self.now = now
        self.pods = Dictionary(pods.compactMap { pod in set.ordinal(of: pod).map { ($0, pod) } }, uniquingKeysWith: { first, _ in first })
    }

    private func isAvailable(_ pod: Object) -> Bool {
        isRunningAndReady(pod) && PodView(pod).isAvailable(minReadySeconds: set.minReadySeconds, now: now)
    }

    private func isRunningAndReady(_ pod: Object) -> Bool { PodView(pod).phase == "Running" && PodView(pod).isReady }
    private func isHealthy(_ pod: Object) -> Bool { isRunningAndReady(pod) && !pod.metadata.isBeingDeleted }
    private func revision(of pod: Object) -> String { pod.metadata.labels[ControllerHistory.hashLabel] ?? "" }

    /// Whether an ordinal's new pod is still of the current revision: below the partition alone. Upstream: newVersionedStatefulSetPod.
    private func needsCurrent(_ ordinal: Int) -> Bool { set.partition.map { ordinal < set.start + $0 } ?? false }

    private func newPod(_ ordinal: Int) -> Value {
        needsCurrent(ordinal)
            ? set.pod(ordinal, template: currentTemplate, revision: currentRevision)
            : set.pod(ordinal, template: updateTemplate, revision: updateRevision)
    }

    func plan() -> StatefulSetPlan {
        var plan = StatefulSetPlan(status: status())
        if set.isBeingDeleted { return plan }
        if !fill(&plan) { return plan }
        if !condemn(&plan) { return plan }
        update(&plan)
        return plan
    }

    /// Makes what is missing and mends what is broken. False: later steps have to wait.
    private func fill(_ plan: inout StatefulSetPlan) -> Bool {
        var mayGoOn = true
        for ordinal in set.ordinals {
            guard let pod = pods[ordinal] else {
                plan.changes.append(.create(ordinal: ordinal, pod: newPod(ordinal), claims: set.claims(ordinal)))
                if set.isOrdered { return false }
                mayGoOn = false
                // So many in one go at most; the others follow when these are seen.
                if plan.changes.count >= ReplicaSetPlanner.burst { return false }
                continue
            }
            let view = PodView(pod)
            if view.isTerminal {
                if !view.meta.isBeingDeleted {
                    let failed = view.phase == "Failed"
                    plan.changes.append(
                        .delete(
                            pod,
                            why: JobEvent(
                                isWarning: failed, reason: failed ? "RecreatingFailedPod" : "RecreatingTerminatedPod",
                                message:
                                    "StatefulSet \(set.namespace)/\(set.name) is recreating \(failed ? "failed" : "terminated") Pod \(view.meta.name)"
                            )))
                }
                if set.isOrdered { return false }
                continue
            }
            if view.phase == "Pending", !set.claimTemplates.isEmpty {
                plan.changes.append(.ensureClaims(ordinal: ordinal, claims: set.claims(ordinal)))
            }
            if set.isOrdered, view.meta.isBeingDeleted || !isRunningAndReady(pod) || !isAvailable(pod) { return false }
            let labels = view.meta.labels
            if set.identityLabels(ordinal).contains(where: { labels[$0.0] != $0.1 }) {
                var value = pod.value
                for (key, label) in set.identityLabels(ordinal) { value[path: "metadata", "labels", key] = .string(label) }
                plan.changes.append(.relabel(value))
            }
        }
        return mayGoOn
    }

    /// Takes pods away whose ordinals are too many, the highest first. False: later steps have to wait.
    private func condemn(_ plan: inout StatefulSetPlan) -> Bool {
        let condemned = pods.keys.filter { !set.ordinals.contains($0) }.sorted(by: >)
        let firstUnhealthy = (set.ordinals.compactMap { pods[$0] } + condemned.reversed().compactMap { pods[$0] }).first { !isHealthy($0) }
        var mayGoOn = true
        for ordinal in condemned {
            guard let pod = pods[ordinal] else { continue }
            if pod.metadata.isBeingDeleted {
                if set.isOrdered { return false }
                continue
            }
            // An unhealthy pod below holds the one above, unless that is itself the sick one.
            if set.isOrdered, let firstUnhealthy, firstUnhealthy.metadata.uid != pod.metadata.uid, !isAvailable(pod) { return false }
            plan.changes.append(.delete(pod, why: nil))
            if set.isOrdered { return false }
            mayGoOn = false
        }
        return mayGoOn
    }

    /// Replaces pods of old revisions, the highest ordinal first: one at a time, waiting for each to be healthy, or as many as `maxUnavailable` lets.
    /// Upstream: updateStatefulSetAfterInvariantEstablished, with the gate MaxUnavailableStatefulSet where the set says a number.
    private func update(_ plan: inout StatefulSetPlan) {
        guard let partition = set.partition else { return }
        if let maxUnavailable = set.maxUnavailable {
            let unavailable = set.ordinals.count { ordinal in pods[ordinal].map { !isHealthy($0) || !isAvailable($0) } ?? true }
            let outdated = set.ordinals.reversed().filter { $0 >= set.start + partition }.compactMap { pods[$0] }
                .filter { revision(of: $0) != updateRevision && !$0.metadata.isBeingDeleted }
            for pod in outdated.prefix(max(0, maxUnavailable - unavailable)) { plan.changes.append(.delete(pod, why: nil)) }
            return
        }
        for ordinal in set.ordinals.reversed() where ordinal >= set.start + partition {
            guard let pod = pods[ordinal] else { return }
            if revision(of: pod) != updateRevision {
                if !pod.metadata.isBeingDeleted { plan.changes.append(.delete(pod, why: nil)) }
                return
            }
            if !isHealthy(pod) || !isAvailable(pod) { return }
        }
    }

    /// Upstream: updateReplicas and completeRollingUpdate.
    private func status() -> StatefulSetStatus {
        var status = StatefulSetStatus()
        status.observedGeneration = set.generation
        status.currentRevision = currentRevision
        status.updateRevision = updateRevision
        status.collisionCount = set.status.collisionCount ?? 0
        for pod in pods.values {
            status.replicas += 1
            if isRunningAndReady(pod) {
                status.readyReplicas += 1
                if isAvailable(pod) { status.availableReplicas += 1 }
            }
            guard !pod.metadata.isBeingDeleted else { continue }
            if revision(of: pod) == currentRevision { status.currentReplicas += 1 }
            if revision(of: pod) == updateRevision { status.updatedReplicas += 1 }
        }
        // Pods that are not there yet, or too many, keep an update from being complete.
        if set.partition != nil, status.updatedReplicas == set.replicas, status.readyReplicas == set.replicas, status.replicas == set.replicas {
            status.currentReplicas = status.updatedReplicas
            status.currentRevision = updateRevision
        }
        return status
    }

    /// Seconds until the next ready pod becomes available.
    var nextAvailability: Double? {
        guard set.minReadySeconds > 0 else { return nil }
        return pods.values.compactMap { PodView($0).secondsUntilAvailable(minReadySeconds: set.minReadySeconds, now: now) }.filter { $0 > 0 }.min()
    }
}
