import KubeAPI

/// A Deployment's status and the course of its rollout. Upstream: pkg/controller/deployment/progress.go and calculateStatus in sync.go.
extension DeploymentPlanner {
    func progressing(_ status: String, _ reason: String, _ message: String) -> Condition {
        Condition(
            type: "Progressing", status: status, reason: reason, message: message, lastUpdateTime: now.rfc3339, lastTransitionTime: now.rfc3339)
    }

    /// Notes in the Progressing condition that the clock stands still while paused. Upstream: checkPausedConditions.
    mutating func checkPaused() {
        guard hasProgressDeadline else { return }
        let current = conditions.condition("Progressing")
        if current?.reason == DeploymentReason.timedOut { return }
        let noted = current?.reason == DeploymentReason.paused
        if deployment.paused, !noted {
            conditions.set(progressing("Unknown", DeploymentReason.paused, "Deployment is paused"))
        } else if !deployment.paused, noted {
            conditions.set(progressing("Unknown", DeploymentReason.resumed, "Deployment is resumed"))
        }
    }

    /// The counts and the Available condition. Upstream: calculateStatus.
    func baseStatus() -> DeploymentStatus {
        // Counts come from the ReplicaSets' statuses, sizes from their specs as they will be after this plan.
        let all = allSets
        let available = all.reduce(0) { $0 + $1.availableReplicas }
        let total = all.reduce(0) { $0 + $1.replicas }
        var status = deployment.status
        status.observedGeneration = deployment.generation
        status.replicas = all.reduce(0) { $0 + $1.statusReplicas }
        status.updatedReplicas = newSet?.statusReplicas ?? 0
        status.readyReplicas = all.reduce(0) { $0 + $1.readyReplicas }
        status.availableReplicas = available
        status.unavailableReplicas = max(0, total - available)
        status.terminatingReplicas = all.allSatisfy { $0.terminatingReplicas != nil } ? all.reduce(0) { $0 + ($1.terminatingReplicas ?? 0) } : nil
        status.conditions = conditions
        let enough = available >= deployment.replicas - deployment.maxUnavailable
        status.conditions.set(
            Condition(
                type: "Available", status: enough ? "True" : "False",
                reason: enough ? DeploymentReason.minimumAvailable : DeploymentReason.minimumUnavailable,
                message: enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
                lastUpdateTime: now.rfc3339, lastTransitionTime: now.rfc3339))
        return status
    }

    /// The status of a rollout under way: progressing, complete, or past its deadline. Upstream: syncRolloutStatus.
    func rolloutStatus() -> DeploymentStatus {
        var status = baseStatus()
        if !hasProgressDeadline { status.conditions.remove("Progressing") }
        let current = conditions.condition("Progressing")
        let wasComplete = status.replicas == status.updatedReplicas && current?.reason == DeploymentReason.newReplicaSetAvailable
        if hasProgressDeadline, !wasComplete {
            let subject = newSet.map { "ReplicaSet \"\($0.name)\"" } ?? "Deployment \"\(deployment.name)\""
            if isComplete(status) {
                status.conditions.set(progressing("True", DeploymentReason.newReplicaSetAvailable, "\(subject) has successfully progressed."))
            } else if isProgressing(status) {
                var condition = progressing("True", DeploymentReason.replicaSetUpdated, "\(subject) is progressing.")
                if let current {
                    // The update time moves with each step even if the condition stays as it is: the deadline counts from the last step.
                    if current.status == "True" { condition.lastTransitionTime = current.lastTransitionTime }
                    status.conditions.remove("Progressing")
                }
                status.conditions.set(condition)
            } else if hasTimedOut(current) {
                status.conditions.set(progressing("False", DeploymentReason.timedOut, "\(subject) has timed out progressing."))
            }
        }
        if let failure = replicaFailure { status.conditions.set(failure) } else { status.conditions.remove("ReplicaFailure") }
        return status
    }

    /// Upstream: deploymentutil.DeploymentComplete.
    func isComplete(_ status: DeploymentStatus) -> Bool {
        status.updatedReplicas == deployment.replicas && status.replicas == deployment.replicas && status.availableReplicas == deployment.replicas
            && status.observedGeneration >= deployment.generation
    }

    /// Upstream: deploymentutil.DeploymentProgressing.
    private func isProgressing(_ new: DeploymentStatus) -> Bool {
        let old = deployment.status
        return new.updatedReplicas > old.updatedReplicas || new.replicas - new.updatedReplicas < old.replicas - old.updatedReplicas
            || new.readyReplicas > old.readyReplicas || new.availableReplicas > old.availableReplicas
    }

    /// Upstream: deploymentutil.DeploymentTimedOut.
    private func hasTimedOut(_ condition: Condition?) -> Bool {
        guard let condition, let deadline = deployment.progressDeadlineSeconds else { return false }
        if condition.reason == DeploymentReason.newReplicaSetAvailable { return false }
        if condition.reason == DeploymentReason.timedOut { return true }
        guard let from = Timestamp(rfc3339: condition.lastUpdateTime) else { return false }
        return from.adding(seconds: deadline) < now
    }

    /// A ReplicaSet's failure to make pods, the new one's first. Upstream: getReplicaFailures, ReplicaSetToDeploymentCondition.
    private var replicaFailure: Condition? {
        let sets = (newSet.map { [$0] } ?? []) + oldSets
        guard var failure = sets.lazy.compactMap({ $0.conditions.condition("ReplicaFailure") }).first else { return nil }
        failure.lastUpdateTime = failure.lastTransitionTime
        return failure
    }

    /// When the deadline could strike, if nothing happens before. Upstream: requeueStuckDeployment.
    func requeueAfter(_ status: DeploymentStatus) -> Double? {
        guard let deadline = deployment.progressDeadlineSeconds, let current = deployment.status.conditions.condition("Progressing"),
            !isComplete(status), current.reason != DeploymentReason.timedOut, let from = Timestamp(rfc3339: current.lastUpdateTime)
        else { return nil }
        // Conditions hold whole seconds: one second more, so that the deadline has surely passed when it is looked at again.
        return max(0, from.adding(seconds: deadline).timeInterval(since: now)) + 1
    }
}
