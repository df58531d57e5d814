import KubeAPI

/// The row of a pod: what its containers' states add up to. Upstream: printPod.
enum PodTable {
    static func cells(_ pod: Object, _ now: Timestamp) -> [Value] {
        var summary = PodSummary(pod)
        summary.readInitContainers()
        if !summary.isInitializing || Cells.isTrue(pod["status"]["conditions"], "Initialized") { summary.readContainers() }
        summary.readDeletion()
        var restarts = String(summary.restarts)
        if summary.restarts != 0, let last = summary.lastRestart { restarts += " (\(Cells.since(last, now)) ago)" }
        return [
            Cells.name(pod), .string("\(summary.ready)/\(summary.total)"), .string(summary.reason), .string(restarts), Cells.age(pod, now),
            Cells.nonEmpty(pod["status"]["podIPs"].elements.first?["ip"] ?? pod["status"]["podIP"], or: "<none>"),
            Cells.nonEmpty(pod["spec"]["nodeName"], or: "<none>"), Cells.nonEmpty(pod["status"]["nominatedNodeName"], or: "<none>"),
            readinessGates(pod),
        ]
    }

    private static func readinessGates(_ pod: Object) -> Value {
        let gates = pod["spec"]["readinessGates"].elements
        if gates.isEmpty { return "<none>" }
        let met = gates.filter { Cells.isTrue(pod["status"]["conditions"], $0["conditionType"].string ?? "") }.count
        return .string("\(met)/\(gates.count)")
    }
}

/// What is gathered while a pod's statuses are read, in upstream's order.
private struct PodSummary {
    let pod: Object
    let status: JSONView?
    var reason: String
    var ready = 0
    var total: Int
    var restarts: Int64 = 0
    var lastRestart: Timestamp?
    var isInitializing = false
    /// Of init containers that run beside the others (sidecars); all that counts once initialising is over.
    private var sidecarRestarts: Int64 = 0
    private var lastSidecarRestart: Timestamp?
    private let initContainers: [JSONView]

    init(_ pod: Object) {
        self.pod = pod
        status = pod["status"]
        initContainers = pod["spec"]["initContainers"].elements
        total = pod["spec"]["containers"].elements.count + initContainers.filter(Self.isSidecar).count
        reason = status["phase"].string ?? ""
        if let given = status["reason"].string, !given.isEmpty { reason = given }
        if status["conditions"].elements.contains(where: { $0["type"].string == "PodScheduled" && $0["reason"].string == "SchedulingGated" }) {
            reason = "SchedulingGated"
        }
    }

    private static func isSidecar(_ container: JSONView) -> Bool { container["restartPolicy"].string == "Always" }

    private static func later(_ a: Timestamp?, _ b: Timestamp?) -> Timestamp? {
        guard let a, let b else { return a ?? b }
        return max(a, b)
    }

    mutating func readInitContainers() {
        for (index, container) in status["initContainerStatuses"].elements.enumerated() {
            let sidecar = initContainers.contains { $0["name"].string == container["name"].string && Self.isSidecar($0) }
            let count = container["restartCount"].int ?? 0
            let finished = Cells.time(container["lastState"]["terminated"]["finishedAt"])
            restarts += count
            lastRestart = Self.later(lastRestart, finished)
            if sidecar {
                sidecarRestarts += count
                lastSidecarRestart = Self.later(lastSidecarRestart, finished)
            }
            let terminated = container["state"]["terminated"]
            if let terminated, terminated["exitCode"].int ?? 0 == 0 { continue }
            if sidecar, container["started"].bool == true {
                if container["ready"].bool == true { ready += 1 }
                continue
            }
            isInitializing = true
            if let terminated {
                reason = "Init:" + Self.ending(terminated)
            } else if let waiting = container["state"]["waiting"]["reason"].string, !waiting.isEmpty, waiting != "PodInitializing" {
                reason = "Init:" + waiting
            } else {
                reason = "Init:\(index)/\(initContainers.count)"
            }
            break
        }
    }

    /// How a container ended: its reason, else its signal or exit code.
    private static func ending(_ terminated: JSONView) -> String {
        if let reason = terminated["reason"].string, !reason.isEmpty { return reason }
        if let signal = terminated["signal"].int, signal != 0 { return "Signal:\(signal)" }
        return "ExitCode:\(terminated["exitCode"].int ?? 0)"
    }

    mutating func readContainers() {
        restarts = sidecarRestarts
        lastRestart = lastSidecarRestart
        var hasRunning = false
        // The first container's state counts most, so it is read last.
        for container in status["containerStatuses"].elements.reversed() {
            restarts += container["restartCount"].int ?? 0
            lastRestart = Self.later(lastRestart, Cells.time(container["lastState"]["terminated"]["finishedAt"]))
            if let waiting = container["state"]["waiting"]["reason"].string, !waiting.isEmpty {
                reason = waiting
            } else if let terminated = container["state"]["terminated"] {
                reason = Self.ending(terminated)
            } else if container["ready"].bool == true, container["state"]["running"] != nil {
                hasRunning = true
                ready += 1
            }
        }
        if reason == "Completed", hasRunning { reason = Cells.isTrue(status["conditions"], "Ready") ? "Running" : "NotReady" }
    }

    mutating func readDeletion() {
        guard pod.metadata.isBeingDeleted else { return }
        if status["reason"].string == "NodeLost" {
            reason = "Unknown"
        } else if status["phase"].string != "Succeeded", status["phase"].string != "Failed" {
            reason = "Terminating"
        }
    }
}
