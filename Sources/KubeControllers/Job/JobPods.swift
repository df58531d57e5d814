import KubeAPI

/// Which pods a Job needs and which it has too many of. Upstream: manageJob, firstPendingIndexes, activePodsForRemoval.
extension JobPlanner {
    func manage(_ outcome: Outcome, _ active: [Object], _ succeeded: Int, _ status: JobStatus, _ ledger: IndexLedger?, _ plan: inout JobPlan) {
        guard outcome == .running else {
            plan.deletes = Array(active.prefix(Self.burst))
            // What is stopped because the Job is done, or to go on later, has not failed. Upstream: isSuccessCriteriaMetCondition in
            // trackJobStatusAndRemoveFinalizers.
            if case .failed = outcome {} else { plan.deletesAreUncounted = true }
            return
        }
        plan.deletesAreUncounted = true
        var surplus: [Object] = []
        var alive = active
        func isDone(_ index: Int) -> Bool { status.completedIndexes.contains(index) || status.failedIndexes?.contains(index) ?? false }
        if job.isIndexed {
            // One pod for each index that is not done; those of done or foreign indexes, and doubles, go.
            var seen: Set<Int> = []
            alive = active.filter { pod in
                guard let index = JobTracking.index(of: pod), index < job.completions ?? 0, !isDone(index), seen.insert(index).inserted else {
                    surplus.append(pod)
                    return false
                }
                return true
            }
        }
        let wanted: Int
        if let completions = job.completions {
            wanted = min(job.parallelism, max(0, completions - succeeded - (status.failedIndexes?.count ?? 0)))
        } else {
            // Once one has succeeded, no more are started; those that run may end.
            wanted = succeeded > 0 ? min(alive.count, job.parallelism) : job.parallelism
        }
        if alive.count > wanted {
            surplus += ActivePodsWithRanks.podsToDelete(active: alive, related: alive, count: alive.count - wanted, now: now)
        }
        plan.deletes = Array(surplus.prefix(Self.burst))
        let terminating = job.replacesOnlyFailed ? pods.count { PodView($0).isTerminating } : 0
        let missing = min(Self.burst, wanted - alive.count - terminating)
        guard missing > 0 else { return }
        if ledger == nil {
            let pause = pauseLeft()
            if pause > 0 {
                plan.requeueAfter = pause
                return
            }
        }
        guard job.isIndexed, let completions = job.completions else {
            plan.creates = Array(repeating: nil, count: missing)
            return
        }
        var taken = Set(alive.compactMap(JobTracking.index))
        if job.replacesOnlyFailed { taken.formUnion(pods.filter { PodView($0).isTerminating }.compactMap(JobTracking.index)) }
        fill(0..<completions, missing, ledger, &plan) { !isDone($0) && !taken.contains($0) }
    }

    /// Up to `missing` indexes that are free and whose pause is over; where there are none, the shortest pause.
    private func fill(_ indexes: Range<Int>, _ missing: Int, _ ledger: IndexLedger?, _ plan: inout JobPlan, where isFree: (Int) -> Bool) {
        var looked = 0
        var shortest: Double?
        for index in indexes where isFree(index) {
            guard looked < missing else { break }
            looked += 1
            let pause = ledger?.pauseLeft(index, now: now) ?? 0
            if pause > 0 {
                shortest = min(shortest ?? pause, pause)
                continue
            }
            plan.creates.append(index)
            plan.replaced[index] = ledger?.kept[index]
        }
        plan.requeueAfter = shortest
    }

    /// Seconds of pause left after the failures since the last success. Upstream: backoffStore.
    private func pauseLeft() -> Double {
        let lastSuccess = pods.filter { PodView($0).phase == "Succeeded" }.compactMap(Self.endTime).max()
        let failures = pods.filter(job.isFailed).compactMap(Self.endTime).filter { end in lastSuccess.map { end > $0 } ?? true }
        return failures.max().map { Self.pauseLeft(failures: failures.count, since: $0, now: now) } ?? 0
    }

    /// Upstream: getRemainingTimeForFailuresCount.
    static func pauseLeft(failures: Int, since last: Timestamp, now: Timestamp) -> Double {
        guard failures > 0 else { return 0 }
        let pause = min(longestPause, firstPause * Double(1 << min(failures - 1, 10)))
        return max(0, pause - now.timeInterval(since: last))
    }

    /// When a pod's containers ended, or what comes nearest to it. Upstream: getFinishedTime.
    static func endTime(_ pod: Object) -> Timestamp? {
        let containers = pod["status"]["containerStatuses"].elements
        let ends = containers.compactMap { $0["state"]["terminated"]["finishedAt"].string.flatMap(Timestamp.init(rfc3339:)) }
        if ends.count == containers.count, let last = ends.max() { return last }
        let ready = PodView(pod).condition("Ready")
        if ready["status"].string == "False", let time = ready["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:)) { return time }
        let meta = pod.metadata
        return meta.deletionTimestamp?.adding(seconds: -(meta.deletionGracePeriodSeconds ?? 0)) ?? meta.creationTimestamp
    }
}
