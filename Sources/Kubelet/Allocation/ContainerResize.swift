import ContainerRuntime
import KubeAPI

/// How far a running container is from the resources it was given: pure. Upstream: kuberuntime's computePodResizeAction, convertContainerStatusResources.
struct ContainerResize: Sendable, Equatable {
    let desired: LinuxResources
    let actual: LinuxResources
    let changesCPU: Bool
    let changesMemory: Bool

    /// Nil when its cgroup is as it should be. `actual`: what the container is known to have been set to.
    init?(_ container: ContainerSpec, pod: Pod, actual: LinuxResources?, nodeMemory: Int64) {
        guard let actual else { return nil }
        desired = container.linuxResources(pod: pod, nodeMemory: nodeMemory)
        self.actual = actual
        // Shares below the least are raised to it, so these are the same to the kernel.
        changesCPU =
            max(desired.cpuShares, CPUArithmetic.minimumShares) != max(actual.cpuShares, CPUArithmetic.minimumShares)
            || max(desired.cpuQuota, 0) != max(actual.cpuQuota, 0)
        changesMemory = max(desired.memoryLimit, 0) != max(actual.memoryLimit, 0)
        if !changesCPU && !changesMemory { return nil }
    }

    /// Whether the container says that it must start anew for this change. Upstream: resizePolicy, RestartContainer.
    func needsRestart(_ container: ContainerSpec) -> Bool {
        container.view["resizePolicy"].elements.contains { policy in
            guard policy["restartPolicy"].string == "RestartContainer" else { return false }
            return policy["resourceName"].string == "memory" ? changesMemory : policy["resourceName"].string == "cpu" && changesCPU
        }
    }

    /// Whether its memory limit becomes less.
    var lowersMemory: Bool { changesMemory && desired.memoryLimit > 0 && (actual.memoryLimit <= 0 || desired.memoryLimit < actual.memoryLimit) }

    /// Bytes that its memory limit becomes more, or less.
    var memoryGrowth: Int64 { desired.memoryLimit.subtractingReportingOverflow(actual.memoryLimit).partialValue }

    /// The container's `resources` as they are in force: what it was given, with cpu and memory as they are set while that differs.
    func inForce(_ given: Value) -> Value {
        var resources = given
        func put(_ list: String, _ name: String, _ quantity: Quantity?) {
            guard resources[list]?[name] != nil else { return }
            resources[path: list, name] = quantity.map { .string($0.description) }
        }
        if changesCPU {
            put("requests", "cpu", Quantity(milli: CPUArithmetic.milli(shares: actual.cpuShares)))
            let limit = CPUArithmetic.milli(quota: actual.cpuQuota, period: actual.cpuPeriod)
            put("limits", "cpu", limit > 0 ? Quantity(milli: limit) : nil)
        }
        if changesMemory { put("limits", "memory", actual.memoryLimit > 0 ? Quantity(actual.memoryLimit, .binarySI) : nil) }
        return resources
    }
}
