import KubeAPI

/// A CronJob as its controller sees it. Upstream: batch/v1 CronJob.
struct CronJobState: Sendable {
    /// What becomes of a new run while the last one goes on. Upstream: batch/v1 ConcurrencyPolicy.
    enum Concurrency: String, Sendable {
        case allow = "Allow"
        case forbid = "Forbid"
        case replace = "Replace"
    }

    static let scheduledAnnotation = "batch.kubernetes.io/cronjob-scheduled-timestamp"

    let object: Object
    var name: String
    var namespace: String
    var uid: String
    var isBeingDeleted: Bool
    var isSuspended: Bool
    var created: Timestamp
    var schedule: String
    var timeZone: String?
    var concurrency: Concurrency
    var startingDeadlineSeconds: Int64?
    /// Finished Jobs to keep; nil: all.
    var successfulLimit: Int?
    var failedLimit: Int?
    var status: CronJobStatus

    init(_ object: Object) {
        let meta = object.metadata
        let spec = object["spec"]
        self.object = object
        name = meta.name
        namespace = meta.namespace
        uid = meta.uid
        isBeingDeleted = meta.isBeingDeleted
        isSuspended = spec["suspend"].bool ?? false
        created = meta.creationTimestamp ?? Timestamp(seconds: 0)
        schedule = spec["schedule"].string ?? ""
        timeZone = spec["timeZone"].string
        concurrency = Concurrency(rawValue: spec["concurrencyPolicy"].string ?? "") ?? .allow
        startingDeadlineSeconds = spec["startingDeadlineSeconds"].int
        successfulLimit = spec["successfulJobsHistoryLimit"].int.map { max(0, Int(clamping: $0)) }
        failedLimit = spec["failedJobsHistoryLimit"].int.map { max(0, Int(clamping: $0)) }
        status = CronJobStatus(object["status"])
    }

    /// The name of the run of a minute: two controllers could not start it twice. Upstream: getJobName.
    func jobName(at time: Timestamp) -> String { "\(name)-\(time.seconds / 60)" }

    /// The Job of one run. Upstream: getJobFromTemplate2.
    func job(at time: Timestamp, offset: Int64) -> Value {
        let template = object["spec"]["jobTemplate"]
        var metadata: Value = ["name": .string(jobName(at: time)), "namespace": .string(namespace)]
        for key in ["labels", "annotations"] { if let value = template["metadata"][key].value, !value.isBlank { metadata[key] = value } }
        metadata[path: "annotations", Self.scheduledAnnotation] = .string(time.rfc3339(offset: offset))
        metadata["ownerReferences"] = [OwnerReference(apiVersion: "batch/v1", kind: "CronJob", name: name, uid: uid).value]
        return ["apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"].value ?? [:]]
    }
}

/// `status` of a CronJob. Upstream: batch/v1 CronJobStatus.
struct CronJobStatus: Sendable, Equatable {
    /// References to Jobs that were started and have not been seen finished.
    var active: [Value]
    var lastScheduleTime: Timestamp?
    var lastSuccessfulTime: Timestamp?

    init(_ view: JSONView?) {
        active = view["active"].elements.map(\.value)
        lastScheduleTime = view["lastScheduleTime"].string.flatMap(Timestamp.init(rfc3339:))
        lastSuccessfulTime = view["lastSuccessfulTime"].string.flatMap(Timestamp.init(rfc3339:))
    }

    func isActive(_ uid: String) -> Bool { active.contains { $0["uid"]?.string == uid } }
    mutating func remove(_ uid: String) { active.removeAll { $0["uid"]?.string == uid } }

    mutating func add(_ job: Object) {
        let meta = job.metadata
        active.append([
            "apiVersion": "batch/v1", "kind": "Job", "name": .string(meta.name), "namespace": .string(meta.namespace), "uid": .string(meta.uid),
            "resourceVersion": .string(meta.resourceVersion),
        ])
    }

    var value: Value {
        var status: Value = [:]
        if !active.isEmpty { status["active"] = .array(active) }
        if let lastScheduleTime { status["lastScheduleTime"] = .string(lastScheduleTime.rfc3339) }
        if let lastSuccessfulTime { status["lastSuccessfulTime"] = .string(lastSuccessfulTime.rfc3339) }
        return status
    }
}

extension Timestamp {
    /// RFC 3339 on clocks that are `offset` seconds ahead of UTC.
    func rfc3339(offset: Int64) -> String {
        guard offset != 0 else { return rfc3339 }
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let minutes = abs(offset) / 60
        return "\(adding(seconds: offset).rfc3339.dropLast())\(offset < 0 ? "-" : "+")\(two(minutes / 60)):\(two(minutes % 60))"
    }

    /// `Mon, 02 Jan 2006 15:04:05 +0000`. Upstream: time.RFC1123Z.
    var rfc1123: String {
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let day = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
        let (year, month, dayOfMonth) = Timestamp.civil(day)
        let time = rfc3339.dropLast().suffix(8)
        return "\(days[Int(CronSchedule.weekday(day))]), \(dayOfMonth < 10 ? "0" : "")\(dayOfMonth) \(months[Int(month - 1)]) \(year) \(time) +0000"
    }
}
