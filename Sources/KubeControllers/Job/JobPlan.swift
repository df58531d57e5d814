import KubeAPI

/// What a Job's controller has to do next. The order is: `counting` into the status, then `release` the pods, then `counted`, then pods.
struct JobPlan: Sendable {
    /// The status with newly ended pods among the uncounted; nil when it stands so.
    var counting: JobStatus?
    /// Pods to take the tracking finalizer from.
    var release: [Object] = []
    /// The status once those are released.
    var counted: JobStatus
    /// Completion index of each pod to create; nil for Jobs without.
    var creates: [Int?] = []
    /// The failed pods that those take the place of, by index, where failures are counted by index.
    var replaced: [Int: Object] = [:]
    var deletes: [Object] = []
    /// Whether `deletes` are only too many, or the Job is suspended or done: they do not count as failed.
    var deletesAreUncounted = false
    /// Events to record: warning, reason, message.
    var events: [JobEvent] = []
    /// Seconds after which to look again: a deadline, or a pause after failures.
    var requeueAfter: Double?
}

/// A core/v1 Event to record about a workload.
struct JobEvent: Sendable, Equatable {
    var isWarning = false
    var reason: String
    var message: String
}

/// Decides what a Job needs. Upstream: pkg/controller/job (syncJob, manageJob, trackJobStatusAndRemoveFinalizers).
struct JobPlanner {
    /// Pods created or deleted in one go. Upstream: MaxPodCreateDeletePerSync.
    static let burst = 500
    /// After the first failure, doubled with each, up to the last. Upstream: DefaultJobPodFailureBackOff, MaxJobPodFailureBackOff.
    static let firstPause: Double = 10
    static let longestPause: Double = 600
    /// Beyond this, completed pods are taken into the counts in parts. Upstream: MaxUncountedPods.
    static let maxUncounted = 500

    let job: JobState
    /// All pods the Job manages.
    let pods: [Object]
    let now: Timestamp
    /// Whether the cache shows all that was asked for, so that pods may be created or deleted.
    let mayManage: Bool
    /// Uids of pods that were released, whatever `pods` shows of them.
    let released: Set<String>

    init(job: JobState, pods: [Object], now: Timestamp, mayManage: Bool = true, released: Set<String> = []) {
        self.job = job
        self.pods = pods.sorted { $0.metadata.name < $1.metadata.name }
        self.now = now
        self.mayManage = mayManage
        self.released = released
    }

    /// Whether a pod's end is still to be counted, or it has to be released without.
    private func isTracked(_ pod: Object) -> Bool { JobTracking.isTracked(pod) && !released.contains(pod.metadata.uid) }

    /// Whether a pod's failure can count: of an indexed Job only with an index that it has. Upstream: getValidPodsWithFilter.
    private func hasIndex(_ pod: Object) -> Bool {
        guard job.isIndexed else { return true }
        return JobTracking.index(of: pod).map { $0 < job.completions ?? 0 } ?? false
    }

    private var active: [Object] { pods.filter { PodView($0).isActive } }

    func plan() -> JobPlan {
        var status = job.status
        var plan = JobPlan(counted: status)
        let active = active

        // Start, suspension and its end.
        if status.startTime == nil, !job.isSuspended { status.startTime = now.rfc3339 }

        countSucceeded(&status)
        let ledger = job.backoffLimitPerIndex.map {
            IndexLedger(job, limit: $0, pods: pods, succeeded: status.completedIndexes, isTracked: isTracked)
        }
        status.failedIndexes = ledger?.failed
        let kept = countFailed(&status, ledger)
        if job.isIndexed { status.succeeded = status.completedIndexes.count }
        let succeeded = status.succeeded + status.uncountedSucceeded.count

        // How it stands.
        let outcome = outcome(
            active: active, succeeded: succeeded, failed: status.failed + status.uncountedFailed.count + kept.count, status)
        // Those of a Job that is over or going need not wait for their end, nor for a replacement.
        let isOver = outcome != .running && outcome != .suspended || job.isFinished || job.isBeingDeleted
        if isOver { countRest(outcome, kept, &status) }
        let failed = status.failed + status.uncountedFailed.count
        if !job.isFinished { apply(outcome, active, &status, &plan) }
        status.active = active.count
        status.ready = active.count { PodView($0).isReady }
        status.terminating = pods.count { PodView($0).isTerminating }

        if mayManage, !job.isFinished, !job.isBeingDeleted {
            manage(outcome, active, succeeded, status, ledger, &plan)
        }

        // Those whose end stands in the status may go.
        plan.release = pods.filter { mayGo($0, status, isOver: isOver, isSuspended: outcome == .suspended, ledger) }
        let waiting = status.uncountedSucceeded.union(status.uncountedFailed)
        if status != job.status, !waiting.isEmpty || job.isIndexed { plan.counting = status }

        var counted = status
        counted.succeeded = job.isIndexed ? status.completedIndexes.count : succeeded
        counted.failed = failed
        counted.uncountedSucceeded = []
        counted.uncountedFailed = []
        finish(outcome, active, &counted, &plan)
        plan.counted = counted
        if let deadline = secondsToDeadline(status), !job.isFinished, deadline > 0 {
            plan.requeueAfter = min(plan.requeueAfter ?? deadline, deadline)
        }
        return plan
    }

    /// Takes pods that succeeded and are in no count yet into the status.
    private func countSucceeded(_ status: inout JobStatus) {
        if job.isIndexed { status.completedIndexes = status.completedIndexes.below(job.completions ?? 0) }
        for pod in pods where isTracked(pod) && PodView(pod).phase == "Succeeded" {
            if job.isIndexed {
                if let index = JobTracking.index(of: pod), index < job.completions ?? 0 { status.completedIndexes.insert(index) }
            } else if mayCount(pod, status) {
                status.uncountedSucceeded.insert(pod.metadata.uid)
            }
        }
    }

    /// The same for pods that failed; gives those that stay uncounted until they are replaced.
    private func countFailed(_ status: inout JobStatus, _ ledger: IndexLedger?) -> [Object] {
        var kept: [Object] = []
        for pod in pods where isTracked(pod) && job.isFailed(pod) && hasIndex(pod) && mayCount(pod, status) && job.verdict(on: pod).isCounted {
            if let ledger, ledger.keeps(pod) { kept.append(pod) } else { status.uncountedFailed.insert(pod.metadata.uid) }
        }
        return kept
    }

    /// Of a Job that is over: failed pods nothing will replace, and, where it failed, those that were stopped for it.
    private func countRest(_ outcome: Outcome, _ kept: [Object], _ status: inout JobStatus) {
        for pod in kept where mayCount(pod, status) { status.uncountedFailed.insert(pod.metadata.uid) }
        guard case .failed = outcome else { return }
        for pod in pods where isTracked(pod) && PodView(pod).isTerminating && hasIndex(pod) && mayCount(pod, status) {
            status.uncountedFailed.insert(pod.metadata.uid)
        }
    }

    private func mayCount(_ pod: Object, _ status: JobStatus) -> Bool {
        let uid = pod.metadata.uid
        return !status.uncountedSucceeded.contains(uid) && !status.uncountedFailed.contains(uid)
            && status.uncountedSucceeded.count + status.uncountedFailed.count < Self.maxUncounted
    }

    /// Whether the tracking finalizer is to be taken from a pod. Upstream: canRemoveFinalizer.
    private func mayGo(_ pod: Object, _ status: JobStatus, isOver: Bool, isSuspended: Bool, _ ledger: IndexLedger?) -> Bool {
        guard isTracked(pod) else { return false }
        let view = PodView(pod)
        let uid = view.meta.uid
        if status.uncountedSucceeded.contains(uid) || status.uncountedFailed.contains(uid) || job.isBeingDeleted { return true }
        if view.phase == "Succeeded" { return job.isIndexed }
        if job.isFailed(pod), !hasIndex(pod) { return true }
        if job.isFailed(pod), !job.verdict(on: pod).isCounted { return isOver || !(ledger?.keeps(pod) ?? false) }
        return (isOver || isSuspended) && view.meta.isBeingDeleted
    }

    enum Outcome: Sendable, Equatable {
        case running
        case suspended
        case complete(reason: String, message: String)
        case failed(reason: String, message: String)
    }

    private static let enough = Outcome.complete(reason: "CompletionsReached", message: "Reached expected number of succeeded pods")

    /// Upstream: the part of syncJob that finds finishedCondition; what was decided once stands.
    private func outcome(active: [Object], succeeded: Int, failed: Int, _ status: JobStatus) -> Outcome {
        if let met = status.conditions.condition("SuccessCriteriaMet"), met.status == "True" {
            return .complete(reason: met.reason, message: met.message)
        }
        if let target = status.conditions.condition("FailureTarget"), target.status == "True" {
            return .failed(reason: target.reason, message: target.message)
        }
        if let message = failedByPolicy { return .failed(reason: "PodFailurePolicy", message: message) }
        if failed > job.backoffLimit || pastBackoffOnFailure {
            return .failed(reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit")
        }
        if !job.isSuspended, let left = secondsToDeadline(status), left <= 0 {
            return .failed(reason: "DeadlineExceeded", message: "Job was active longer than specified deadline")
        }
        if let failure = failedByIndexes(status) { return failure }
        if job.isIndexed, let message = job.successPolicy?.met(by: status.completedIndexes) {
            return .complete(reason: "SuccessPolicy", message: message)
        }
        if let completions = job.completions {
            if succeeded >= completions { return Self.enough }
        } else if succeeded > 0, active.isEmpty {
            return Self.enough
        }
        return job.isSuspended ? .suspended : .running
    }

    /// Upstream: getFailJobMessage.
    private var failedByPolicy: String? {
        guard let policy = job.failurePolicy else { return nil }
        for pod in pods where job.isFailed(pod) { if case .failJob(let message) = policy.verdict(on: pod) { return message } }
        return nil
    }

    private func failedByIndexes(_ status: JobStatus) -> Outcome? {
        guard let failed = status.failedIndexes else { return nil }
        if let most = job.maxFailedIndexes, failed.count > most {
            return .failed(reason: "MaxFailedIndexesExceeded", message: "Job has exceeded the specified maximal number of failed indexes")
        }
        guard !failed.isEmpty, failed.count + status.completedIndexes.count >= job.completions ?? 0 else { return nil }
        return .failed(reason: "FailedIndexes", message: "Job has failed indexes")
    }

    /// With restartPolicy OnFailure the kubelet's restarts count as failures. Upstream: pastBackoffLimitOnFailure.
    private var pastBackoffOnFailure: Bool {
        guard job.restartsContainers else { return false }
        var restarts: Int64 = 0
        for pod in pods where PodView(pod).phase == "Running" || PodView(pod).phase == "Pending" {
            let status = pod["status"]
            for container in status["initContainerStatuses"].elements + status["containerStatuses"].elements {
                restarts = restarts.addingReportingOverflow(container["restartCount"].int ?? 0).partialValue
            }
        }
        return job.backoffLimit == 0 ? restarts > 0 : restarts >= Int64(job.backoffLimit)
    }

    private func secondsToDeadline(_ status: JobStatus) -> Double? {
        guard let seconds = job.activeDeadlineSeconds, !job.isSuspended, let start = status.startTime.flatMap(Timestamp.init(rfc3339:)) else {
            return nil
        }
        return start.adding(seconds: seconds).timeInterval(since: now)
    }

    private func condition(_ type: String, _ reason: String, _ message: String, _ status: String = "True") -> Condition {
        var condition = Condition(type: type, status: status, reason: reason, message: message, lastTransitionTime: now.rfc3339)
        condition.lastProbeTime = now.rfc3339
        return condition
    }

    /// Notes what was decided before pods are touched, so that the decision stands even if they change meanwhile.
    private func apply(_ outcome: Outcome, _ active: [Object], _ status: inout JobStatus, _ plan: inout JobPlan) {
        switch outcome {
        case .complete(let reason, let message):
            if status.conditions.condition("SuccessCriteriaMet") == nil { status.conditions.set(condition("SuccessCriteriaMet", reason, message)) }
        case .failed(let reason, let message):
            if status.conditions.condition("FailureTarget") == nil { status.conditions.set(condition("FailureTarget", reason, message)) }
        case .suspended:
            if status.conditions.condition("Suspended")?.status != "True" {
                status.conditions.set(condition("Suspended", "JobSuspended", "Job suspended"))
                plan.events.append(JobEvent(reason: "Suspended", message: "Job suspended"))
            }
            status.startTime = nil
        case .running:
            if status.conditions.condition("Suspended")?.status == "True" {
                status.conditions.set(condition("Suspended", "JobResumed", "Job resumed", "False"))
                status.startTime = now.rfc3339
                plan.events.append(JobEvent(reason: "Resumed", message: "Job resumed"))
            }
        }
    }

    /// Ends the Job once none of its pods runs any more.
    private func finish(_ outcome: Outcome, _ active: [Object], _ status: inout JobStatus, _ plan: inout JobPlan) {
        guard !job.isFinished, active.isEmpty, !pods.contains(where: { PodView($0).isTerminating }) else { return }
        switch outcome {
        case .complete(let reason, let message):
            status.conditions.set(condition("Complete", reason, message))
            status.completionTime = now.rfc3339
            plan.events.append(JobEvent(reason: "Completed", message: "Job completed"))
        case .failed(let reason, let message):
            status.conditions.set(condition("Failed", reason, message))
            plan.events.append(JobEvent(isWarning: true, reason: reason, message: message))
        case .running, .suspended: break
        }
    }
}
