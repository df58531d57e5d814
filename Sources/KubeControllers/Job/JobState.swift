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
    /// Whether a pod that is still terminating holds its replacement back. Upstream: podReplacementPolicy Failed.
    var replacesOnlyFailed: Bool
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
        replacesOnlyFailed = spec["podReplacementPolicy"].string == "Failed"
        status = JobStatus(object["status"])
    }

    var ownerReference: OwnerReference { OwnerReference(apiVersion: "batch/v1", kind: "Job", name: name, uid: uid) }
    var restartsContainers: Bool { object["spec"]["template"]["spec"]["restartPolicy"].string == "OnFailure" }
    /// Whether the Job is over. Upstream: jobutil.IsJobFinished.
    var isFinished: Bool { finishedCondition != nil }
    var finishedCondition: Condition? { status.conditions.first { ($0.type == "Complete" || $0.type == "Failed") && $0.status == "True" } }

    /// Fields that change what a Job does and that this controller does not act on yet.
    var unsupportedFields: [String] {
        ["podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes"].filter { object["spec"][$0].map { !$0.isNull } ?? false }
    }

    /// The pod to create. Upstream: controller.GetPodFromTemplate with addCompletionIndexAnnotation and the tracking finalizer.
    func pod(index: Int?) -> Value {
        let prefix = index.map { "\(name)-\($0)-" } ?? PodFactory.prefix(of: name)
        var pod = PodFactory.pod(template: object["spec"]["template"], namespace: namespace, prefix: prefix, owner: ownerReference)
        let finalizers = (pod[path: "metadata", "finalizers"]?.array ?? []).filter { $0.string != JobTracking.finalizer }
        pod[path: "metadata", "finalizers"] = .array(finalizers + [.string(JobTracking.finalizer)])
        guard let index else { return pod }
        pod[path: "metadata", "annotations", JobTracking.indexKey] = .string(String(index))
        pod[path: "metadata", "labels", JobTracking.indexKey] = .string(String(index))
        if pod[path: "spec", "hostname"] == nil { pod[path: "spec", "hostname"] = .string("\(name)-\(index)") }
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
        var uncounted: Value = [:]
        if !uncountedSucceeded.isEmpty { uncounted["succeeded"] = Value(uncountedSucceeded.sorted()) }
        if !uncountedFailed.isEmpty { uncounted["failed"] = Value(uncountedFailed.sorted()) }
        status["uncountedTerminatedPods"] = uncounted
        if let ready { status["ready"] = .int(Int64(ready)) }
        return status
    }
}

/// Completion indexes in their text form, `0-2,5`. Upstream: orderedIntervals.
struct IndexSet: Sendable, Equatable {
    /// Sorted, apart from each other.
    private(set) var ranges: [ClosedRange<Int>] = []

    init() {}
    init(_ indexes: some Sequence<Int>) { for index in indexes { insert(index) } }

    /// Parts that are no numbers are left out.
    init(text: String) {
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last else { continue }
            add(first...last)
        }
    }

    var isEmpty: Bool { ranges.isEmpty }
    var count: Int { ranges.reduce(0) { $0 + $1.count } }
    func contains(_ index: Int) -> Bool { ranges.contains { $0.contains(index) } }
    mutating func insert(_ index: Int) { add(index...index) }
    mutating func formUnion(_ other: IndexSet) { for range in other.ranges { add(range) } }

    private mutating func add(_ range: ClosedRange<Int>) {
        var merged = range
        var kept: [ClosedRange<Int>] = []
        for old in ranges {
            // Ranges that touch become one; the bounds are far from Int's own.
            if old.upperBound &+ 1 < merged.lowerBound || merged.upperBound &+ 1 < old.lowerBound {
                kept.append(old)
            } else {
                merged = min(old.lowerBound, merged.lowerBound)...max(old.upperBound, merged.upperBound)
            }
        }
        kept.append(merged)
        ranges = kept.sorted { $0.lowerBound < $1.lowerBound }
    }

    var text: String {
        ranges.map { range in
            switch range.count {
            case 1: "\(range.lowerBound)"
            case 2: "\(range.lowerBound),\(range.upperBound)"
            default: "\(range.lowerBound)-\(range.upperBound)"
            }
        }.joined(separator: ",")
    }
}
