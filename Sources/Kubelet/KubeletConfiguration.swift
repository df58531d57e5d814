package import HTTPTransport
package import KubeAPI

/// A caller of the kubelet's server, read off its client certificate, or known by its token. Upstream: user.Info.
package struct KubeletCaller: Sendable, Hashable {
    package var name: String
    package var groups: [String]
    package var uid = ""
    package var extra: [String: [String]] = [:]

    package init(name: String, groups: [String]) {
        self.name = name
        self.groups = groups
    }
}

/// Everything a kubelet is told when it starts. Upstream: KubeletConfiguration and the kubelet's flags.
package struct KubeletConfiguration: Sendable {
    /// The kubelet's own server on port 10250.
    package struct Server: Sendable {
        /// `0.0.0.0` serves all addresses of the node, `::` those of IPv6, too.
        package var address: String = "0.0.0.0"
        package var port: Int = 10250
        package var identity: TLSIdentity
        /// Callers show a certificate signed by one of these CAs, or a bearer token.
        package var clientCAPEM: String
        /// Reads the subject of a verified leaf certificate (DER): its common name and organizations. Nil refuses the caller.
        package var identify: @Sendable (_ leafDER: [UInt8]) -> KubeletCaller?

        package init(identity: TLSIdentity, clientCAPEM: String, identify: @escaping @Sendable ([UInt8]) -> KubeletCaller?) {
            self.identity = identity
            self.clientCAPEM = clientCAPEM
            self.identify = identify
        }
    }

    /// A taint the node registers with. Upstream: core/v1 Taint.
    package struct Taint: Sendable {
        package var key: String
        package var value: String
        package var effect: String

        package init(key: String, value: String = "", effect: String) {
            self.key = key
            self.value = value
            self.effect = effect
        }
    }

    package var nodeName: String
    /// The node's primary address (InternalIP).
    package var nodeIP: String
    /// The node's Hostname address; the name when empty.
    package var hostname: String = ""
    package var labels: [String: String] = [:]
    /// Registered with the node, such as `node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule`.
    package var taints: [Taint] = []
    /// `aws:///us-west-2a/i-0123456789abcdef0`; empty leaves it to the cloud controller.
    package var providerID: String = ""
    /// What the node has: `cpu`, `memory`, `ephemeral-storage`, `pods`.
    package var capacity: ResourceList
    /// Kept back for the system: allocatable is capacity less this.
    package var reserved: ResourceList = [:]
    package var eviction = EvictionPolicy.standard
    /// Between looks at the node. Upstream: evictionMonitoringPeriod.
    package var evictionPeriod: Duration = .seconds(10)
    /// Bytes of the node's disk, where that is less than the filesystem it is on.
    package var diskSize: Int64?
    /// Looks at the node in place of what is read from this host: tests. Without it, nodes without files of their own evict nothing.
    package var observe: (@Sendable () async -> NodeObservations)?
    /// How images become volumes; nil where they cannot.
    package var imageVolumes: ImageVolumes?
    /// Images that are never removed, by name: the sandboxes'.
    package var keptImages: Set<String> = []
    /// What containers may have of the host's swap. Upstream: memorySwap.swapBehavior.
    package var swapBehavior = SwapBehavior.none
    /// True starts no kubelet where the host has swap. Upstream's default; here the host is not the node's alone.
    package var failSwapOn = false
    /// Whether of a container that runs out of memory one process alone is killed; nil: with cgroup v1. Upstream: singleProcessOOMKill.
    package var singleProcessOOMKill: Bool?
    /// Without any, pods are not ended before the node. Upstream: shutdownGracePeriodByPodPriority.
    package var shutdownPeriods: [ShutdownPeriod] = []
    package var clusterDNS: [String] = []
    package var clusterDomain: String = "cluster.local"
    /// The host's resolver configuration, for pods with dnsPolicy Default and for the upstream searches.
    package var resolverConfiguration: String = "/etc/resolv.conf"
    /// Pods' volumes and files.
    package var rootDirectory: String = "/var/lib/kubelet"
    package var podLogsDirectory: String = "/var/log/pods"
    package var logs = LogPolicy()
    /// The folder of device plug-ins' sockets; nil: there are no devices. Upstream: pluginapi.DevicePluginPath.
    package var devicePluginPath: String?
    /// The folder where CSI drivers have their registration sockets; nil: there are no drivers. Upstream: plugins_registry below the root directory.
    package var pluginRegistryPath: String?
    /// The folder of manifests of static pods; nil: there are none. Upstream: staticPodPath.
    package var staticPodPath: String?
    /// The cgroup below which pods' cgroups are made, as a path from the hierarchy's root: `/eyrie/i-0123`. Empty is the root.
    package var cgroupRoot: String = ""
    /// Processes and threads that each pod may have; not positive: as many as the node. Upstream: podPidsLimit.
    package var podPidsLimit: Int64 = -1
    /// Where cgroup hierarchies are mounted.
    package var cgroupMount: String = "/sys/fs/cgroup"
    /// False leaves pods without a cgroup of their own: nodes without root.
    package var managesCgroups: Bool = true
    /// False makes no volumes and files for pods: simulated nodes, whose containers are records.
    package var managesPodFiles: Bool = true
    /// False keeps secrets and memory volumes on the disk: nodes that may not mount.
    package var mountsFilesystems: Bool = true
    /// As the node reports it: `v1.36.2-eks-…`.
    package var kubeletVersion: String
    /// Nil serves nothing: simulated nodes.
    package var server: Server?

    /// Upstream: nodeStatusUpdateFrequency 10 s, nodeStatusReportFrequency 5 min, nodeLeaseDurationSeconds 40 (renewed at a quarter of it).
    package var nodeStatusCheckPeriod: Duration = .seconds(10)
    package var nodeStatusReportPeriod: Duration = .seconds(300)
    package var leaseDurationSeconds: Int64 = 40
    /// How often everything is listed from the runtime whatever its events say. Upstream: eventedPlegRelistPeriod 300 s; containerd's events are not
    /// persisted, so shorter.
    package var relistPeriod: Duration = .seconds(60)
    /// How often a pod is looked at again without any event: volumes' contents and tokens are refreshed. Upstream: syncFrequency 60 s.
    package var resyncPeriod: Duration = .seconds(60)
    /// Upstream: MaxContainerBackOff and its initial value.
    package var backOffInitial: Duration = .seconds(10)
    package var backOffLimit: Duration = .seconds(300)

    package init(nodeName: String, nodeIP: String, capacity: ResourceList, kubeletVersion: String) {
        self.nodeName = nodeName
        self.nodeIP = nodeIP
        self.capacity = capacity
        self.kubeletVersion = kubeletVersion
    }

    /// What pods may ask for: what evictions keep free is not among it. Upstream: Node Allocatable.
    package var allocatable: ResourceList { Self.rest(Self.rest(capacity, without: reserved), without: eviction.reservation(capacity: capacity)) }

    /// Bytes that all pods together may use. Upstream: getNodeAllocatableAbsolute.
    var podMemory: Int64? { Self.rest(capacity, without: reserved)["memory"]?.value }

    private static func rest(_ whole: ResourceList, without part: ResourceList) -> ResourceList {
        var list = whole
        for (name, amount) in part {
            guard let had = list[name] else { continue }
            let rest = had - amount
            list[name] = rest.sign < 0 ? .zero : rest
        }
        return list
    }
}
