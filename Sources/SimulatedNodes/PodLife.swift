import KubeAPI

/// What a pod on a simulated node does next: a function of the pod and the time. A pod says by annotations how it lives; one without any runs until it
/// is deleted. The idea of a life cycle as data is kwok's (its Stages).
enum PodLife {
    /// Seconds from its binding until its containers run; 0 when not said.
    static let startSeconds = "eyrie.dev/simulated-start-seconds"
    /// Seconds its containers run before they exit; not said: for ever.
    static let runSeconds = "eyrie.dev/simulated-run-seconds"
    /// The code they exit with; 0 when not said.
    static let exitCode = "eyrie.dev/simulated-exit-code"
    /// Seconds its containers take to end once it is deleted, its grace period at most; 0 when not said.
    static let stopSeconds = "eyrie.dev/simulated-stop-seconds"
    /// No pod is made to wait longer.
    private static let longest: Int64 = 365 * 86_400

    enum Step: Equatable {
        case nothing
        /// Look again after so many seconds.
        case wait(Double)
        /// Its containers run.
        case start
        /// Its containers exit, and run again at once: there is no back-off.
        case restart(code: Int64)
        /// Its containers exit for good.
        case finish(code: Int64)
        /// It has ended and its object goes.
        case remove
    }

    static func next(_ pod: Object, now: Timestamp) -> Step {
        let annotations = pod.metadata.annotations
        func seconds(_ name: String) -> Int64? { annotations[name].flatMap { Int64($0) }.map { min(longest, max(0, $0)) } }
        func at(_ moment: Timestamp, _ step: Step) -> Step {
            let left = moment.timeInterval(since: now)
            return left > 0 ? .wait(left) : step
        }
        let phase = pod["status"]["phase"].string ?? ""
        let isOver = phase == "Succeeded" || phase == "Failed"
        if let deadline = pod.metadata.deletionTimestamp {
            if isOver || phase != "Running" { return .remove }
            let grace = max(0, pod.metadata.deletionGracePeriodSeconds ?? 0)
            let asked = deadline.adding(seconds: -grace)
            return at(asked.adding(seconds: min(grace, seconds(stopSeconds) ?? 0)), .remove)
        }
        if isOver { return .nothing }
        if phase != "Running" { return at(scheduled(pod, now).adding(seconds: seconds(startSeconds) ?? 0), .start) }
        guard let runs = seconds(runSeconds), let started = started(pod) else { return .nothing }
        let code = min(255, seconds(exitCode) ?? 0)
        let policy = pod["spec"]["restartPolicy"].string ?? "Always"
        let endsForGood = policy == "Never" || (policy == "OnFailure" && code == 0)
        // A second at least between two restarts.
        return at(started.adding(seconds: endsForGood ? runs : max(1, runs)), endsForGood ? .finish(code: code) : .restart(code: code))
    }

    /// When the pod was bound.
    private static func scheduled(_ pod: Object, _ now: Timestamp) -> Timestamp {
        let condition = pod["status"]["conditions"].elements.first { $0["type"].string == "PodScheduled" && $0["status"].string == "True" }
        return condition["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:)) ?? now
    }

    /// When its containers started last.
    private static func started(_ pod: Object) -> Timestamp? {
        pod["status"]["containerStatuses"].elements.first?["state"]["running"]["startedAt"].string.flatMap(Timestamp.init(rfc3339:))
    }
}
