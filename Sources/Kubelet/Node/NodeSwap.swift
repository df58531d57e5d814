import ContainerRuntime
import KubeAPI

/// What containers may have of the host's swap. Upstream: kubelettypes.SwapBehavior.
package enum SwapBehavior: String, Sendable {
    case none = "NoSwap"
    case limited = "LimitedSwap"
}

/// The host's swap: all its nodes share it. Upstream: kuberuntime's swapConfigurationHelper.
struct NodeSwap: Sendable, Equatable {
    var behavior = SwapBehavior.none
    /// Bytes.
    var capacity: Int64 = 0
    /// Bytes of the host's memory.
    var hostMemory: Int64 = 0
    /// Whether there is one hierarchy of cgroups, of version 2.
    var isUnified = true
    /// Whether cgroups have limits of swap here.
    var hasController = true

    /// Bytes of all areas in the text of `/proc/swaps`.
    static func capacity(_ swaps: String) -> Int64 {
        swaps.split(separator: "\n").dropFirst().reduce(0) { sum, line in
            // `/dev/dm-1 partition 16760828 0 -2`, in KiB
            let size = line.split(whereSeparator: \.isWhitespace).dropFirst(2).first.flatMap { Int64($0) } ?? 0
            return sum &+ max(0, min(size, 1 << 50)) &* 1024
        }
    }

    /// Why a kubelet does not start with this. Throws `NodeSwapError`. Upstream: NewContainerManager, validateSwapConfiguration.
    func check(failSwapOn: Bool) throws(NodeSwapError) {
        if behavior == .limited, !isUnified { throw NodeSwapError(description: "swapBehavior LimitedSwap is not supported with cgroup v1") }
        if failSwapOn, capacity > 0 {
            throw NodeSwapError(
                description: "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false")
        }
    }

    /// The settings of a container with its limit of swap. Nothing is said where the host has none.
    func limit(_ resources: LinuxResources, _ container: ContainerSpec, pod: Pod) -> LinuxResources {
        guard capacity > 0, hasController else { return resources }
        var resources = resources
        if isUnified {
            resources.unified["memory.swap.max"] = String(share(container, pod: pod))
        } else {
            // Of memory and swap together: no more than of memory.
            resources.memorySwapLimit = resources.memoryLimit
        }
        return resources
    }

    /// Bytes: of a Burstable pod's container the part of the swap that its request is of the memory. Both are the host's, so that the containers of all
    /// nodes have no more than there is. Upstream: GetContainerSwapBehavior, calcSwapForBurstablePods.
    func share(_ container: ContainerSpec, pod: Pod) -> Int64 {
        let request = container.requests["memory"] ?? .zero
        guard behavior == .limited, isUnified, pod.qosClass == .burstable, !PressureAdmission.isCritical(pod), request.sign > 0,
            request != container.limits["memory"], hostMemory > 0, request.value <= hostMemory
        else { return 0 }
        return Int64(exactly: (Double(request.value) / Double(hostMemory) * Double(capacity)).rounded(.down)) ?? 0
    }
}

/// Why a kubelet does not start.
struct NodeSwapError: Error, Equatable, CustomStringConvertible {
    let description: String
}
