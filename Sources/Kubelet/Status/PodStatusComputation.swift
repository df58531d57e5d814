import ContainerRuntime
import KubeAPI

/// A pod's phase. Upstream: core/v1 PodPhase.
enum PodPhase: String, Sendable {
    case pending = "Pending"
    case running = "Running"
    case succeeded = "Succeeded"
    case failed = "Failed"
}

/// Computes a pod's `status` from what the runtime and the workers know: a pure function. Upstream: generateAPIPodStatus, status/generate.go.
struct PodStatusComputation: Sendable {
    let pod: Pod
    let runtime: PodRuntimeStatus
    var failures: [String: StartFailure] = [:]
    var probes = ProbeStanding()
    var messages: [String: String] = [:]
    var runtimeName = "containerd"
    let hostIPs: [String]
    let now: Timestamp
    /// Nothing will be started any more.
    var isTerminated = false
    /// A phase, reason and message decided elsewhere: a pod past its deadline, or refused.
    var verdict: (phase: PodPhase, reason: String, message: String)?
    /// The pod was refused by this node: nothing of it was ever made.
    var wasRejected = false
    /// The node ends the pod, and says so. Upstream: the condition DisruptionTarget with reason TerminationByKubelet.
    var disruption: String?
    var resize = ResizeStanding()

    struct Outcome: Sendable {
        var phase: PodPhase
        var value: Value
    }

    func compute() -> Outcome {
        let specs = ContainerStatuses(
            pod: pod, runtime: runtime, failures: failures, probes: probes, runtimeName: runtimeName, messages: messages)
        let initSpecs = pod.initContainers
        let mainSpecs = pod.containers
        var inits = specs.statuses(of: initSpecs, isInit: true)
        var mains = specs.statuses(of: mainSpecs, isInit: false)
        let initialized = Self.isInitialized(zip(initSpecs, inits), mains)
        if !initialized { for index in mains.indices { mains[index].ready = false } }
        if !pod.initContainers.isEmpty, !mains.contains(where: { $0.termination != nil || $0.isRunning }) {
            // An init container after the one at work has not begun.
            for index in inits.indices where !inits[index].isRunning && inits[index].termination == nil {
                if case .waiting("ContainerCreating", let message) = inits[index].state {
                    inits[index].state = .waiting(reason: "PodInitializing", message: message)
                }
            }
        }
        var phase = verdict?.phase ?? phase(inits: inits, mains: mains, specs: initSpecs)
        if verdict == nil, pod.isTerminalInAPI, let final = PodPhase(rawValue: pod.phase) { phase = final }  // A final phase never changes.
        if phase == .succeeded || phase == .failed { for index in mains.indices { mains[index].ready = false } }

        var status: Value = ["phase": .string(phase.rawValue)]
        if let generation = generation { status["observedGeneration"] = .int(generation) }
        status["conditions"] = .array(conditions(phase: phase, inits: inits, mains: mains, initSpecs: initSpecs))
        if let verdict {
            status["message"] = .string(verdict.message)
            status["reason"] = .string(verdict.reason)
        } else if pod.isTerminalInAPI {
            // What made it final stays told.
            if let message = pod.status["message"].string { status["message"] = .string(message) }
            if let reason = pod.status["reason"].string { status["reason"] = .string(reason) }
        }
        if let first = hostIPs.first {
            status["hostIP"] = .string(first)
            status["hostIPs"] = .array(hostIPs.map { ["ip": .string($0)] })
        }
        let ips = podIPs
        if let first = ips.first {
            status["podIP"] = .string(first)
            status["podIPs"] = .array(ips.map { ["ip": .string($0)] })
        }
        status["startTime"] = .string(pod.status["startTime"].string ?? now.rfc3339)
        status["qosClass"] = .string(pod.qosClass.rawValue)
        if wasRejected { return Outcome(phase: phase, value: status) }
        if isTerminated { LostContainers.mark(inits: &inits, mains: &mains, of: pod) }
        if !initSpecs.isEmpty { status["initContainerStatuses"] = .array(zip(initSpecs, inits).map { $1.value(spec: $0) }) }
        status["containerStatuses"] = .array(zip(mainSpecs, mains).map { $1.value(spec: $0) })
        let ephemeral = pod.ephemeralContainers
        if !ephemeral.isEmpty {
            let views = specs.statuses(of: ephemeral, isInit: false)
            status["ephemeralContainerStatuses"] = .array(zip(ephemeral, views).map { $1.value(spec: $0) })
        }
        return Outcome(phase: phase, value: status)
    }

    private var generation: Int64? { pod.metadata.generation > 0 ? pod.metadata.generation : nil }

    /// Addresses stay told after the sandbox is gone, as upstream keeps them for ended pods.
    private var podIPs: [String] {
        if pod.hostNetwork { return hostIPs }
        let current = runtime.ips
        if !current.isEmpty { return current }
        return pod.status["podIPs"].elements.compactMap { $0["ip"].string }
    }

    /// Upstream: GeneratePodInitializedCondition, as a yes or no.
    private static func isInitialized(_ inits: Zip2Sequence<[ContainerSpec], [ContainerStatusView]>, _ mains: [ContainerStatusView]) -> Bool {
        for (spec, view) in inits {
            if spec.isSidecar {
                // A sidecar once started stays so for this question: the containers have begun.
                if view.started || mains.contains(where: { $0.isRunning || $0.termination != nil || $0.lastTermination != nil }) { continue }
                return false
            }
            guard view.termination?.exitCode == 0 else { return false }
        }
        return true
    }

    /// Whether a main container was made in the newest sandbox: the init containers were done with then. Upstream:
    /// HasAnyActiveRegularContainerStarted.
    private var hasBegun: Bool {
        guard let sandbox = runtime.sandboxes.first, sandbox.isReady else { return false }
        let names = Set(pod.containers.map(\.name))
        return runtime.containers.contains { names.contains($0.name) && $0.createdAt >= sandbox.createdAt }
    }

    /// Upstream: getPhase.
    private func phase(inits: [ContainerStatusView], mains: [ContainerStatusView], specs: [ContainerSpec]) -> PodPhase {
        var pendingInit = 0
        var pendingSidecars = 0
        var failedInit = 0
        var (running, waiting, stopped, succeeded) = (0, 0, 0, 0)
        var isInitOver = false
        func failed(_ spec: ContainerSpec, _ code: Int32) {
            failedInit += 1
            if !spec.restarts(after: code, in: pod) { isInitOver = true }
        }
        for (spec, view) in zip(specs, inits) {
            if spec.isSidecar {
                switch view.state {
                case .running:
                    running += 1
                    if !view.started { pendingSidecars += 1 }
                case .terminated: break
                case .waiting:
                    if view.lastTermination == nil {
                        pendingSidecars += 1
                        waiting += 1
                    }
                }
                continue
            }
            switch view.state {
            case .running: pendingInit += 1
            case .terminated(let end): if end.exitCode != 0 { failed(spec, end.exitCode) }
            case .waiting:
                if let last = view.lastTermination {
                    if last.exitCode != 0 { failed(spec, last.exitCode) }
                } else {
                    pendingInit += 1
                }
            }
        }
        var startsAgain = false
        for (spec, view) in zip(pod.containers, mains) {
            if let end = view.termination ?? view.lastTermination, spec.restarts(after: end.exitCode, in: pod) { startsAgain = true }
            switch view.state {
            case .running: running += 1
            case .terminated(let end):
                stopped += 1
                if end.exitCode == 0 { succeeded += 1 }
            case .waiting: if view.lastTermination != nil { stopped += 1 } else { waiting += 1 }
            }
        }
        if isInitOver { return .failed }
        if isTerminated, running == 0 {
            // Nothing will run any more; what never ran has not succeeded.
            return stopped > 0 && stopped == succeeded && waiting == 0 && pendingInit == 0 ? .succeeded : .failed
        }
        // A sidecar that starts again does not take a pod back to its beginning.
        if pendingInit > 0 || failedInit > 0 || waiting > 0 || pendingSidecars > 0 && !hasBegun { return .pending }
        if running > 0 { return .running }
        if stopped > 0 {
            if startsAgain { return .running }
            return stopped == succeeded ? .succeeded : .failed
        }
        return .pending
    }

    // MARK: conditions

    private struct Condition {
        var type: String
        var isTrue: Bool
        var reason = ""
        var message = ""
        /// The generation it speaks of, when that is not the newest.
        var generation: Int64?
    }

    private func conditions(phase: PodPhase, inits: [ContainerStatusView], mains: [ContainerStatusView], initSpecs: [ContainerSpec]) -> [Value] {
        var all: [Condition] = []
        let hasNetwork = runtime.readySandbox.map { pod.hostNetwork || !$0.ips.isEmpty } ?? false
        all.append(Condition(type: "PodReadyToStartContainers", isTrue: hasNetwork))
        all.append(initialized(phase: phase, inits: inits, mains: mains, specs: initSpecs))
        let containersReady = containersReady(phase: phase, inits: inits, mains: mains, specs: initSpecs)
        var ready = containersReady
        ready.type = "Ready"
        if containersReady.isTrue {
            let unmet = unmetReadinessGates()
            if !unmet.isEmpty {
                ready.isTrue = false
                ready.reason = "ReadinessGatesNotReady"
                ready.message = unmet.joined(separator: ", ")
            }
        }
        all.append(ready)
        all.append(containersReady)
        all.append(Condition(type: "PodScheduled", isTrue: true))
        if let disruption {
            all.append(Condition(type: "DisruptionTarget", isTrue: true, reason: "TerminationByKubelet", message: disruption))
        }
        if let pending = resize.pending {
            all.append(
                Condition(
                    type: "PodResizePending", isTrue: true, reason: pending.reason.rawValue, message: pending.message, generation: pending.generation)
            )
        }
        if let progress = resize.progress {
            let reason = progress.error.isEmpty ? "" : "Error"
            all.append(
                Condition(type: "PodResizeInProgress", isTrue: true, reason: reason, message: progress.error, generation: progress.generation))
        }
        return all.map(value)
    }

    private func initialized(phase: PodPhase, inits: [ContainerStatusView], mains: [ContainerStatusView], specs: [ContainerSpec]) -> Condition {
        if phase == .succeeded { return Condition(type: "Initialized", isTrue: true, reason: specs.isEmpty ? "" : "PodCompleted") }
        if Self.isInitialized(zip(specs, inits), mains) { return Condition(type: "Initialized", isTrue: true) }
        let incomplete = zip(specs, inits).filter { spec, view in spec.isSidecar ? !view.started : view.termination?.exitCode != 0 }.map(\.0.name)
        return Condition(
            type: "Initialized", isTrue: false, reason: "ContainersNotInitialized",
            message: "containers with incomplete status: [\(incomplete.joined(separator: " "))]")
    }

    private func containersReady(phase: PodPhase, inits: [ContainerStatusView], mains: [ContainerStatusView], specs: [ContainerSpec]) -> Condition {
        if phase == .succeeded { return Condition(type: "ContainersReady", isTrue: false, reason: "PodCompleted") }
        if phase == .failed { return Condition(type: "ContainersReady", isTrue: false, reason: "PodFailed") }
        let unready = zip(specs, inits).filter { $0.isSidecar && !$1.ready }.map(\.0.name) + mains.filter { !$0.ready }.map(\.name)
        if unready.isEmpty { return Condition(type: "ContainersReady", isTrue: true) }
        return Condition(
            type: "ContainersReady", isTrue: false, reason: "ContainersNotReady",
            message: "containers with unready status: [\(unready.joined(separator: " "))]")
    }

    private func unmetReadinessGates() -> [String] {
        let known = pod.status["conditions"].elements
        return pod.spec["readinessGates"].elements.compactMap { gate in
            let type = gate["conditionType"].string ?? ""
            guard let condition = known.first(where: { $0["type"].string == type }) else {
                return "corresponding condition of pod readiness gate \"\(type)\" does not exist."
            }
            let status = condition["status"].string ?? ""
            return status == "True" ? nil : "the status of pod readiness gate \"\(type)\" is not \"True\", but \(status)"
        }
    }

    private func value(_ condition: Condition) -> Value {
        let status = condition.isTrue ? "True" : "False"
        let old = pod.status["conditions"].elements.first { $0["type"].string == condition.type }
        let since = old["status"].string == status ? old["lastTransitionTime"].string : nil
        var value: Value = ["type": .string(condition.type), "status": .string(status)]
        if let generation = condition.generation ?? generation { value["observedGeneration"] = .int(generation) }
        value["lastProbeTime"] = .null
        value["lastTransitionTime"] = .string(since ?? now.rfc3339)
        if !condition.reason.isEmpty { value["reason"] = .string(condition.reason) }
        if !condition.message.isEmpty { value["message"] = .string(condition.message) }
        return value
    }
}

/// The change from one status to another, as a strategic merge patch of a pod. Upstream: statusutil.PatchPodStatus.
enum PodStatusPatch {
    /// The fields that the kubelet owns and takes away again. Conditions of other writers are left alone: the patch merges them by type.
    private static let removable = ["message", "reason", "podIP", "initContainerStatuses"]
    /// Conditions that are there only while they hold.
    private static let passing = ["PodResizePending", "PodResizeInProgress"]

    /// Nil when nothing has changed. `current` is the pod's status as the API server has it.
    static func patch(uid: String, from current: Value, to wanted: Value) -> Value? {
        var changes: Value = [:]
        for (key, value) in wanted.object ?? Members() {
            switch key {
            case "conditions":
                let changed = (value.array ?? []).filter { condition in
                    let old = (current["conditions"]?.array ?? []).first { $0["type"] == condition["type"] }
                    return !same(old, condition)
                }
                // Null takes away a reason or message that has ceased.
                let written = changed.map { condition in
                    var condition = condition
                    for field in ["reason", "message"] where condition[field] == nil { condition[field] = .null }
                    return condition
                }
                let gone = passing.filter { type in
                    let isType = { (condition: Value) in condition["type"]?.string == type }
                    return (current["conditions"]?.array ?? []).contains(where: isType) && !(value.array ?? []).contains(where: isType)
                }.map { type -> Value in ["$patch": "delete", "type": .string(type)] }
                if !written.isEmpty || !gone.isEmpty { changes["conditions"] = .array(written + gone) }
            case "podIPs", "hostIPs":
                guard !same(current[key], value) else { continue }
                let gone = (current[key]?.array ?? []).filter { old in !(value.array ?? []).contains(old) }
                changes[key] = .array((value.array ?? []) + gone.map { ["$patch": "delete", "ip": $0["ip"] ?? ""] })
            default: if !same(current[key], value) { changes[key] = value }
            }
        }
        for key in removable where wanted[key] == nil && current[key] != nil && current[key] != .null { changes[key] = .null }
        if changes.object?.isEmpty != false { return nil }
        return ["metadata": ["uid": .string(uid)], "status": changes]
    }

    /// Equal where nulls and empty objects count as absent, as the API server may leave them out.
    static func same(_ a: Value?, _ b: Value?) -> Bool {
        switch (a ?? .null, b ?? .null) {
        case (.object(let x), .object(let y)):
            for key in Set(x.keys).union(y.keys) where !same(x[key], y[key]) { return false }
            return true
        case (.array(let x), .array(let y)): return x.count == y.count && zip(x, y).allSatisfy { same($0, $1) }
        case (.null, .object(let members)), (.object(let members), .null): return members.values.allSatisfy { same($0, nil) }
        case (.null, .array(let items)), (.array(let items), .null): return items.isEmpty
        case (let x, let y): return x == y
        }
    }
}
