import ContainerRuntime
import KubeAPI
import KubeClient
import Synchronization

/// Runs the probes of all containers on the node, each in a task of its own for as long as its container runs, and keeps their results.
/// Upstream: pkg/kubelet/prober.Manager.
final class Prober: Sendable {
    private struct Key: Hashable {
        var containerID: String
        var kind: ProbeKind
    }
    private struct Running {
        var podUID: String
        var result: Bool?
        var task: Task<Void, Never>?
    }

    private let actions: ProbeActions
    private let recorder: EventRecorder
    /// A probe's result has changed for a pod.
    private let changed: @Sendable (_ podUID: String) -> Void
    private let probes = Mutex<[Key: Running]>([:])

    init(actions: ProbeActions, recorder: EventRecorder, changed: @escaping @Sendable (String) -> Void) {
        self.actions = actions
        self.recorder = recorder
        self.changed = changed
    }

    /// Starts probes of containers that run, and ends those of containers that do not. While the pod ends, only readiness is still asked for.
    func reconcile(_ pod: Pod, _ status: PodRuntimeStatus, isTerminating: Bool = false) {
        var wanted: Set<Key> = []
        for spec in pod.allContainers where !spec.isInit || spec.isSidecar {
            guard let current = status.latest(spec.name), current.state == .running else { continue }
            for (kind, view) in [(ProbeKind.startup, spec.startupProbe), (.readiness, spec.readinessProbe), (.liveness, spec.livenessProbe)] {
                guard let view else { continue }
                let key = Key(containerID: current.id, kind: kind)
                wanted.insert(key)
                // One worker reconciles a pod, one pass at a time.
                guard probes.withLock({ $0[key] == nil }) else { continue }
                let reported = ReportedStanding(pod, spec, containerID: current.id)
                let state = ProbeState(kind: kind, settings: ProbeSettings(view), reported: reported)
                probes.withLock { $0[key] = Running(podUID: pod.uid, result: state.result) }
                guard kind == .readiness || !isTerminating, kind != .startup || state.result == nil else { continue }
                // Readiness that waits for a startup probe would wait in vain.
                if isTerminating, spec.startupProbe != nil, !reported.isStarted { continue }
                let ip = pod.hostNetwork ? pod.status["hostIP"].string ?? "127.0.0.1" : status.ips.first ?? ""
                let target = ProbeActions.Target(containerID: current.id, podIP: ip, container: spec)
                let startedAt = Timestamp(microseconds: current.startedAt / 1000)
                let task = Task { await self.run(key, view, state, pod: pod, target: target, startedAt: startedAt) }
                probes.withLock { $0[key]?.task = task }
            }
        }
        end { $0.value.podUID == pod.uid && !wanted.contains($0.key) }
    }

    /// Ends the probes that would have containers restarted; what they have found stays. Upstream: StopLivenessAndStartup.
    func stopRestarts(podUID: String) {
        let tasks = probes.withLock { probes in
            var tasks: [Task<Void, Never>] = []
            for (key, probe) in probes where probe.podUID == podUID {
                // Readiness that waits for a startup probe waits in vain from now on.
                let startup = probes[Key(containerID: key.containerID, kind: .startup)]
                let isKept = key.kind == .readiness && (startup == nil || startup?.result == true)
                guard !isKept, let task = probe.task else { continue }
                tasks.append(task)
                probes[key]?.task = nil
            }
            return tasks
        }
        for task in tasks { task.cancel() }
    }

    func stop(podUID: String) { end { $0.value.podUID == podUID } }
    func stopAll() { end { _ in true } }

    private func end(_ which: ((key: Key, value: Running)) -> Bool) {
        let ended = probes.withLock { probes in
            let gone = probes.filter { which(($0.key, $0.value)) }
            for key in gone.keys { probes[key] = nil }
            return gone
        }
        for running in ended.values { running.task?.cancel() }
    }

    /// Results of a pod's probes, for its status and for decisions.
    func results(podUID: String) -> (standing: ProbeStanding, verdicts: ProbeVerdicts) {
        probes.withLock { probes in
            var standing = ProbeStanding()
            var verdicts = ProbeVerdicts()
            for (key, probe) in probes where probe.podUID == podUID {
                switch (key.kind, probe.result) {
                case (.readiness, true?): standing.ready.insert(key.containerID)
                case (.startup, true?):
                    standing.started.insert(key.containerID)
                    verdicts.startupSucceeded.insert(key.containerID)
                case (.startup, false?): verdicts.startupFailed.insert(key.containerID)
                case (.liveness, false?): verdicts.livenessFailed.insert(key.containerID)
                default: break
                }
            }
            return (standing, verdicts)
        }
    }

    private func run(
        _ key: Key, _ view: JSONView, _ initial: ProbeState, pod: Pod, target: ProbeActions.Target, startedAt: Timestamp
    ) async {
        let settings = initial.settings
        var state = initial
        let hasStartup = target.container.startupProbe != nil
        var next = startedAt.adding(seconds: settings.initialDelay)
        while !Task.isCancelled {
            let wait = next.timeInterval(since: .now)
            if wait > 0 { do { try await Task.sleep(for: .milliseconds(Int64(min(wait, 86400) * 1000) + 1)) } catch { return } }  // Cancelled.
            next = Timestamp.now.adding(seconds: settings.period)
            // Others wait for the startup probe; the startup probe ends with its success.
            if key.kind != .startup, hasStartup, probes.withLock({ $0[Key(containerID: key.containerID, kind: .startup)]?.result }) != true {
                next = Timestamp(microseconds: Timestamp.now.microseconds + 200_000)
                continue
            }
            let outcome = await actions.probe(view, target, timeout: .seconds(settings.timeout))
            if Task.isCancelled { return }
            report(outcome, key.kind, pod: pod, container: target.container)
            guard state.take(outcome) else { continue }
            probes.withLock { $0[key]?.result = state.result }
            changed(pod.uid)
            if state.isOnHold || (key.kind == .startup && state.result == true) { return }
        }
    }

    private func report(_ outcome: ProbeOutcome, _ kind: ProbeKind, pod: Pod, container: ContainerSpec) {
        let regarding = ObjectReference(pod.object, fieldPath: container.fieldPath)
        switch outcome {
        case .success: break
        case .warning(let text):
            recorder.event(regarding: regarding, .warning, reason: "ProbeWarning", message: "\(kind.rawValue) probe warning: \(text)")
        case .failure(let text):
            recorder.event(regarding: regarding, .warning, reason: "Unhealthy", message: "\(kind.rawValue) probe failed: \(text)")
        case .unknown(let text):
            recorder.event(
                regarding: regarding, .warning, reason: "Unhealthy", message: "\(kind.rawValue) probe errored and resulted in unknown state: \(text)")
        }
    }
}
