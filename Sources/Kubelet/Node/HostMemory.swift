import ContainerRuntime
import KubeAPI

/// What a container's cgroup is held to of the host's memory beside its limit of ordinary memory. Upstream: kuberuntime's
/// generateLinuxContainerResources.
struct HostMemory: Sendable, Equatable {
    /// Bytes of the huge pages that cgroups can limit here; empty where they cannot.
    var hugePages: [Int64] = []
    var swap = NodeSwap()

    /// Looks at the host. Blocks. Throws `NodeSwapError` where the kubelet does not start with its swap.
    static func read(_ cgroups: PodCgroups, _ configuration: KubeletConfiguration) throws(NodeSwapError) -> HostMemory {
        var memory = HostMemory()
        if cgroups.limitsHugePages { memory.hugePages = HugePages.sizes() }
        memory.swap = NodeSwap(
            behavior: configuration.swapBehavior, capacity: HostFigures.swap(), hostMemory: HostFigures.memory() ?? 0, isUnified: cgroups.isUnified,
            hasController: cgroups.limitsSwap)
        try memory.swap.check(failSwapOn: configuration.failSwapOn)
        return memory
    }

    /// The settings of a container with these. Of a page that it has no limit of it gets none. Upstream: GetHugepageLimitsFromResources.
    func limit(_ resources: LinuxResources, _ container: ContainerSpec, pod: Pod) -> LinuxResources {
        var resources = resources
        let limits = HugePages.limits(container.limits)
        for size in hugePages { resources.hugePages[HugePages.unit(size)] = UInt64(clamping: limits[size] ?? 0) }
        return swap.limit(resources, container, pod: pod)
    }
}
