import ContainerRuntime
import KubeAPI
import KubeClient

/// Ends pods before the node runs out of what they share, and those that keep more on the disk than they may. Upstream: eviction.managerImpl.
final class EvictionManager: Sendable {
    /// What a pod evicted at a hard threshold has to end, in seconds. Upstream: immediateEvictionGracePeriodSeconds.
    static let immediateGrace: Int64 = 1
    /// An evicted pod's end is waited for this long before the next one is looked at. Upstream: podCleanupTimeout.
    static let cleanUpLimit = Duration.seconds(30)

    /// What a pod had on the disk is free a moment after its end: the runtime removes it behind its answer. So long it is waited for, looking so often.
    static let (freeingLimit, freeingPeriod) = (Duration.seconds(15), Duration.milliseconds(500))

    private let policy: EvictionPolicy
    private let services: PodServices
    private let workers: PodWorkers
    private let images: ImageCollector
    private let observe: @Sendable () async -> NodeObservations
    /// The node's conditions have changed.
    private let changed: @Sendable (Set<NodePressure>) -> Void
    private let node: ObjectReference
    private let clock = ContinuousClock()

    init(
        policy: EvictionPolicy, services: PodServices, workers: PodWorkers, images: ImageCollector, node: ObjectReference,
        observe: @escaping @Sendable () async -> NodeObservations, changed: @escaping @Sendable (Set<NodePressure>) -> Void
    ) {
        self.policy = policy
        self.services = services
        self.workers = workers
        self.images = images
        self.node = node
        self.observe = observe
        self.changed = changed
    }

    /// Runs until cancelled.
    func run() async {
        let began = clock.now
        var state = EvictionState(policy)
        while !Task.isCancelled {
            let before = state.pressures
            let observations = await observe()
            let thresholds = state.observe(observations, at: (clock.now - began).inSeconds)
            if state.pressures != before { changed(state.pressures) }
            if await evict(for: thresholds, observations, state) { continue }
            do { try await Task.sleep(for: services.configuration.evictionPeriod) } catch { return }  // Cancelled.
        }
    }

    /// Returns whether a pod had to go: then it is worth looking again at once.
    private func evict(for thresholds: [EvictionThreshold], _ observations: NodeObservations, _ state: EvictionState) async -> Bool {
        let active = await workers.activePods()
        if await evictForStorage(active.filter(EvictionMessages.hasStorageLimit)) { return true }
        guard let threshold = thresholds.first else { return false }
        let resource = threshold.signal.resource
        services.recorder.event(
            regarding: node, .warning, reason: "EvictionThresholdMet", message: "Attempting to reclaim \(resource.rawValue)")
        if threshold.signal.pressure == .disk {
            await workers.removeRemains()
            if state.isResolved(await observe()) { return false }
            await images.removeUnused()
            if state.isResolved(await observe()) { return false }
        }
        let ranked = EvictionRanking.ranked(await UsageCollector(services: services).usage(of: active), for: resource)
        // One at a time: its end may be enough.
        guard let usage = ranked.first(where: { !PressureAdmission.isCritical($0.pod) }) else {
            services.logger.warning("no pod can be evicted", metadata: ["resource": "\(resource.rawValue)"])
            return false
        }
        let message = EvictionMessages.starved(threshold, observations[threshold.signal], usage)
        let grace = threshold.grace == 0 ? Self.immediateGrace : min(policy.maximumPodGrace, usage.pod.terminationGracePeriodSeconds)
        await evict(usage.pod, message: message, grace: grace, disruption: message)
        if threshold.signal.pressure == .disk { await waitForRoom(state) }
        return true
    }

    private func waitForRoom(_ state: EvictionState) async {
        let end = clock.now + Self.freeingLimit
        while clock.now < end, !state.isResolved(await observe()) {
            do { try await clock.sleep(for: Self.freeingPeriod) } catch { return }  // Cancelled.
        }
    }

    private func evictForStorage(_ pods: [Pod]) async -> Bool {
        guard !pods.isEmpty else { return false }
        var evicted = false
        for usage in await UsageCollector(services: services).usage(of: pods) {
            guard let message = EvictionMessages.localStorage(usage), !PressureAdmission.isCritical(usage.pod) else { continue }
            await evict(usage.pod, message: message, grace: Self.immediateGrace, disruption: nil)
            evicted = true
        }
        return evicted
    }

    private func evict(_ pod: Pod, message: String, grace: Int64, disruption: String?) async {
        services.event(pod, nil, .warning, "Evicted", message)
        services.logger.info("evicting a pod", metadata: ["pod": "\(pod.key)", "message": "\(message)"])
        await workers.end(
            pod.uid, PodEnding(reason: PodEnding.evicted, message: message, grace: grace, disruption: disruption), limit: Self.cleanUpLimit)
    }
}
