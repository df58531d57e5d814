import ContainerRuntime
import KubeAPI

/// Ends containers: preStop, then the stop signal, then SIGKILL when the grace is over. Upstream: kuberuntime's killContainer,
/// killContainersWithSyncResult.
struct ContainerStopper: Sendable {
    let services: PodServices
    let pod: Pod

    /// A container gets at least this long between signal and kill. Upstream: minimumGracePeriodInSeconds.
    static let minimumGrace: Int64 = 2

    /// `grace` in seconds; `exact` keeps it even below the minimum. Throws `RuntimeError`.
    func stop(_ status: RuntimeContainerStatus, grace: Int64, exact: Bool = false, message: String? = nil, podIP: String) async throws {
        let spec = pod.container(named: status.name)
        services.event(pod, spec, .normal, "Killing", message ?? "Stopping container \(status.name)")
        var left = grace
        if let spec, let handler = spec.preStop, left > 0, status.state == .running {
            let began = ContinuousClock.now
            do {
                try await LifecycleHooks(services: services, pod: pod).run(
                    handler, container: spec, id: status.id, podIP: podIP, limit: .seconds(left))
            } catch {
                try Task.checkCancellation()
                services.event(pod, spec, .warning, "FailedPreStopHook", "PreStopHook failed")
                services.logger.debug("preStop failed", metadata: ["pod": "\(pod.key)", "container": "\(status.name)", "error": "\(error)"])
            }
            left -= (ContinuousClock.now - began).components.seconds
            left = max(left, Self.minimumGrace)
        }
        if !exact { left = max(left, Self.minimumGrace) }
        try await services.runtime.stopContainer(status.id, timeout: max(0, left))
    }

    /// Ends all containers of the pod: the main ones together, then the sidecars in turn, the last first, in what is left of the grace.
    func stopAll(_ runtime: PodRuntimeStatus, grace: Int64, exact: Bool) async throws {
        let began = ContinuousClock.now
        let running = runtime.containers.filter { $0.state == .running || $0.state == .unknown }
        let sidecars = pod.initContainers.filter(\.isSidecar).map(\.name)
        let ip = runtime.ips.first ?? ""
        try await withThrowingTaskGroup(of: Void.self) { group in
            for status in running where !sidecars.contains(status.name) {
                group.addTask { try await stop(status, grace: grace, exact: exact, podIP: ip) }
            }
            try await group.waitForAll()
        }
        for name in sidecars.reversed() {
            for status in running where status.name == name {
                let left = max(1, grace - (ContinuousClock.now - began).components.seconds)
                try await stop(status, grace: left, exact: exact, podIP: ip)
            }
        }
    }
}
