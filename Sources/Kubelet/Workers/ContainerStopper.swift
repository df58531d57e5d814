import ContainerRuntime
import KubeAPI

/// Ends containers: preStop, then the stop signal, then SIGKILL when the grace is over. Upstream: kuberuntime's killContainer,
/// killContainersWithSyncResult.
struct ContainerStopper: Sendable {
    let services: PodServices
    let pod: Pod

    /// A container gets at least this long between signal and kill. Upstream: minimumGracePeriodInSeconds.
    static let minimumGrace: Int64 = 2
    /// And no longer than clocks can wait.
    static let maximumGrace: Int64 = 1 << 31

    /// `grace` in seconds. With an order, a container that is still needed is asked to end when its turn comes, its preStop having run at once.
    /// Throws `RuntimeError`.
    func stop(
        _ status: RuntimeContainerStatus, grace: Int64, message: String? = nil, podIP: String, order: TerminationOrder? = nil
    ) async throws {
        let spec = pod.container(named: status.name)
        let grace = min(max(0, grace), Self.maximumGrace)
        services.event(pod, spec, .normal, "Killing", message ?? "Stopping container \(status.name)")
        let began = ContinuousClock.now
        func left() -> Int64 { grace - (ContinuousClock.now - began).components.seconds }
        if let spec, let handler = spec.preStop, grace > 0, status.state == .running {
            do {
                try await LifecycleHooks(services: services, pod: pod).run(
                    handler, container: spec, id: status.id, podIP: podIP, limit: .seconds(grace))
            } catch {
                try Task.checkCancellation()
                services.event(pod, spec, .warning, "FailedPreStopHook", "PreStopHook failed")
                services.logger.debug("preStop failed", metadata: ["pod": "\(pod.key)", "container": "\(status.name)", "error": "\(error)"])
            }
        }
        if let order, left() > 0 {
            await order.waitForTurn(of: status.id, limit: .seconds(left()))
            try Task.checkCancellation()
        }
        try await services.runtime.stopContainer(status.id, timeout: max(left(), Self.minimumGrace))
        await order?.ended(status.id)
    }

    /// Ends all containers of the pod: the main ones together, then the sidecars in turn, the last first, in what is left of the grace. All preStop
    /// handlers run at once, those of sidecars too.
    func stopAll(_ runtime: PodRuntimeStatus, grace: Int64) async throws {
        let running = runtime.containers.filter { $0.state == .running || $0.state == .unknown }
        let order = TerminationOrder(pod: pod, running: running)
        let ip = runtime.ips.first ?? ""
        try await withThrowingTaskGroup(of: Void.self) { group in
            for status in running { group.addTask { try await stop(status, grace: grace, podIP: ip, order: order) } }
            try await group.waitForAll()
        }
    }
}

/// Which of a pod's containers end before which: a sidecar after all main containers and after the sidecars that follow it. Upstream:
/// kuberuntime's terminationOrdering.
actor TerminationOrder {
    /// IDs of running containers that must end first, by the ID of who waits for them.
    private var awaited: [String: Set<String>] = [:]
    private var waiters: [String: AsyncStream<Void>.Continuation] = [:]

    init(pod: Pod, running: [RuntimeContainerStatus]) {
        let mains = Set(pod.containers.map(\.name))
        var before = Set(running.filter { mains.contains($0.name) }.map(\.id))
        for sidecar in pod.initContainers.reversed() where sidecar.isSidecar {
            let own = running.filter { $0.name == sidecar.name }.map(\.id)
            for id in own { awaited[id] = before }
            before.formUnion(own)
        }
    }

    /// Who must end before a container.
    func prerequisites(of id: String) -> Set<String> { awaited[id] ?? [] }

    func ended(_ id: String) {
        for waiting in Array(awaited.keys) {
            guard awaited[waiting]?.remove(id) != nil, awaited[waiting]?.isEmpty == true else { continue }
            waiters[waiting]?.finish()
        }
    }

    /// Waits until all that a container waits for have ended, no longer than `limit`; returns early when cancelled.
    func waitForTurn(of id: String, limit: Duration) async {
        guard awaited[id]?.isEmpty == false else { return }
        let (turn, waiter) = AsyncStream<Void>.makeStream()
        waiters[id] = waiter
        let timer = Task {
            do { try await Task.sleep(for: limit) } catch { return }  // Its turn has come.
            waiter.finish()
        }
        for await _ in turn {}
        timer.cancel()
        waiters[id] = nil
    }
}
