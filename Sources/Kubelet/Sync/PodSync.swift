import ContainerRuntime
import KubeAPI

/// What is to be done for a pod now. Upstream: kuberuntime's podActions.
struct PodActions: Sendable, Equatable {
    struct Kill: Sendable, Equatable {
        var id: String
        var name: String
        /// For the Killing event.
        var message: String
        var reason: Reason
        enum Reason: Sendable, Equatable { case changed, livenessProbe, startupProbe, unknownState, resize }
    }
    /// A container that is not started yet because it ended a short while ago.
    struct BackingOff: Sendable, Equatable {
        var name: String
        /// Seconds: the whole pause, and what is left of it.
        var delay: Double
        var left: Double
    }

    /// Everything of the pod is to be stopped: its sandbox is of no use any more, or all is done.
    var killPod = false
    var createSandbox = false
    /// The sandbox to use, when none is to be made.
    var sandboxID: String?
    var attempt: UInt32 = 0
    var kill: [Kill] = []
    /// Running containers whose cgroups are to be changed.
    var resize: [String] = []
    /// Names, in the order to start them. Ephemeral containers wait for nobody.
    var startEphemeral: [String] = []
    var startInit: [String] = []
    var start: [String] = []
    var backingOff: [BackingOff] = []

    var startsNothing: Bool { !createSandbox && startEphemeral.isEmpty && startInit.isEmpty && start.isEmpty }
    var isIdle: Bool { !killPod && kill.isEmpty && resize.isEmpty && startsNothing }
}

/// Probe outcomes that decide about restarts, by container ID. Nil: not probed, or no probe.
struct ProbeVerdicts: Sendable, Equatable {
    var livenessFailed: Set<String> = []
    var startupFailed: Set<String> = []
    var startupSucceeded: Set<String> = []
}

/// The decision about a pod, as a pure function of what is wanted and what is there. Upstream: kuberuntime's computePodActions.
struct PodSync: Sendable {
    let pod: Pod
    let status: PodRuntimeStatus
    let verdicts: ProbeVerdicts
    let backOff: BackOff
    let now: Timestamp

    static func plan(pod: Pod, status: PodRuntimeStatus, verdicts: ProbeVerdicts = ProbeVerdicts(), backOff: BackOff, now: Timestamp) -> PodActions {
        PodSync(pod: pod, status: status, verdicts: verdicts, backOff: backOff, now: now).plan()
    }

    /// The key of a container's back-off: another image begins anew. Upstream: GetBackoffKey.
    static func backOffKey(_ pod: Pod, _ container: ContainerSpec) -> String { "\(pod.uid)_\(container.name)_\(container.hash)" }

    /// Whether a new sandbox is needed, as the number-th. Upstream: runtimeutil.PodSandboxChanged.
    private func sandboxChange() -> (changed: Bool, attempt: UInt32, id: String?) {
        guard let newest = status.sandboxes.first else { return (true, 0, nil) }
        let next = newest.metadata.attempt &+ 1
        if status.sandboxes.count(where: \.isReady) > 1 || !newest.isReady { return (true, next, nil) }
        let wanted: NamespaceMode = pod.hostNetwork ? .node : .pod
        if newest.networkMode != wanted { return (true, next, nil) }
        // A pod of its own network without an address has lost it.
        if !pod.hostNetwork, newest.ips.isEmpty { return (true, next, nil) }
        return (false, newest.metadata.attempt, newest.id)
    }

    func plan() -> PodActions {
        var actions = PodActions()
        let change = sandboxChange()
        (actions.killPod, actions.createSandbox, actions.attempt, actions.sandboxID) = (change.changed, change.changed, change.attempt, change.id)
        if change.changed {
            planFresh(&actions)
            return actions
        }
        if !pod.isBeingDeleted {
            actions.startEphemeral = pod.ephemeralContainers.map(\.name).filter { status.latest($0) == nil }
        }
        let initialized = planInit(&actions)
        if actions.killPod || !initialized {
            holdBack(&actions)
            return actions
        }
        var kept = 0
        for container in pod.containers {
            let current = status.latest(container.name)
            guard let current, current.state == .running else {
                if Self.shouldRestart(pod, container, current) {
                    actions.start.append(container.name)
                    if let current, current.state == .unknown { actions.kill.append(killUnknown(container, current)) }
                }
                continue
            }
            guard let kill = killIfUnfit(container, current) else {
                if needsResize(container, current) { actions.resize.append(container.name) }
                kept += 1
                continue
            }
            if container.restartsWhenKilled(in: pod) || kill.reason == .changed || kill.reason == .resize { actions.start.append(container.name) }
            actions.kill.append(kill)
        }
        if kept == 0, actions.start.isEmpty {
            actions.killPod = true
            actions.startInit = []
            actions.startEphemeral = []
        }
        holdBack(&actions)
        return actions
    }

    /// A new sandbox: everything from the beginning, unless everything is over.
    private func planFresh(_ actions: inout PodActions) {
        let neverAgain = !pod.containers.contains { $0.restartsWhenKilled(in: pod) || !$0.view["restartPolicyRules"].elements.isEmpty }
        if neverAgain, actions.attempt != 0, !status.containers.isEmpty {
            actions.createSandbox = false
            return
        }
        let toStart = pod.containers.filter { container in
            guard let last = status.latest(container.name), last.state == .exited else { return true }
            return container.restarts(after: last.exitCode, in: pod)
        }
        if toStart.isEmpty, !pod.containers.isEmpty {
            actions.createSandbox = false
            return
        }
        if let first = pod.initContainers.first { actions.startInit = [first.name] } else { actions.start = toStart.map(\.name) }
        holdBack(&actions)
    }

    /// Upstream: ShouldContainerBeRestarted.
    static func shouldRestart(_ pod: Pod, _ container: ContainerSpec, _ current: RuntimeContainerStatus?) -> Bool {
        if pod.isBeingDeleted { return false }
        guard let current else { return true }
        switch current.state {
        case .running: return false
        case .unknown, .created: return true
        case .exited: return container.restarts(after: current.exitCode, in: pod)
        }
    }

    private func killUnknown(_ container: ContainerSpec, _ current: RuntimeContainerStatus) -> PodActions.Kill {
        PodActions.Kill(
            id: current.id, name: container.name, message: "Container is in \"unknown\" state, try killing it before restart", reason: .unknownState)
    }

    /// The reason to end a running container, if there is one.
    private func killIfUnfit(_ container: ContainerSpec, _ current: RuntimeContainerStatus) -> PodActions.Kill? {
        var kill: PodActions.Kill?
        if let hash = current.annotations[ContainerLabels.hash], hash != container.hash {
            kill = PodActions.Kill(id: current.id, name: container.name, message: "Container \(container.name) definition changed", reason: .changed)
        } else if verdicts.livenessFailed.contains(current.id) {
            kill = PodActions.Kill(
                id: current.id, name: container.name, message: "Container \(container.name) failed liveness probe", reason: .livenessProbe)
        } else if verdicts.startupFailed.contains(current.id) {
            kill = PodActions.Kill(
                id: current.id, name: container.name, message: "Container \(container.name) failed startup probe", reason: .startupProbe)
        } else if let resize = resize(container, current), resize.needsRestart(container) {
            return PodActions.Kill(
                id: current.id, name: container.name, message: "Container \(container.name) resize requires restart", reason: .resize)
        }
        guard var kill else { return nil }
        if container.restartsWhenKilled(in: pod) || kill.reason == .changed { kill.message += ", will be restarted" }
        return kill
    }

    private func resize(_ container: ContainerSpec, _ current: RuntimeContainerStatus) -> ContainerResize? {
        ContainerResize(container, pod: pod, actual: current.resources, nodeMemory: 0)
    }

    private func needsResize(_ container: ContainerSpec, _ current: RuntimeContainerStatus) -> Bool {
        resize(container, current).map { !$0.needsRestart(container) } ?? false
    }

    /// Init containers and sidecars, from the last to the first: the last one that has run tells how far the pod has come. Returns whether the pod is
    /// initialized. Upstream: computeInitContainerActions.
    private func planInit(_ actions: inout PodActions) -> Bool {
        let containers = pod.initContainers
        guard !containers.isEmpty else { return true }
        // One that has exited may be of a sandbox before this one: it says nothing about the init containers of this one.
        var initialized = pod.containers.contains { container in
            status.latest(container.name).map { $0.state == .running || $0.state == .created } ?? false
        }
        var laterHasRun = initialized
        var starts: [String] = []
        for (index, container) in containers.enumerated().reversed() {
            guard let current = status.latest(container.name) else {
                if laterHasRun, container.isSidecar { starts.append(container.name) }
                continue
            }
            if laterHasRun, !container.isSidecar { continue }
            let isLast = index == containers.count - 1
            switch current.state {
            // Made and never started, as by an agent that ended in between: another is made in its place.
            case .created: starts.append(container.name)
            case .running:
                guard container.isSidecar else { break }
                if let kill = killIfUnfit(container, current) {
                    actions.kill.append(kill)
                    starts.append(container.name)
                    break
                }
                if needsResize(container, current) { actions.resize.append(container.name) }
                if container.startupProbe != nil, !verdicts.startupSucceeded.contains(current.id) { break }
                if isLast { initialized = true } else if !laterHasRun { starts.append(containers[index + 1].name) }
            case .exited:
                if container.isSidecar {
                    starts.append(container.name)
                } else if current.exitCode != 0 {
                    guard container.restarts(after: current.exitCode, in: pod) else {
                        actions.killPod = true
                        actions.startInit = []
                        return false
                    }
                    starts.append(container.name)
                } else if isLast {
                    initialized = true
                } else {
                    starts.append(containers[index + 1].name)
                }
            case .unknown:
                actions.kill.append(killUnknown(container, current))
                if container.restartsWhenKilled(in: pod) { starts.append(container.name) }
            }
            laterHasRun = true
        }
        if !laterHasRun, let first = containers.first { starts.append(first.name) }
        actions.startInit = starts.reversed()
        return initialized
    }

    /// Takes out of the plan what ended too short a while ago. Upstream: doBackOff.
    private func holdBack(_ actions: inout PodActions) {
        func held(_ name: String) -> Bool {
            guard let container = pod.container(named: name),
                let last = status.containers.first(where: { $0.name == name && $0.state == .exited })
            else { return false }
            let finished = Timestamp(microseconds: last.finishedAt / 1000)
            guard let pause = backOff.remaining(Self.backOffKey(pod, container), since: finished, now: now) else { return false }
            actions.backingOff.append(PodActions.BackingOff(name: name, delay: pause.delay, left: pause.left))
            return true
        }
        actions.startInit = actions.startInit.filter { !held($0) }
        actions.start = actions.start.filter { !held($0) }
    }
}
