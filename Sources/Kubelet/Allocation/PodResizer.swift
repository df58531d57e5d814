import ContainerRuntime
import KubeAPI

/// Changes the cgroups of a running pod and its containers. The pod's limit is raised before its containers', and lowered after. Upstream: kuberuntime's
/// doPodResizeAction.
struct PodResizer: Sendable {
    let services: PodServices
    let pod: Pod

    /// Brings the named containers, and the pod's own cgroup, to what they were given. Returns why that failed; what was done until then stays.
    func perform(_ names: [String], _ runtime: PodRuntimeStatus) async -> String? {
        do {
            let changes = names.compactMap { name -> (RuntimeContainerStatus, ContainerResize)? in
                guard let container = pod.container(named: name), let current = runtime.latest(name) else { return nil }
                let nodeMemory = services.configuration.capacity["memory"]?.value ?? 0
                return ContainerResize(container, pod: pod, actual: current.resources, nodeMemory: nodeMemory).map { (current, $0) }
            }
            let limits = PodCgroupLimits(pod)
            try await refuseShortMemory(changes)
            try await setPodLimits(limits, onlyRaising: true)
            // Those that give something back come first.
            for (current, change) in changes.sorted(by: { $0.1.memoryGrowth < $1.1.memoryGrowth }) {
                guard let container = pod.container(named: current.name) else { continue }
                let desired = services.memory.limit(change.desired, container, pod: pod)
                try await services.runtime.updateContainerResources(current.id, desired)
            }
            try await setPodLimits(limits, onlyRaising: false)
            return nil
        } catch {
            return (error as? RuntimeError)?.message ?? "\(error)"
        }
    }

    private func setPodLimits(_ limits: PodCgroupLimits, onlyRaising: Bool) async throws {
        guard services.configuration.managesCgroups else { return }
        let (cgroups, pod) = (services.cgroups, pod)
        try await FileWork.run { try cgroups.apply(limits, to: pod, onlyRaising: onlyRaising) }
    }

    /// A limit below what is in use would have the kernel kill. Upstream: validateMemoryResizeAction.
    private func refuseShortMemory(_ changes: [(RuntimeContainerStatus, ContainerResize)]) async throws {
        for (current, change) in changes where change.lowersMemory {
            let usage = try await services.runtime.containerStats(ContainerFilter(id: current.id)).first?.memoryUsageBytes
            guard let usage, usage >= UInt64(change.desired.memoryLimit) else { continue }
            throw RuntimeError(
                .failedPrecondition,
                "attempting to set container \"\(current.name)\" memory limit (\(change.desired.memoryLimit)) below current usage (\(usage))")
        }
    }
}
