import KubeAPI

/// Which of a container's three probes. Upstream: prober's probeType.
enum ProbeKind: String, Sendable, Hashable {
    case startup = "Startup"
    case readiness = "Readiness"
    case liveness = "Liveness"
}

/// What one run of a probe gave. Upstream: probe.Result.
enum ProbeOutcome: Sendable, Equatable {
    case success
    /// It has succeeded, and there is something to tell. Upstream: probe.Warning.
    case warning(String)
    case failure(String)
    /// It could not be run; says nothing about the container.
    case unknown(String)
}

/// A probe's timing. Upstream: core/v1 Probe with its defaults.
struct ProbeSettings: Sendable, Equatable {
    /// Seconds.
    var initialDelay: Int64
    var period: Int64
    var timeout: Int64
    var successThreshold: Int64
    var failureThreshold: Int64
    var terminationGracePeriod: Int64?

    init(_ view: JSONView) {
        initialDelay = max(0, view["initialDelaySeconds"].int ?? 0)
        period = max(1, view["periodSeconds"].int ?? 10)
        timeout = max(1, view["timeoutSeconds"].int ?? 1)
        successThreshold = max(1, view["successThreshold"].int ?? 1)
        failureThreshold = max(1, view["failureThreshold"].int ?? 3)
        terminationGracePeriod = view["terminationGracePeriodSeconds"].int
    }
}

/// Counts outcomes until a threshold turns them into a result: pure. Upstream: prober's worker.doProbe.
struct ProbeState: Sendable, Equatable {
    let kind: ProbeKind
    let settings: ProbeSettings
    /// Nil: no result yet (startup probes only).
    private(set) var result: Bool?
    private var last: Bool?
    private var run: Int64 = 0
    /// Nothing more is to be found out about this container: it is to be restarted.
    private(set) var isOnHold = false

    /// `reported`: what an agent before this one has told of the container.
    init(kind: ProbeKind, settings: ProbeSettings, reported: ReportedStanding = ReportedStanding()) {
        self.kind = kind
        self.settings = settings
        // Alive until told otherwise, ready only when told so.
        result =
            switch kind {
            case .liveness: true
            case .readiness: reported.isReady
            case .startup: reported.isStarted ? true : nil
            }
    }

    /// Returns whether the result has changed.
    mutating func take(_ outcome: ProbeOutcome) -> Bool {
        let isSuccess: Bool
        switch outcome {
        case .success, .warning: isSuccess = true
        case .failure: isSuccess = false
        case .unknown: return false
        }
        if last == isSuccess {
            run += 1
        } else {
            last = isSuccess
            run = 1
        }
        if run < (isSuccess ? settings.successThreshold : settings.failureThreshold) { return false }
        let changed = result != isSuccess
        result = isSuccess
        if !isSuccess, kind != .readiness {
            // The container will be restarted: probing it on would only add noise.
            isOnHold = true
            run = 0
        }
        return changed
    }
}

/// How a running container stands in its pod's status: an agent that starts anew goes on from there, so that its start takes no pod out of service
/// and starts no startup probe again. Upstream: isContainerStarted, setReadyStateOnKubeletRestart.
struct ReportedStanding: Sendable, Equatable {
    var isStarted = false
    var isReady = false

    init() {}

    /// Of that very container, not of one before it. When the pod was called not ready meanwhile, as of a node that was away, its probes decide.
    init(_ pod: Pod, _ spec: ContainerSpec, containerID: String) {
        let statuses = pod.status[spec.isInit ? "initContainerStatuses" : "containerStatuses"].elements
        let told = statuses.first { $0["name"].string == spec.name && $0["containerID"].string?.hasSuffix("://" + containerID) == true }
        guard let told else { return }
        isStarted = told["started"].bool ?? false
        let isPodReady = pod.status["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
        isReady = isPodReady && told["ready"].bool == true
    }
}
