import KubeAPI

/// A Job as its controller sees it. Upstream: batch/v1 Job.
struct JobState: Sendable {
    let object: Object
    var name: String
    var namespace: String
    var uid: String
    var isBeingDeleted: Bool
    var created: Timestamp
    var parallelism: Int
    /// Nil: any pod that succeeds ends the Job.
    var completions: Int?
    var isIndexed: Bool
    var isSuspended: Bool
    var backoffLimit: Int
    var activeDeadlineSeconds: Int64?
    /// Whether a pod that is still terminating holds its replacement back. Upstream: onlyReplaceFailedPods.
    var replacesOnlyFailed: Bool
    var failurePolicy: PodFailurePolicy?
    var successPolicy: SuccessPolicy?
    /// Failures of one index before it has failed; nil: all indexes share the Job's limit.
    var backoffLimitPerIndex: Int?
    var maxFailedIndexes: Int?
    var status: JobStatus

    init(_ object: Object) {
        let meta = object.metadata
        let spec = object["spec"]
        self.object = object
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        isBeingDeleted = meta.isBeingDeleted
        created = meta.creationTimestamp ?? Timestamp(seconds: 0)
        parallelism = max(0, Int(clamping: spec["parallelism"].int ?? 1))
        completions = spec["completions"].int.map { max(0, Int(clamping: $0)) }
        isIndexed = spec["completionMode"].string == "Indexed"
        isSuspended = spec["suspend"].bool ?? false
        backoffLimit = Int(clamping: spec["backoffLimit"].int ?? 6)
        activeDeadlineSeconds = spec["activeDeadlineSeconds"].int
        failurePolicy = PodFailurePolicy(spec["podFailurePolicy"])
        replacesOnlyFailed = spec["podReplacementPolicy"].string == "Failed" || failurePolicy != nil
        successPolicy = SuccessPolicy(spec["successPolicy"], completions: completions ?? 0)
        backoffLimitPerIndex = isIndexed ? spec["backoffLimitPerIndex"].int.map { Int(clamping: $0) } : nil
        maxFailedIndexes = spec["maxFailedIndexes"].int.map { Int(clamping: $0) }
        status = JobStatus(object["status"])
    }

    var ownerReference: OwnerReference { OwnerReference(apiVersion: "batch/v1", kind: "Job", name: name, uid: uid) }
    var restartsContainers: Bool { object["spec"]["template"]["spec"]["restartPolicy"].string == "OnFailure" }
    /// Whether the Job is over. Upstream: jobutil.IsJobFinished.
    var isFinished: Bool { finishedCondition != nil }
    var finishedCondition: Condition? { status.conditions.first { ($0.type == "Complete" || $0.type == "Failed") && $0.status == "True" } }

    /// Whether a pod counts as failed: one that is being deleted may never come to an end that is seen. Upstream: isPodFailed.
    func isFailed(_ pod: Object) -> Bool {
        let view = PodView(pod)
        if view.phase == "Failed" { return true }
        guard view.isTerminating else { return false }
        // One without a node certainly comes to none.
        return !replacesOnlyFailed || view.nodeName.isEmpty
    }

    func verdict(on pod: Object) -> PodFailurePolicy.Verdict { failurePolicy?.verdict(on: pod) ?? .count }

    /// The pod to create; `failed` is the one it takes the place of, where failures are counted by index.
    /// Upstream: controller.GetPodFromTemplate with addCompletionIndexAnnotation, addIndexFailureCountAnnotation and the tracking finalizer.
    func pod(index: Int?, replacing failed: Object? = nil) -> Value {
        let prefix = index.map { "\(name)-\($0)-" } ?? PodFactory.prefix(of: name)
        var pod = PodFactory.pod(template: object["spec"]["template"], namespace: namespace, prefix: prefix, owner: ownerReference)
        let finalizers = (pod[path: "metadata", "finalizers"]?.array ?? []).filter { $0.string != JobTracking.finalizer }
        pod[path: "metadata", "finalizers"] = .array(finalizers + [.string(JobTracking.finalizer)])
        guard let index else { return pod }
        pod[path: "metadata", "annotations", JobTracking.indexKey] = .string(String(index))
        pod[path: "metadata", "labels", JobTracking.indexKey] = .string(String(index))
        if backoffLimitPerIndex != nil { IndexFailures(after: failed, self).write(to: &pod) }
        pod[path: "spec", "hostname"] = .string("\(name)-\(index)")
        let variable: Value = [
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": ["fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.labels['\(JobTracking.indexKey)']"]],
        ]
        for list in ["initContainers", "containers"] {
            guard let containers = pod[path: "spec", list]?.array else { continue }
            pod[path: "spec", list] = .array(
                containers.map { container in
                    let environment = container["env"]?.array ?? []
                    guard !environment.contains(where: { $0["name"]?.string == "JOB_COMPLETION_INDEX" }) else { return container }
                    var container = container
                    container["env"] = .array(environment + [variable])
                    return container
                })
        }
        return pod
    }
}

/// How pods are counted exactly once: each keeps a finalizer until its end stands in the Job's status. Upstream: batch/v1 JobTrackingFinalizer.
enum JobTracking {
    static let finalizer = "batch.kubernetes.io/job-tracking"
    static let indexKey = "batch.kubernetes.io/job-completion-index"

    static func isTracked(_ pod: Object) -> Bool { pod.metadata.finalizers.contains(finalizer) }

    /// The strategic merge patch that takes the finalizer from the very pod and leaves all else as it is by then: a kubelet's write in between does
    /// not matter.
    static func releasePatch(uid: String) -> Value {
        ["metadata": ["uid": .string(uid), "$deleteFromPrimitiveList/finalizers": [.string(finalizer)]]]
    }

    static func index(of pod: Object) -> Int? { pod.metadata.annotations[indexKey].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }
}

/// `status` of a Job. Upstream: batch/v1 JobStatus.
struct JobStatus: Sendable, Equatable {
    var conditions: [Condition] = []
    var startTime: String?
    var completionTime: String?
    var active = 0
    var ready: Int?
    var terminating: Int?
    var succeeded = 0
    var failed = 0
    var completedIndexes: IndexSet = IndexSet()
    /// Nil: the Job does not count failures by index.
    var failedIndexes: IndexSet?
    /// Uids of pods whose end was seen and whose finalizer may not be gone yet: not in the counts.
    var uncountedSucceeded: Set<String> = []
    var uncountedFailed: Set<String> = []

    init(_ view: JSONView?) {
        func count(_ key: String) -> Int { Int(clamping: view[key].int ?? 0) }
        conditions = view["conditions"].elements.map(Condition.init(view:))
        startTime = view["startTime"].string
        completionTime = view["completionTime"].string
        active = count("active")
        ready = view["ready"].int.map { Int(clamping: $0) }
        terminating = view["terminating"].int.map { Int(clamping: $0) }
        succeeded = count("succeeded")
        failed = count("failed")
        completedIndexes = IndexSet(text: view["completedIndexes"].string ?? "")
        failedIndexes = view["failedIndexes"].string.map { IndexSet(text: $0) }
        uncountedSucceeded = Set(view["uncountedTerminatedPods"]["succeeded"].strings)
        uncountedFailed = Set(view["uncountedTerminatedPods"]["failed"].strings)
    }

    /// The status for the wire.
    var value: Value {
        var status: Value = [:]
        if !conditions.isEmpty { status["conditions"] = conditions.value }
        if let startTime { status["startTime"] = .string(startTime) }
        if let completionTime { status["completionTime"] = .string(completionTime) }
        if active != 0 { status["active"] = .int(Int64(active)) }
        if let terminating { status["terminating"] = .int(Int64(terminating)) }
        if succeeded != 0 { status["succeeded"] = .int(Int64(succeeded)) }
        if failed != 0 { status["failed"] = .int(Int64(failed)) }
        if !completedIndexes.isEmpty { status["completedIndexes"] = .string(completedIndexes.text) }
        if let failedIndexes { status["failedIndexes"] = .string(failedIndexes.text) }
        var uncounted: Value = [:]
        if !uncountedSucceeded.isEmpty { uncounted["succeeded"] = Value(uncountedSucceeded.sorted()) }
        if !uncountedFailed.isEmpty { uncounted["failed"] = Value(uncountedFailed.sorted()) }
        status["uncountedTerminatedPods"] = uncounted
        if let ready { status["ready"] = .int(Int64(ready)) }
        return status
    }
}
