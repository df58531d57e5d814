import ContainerRuntime
import KubeAPI

/// Upstream: core/v1 PodQOSClass.
enum QOSClass: String, Sendable {
    case guaranteed = "Guaranteed"
    case burstable = "Burstable"
    case bestEffort = "BestEffort"
}

extension Pod {
    /// Upstream: qos.ComputePodQOS.
    var qosClass: QOSClass {
        if let recorded = status["qosClass"].string.flatMap(QOSClass.init) { return recorded }
        var requests: ResourceList = [:]
        var limits: ResourceList = [:]
        var guaranteed = true
        for container in allContainers {
            for name in ["cpu", "memory"] {
                if let request = container.requests[name], request.sign > 0 { requests[name] = (requests[name] ?? .zero) + request }
                if let limit = container.limits[name], limit.sign > 0 {
                    limits[name] = (limits[name] ?? .zero) + limit
                } else {
                    guaranteed = false
                }
            }
        }
        if requests.isEmpty && limits.isEmpty { return .bestEffort }
        if guaranteed {
            for name in ["cpu", "memory"] where requests[name] != nil && requests[name] != limits[name] { guaranteed = false }
        }
        return guaranteed && limits.count == 2 ? .guaranteed : .burstable
    }
}

/// What a pod's own cgroup is set to; zero is no limit. A limit holds only when the pod has one as a whole, or each of its containers has.
/// Upstream: cm.ResourceConfigForPod.
struct PodCgroupLimits: Sendable, Equatable {
    var cpuShares = CPUArithmetic.minimumShares
    var cpuQuota: Int64 = 0
    var memory: Int64 = 0
    /// Bytes by size of page; of those not named it gets none.
    var hugePages: [Int64: Int64] = [:]

    init(_ pod: Pod) {
        hugePages = HugePages.limits(PodResources.requests(pod.object, .init(usesStatus: false)))
        guard pod.qosClass != .bestEffort else { return }
        let requests = PodResources.requests(pod.object, .init(usesStatus: false))
        let limits = PodResources.limits(pod.object, .init(usesStatus: false))
        func holds(_ name: String) -> Bool {
            pod.spec["resources"]["limits"][name] != nil || pod.allContainers.allSatisfy { ($0.limits[name]?.sign ?? 0) > 0 }
        }
        // Without a request the limit stands in for it.
        cpuShares = CPUArithmetic.shares(milli: (requests["cpu"] ?? limits["cpu"] ?? .zero).milliValue)
        if holds("cpu") { cpuQuota = CPUArithmetic.quota(milli: limits["cpu"]?.milliValue ?? 0) }
        if holds("memory") { memory = max(0, limits["memory"]?.value ?? 0) }
    }
}

/// Upstream: cm.MilliCPUToShares, MilliCPUToQuota and their constants.
enum CPUArithmetic {
    static let period: Int64 = 100_000
    static let minimumShares: Int64 = 2
    static let maximumShares: Int64 = 262_144
    /// The kernel refuses less than a millisecond.
    static let minimumQuota: Int64 = 1000

    static func shares(milli: Int64) -> Int64 {
        guard milli > 0 else { return minimumShares }
        return min(max(milli.multipliedReportingOverflow(by: 1024).partialValue / 1000, minimumShares), maximumShares)
    }
    /// Zero means no limit.
    static func quota(milli: Int64) -> Int64 {
        guard milli > 0 else { return 0 }
        return max(milli.multipliedReportingOverflow(by: period).partialValue / 1000, minimumQuota)
    }
    /// The cgroup v2 weight of v1 shares. Upstream: libcontainer's ConvertCPUSharesToCgroupV2Value.
    static func weight(shares: Int64) -> Int64 { 1 + ((max(shares, 2) - 2) * 9999) / 262_142 }
    /// Upstream: kuberuntime's sharesToMilliCPU, quotaToMilliCPU.
    static func milli(shares: Int64) -> Int64 {
        shares <= minimumShares ? 0 : (min(shares, maximumShares) &* 1000 &+ 1023) / 1024
    }
    static func milli(quota: Int64, period: Int64) -> Int64 {
        quota <= 0 || period <= 0 ? 0 : quota.multipliedReportingOverflow(by: 1000).partialValue / period
    }
}

extension ContainerSpec {
    /// What the container's cgroup is set to. Upstream: kuberuntime's generateLinuxContainerResources.
    func linuxResources(pod: Pod, nodeMemory: Int64) -> LinuxResources {
        var resources = LinuxResources()
        let cpuLimit = limits["cpu"]?.milliValue ?? 0
        // Without a request the limit stands in for it; without both the minimum.
        let cpuRequest = requests["cpu"]?.milliValue ?? cpuLimit
        resources.cpuShares = CPUArithmetic.shares(milli: cpuRequest)
        if cpuLimit > 0 {
            resources.cpuPeriod = CPUArithmetic.period
            resources.cpuQuota = CPUArithmetic.quota(milli: cpuLimit)
        }
        resources.memoryLimit = max(0, limits["memory"]?.value ?? 0)
        resources.oomScoreAdj = oomScoreAdj(pod: pod, nodeMemory: nodeMemory)
        return resources
    }

    /// Upstream: qos.GetContainerOOMScoreAdjust.
    func oomScoreAdj(pod: Pod, nodeMemory: Int64) -> Int64 {
        if (pod.spec["priority"].int ?? 0) >= 2_000_000_000 { return -997 }  // system-node-critical and above
        switch pod.qosClass {
        case .guaranteed: return -997
        case .bestEffort: return 1000
        case .burstable:
            guard nodeMemory > 0 else { return 999 }
            let request = Double(requests["memory"]?.value ?? 0)
            let adjust = Int64(1000 - min(1000, 1000 * request / Double(nodeMemory)))
            // Above guaranteed pods, below best-effort ones.
            return min(max(adjust, 3), 999)
        }
    }
}
