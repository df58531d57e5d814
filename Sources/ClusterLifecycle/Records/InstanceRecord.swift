package import AWSServices

/// The pod that an instance of Fargate is for.
package struct FargateTask: Codable, Sendable, Equatable {
    package var profile: String
    package var podUID: String
    /// For messages.
    package var namespace: String
    package var podName: String
    /// Thousandths of a vCPU.
    package var milliCPU: Int

    package init(profile: String, podUID: String, namespace: String, podName: String, milliCPU: Int) {
        self.profile = profile
        self.podUID = podUID
        self.namespace = namespace
        self.podName = podName
        self.milliCPU = milliCPU
    }
}

/// How far one instance has come.
///
/// ```
/// launching ─▶ joining ─▶ ready ─▶ draining ─▶ terminating ─▶ (gone)
///     │           │         │                      ▲
///     └───────────┴─────────┴──── machine died ────┘
/// ```
///
/// One of a warm pool begins as warming, becomes warmed, and goes on as launching when its group needs it.
package enum InstancePhase: String, Codable, Sendable {
    /// The record and its addresses exist; the machine may or may not.
    case launching
    /// The machine runs; its node is not Ready yet.
    case joining
    /// The node was Ready.
    case ready
    /// Chosen to go: pods are being evicted.
    case draining
    /// The machine is going; its node and addresses go with it.
    case terminating
    /// For the warm pool: its machine is being prepared, or is to be.
    case warming
    /// Prepared, and waiting in the warm pool, stopped or running.
    case warmed
}

/// The NodeClaim of EKS Auto Mode that an instance was launched for. Upstream: karpenter.sh/v1 NodeClaim.
package struct InstanceClaim: Codable, Sendable, Equatable {
    package var name: String
    /// By which a launch repeated after a crash finds its instance.
    package var uid: String
    package var nodeRoleARN: String
    package var imageID: String

    package init(name: String, uid: String, nodeRoleARN: String, imageID: String) {
        self.name = name
        self.uid = uid
        self.nodeRoleARN = nodeRoleARN
        self.imageID = imageID
    }
}

/// The IPv6 addresses of an instance of an IPv6 cluster.
package struct InstanceIPv6: Codable, Sendable, Equatable {
    /// The instance's own, which is its node's.
    package var address: String
    /// The /80 that its pods' addresses come from.
    package var prefix: String
    /// `2001:db8::/64`
    package var subnetCIDR: String
    package var vpcCIDRs: [String]

    package init(address: String, prefix: String, subnetCIDR: String, vpcCIDRs: [String]) {
        self.address = address
        self.prefix = prefix
        self.subnetCIDR = subnetCIDR
        self.vpcCIDRs = vpcCIDRs
    }
}

/// An instance of a node group, a NodeClaim or Fargate as the lifecycle keeps it. EC2 holds a record of the same id with its addresses.
package struct InstanceRecord: Codable, Sendable, Equatable {
    /// `i-` and 17 hexadecimal digits.
    package var instanceID: String
    package var clusterName: String
    /// Empty: it is a NodeClaim's, or Fargate's.
    package var nodegroup: String
    /// Nil: it is a node group's.
    package var claim: InstanceClaim?
    /// The private DNS name; of a NodeClaim's instance its id.
    package var nodeName: String
    package var instanceType: String
    package var vcpus: Int
    package var memoryMiB: Int
    package var maxPods: Int
    package var vpcID: String
    package var vpcCIDR: String
    package var subnetID: String
    package var subnetCIDR: String
    package var zone: String
    package var region: String
    package var networkInterfaceIDs: [String]
    package var primaryAddress: String
    package var macAddress: String
    package var podAddresses: [String]
    package var securityGroupIDs: [String]
    /// All labels of its node.
    package var labels: [String: String]
    package var taints: [NodeTaint]
    /// Seconds since 1970.
    package var createdAt: Double
    package var phase: InstancePhase
    /// When its machine started, seconds since 1970: the wait for its node counts from here.
    package var startedAt: Double?
    /// Why it is being replaced or could not start, for the node group's health.
    package var problem: String?
    /// The Kubernetes version of its kubelet: `1.36`.
    package var version: String?
    /// The release it was launched as, of its group's then: `1.36.2-20260901`.
    package var releaseVersion: String?
    /// The version of its group's launch template that it was launched by.
    package var templateVersion: Int?
    package var metadataOptions: InstanceMetadataOptions?
    /// What its launch template says of its kubelet.
    var kubelet: KubeletSettings?
    /// True for one that is a record only: no machine, nothing in EC2.
    package var isSimulated: Bool?
    /// When its node's drain began, seconds since 1970.
    package var drainingSince: Double?
    /// Set when EC2 takes it back.
    package var interruption: SpotInterruption?
    /// Set while its node is repaired.
    package var repair: NodeRepair?
    /// When its node's last repair was done, seconds since 1970.
    package var repairedAt: Double?
    /// The revision of the certificate authorities that its node goes by; nil for the one that every cluster begins with.
    package var authorities: String?
    /// The pod that it is for; nil for one of a node group.
    package var fargate: FargateTask?
    /// Nil in an IPv4 cluster.
    package var ipv6: InstanceIPv6?
    /// How it waits in its group's warm pool, or will when it has been drained; nil for one that is in service or goes for good.
    package var pool: WarmPoolState?

    /// What its machine may use, in thousandths of a vCPU.
    var milliCPU: Int { fargate?.milliCPU ?? vcpus * 1_000 }

    package init(
        instanceID: String, clusterName: String, nodegroup: String, nodeName: String, instanceType: String, vcpus: Int, memoryMiB: Int, maxPods: Int,
        vpcID: String, vpcCIDR: String, subnetID: String, subnetCIDR: String, zone: String, region: String, networkInterfaceIDs: [String],
        primaryAddress: String, macAddress: String, podAddresses: [String], securityGroupIDs: [String], labels: [String: String] = [:],
        taints: [NodeTaint] = [], createdAt: Double, phase: InstancePhase = .launching, problem: String? = nil
    ) {
        self.instanceID = instanceID
        self.clusterName = clusterName
        self.nodegroup = nodegroup
        self.nodeName = nodeName
        self.instanceType = instanceType
        self.vcpus = vcpus
        self.memoryMiB = memoryMiB
        self.maxPods = maxPods
        self.vpcID = vpcID
        self.vpcCIDR = vpcCIDR
        self.subnetID = subnetID
        self.subnetCIDR = subnetCIDR
        self.zone = zone
        self.region = region
        self.networkInterfaceIDs = networkInterfaceIDs
        self.primaryAddress = primaryAddress
        self.macAddress = macAddress
        self.podAddresses = podAddresses
        self.securityGroupIDs = securityGroupIDs
        self.labels = labels
        self.taints = taints
        self.createdAt = createdAt
        self.phase = phase
        self.problem = problem
    }
}
