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
    var deletes: [Object] = []
    /// Whether `deletes` are only too many, or the Job is suspended: they do not count as failed.
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

    init(job: JobState, pods: [Object], now: Timestamp, mayManage: Bool = true) {
        self.job = job
        self.pods = pods.sorted { $0.metadata.name < $1.metadata.name }
        self.now = now
        self.mayManage = mayManage
    }

    private var active: [Object] { pods.filter { PodView($0).isActive } }

    func plan() -> JobPlan {
        var status = job.status
        var plan = JobPlan(counted: status)
        let active = active

        // Start, suspension and its end.
        if status.startTime == nil, !job.isSuspended { status.startTime = now.rfc3339 }

        // Pods that ended and are in no count yet.
        for pod in pods where JobTracking.isTracked(pod) {
            let view = PodView(pod)
            let uid = view.meta.uid
            guard !status.uncountedSucceeded.contains(uid), !status.uncountedFailed.contains(uid),
                status.uncountedSucceeded.count + status.uncountedFailed.count < Self.maxUncounted
            else { continue }
            if view.phase == "Succeeded" {
                if job.isIndexed {
                    if let index = JobTracking.index(of: pod), index < job.completions ?? 0 { status.completedIndexes.insert(index) }
                } else {
                    status.uncountedSucceeded.insert(uid)
                }
            } else if view.phase == "Failed" || (view.meta.isBeingDeleted && (!job.replacesOnlyFailed || view.nodeName.isEmpty)) {
                // One that is being deleted may never come to an end that is seen; one without a node certainly will not.
                status.uncountedFailed.insert(uid)
            }
        }
        if job.isIndexed { status.succeeded = status.completedIndexes.count }
        let succeeded = status.succeeded + status.uncountedSucceeded.count
        let failed = status.failed + status.uncountedFailed.count

        // How it stands.
        let outcome = outcome(active: active, succeeded: succeeded, failed: failed, status)
        if !job.isFinished { apply(outcome, active, &status, &plan) }
        status.active = active.count
        status.ready = active.count { PodView($0).isReady }
        status.terminating = pods.count { PodView($0).isTerminating }

        if mayManage, !job.isFinished, !job.isBeingDeleted {
            manage(outcome, active, succeeded, failed, status, &plan)
        }

        // Those whose end stands in the status may go; of a Job that is over or going, all may.
        let isOver = outcome != .running || job.isFinished || job.isBeingDeleted
        plan.release = pods.filter { pod in
            guard JobTracking.isTracked(pod) else { return false }
            let view = PodView(pod)
            let uid = view.meta.uid
            if status.uncountedSucceeded.contains(uid) || status.uncountedFailed.contains(uid) { return true }
            if view.phase == "Succeeded" { return job.isIndexed }
            return isOver && view.meta.isBeingDeleted || job.isBeingDeleted
        }
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

    enum Outcome: Sendable, Equatable {
        case running
        case suspended
        case complete
        case failed(reason: String, message: String)
    }

    private func outcome(active: [Object], succeeded: Int, failed: Int, _ status: JobStatus) -> Outcome {
        if let target = status.conditions.condition("FailureTarget"), target.status == "True" {
            return .failed(reason: target.reason, message: target.message)
        }
        if status.conditions.condition("SuccessCriteriaMet")?.status == "True" { return .complete }
        if failed > job.backoffLimit || pastBackoffOnFailure {
            return .failed(reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit")
        }
        if !job.isSuspended, let left = secondsToDeadline(status), left <= 0 {
            return .failed(reason: "DeadlineExceeded", message: "Job was active longer than specified deadline")
        }
        if let completions = job.completions {
            if succeeded >= completions { return .complete }
        } else if succeeded > 0, active.isEmpty {
            return .complete
        }
        return job.isSuspended ? .suspended : .running
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
        Condition(type: type, status: status, reason: reason, message: message, lastTransitionTime: now.rfc3339)
    }

    /// Notes what was decided before pods are touched, so that the decision stands even if they change meanwhile.
    private func apply(_ outcome: Outcome, _ active: [Object], _ status: inout JobStatus, _ plan: inout JobPlan) {
        switch outcome {
        case .complete:
            if status.conditions.condition("SuccessCriteriaMet") == nil {
                status.conditions.set(condition("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"))
            }
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
        case .complete:
            status.conditions.set(condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods"))
            status.completionTime = now.rfc3339
            plan.events.append(JobEvent(reason: "Completed", message: "Job completed"))
        case .failed(let reason, let message):
            status.conditions.set(condition("Failed", reason, message))
            plan.events.append(JobEvent(isWarning: true, reason: reason, message: message))
        case .running, .suspended: break
        }
    }

    /// Upstream: manageJob.
    private func manage(_ outcome: Outcome, _ active: [Object], _ succeeded: Int, _ failed: Int, _ status: JobStatus, _ plan: inout JobPlan) {
        guard outcome == .running else {
            plan.deletes = Array(active.prefix(Self.burst))
            plan.deletesAreUncounted = outcome == .suspended
            return
        }
        plan.deletesAreUncounted = true
        var surplus: [Object] = []
        var alive = active
        if job.isIndexed {
            // One pod for each index that is not done; those of done or foreign indexes, and doubles, go.
            var seen: Set<Int> = []
            alive = active.filter { pod in
                guard let index = JobTracking.index(of: pod), index < job.completions ?? 0, !status.completedIndexes.contains(index),
                    seen.insert(index).inserted
                else {
                    surplus.append(pod)
                    return false
                }
                return true
            }
        }
        let terminating = job.replacesOnlyFailed ? pods.count { PodView($0).isTerminating } : 0
        let wanted: Int
        if let completions = job.completions {
            wanted = min(job.parallelism, max(0, completions - succeeded))
        } else {
            // Once one has succeeded, no more are started; those that run may end.
            wanted = succeeded > 0 ? min(alive.count, job.parallelism) : job.parallelism
        }
        if alive.count > wanted {
            surplus += ActivePodsWithRanks.podsToDelete(active: alive, related: alive, count: alive.count - wanted, now: now)
            plan.deletes = Array(surplus.prefix(Self.burst))
            return
        }
        plan.deletes = Array(surplus.prefix(Self.burst))
        let missing = min(Self.burst, wanted - alive.count - terminating)
        guard missing > 0 else { return }
        let pause = pauseLeft(failed)
        if pause > 0 {
            plan.requeueAfter = pause
            return
        }
        guard job.isIndexed, let completions = job.completions else {
            plan.creates = Array(repeating: nil, count: missing)
            return
        }
        var taken = Set(alive.compactMap(JobTracking.index))
        if job.replacesOnlyFailed { taken.formUnion(pods.filter { PodView($0).isTerminating }.compactMap(JobTracking.index)) }
        for index in 0..<completions where !status.completedIndexes.contains(index) && !taken.contains(index) {
            guard plan.creates.count < missing else { break }
            plan.creates.append(index)
        }
    }

    /// Seconds of pause left after failures since the last success. Upstream: the backoffStore.
    private func pauseLeft(_ failed: Int) -> Double {
        guard failed > 0 else { return 0 }
        let lastFailure = pods.filter { PodView($0).phase == "Failed" }.compactMap(Self.endTime).max()
        guard let lastFailure else { return 0 }
        let pause = min(Self.longestPause, Self.firstPause * Double(1 << min(failed - 1, 10)))
        return max(0, pause - now.timeInterval(since: lastFailure))
    }

    /// When a pod's containers ended. Upstream: getFinishedTime.
    static func endTime(_ pod: Object) -> Timestamp? {
        let ends = pod["status"]["containerStatuses"].elements.compactMap { container in
            container["state"]["terminated"]["finishedAt"].string.flatMap(Timestamp.init(rfc3339:))
        }
        return ends.max() ?? PodView(pod).condition("Ready")?["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:))
    }
}
