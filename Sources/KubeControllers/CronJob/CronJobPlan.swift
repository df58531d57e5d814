import KubeAPI

/// What a CronJob's controller has to do next.
struct CronJobPlan: Sendable, Equatable {
    /// When the run to start was due; nil: none is to be started.
    var start: Timestamp?
    /// Seconds that the schedule's clocks are ahead of UTC at that time.
    var offset: Int64 = 0
    /// Names of Jobs to delete before it starts, because it takes their place.
    var replaces: [String] = []
    var events: [JobEvent] = []
    /// Seconds after which the next run is due.
    var requeueAfter: Double?
}

/// Decides whether a CronJob's next run is due. Upstream: syncCronJob and nextScheduleTime in pkg/controller/cronjob.
struct CronJobPlanner {
    /// So much after its time a run is looked for, so that clocks that are a little apart do no harm. Upstream: nextScheduleDelta.
    static let delta = 0.1
    /// From so many missed runs on, there is a warning. Upstream: 100 in mostRecentScheduleTime.
    static let manyMissed = 100

    let state: CronJobState
    let now: Timestamp

    func plan() -> CronJobPlan {
        var plan = CronJobPlan()
        if state.isBeingDeleted { return plan }
        func warn(_ reason: String, _ message: String) { plan.events.append(JobEvent(isWarning: true, reason: reason, message: message)) }
        if let zone = state.timeZone, TimeZone(named: zone) == nil {
            warn("UnknownTimeZone", "invalid timeZone: \"\(zone)\": unknown time zone \(zone)")
            return plan
        }
        if state.isSuspended { return plan }
        if state.schedule.contains("TZ") {
            warn(
                "UnsupportedSchedule",
                "CRON_TZ or TZ used in schedule \"\(state.schedule)\" is not officially supported, "
                    + "see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details")
        }
        guard let schedule = CronSchedule(state.schedule, timeZone: state.timeZone) else {
            warn("UnparseableSchedule", "unparseable schedule: \"\(state.schedule)\"")
            return plan
        }
        plan.requeueAfter = untilNext(schedule, since: state.status.lastScheduleTime)
        let (due, missed) = mostRecent(schedule)
        if missed > Self.manyMissed {
            warn(
                "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew")
        }
        guard let due else { return plan }
        if let deadline = state.startingDeadlineSeconds, due.adding(seconds: deadline) < now {
            warn("MissSchedule", "Missed scheduled time to start a job: \(due.rfc1123)")
            return plan
        }
        let name = state.jobName(at: due)
        if state.status.active.contains(where: { $0["name"]?.string == name }) || state.status.lastScheduleTime == due { return plan }
        switch state.concurrency {
        case .forbid where !state.status.active.isEmpty:
            plan.events.append(
                JobEvent(
                    reason: "JobAlreadyActive", message: "Not starting job because prior execution is running and concurrency policy is Forbid"))
            return plan
        case .replace: plan.replaces = state.status.active.compactMap { $0["name"]?.string }
        default: break
        }
        plan.start = due
        plan.requeueAfter = untilNext(schedule, since: due)
        plan.offset = schedule.zone.offset(at: due.seconds)
        return plan
    }

    /// The last time up to now that no run was started for, and how many there were (those beyond the limit are not counted on).
    /// Upstream: mostRecentScheduleTime.
    private func mostRecent(_ schedule: CronSchedule) -> (due: Timestamp?, missed: Int) {
        var earliest = state.status.lastScheduleTime ?? state.created
        if let deadline = state.startingDeadlineSeconds { earliest = max(earliest, now.adding(seconds: -deadline)) }
        var due: Timestamp?
        var missed = 0
        while missed <= Self.manyMissed, let next = schedule.next(after: due ?? earliest), next <= now {
            due = next
            missed += 1
        }
        if missed > Self.manyMissed, let last = schedule.last(after: due ?? earliest, upTo: now) { due = last }
        return (due, missed)
    }

    /// Seconds to the next time, counted on from the last run: `@every 1h` is due an hour after it, not after somebody looked.
    /// Upstream: nextScheduleTimeDuration.
    private func untilNext(_ schedule: CronSchedule, since last: Timestamp?) -> Double? {
        let earliest = last ?? state.created
        let base = schedule.last(after: earliest, upTo: now) ?? earliest
        return schedule.next(after: base).map { $0.timeInterval(since: now) + Self.delta }
    }

    /// What a change of a CronJob calls for.
    enum Attention: Sendable, Equatable {
        case now
        /// Seconds: its schedule was changed, which starts nothing before its next time.
        case after(Double)
        case unparseable
    }

    /// Upstream: updateCronJob.
    func attention(was old: CronJobState) -> Attention {
        if old.schedule == state.schedule, old.timeZone == state.timeZone { return .now }
        guard let schedule = CronSchedule(state.schedule, timeZone: state.timeZone) else { return .unparseable }
        return untilNext(schedule, since: state.status.lastScheduleTime).map { .after($0) } ?? .now
    }
}

/// Which finished Jobs of a CronJob go, oldest first. Upstream: cleanupFinishedJobs.
enum CronJobHistory {
    static func surplus(_ state: CronJobState, jobs: [Object]) -> [Object] {
        func oldest(_ type: String, beyond limit: Int?) -> [Object] {
            let finished = jobs.filter { JobStatus($0["status"]).conditions.condition(type)?.status == "True" }
            guard let limit, finished.count > limit else { return [] }
            func start(_ job: Object) -> String { job["status"]["startTime"].string ?? "~" }
            return Array(finished.sorted { (start($0), $0.metadata.name) < (start($1), $1.metadata.name) }.prefix(finished.count - limit))
        }
        return oldest("Complete", beyond: state.successfulLimit) + oldest("Failed", beyond: state.failedLimit)
    }
}
