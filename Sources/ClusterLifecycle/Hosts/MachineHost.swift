/// Everything a machine host needs to run one instance.
package struct MachineSpec: Codable, Sendable, Equatable {
    /// `i-` and 17 hexadecimal digits.
    package var instanceID: String
    package var clusterName: String
    package var nodegroup: String
    /// The private DNS name, which is the node's name: `ip-10-0-1-23.eu-central-1.compute.internal`.
    package var hostName: String
    /// `t3.medium`
    package var instanceType: String
    /// Of its node; at least one.
    package var vcpus: Int
    /// What the machine may use, in thousandths of a vCPU.
    package var milliCPU: Int
    package var memoryMiB: Int
    package var vpcID: String
    /// `10.0.0.0/16`
    package var vpcCIDR: String
    package var subnetID: String
    /// `10.0.1.0/24`
    package var subnetCIDR: String
    /// The subnet's first address, which AWS keeps for the VPC's router: `10.0.1.1`.
    package var gatewayAddress: String
    /// The machine's own address.
    package var primaryAddress: String
    /// The subnet's prefix length: 24.
    package var prefixLength: Int
    /// Addresses of the same subnet which the CNI plugin hands to pods.
    package var podAddresses: [String]
    package var macAddress: String
    package var securityGroupIDs: [String]
    /// `eu-central-1a`
    package var zone: String
    package var region: String
    /// The EKS formula: interfaces × (addresses per interface − 1) + 2.
    package var maxPods: Int
    /// All labels of the node: the group's own, those of EKS, and the well-known ones.
    package var labels: [String: String]
    package var taints: [NodeTaint]
    package var bootstrap: NodeBootstrap
    /// Seconds that its pods have when it is ended in order; 0: it does not wait for them.
    package var shutdownGrace: Int64 = 0
    /// Nil in an IPv4 cluster.
    package var ipv6: InstanceIPv6?

    package init(
        instanceID: String, clusterName: String, nodegroup: String, hostName: String, instanceType: String, vcpus: Int, milliCPU: Int, memoryMiB: Int,
        vpcID: String,
        vpcCIDR: String, subnetID: String, subnetCIDR: String, gatewayAddress: String, primaryAddress: String, prefixLength: Int,
        podAddresses: [String],
        macAddress: String, securityGroupIDs: [String], zone: String, region: String, maxPods: Int, labels: [String: String], taints: [NodeTaint],
        bootstrap: NodeBootstrap
    ) {
        self.instanceID = instanceID
        self.clusterName = clusterName
        self.nodegroup = nodegroup
        self.hostName = hostName
        self.instanceType = instanceType
        self.vcpus = vcpus
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.vpcID = vpcID
        self.vpcCIDR = vpcCIDR
        self.subnetID = subnetID
        self.subnetCIDR = subnetCIDR
        self.gatewayAddress = gatewayAddress
        self.primaryAddress = primaryAddress
        self.prefixLength = prefixLength
        self.podAddresses = podAddresses
        self.macAddress = macAddress
        self.securityGroupIDs = securityGroupIDs
        self.zone = zone
        self.region = region
        self.maxPods = maxPods
        self.labels = labels
        self.taints = taints
        self.bootstrap = bootstrap
    }
}

/// What runs instances. Calls are idempotent: the lifecycle repeats them after a crash.
///
/// Implemented by machines of Linux namespaces and by `SimulatedMachineHost`.
package protocol MachineHost: Sendable {
    /// Starts the machine, or finds it running. Throws a reason fit for a node group's health issue.
    func start(_ spec: MachineSpec) async throws
    /// Gives a machine that runs these files in place of those of the same names it started with; its agent sees it. Nothing to do when it is not there.
    func renew(_ instanceID: String, _ bootstrap: NodeBootstrap) async throws
    /// Whether a machine that started with files of a warm pool has made everything ready within `patience`, but for joining its cluster.
    func isPrepared(_ instanceID: String, patience: Duration) async throws -> Bool
    /// Ends the machine and removes what it left behind. Terminating what is not there succeeds.
    func terminate(_ instanceID: String) async throws
    /// Ends the machine and keeps its disk: `start` starts it again. Halting what does not run succeeds.
    func halt(_ instanceID: String) async throws
    /// The instance ids of all machines alive now.
    func running() async -> Set<String>
    /// Instance ids of machines that died without `terminate`. One consumer: the lifecycle.
    func exits() -> AsyncStream<String>
    /// What the machine's log said last, for a health issue; empty when there is nothing.
    func report(_ instanceID: String) async -> String
}

extension MachineHost {
    /// Hosts without logs have nothing to report.
    package func report(_ instanceID: String) async -> String { "" }
}
