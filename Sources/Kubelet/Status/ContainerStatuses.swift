import ContainerRuntime
import KubeAPI

/// Why a container is not running, as noticed by the worker: `ErrImagePull`, `CrashLoopBackOff`, …. Upstream: reasonCache.
struct StartFailure: Sendable, Equatable {
    var reason: String
    var message: String
}

/// The probes' part in a container's status, by container ID. Upstream: prober manager's UpdatePodStatus.
struct ProbeStanding: Sendable, Equatable {
    /// Containers whose readiness probe last succeeded.
    var ready: Set<String> = []
    /// Containers whose startup probe has succeeded.
    var started: Set<String> = []
}

/// One container's status as the API has it. Upstream: core/v1 ContainerStatus.
struct ContainerStatusView: Sendable, Equatable {
    enum State: Sendable, Equatable {
        case waiting(reason: String, message: String)
        case running(startedAt: Int64)
        case terminated(Termination)
    }
    struct Termination: Sendable, Equatable {
        var exitCode: Int32
        var reason: String
        var message: String
        /// Nanoseconds since 1970.
        var startedAt: Int64
        var finishedAt: Int64
        var containerID: String
    }

    var name: String
    var state: State
    var lastTermination: Termination?
    var ready = false
    var restartCount: Int64 = 0
    var image: String
    var imageID = ""
    var containerID = ""
    var started = false
    /// Its resources as they are in force; nil: as the spec has them.
    var resources: Value?

    var termination: Termination? { if case .terminated(let end) = state { end } else { nil } }
    var isRunning: Bool { if case .running = state { true } else { false } }
}

/// Container statuses of a pod, as a pure function. Upstream: convertToAPIContainerStatuses.
struct ContainerStatuses: Sendable {
    let pod: Pod
    let runtime: PodRuntimeStatus
    let failures: [String: StartFailure]
    let probes: ProbeStanding
    /// The runtime's name, the scheme of container IDs.
    let runtimeName: String
    /// Termination messages by container ID.
    let messages: [String: String]

    /// In the order of `specs`.
    func statuses(of specs: [ContainerSpec], isInit: Bool) -> [ContainerStatusView] {
        specs.map { status(of: $0) }
    }

    private func id(_ id: String) -> String { "\(runtimeName)://\(id)" }

    private func termination(_ status: RuntimeContainerStatus) -> ContainerStatusView.Termination {
        var reason = status.reason
        // Runtimes that give no reason: as upstream names it.
        if reason.isEmpty { reason = status.exitCode == 0 ? "Completed" : "Error" }
        return ContainerStatusView.Termination(
            exitCode: status.exitCode, reason: reason, message: messages[status.id] ?? status.message, startedAt: status.startedAt,
            finishedAt: status.finishedAt, containerID: id(status.id))
    }

    /// The status the API server has of this container now.
    private func previous(_ spec: ContainerSpec) -> JSONView? {
        let list = spec.isEphemeral ? "ephemeralContainerStatuses" : spec.isInit ? "initContainerStatuses" : "containerStatuses"
        return pod.status[list].elements.first { $0["name"].string == spec.name }
    }

    private func status(of spec: ContainerSpec) -> ContainerStatusView {
        let instances = runtime.containers.filter { $0.name == spec.name }
        let old = previous(spec)
        guard let current = instances.first else { return absent(spec, old) }
        var view = ContainerStatusView(name: spec.name, state: .waiting(reason: "", message: ""), image: current.image)
        view.imageID = current.imageRef
        view.containerID = id(current.id)
        view.restartCount = Int64(current.annotations[ContainerLabels.restartCount] ?? "") ?? Int64(current.attempt)
        switch current.state {
        case .running:
            view.state = .running(startedAt: current.startedAt)
            if let resize = ContainerResize(spec, pod: pod, actual: current.resources, nodeMemory: 0), !spec.isEphemeral,
                !spec.isInit || spec.isSidecar
            {
                view.resources = resize.inForce(spec.view["resources"].value ?? [:])
            }
        case .created: view.state = .waiting(reason: waitingReason(spec), message: "")
        case .exited: view.state = .terminated(termination(current))
        case .unknown:
            view.state = .terminated(
                ContainerStatusView.Termination(
                    exitCode: 137, reason: "ContainerStatusUnknown", message: "The container could not be located when the pod was terminated",
                    startedAt: current.startedAt, finishedAt: current.finishedAt, containerID: id(current.id)))
        }
        if let before = instances.dropFirst().first(where: { $0.state == .exited }) { view.lastTermination = termination(before) }
        if view.lastTermination == nil, let end = Self.termination(old["lastState"]["terminated"]), end.containerID != view.containerID {
            view.lastTermination = end
        }
        if let failure = failures[spec.name], shouldRestart(spec, current) {
            if let end = view.termination { view.lastTermination = end }
            view.state = .waiting(reason: failure.reason, message: failure.message)
        }
        if view.isRunning, !spec.isEphemeral {
            view.started = spec.startupProbe == nil || probes.started.contains(current.id)
            view.ready = view.started && (spec.readinessProbe == nil || probes.ready.contains(current.id))
        }
        if spec.isInit, !spec.isSidecar {
            // A finished init container counts as ready. Upstream: UpdatePodStatus.
            view.ready = view.termination?.exitCode == 0
            view.started = view.isRunning
        }
        return view
    }

    private func shouldRestart(_ spec: ContainerSpec, _ current: RuntimeContainerStatus?) -> Bool {
        if spec.isEphemeral { return current == nil && !pod.isBeingDeleted }
        if spec.isInit {
            guard !pod.isBeingDeleted else { return false }
            guard let current else { return true }
            if current.state == .exited, !spec.isSidecar { return current.exitCode != 0 && spec.restarts(after: current.exitCode, in: pod) }
            return current.state != .running
        }
        return PodSync.shouldRestart(pod, spec, current)
    }

    private func waitingReason(_ spec: ContainerSpec) -> String {
        !spec.isEphemeral && (spec.isInit || !pod.initContainers.isEmpty) ? "PodInitializing" : "ContainerCreating"
    }

    /// A container the runtime does not have: not made yet, or gone.
    private func absent(_ spec: ContainerSpec, _ old: JSONView?) -> ContainerStatusView {
        var view = ContainerStatusView(name: spec.name, state: .waiting(reason: waitingReason(spec), message: ""), image: spec.image)
        view.restartCount = old["restartCount"].int ?? 0
        view.lastTermination = Self.termination(old["lastState"]["terminated"])
        if let end = Self.termination(old["state"]["terminated"]) {
            // Its record was removed after it had ended: what the API has stays true.
            view.state = .terminated(end)
            view.image = old["image"].string ?? spec.image
            view.imageID = old["imageID"].string ?? ""
            view.containerID = old["containerID"].string ?? ""
            if spec.isInit { view.ready = end.exitCode == 0 }
        } else if old["state"]["running"] != nil {
            let end = ContainerStatusView.Termination(
                exitCode: 137, reason: "ContainerStatusUnknown",
                message: "The container could not be located when the pod was deleted.  The container used to be Running", startedAt: 0,
                finishedAt: 0,
                containerID: "")
            if pod.isBeingDeleted || !spec.restarts(after: end.exitCode, in: pod) {
                view.state = .terminated(end)
            } else {
                view.lastTermination = end
            }
        }
        if let failure = failures[spec.name], shouldRestart(spec, nil) { view.state = .waiting(reason: failure.reason, message: failure.message) }
        return view
    }

    private static func termination(_ view: JSONView?) -> ContainerStatusView.Termination? {
        guard let view, view.kind == .object else { return nil }
        func time(_ key: String) -> Int64 {
            view[key].string.flatMap { Timestamp(rfc3339: $0) }.map { $0.microseconds.multipliedReportingOverflow(by: 1000).partialValue } ?? 0
        }
        return ContainerStatusView.Termination(
            exitCode: Int32(clamping: view["exitCode"].int ?? 0), reason: view["reason"].string ?? "", message: view["message"].string ?? "",
            startedAt: time("startedAt"), finishedAt: time("finishedAt"), containerID: view["containerID"].string ?? "")
    }
}

extension ContainerStatusView {
    static func time(_ nanoseconds: Int64) -> Value {
        nanoseconds > 0 ? .string(Timestamp(microseconds: nanoseconds / 1000).rfc3339) : .null
    }

    private static func value(_ end: Termination) -> Value {
        var value: Value = ["exitCode": .int(Int64(end.exitCode)), "reason": .string(end.reason)]
        if !end.message.isEmpty { value["message"] = .string(end.message) }
        value["startedAt"] = time(end.startedAt)
        value["finishedAt"] = time(end.finishedAt)
        if !end.containerID.isEmpty { value["containerID"] = .string(end.containerID) }
        return value
    }

    /// As the API has it; `spec` gives what the status repeats of it.
    func value(spec: ContainerSpec) -> Value {
        var stateValue: Value
        switch state {
        case .waiting(let reason, let message):
            var waiting: Value = [:]
            if !reason.isEmpty { waiting["reason"] = .string(reason) }
            if !message.isEmpty { waiting["message"] = .string(message) }
            stateValue = ["waiting": waiting]
        case .running(let startedAt): stateValue = ["running": ["startedAt": Self.time(startedAt)]]
        case .terminated(let end): stateValue = ["terminated": Self.value(end)]
        }
        var value: Value = [
            "name": .string(name), "state": stateValue, "lastState": lastTermination.map { ["terminated": Self.value($0)] } ?? [:],
            "ready": .bool(ready), "restartCount": .int(restartCount), "image": .string(image), "imageID": .string(imageID),
        ]
        if !containerID.isEmpty { value["containerID"] = .string(containerID) }
        value["started"] = .bool(started)
        if let requests = spec.view["resources"]["requests"].value, requests.object?.isEmpty == false { value["allocatedResources"] = requests }
        value["resources"] = resources ?? spec.view["resources"].value ?? [:]
        let mounts = spec.view["volumeMounts"].elements.map { mount -> Value in
            var entry: Value = ["name": .string(mount["name"].string ?? ""), "mountPath": .string(mount["mountPath"].string ?? "")]
            if mount["readOnly"].bool == true {
                entry["readOnly"] = true
                entry["recursiveReadOnly"] = "Disabled"
            }
            return entry
        }
        if !mounts.isEmpty { value["volumeMounts"] = .array(mounts) }
        return value
    }
}
