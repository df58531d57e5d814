import KubeAPI

/// How often pods of one index have failed, carried from pod to pod in annotations. Upstream: getNewIndexFailureCounts in indexed_job_utils.go.
struct IndexFailures: Sendable, Equatable {
    static let countKey = "batch.kubernetes.io/job-index-failure-count"
    static let ignoredKey = "batch.kubernetes.io/job-index-ignored-failure-count"

    var count: Int64 = 0
    var ignored: Int64 = 0
    /// Those that a pause is reckoned by. Upstream: getIndexAbsoluteFailureCount.
    var all: Int64 { count + ignored }

    /// As a pod carries them; what cannot be read counts as none.
    init(of pod: Object) {
        func read(_ key: String) -> Int64 {
            let number = pod.metadata.annotations[key].flatMap { Int64($0) } ?? 0
            return (0...Int64(Int32.max)).contains(number) ? number : 0
        }
        count = read(Self.countKey)
        ignored = read(Self.ignoredKey)
    }

    /// What the pod carries that takes `failed`'s place; none: the index's first.
    init(after failed: Object?, _ job: JobState) {
        guard let failed else { return }
        self = IndexFailures(of: failed)
        if job.verdict(on: failed).isCounted { count += 1 } else { ignored += 1 }
    }

    func write(to pod: inout Value) {
        pod[path: "metadata", "annotations", Self.countKey] = .string(String(count))
        if ignored > 0 { pod[path: "metadata", "annotations", Self.ignoredKey] = .string(String(ignored)) }
    }
}

/// The indexes of a Job that counts failures by index: which have failed for good, and the failed pods that stay until they are replaced, because
/// they carry the count. Upstream: calculateFailedIndexes, getPodsWithDelayedDeletionPerIndex.
struct IndexLedger: Sendable {
    var failed: IndexSet
    /// By index, of those that are neither done nor running.
    var kept: [Int: Object] = [:]

    init(_ job: JobState, limit: Int, pods: [Object], succeeded: IndexSet, isTracked: (Object) -> Bool) {
        failed = job.status.failedIndexes ?? IndexSet()
        let completions = job.completions ?? 0
        var candidates: [(index: Int, pod: Object)] = []
        var active: Set<Int> = []
        for pod in pods {
            guard let index = JobTracking.index(of: pod), index < completions else { continue }
            if PodView(pod).isActive { active.insert(index) }
            guard isTracked(pod), job.isFailed(pod) else { continue }
            let verdict = job.verdict(on: pod)
            if verdict == .failIndex || verdict.isCounted && IndexFailures(of: pod).count >= Int64(limit) { failed.insert(index) }
            candidates.append((index, pod))
        }
        for (index, pod) in candidates where !succeeded.contains(index) && !failed.contains(index) && !active.contains(index) {
            if let other = kept[index], !Self.isLater(pod, than: other) { continue }
            kept[index] = pod
        }
    }

    private static func isLater(_ pod: Object, than other: Object) -> Bool {
        let (a, b) = (IndexFailures(of: pod).all, IndexFailures(of: other).all)
        return a >= b && (JobPlanner.endTime(pod) ?? .init(seconds: 0)) >= (JobPlanner.endTime(other) ?? .init(seconds: 0))
    }

    func keeps(_ pod: Object) -> Bool {
        JobTracking.index(of: pod).flatMap { kept[$0] }?.metadata.uid == pod.metadata.uid
    }

    /// Seconds until an index may have its next pod. Upstream: getRemainingTimePerIndex.
    func pauseLeft(_ index: Int, now: Timestamp) -> Double {
        guard let pod = kept[index], let end = JobPlanner.endTime(pod) else { return 0 }
        return JobPlanner.pauseLeft(failures: Int(clamping: IndexFailures(of: pod).all + 1), since: end, now: now)
    }
}
