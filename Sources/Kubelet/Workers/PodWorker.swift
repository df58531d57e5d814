import ContainerRuntime
import KubeAPI
import KubeClient
import Logging

/// Why a pod is ended by its node. Upstream: TerminatePodOptions.
struct PodEnding: Sendable, Equatable {
    /// The reason of pods that the node has no room for any more. Upstream: eviction.Reason.
    static let evicted = "Evicted"

    var reason: String
    var message: String
    /// Seconds its containers have.
    var grace: Int64
    /// The message of the condition DisruptionTarget; nil: it gets none.
    var disruption: String?
}

/// Brings one pod from what it is to what it should be, over and over, until it is gone. Level-triggered: whatever woke it, it looks at everything.
/// Upstream: pkg/kubelet's pod workers with syncPod, syncTerminatingPod, syncTerminatedPod.
///
///     syncing ──(deleted, or all is over)──▶ terminating ──(all stopped, volumes away)──▶ terminated ──(object gone)──▶ finished
actor PodWorker {
    enum Stage: Sendable { case syncing, terminating, terminated, finished }

    let uid: String
    let services: PodServices
    private(set) var stage: Stage
    private(set) var pod: Pod
    /// The newest object, as it came.
    private var seen: Pod
    /// The API server does not have the pod any more.
    private(set) var isGoneFromAPI = false
    var backOff: BackOff
    var failures: [String: StartFailure] = [:]
    /// Termination messages by container ID.
    var messages: [String: String] = [:]
    var verdict: (phase: PodPhase, reason: String, message: String)?
    /// The node refused the pod when it came.
    private var wasRejected: Bool
    /// The node ends the pod.
    private var ending: PodEnding?
    /// Its end has been told, and its containers are removed.
    private var isCleared = false
    private var resize = ResizeProgress()
    private var lastStatus: Value?
    /// Seconds until the next look, set by a pass.
    var wakeAfter: Double?
    private var errorDelay = firstErrorDelay
    private var timer: Task<Void, Never>?
    private var pass: Task<Void, Never>?
    private var passGrace: Int64?
    /// Told of probes while a pass waits for containers to end.
    private var probeChange: AsyncStream<Void>.Continuation?
    var volumesChecked: ContinuousClock.Instant?
    private let signals: AsyncStream<Void>
    private nonisolated let signal: AsyncStream<Void>.Continuation

    /// After a failure: doubled up to upstream's backOffPeriod.
    private static let firstErrorDelay = 1.0

    /// A pod that is over already has nothing of the node; any other is admitted, or refused and ended.
    init(_ object: Object, services: PodServices) {
        let pod = Pod(object)
        uid = pod.uid
        self.services = services
        let isOver = pod.isBeingDeleted || pod.isTerminalInAPI
        // One that is being deleted may still hold what it was given.
        let isNew = pod.status["startTime"].string == nil
        let unfit =
            services.shutdown.rejection ?? FeatureAdmission.rejection(pod) ?? PressureAdmission.rejection(pod, pressures: services.pressures())
            ?? SysctlAdmission.rejection(pod)
        let pressure = isNew ? unfit : nil
        let refusal = pod.isTerminalInAPI ? nil : pressure ?? services.allocations.admit(pod)
        let rejection = isOver ? nil : refusal
        self.pod = services.allocations.given(pod)
        seen = pod
        stage = isOver || rejection != nil ? .terminating : .syncing
        wasRejected = rejection != nil || pod.isTerminalInAPI && pod.status["containerStatuses"] == nil
        if let rejection {
            services.event(pod, nil, .warning, rejection.reason, rejection.message)
            verdict = (.failed, rejection.reason, "Pod was rejected: \(rejection.message)")
        }
        backOff = BackOff(initial: services.configuration.backOffInitial.inSeconds, limit: services.configuration.backOffLimit.inSeconds)
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        signal.yield()
    }

    /// Has the pod looked at soon.
    nonisolated func wake() { signal.yield() }

    /// A probe's result has changed. A pass that stops containers, which may take as long as their grace, is not waited for.
    func probed() { if let probeChange { probeChange.yield() } else { wake() } }

    /// Takes over the pod's newest object. One that wishes nothing new, as after each of our own statuses, is not looked at for it: what was decided stays to be seen
    /// until something happens.
    func update(_ object: Object) {
        let wished = Pod(object)
        let isNews = Self.wishesDiffer(wished, seen)
        seen = wished
        if !Self.showTheSame(wished, pod) { volumesChecked = nil }
        takeResize(wished)
        if pod.isBeingDeleted { beginTerminating() }
        if isNews { wake() }
    }

    /// Whether two states of the pod differ in more than what this node says of it. Upstream: config's checkAndUpdatePod, which tells updates from reconciliations,
    /// and NeedToReconcilePodReadiness.
    private static func wishesDiffer(_ a: Pod, _ b: Pod) -> Bool {
        func bytes(_ pod: Pod, _ name: String) -> ArraySlice<UInt8>? { pod.object[name]?.rawBytes }
        if bytes(a, "spec") != bytes(b, "spec") || !showTheSame(a, b) { return true }
        if a.isBeingDeleted != b.isBeingDeleted || a.effectiveGracePeriodSeconds != b.effectiveGracePeriodSeconds { return true }
        return !a.spec["readinessGates"].elements.isEmpty && a.status["conditions"]?.rawBytes != b.status["conditions"]?.rawBytes
    }

    /// The pod's object is gone: whatever still runs is ended.
    func removed(_ object: Object) {
        pod = services.allocations.given(Pod(object))
        isGoneFromAPI = true
        beginTerminating()
        wake()
    }

    /// The node cannot give what the pod needs, as came out when it was to start.
    func reject(_ rejection: PodRejection) {
        services.event(pod, nil, .warning, rejection.reason, rejection.message)
        verdict = (.failed, rejection.reason, "Pod was rejected: \(rejection.message)")
        wasRejected = true
        endWork()
    }

    /// Not over yet, and not about to be.
    var isActive: Bool { stage == .syncing || stage == .terminating }

    /// Ends the pod for good, for the node's own reasons.
    func end(_ ending: PodEnding) {
        guard stage == .syncing, verdict == nil else { return }
        self.ending = ending
        verdict = (.failed, ending.reason, ending.message)
        beginTerminating()
        wake()
    }

    private func beginTerminating() {
        switch stage {
        case .syncing:
            stage = .terminating
            pass?.cancel()
        case .terminating:
            // A shorter grace than the one being waited out takes effect at once.
            if let passGrace, pod.effectiveGracePeriodSeconds < passGrace { pass?.cancel() }
        case .terminated, .finished: break
        }
    }

    /// Runs until the pod is gone, or the task is cancelled (containers are then left as they are).
    func run() async {
        for await _ in signals {
            if Task.isCancelled { break }
            timer?.cancel()
            wakeAfter = nil
            let stage = stage
            let task = Task { await self.take(stage) }
            pass = task
            await withTaskCancellationHandler {
                await task.value
            } onCancel: {
                task.cancel()
            }
            pass = nil
            if self.stage == .finished || Task.isCancelled { break }
            schedule()
        }
        timer?.cancel()
        services.prober.stop(podUID: uid)
    }

    private func schedule() {
        guard stage != .terminated || wakeAfter != nil else { return }
        let delay = min(wakeAfter ?? services.configuration.resyncPeriod.inSeconds, services.configuration.resyncPeriod.inSeconds)
        timer = Task {
            do { try await Task.sleep(for: .milliseconds(Int64(max(0, delay) * 1000) + 1)) } catch { return }  // Cancelled: another pass came first.
            self.wake()
        }
    }

    /// The next pass comes at most this many seconds later.
    func wake(after seconds: Double) { wakeAfter = min(wakeAfter ?? seconds, seconds) }

    private func take(_ stage: Stage) async {
        do {
            switch stage {
            case .syncing: try await sync()
            case .terminating:
                passGrace = pod.effectiveGracePeriodSeconds
                defer { passGrace = nil }
                try await terminate()
            case .terminated: try await cleanUp()
            case .finished: break
            }
            errorDelay = Self.firstErrorDelay
        } catch is CancellationError {
            // The stage has changed, or the agent stops.
        } catch {
            if Task.isCancelled { return }
            services.logger.warning("pod sync failed", metadata: ["pod": "\(pod.key)", "stage": "\(stage)", "error": "\(error)"])
            wake(after: errorDelay)
            errorDelay = min(errorDelay * 2, ContainerStarter.retryPeriod)
        }
    }

    // MARK: status

    /// The pod with our own last status over the API server's: what we have decided counts before it has come back to us.
    private var podWithOwnStatus: Pod {
        guard let lastStatus else { return pod }
        var object = pod.object.value
        var status = object["status"] ?? [:]
        for (key, value) in lastStatus.object ?? Members() {
            guard key == "conditions" else {
                status[key] = value
                continue
            }
            let own = value.array ?? []
            status[key] = .array((status[key]?.array ?? []).filter { old in !own.contains { $0["type"] == old["type"] } } + own)
        }
        object["status"] = status
        return (try? Object(object)).map { Pod($0) } ?? pod  // A tree made of a parsed object always encodes to one.
    }

    /// Computes the pod's status and hands it to the writer; returns the phase.
    @discardableResult
    func publish(_ runtime: PodRuntimeStatus, isTerminated: Bool = false) async -> PodPhase {
        await readMessages(runtime)
        let outcome = PodStatusComputation(
            pod: podWithOwnStatus, runtime: runtime, failures: failures, probes: services.prober.results(podUID: uid).standing, messages: messages,
            runtimeName: services.runtimeName, hostIPs: [services.configuration.nodeIP], now: services.now(), isTerminated: isTerminated,
            // While something of it runs, a pod is not over: another must not take its place yet.
            verdict: isTerminated || !runtime.hasRunningContainers ? verdict : nil, wasRejected: wasRejected,
            disruption: ending?.disruption, resize: resize.standing(pending: services.allocations.pending(uid))
        ).compute()
        lastStatus = outcome.value
        if !isGoneFromAPI { services.statuses.set(pod, outcome.value) }
        return outcome.phase
    }

    private func readMessages(_ runtime: PodRuntimeStatus) async {
        guard services.configuration.managesPodFiles else { return }
        for status in runtime.containers where status.state == .exited && messages[status.id] == nil {
            do { messages[status.id] = try await FileWork.run { TerminationMessage.read(status) } } catch { messages[status.id] = "" }
            if messages[status.id]?.isEmpty == true { messages[status.id] = status.message }
        }
        messages = messages.filter { message in runtime.containers.contains { $0.id == message.key } }
    }

    func readRuntime() async throws -> PodRuntimeStatus {
        let runtime = try await PodRuntimeStatus.read(uid: uid, from: services.runtime)
        services.logs?.note(podUID: uid, runtime)
        return runtime
    }

    // MARK: syncing

    private func sync() async throws {
        var runtime = try await readRuntime()
        checkDeadline()
        settleResize(runtime)
        // Before the first status of an agent that starts anew: what runs is as ready as it was.
        services.prober.reconcile(pod, runtime)
        var phase = await publish(runtime)
        if verdict != nil || phase == .succeeded || phase == .failed { return endWork() }
        if !pod.hostNetwork, let problem = services.networkProblem() {
            services.event(pod, nil, .warning, "NetworkNotReady", "network is not ready: \(problem)")
            return wake(after: 1)
        }
        let changedAnything = try await PodSyncPass(worker: self, services: services, pod: pod).perform(runtime)
        try Task.checkCancellation()
        if changedAnything {
            runtime = try await readRuntime()
            settleResize(runtime)
            phase = await publish(runtime)
            if canGoOn(runtime) { wake() }
        } else if !failures.isEmpty {
            phase = await publish(runtime)
        }
        services.prober.reconcile(pod, runtime)
        try await removeDead(runtime)
        if phase == .succeeded || phase == .failed { endWork() }
    }

    /// Whether what a pass has done lets the next begin, as a sidecar that runs lets those after it: nothing else would tell. What failed has its own time.
    private func canGoOn(_ runtime: PodRuntimeStatus) -> Bool {
        let next = PodSync.plan(
            pod: pod, status: runtime, verdicts: services.prober.results(podUID: uid).verdicts, backOff: backOff, now: services.now())
        let startable = next.startEphemeral + next.startInit + next.start
        return !next.killPod && startable.contains { failures[$0] == nil }
    }

    private func endWork() {
        if stage == .syncing { stage = .terminating }
        wake()
    }

    private func checkDeadline() {
        guard verdict == nil, let deadline = pod.activeDeadlineSeconds, let text = pod.status["startTime"].string ?? lastStatus?["startTime"]?.string,
            let start = Timestamp(rfc3339: text)
        else { return }
        let left = Double(deadline) - services.now().timeInterval(since: start)
        if left > 0 { return wake(after: left) }
        let message = "Pod was active on the node longer than the specified deadline"
        services.event(pod, nil, .normal, "DeadlineExceeded", message)
        verdict = (.failed, "DeadlineExceeded", message)
    }

    // MARK: resizing

    /// Takes the pod's newest object with what it is given of its wishes.
    private func takeResize(_ wished: Pod) {
        let (given, outcome) = services.allocations.update(wished)
        pod = given
        switch outcome {
        case .unchanged: break
        case .granted:
            resizeGranted(wished)
            services.roomChanged()
        case .pending(let pending, let isNews):
            guard isNews else { break }
            services.event(
                wished, nil, .warning, "Resize\(pending.reason.rawValue)",
                ResizeMessages.text("Pod resize \(pending.reason.rawValue)", wished, generation: pending.generation, error: pending.message))
        }
    }

    /// Another pod has made room: this one got what it waited for.
    func grantedLate() {
        pod = services.allocations.given(pod)
        resizeGranted(pod)
        wake()
    }

    private func resizeGranted(_ pod: Pod) {
        resize.granted(generation: pod.metadata.generation)
        let text = ResizeMessages.text("Pod resize started", pod, generation: pod.metadata.generation)
        services.event(pod, nil, .normal, "ResizeStarted", text)
    }

    /// What changing the containers gave; tried again after a while when it failed.
    func resized(_ problem: String?) {
        guard let problem else { return }
        if resize.failed(problem, generation: pod.metadata.generation) {
            let generation = resize.generation ?? pod.metadata.generation
            services.event(pod, nil, .warning, "ResizeError", ResizeMessages.text("Pod resize error", pod, generation: generation, error: problem))
        }
        wake(after: ContainerStarter.retryPeriod)
    }

    private func settleResize(_ runtime: PodRuntimeStatus) {
        let isOpen = AllocatedResources.resizable(pod).contains { container in
            guard let current = runtime.latest(container.name), current.state == .running else { return false }
            return ContainerResize(container, pod: pod, actual: current.resources, nodeMemory: 0) != nil
        }
        guard let generation = resize.settle(isOpen: isOpen, generation: pod.metadata.generation) else { return }
        services.event(pod, nil, .normal, "ResizeCompleted", ResizeMessages.text("Pod resize completed", pod, generation: generation))
    }

    func setFailure(_ name: String, _ failure: StartFailure?) { failures[name] = failure }
    func planInputs() -> (backOff: BackOff, failures: [String: StartFailure]) { (backOff, failures) }
    func tookBackOffStep(_ key: String, finishedAt: Timestamp) { backOff.next(key, event: finishedAt, now: services.now()) }

    /// Until volumes' contents are due to be brought up to date; nil when they are now.
    func untilVolumesAreDue() -> Duration? {
        guard let volumesChecked else { return nil }
        let left = volumesChecked + services.configuration.resyncPeriod - .now
        return left > .zero ? left : nil
    }

    /// The volumes are as that state of the pod wants them.
    func volumesWereChecked(_ checked: Pod) { volumesChecked = Self.showTheSame(checked, pod) ? .now : nil }

    /// Whether files of the pod's own labels and annotations are the same. Upstream: a pod's change remounts its volumes, ReprocessPod.
    private static func showTheSame(_ a: Pod, _ b: Pod) -> Bool {
        a.metadata.labels == b.metadata.labels && a.metadata.annotations == b.metadata.annotations
    }

    /// Removes containers that are stopped, and their logs.
    func purge(_ containers: [RuntimeContainerStatus]) async throws {
        for container in containers { try await remove(container) }
    }

    /// Containers that have ended, but the last one of each name and one before it, and sandboxes that nothing is in. Upstream: container GC.
    private func removeDead(_ runtime: PodRuntimeStatus) async throws {
        for name in Set(runtime.containers.map(\.name)) {
            let instances = runtime.containers.filter { $0.name == name }
            var keptDead = false
            for (index, instance) in instances.enumerated() where instance.state != .running {
                if index == 0 || !keptDead, instance.state == .exited || index == 0 {
                    if instance.state == .exited { keptDead = true }
                    continue
                }
                try await remove(instance)
            }
        }
        let used = Set(try await services.runtime.containers(ContainerFilter(labels: [ContainerLabels.podUID: uid])).map(\.sandboxID))
        for sandbox in runtime.sandboxes.dropFirst() where !sandbox.isReady && !used.contains(sandbox.id) {
            try await services.runtime.removePodSandbox(sandbox.id)
        }
    }

    private func remove(_ container: RuntimeContainerStatus) async throws {
        try await services.runtime.removeContainer(container.id)
        let log = container.logPath
        let directory = services.configuration.podLogsDirectory
        guard services.configuration.managesPodFiles, ContainerLogRotator.isLog(log, below: directory) else { return }
        try await FileWork.run { try ContainerLogFiles.removeAll(log) }
    }

    // MARK: terminating

    private func terminate() async throws {
        services.prober.stopRestarts(podUID: uid)
        let runtime = try await readRuntime()
        services.prober.reconcile(pod, runtime, isTerminating: true)
        if !isCleared { await publish(runtime) }
        let isDeleted = pod.isBeingDeleted || isGoneFromAPI
        let grace = isDeleted ? pod.effectiveGracePeriodSeconds : ending?.grace ?? pod.terminationGracePeriodSeconds
        try await stopAll(runtime, grace: grace)
        try Task.checkCancellation()
        // What it wrote may be why it had to go: without room nothing that follows may work. Upstream: deleteContainersInPod for evicted pods.
        if ending?.reason == PodEnding.evicted, !isCleared {
            try await publishEnd()
            await purgeAll()
            isCleared = true
        }
        for sandbox in runtime.sandboxes { try await services.runtime.stopPodSandbox(sandbox.id) }
        if !isCleared { try await publishEnd() }
        if services.configuration.managesPodFiles {
            try await PodMounts(services: services, pod: pod).removeImageVolumes()
            try await services.csi?.tearDown(uid)
            let (volumes, uid) = (services.volumes, uid)
            services.volumeStatistics.forget(uid)
            try await FileWork.run { try volumes.tearDown(uid) }
        }
        if services.configuration.managesCgroups {
            let (cgroups, pod) = (services.cgroups, pod)
            try await FileWork.run { try cgroups.remove(pod) }
        }
        services.tokens.forget(podUID: uid)
        await services.images.forget(podUID: uid)
        services.allocations.release(uid: uid)
        services.devices?.release(podUID: uid)
        // Who is told looks whether the pod is over: nothing may be waited for in between.
        services.roomChanged()
        stage = .terminated
        wake()
    }

    /// Tells what came of the containers, none of which runs any more.
    private func publishEnd() async throws {
        let runtime = try await readRuntime()
        guard !runtime.hasRunningContainers else { throw RuntimeError(.unknown, "containers are still running after their stop") }
        services.prober.stop(podUID: uid)
        failures = [:]
        await publish(runtime, isTerminated: true)
    }

    /// Removes the containers and logs of a pod that is over; its status is told already.
    func removeRemains() async { if stage == .terminated { await purgeAll() } }

    private func purgeAll() async {
        do {
            try await purge(readRuntime().containers)
        } catch {
            services.logger.warning("cannot remove what an ended pod has left", metadata: ["pod": "\(pod.key)", "error": "\(error)"])
        }
    }

    /// Stops all containers; readiness goes on being told meanwhile: who ends may serve until it says that it does not. Upstream:
    /// SyncTerminatingPod, SetContainerReadiness.
    private func stopAll(_ runtime: PodRuntimeStatus, grace: Int64) async throws {
        let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        probeChange = change
        defer { probeChange = nil }
        let stopper = ContainerStopper(services: services, pod: pod)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in changes { await self.publishWhileStopping() } }
            try await stopper.stopAll(runtime, grace: grace)
            change.finish()
            try await group.waitForAll()
        }
    }

    private func publishWhileStopping() async {
        do {
            let runtime = try await readRuntime()
            services.prober.reconcile(pod, runtime, isTerminating: true)
            // With the last container the pod is over, which is told when all is stopped.
            if runtime.hasRunningContainers { await publish(runtime) }
        } catch {
            services.logger.debug("cannot tell readiness", metadata: ["pod": "\(pod.key)", "error": "\(error)"])
        }
    }

    // MARK: terminated

    private func cleanUp() async throws {
        if !isGoneFromAPI {
            if pod.isBeingDeleted { services.statuses.finish(pod) }
            return
        }
        services.statuses.forget(uid: uid)
        try await services.removeEverything(uid: uid, logDirectory: SandboxConfiguration(configuration: services.configuration).logDirectory(pod))
        stage = .finished
    }
}

extension PodServices {
    /// Removes all that is left of a pod in the runtime and on the disk.
    func removeEverything(uid: String, logDirectory: String?) async throws {
        for sandbox in try await runtime.podSandboxes(PodSandboxFilter(labels: [ContainerLabels.podUID: uid])) {
            try await runtime.stopPodSandbox(sandbox.id)
            try await runtime.removePodSandbox(sandbox.id)
        }
        guard configuration.managesPodFiles else { return }
        try await csi?.tearDown(uid)
        let volumes = volumes
        try await FileWork.run {
            try volumes.removePodDirectory(uid)
            if let logDirectory { try FileTree.removeAll(logDirectory) }
        }
    }
}
