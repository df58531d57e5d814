import ContainerRuntime
import KubeAPI

/// What a container's cgroup is held to of the host's memory beside its limit of ordinary memory. Upstream: kuberuntime's
/// generateLinuxContainerResources.
struct HostMemory: Sendable, Equatable {
    /// Bytes of the huge pages that cgroups can limit here; empty where they cannot.
    var hugePages: [Int64] = []
    var swap = NodeSwap()
    /// Whether a container that runs out of memory ends as a whole, rather than one of its processes.
    var killsWhole = false

    /// Looks at the host. Blocks. Throws `NodeSwapError` where the kubelet does not start with its swap.
    static func read(_ cgroups: PodCgroups, _ configuration: KubeletConfiguration) throws(NodeSwapError) -> HostMemory {
        var memory = HostMemory()
        if cgroups.limitsHugePages { memory.hugePages = HugePages.sizes() }
        memory.killsWhole = killsWhole(isUnified: cgroups.isUnified, singleProcess: configuration.singleProcessOOMKill)
        memory.swap = NodeSwap(
            behavior: configuration.swapBehavior, capacity: HostFigures.swap(), hostMemory: HostFigures.memory() ?? 0, isUnified: cgroups.isUnified,
            hasController: cgroups.limitsSwap)
        try memory.swap.check(failSwapOn: configuration.failSwapOn)
        return memory
    }

    /// The kernel kills by groups with cgroup v2 alone; there it does unless it is told not to. Upstream: calculateLinuxResources,
    /// KubeletConfiguration's default of singleProcessOOMKill.
    static func killsWhole(isUnified: Bool, singleProcess: Bool?) -> Bool { isUnified && singleProcess != true }

    /// The settings of a container with these. Of a page that it has no limit of it gets none. Upstream: GetHugepageLimitsFromResources.
    func limit(_ resources: LinuxResources, _ container: ContainerSpec, pod: Pod) -> LinuxResources {
        var resources = resources
        let limits = HugePages.limits(container.limits)
        if killsWhole { resources.unified["memory.oom.group"] = "1" }
        for size in hugePages { resources.hugePages[HugePages.unit(size)] = UInt64(clamping: limits[size] ?? 0) }
        return swap.limit(resources, container, pod: pod)
    }
}
