import AWSProtocol
import AWSServices

/// An instance as its owner, a node group, a NodeClaim or a pod on Fargate, asks for it.
struct InstanceRequest: Sendable {
    var type: InstanceTypeFacts
    var imageID: String
    /// Empty: no node group's.
    var nodegroup = ""
    /// Nil: no NodeClaim's.
    var claim: InstanceClaim?
    /// Nil: no pod's on Fargate. Else the type is Fargate's own, without a name.
    var fargate: FargateTask?
    /// Nil: it is for service. Else for its node group's warm pool, in which instances wait so.
    var pool: WarmPoolState?
    var securityGroupIDs: [String] = []
    /// The owner's; those by which EKS finds its instances again are added.
    var tags: [String: String] = [:]
    /// The owner's; the well-known ones are added.
    var labels: [String: String] = [:]
    var taints: [NodeTaint] = []
    /// `1.36`
    var version: String?
    var releaseVersion: String?
    var keyName: String?
    /// Of its node group: its user data, metadata options and the tags of its interfaces are the instance's.
    var template: NodegroupTemplate?
    var isSpot = false
    var kubelet = KubeletSettings()

    init(type: InstanceTypeFacts, imageID: String) {
        self.type = type
        self.imageID = imageID
    }
}

/// Launches one instance: its addresses first, then its record. Its machine is started by the instance's own step.
struct InstanceLauncher {
    let context: StepContext

    /// `share` is how many of the subnet's addresses it may take. Throws `AWSError`.
    func launch(_ request: InstanceRequest, _ cluster: ClusterRecord, _ subnet: SubnetFacts, share: Int) async throws -> InstanceRecord {
        let type = request.type
        guard subnet.freeAddresses >= 2 else {
            throw AWSError(
                "InsufficientFreeAddressesInSubnet",
                "subnet \(subnet.id) has \(subnet.freeAddresses) free addresses, an instance needs its own and one for a pod: use "
                    + "a larger subnet or free some"
            )
        }
        if cluster.network.isIPv6, request.fargate == nil, !subnet.assignsIPv6OnCreation {
            throw AWSError(
                "Ec2SubnetMissingIpv6Assignment",
                "subnet \(subnet.id) does not assign IPv6 addresses to new interfaces, which nodes of a cluster with ipFamily ipv6 need: "
                    + "aws ec2 modify-subnet-attribute --subnet-id \(subnet.id) --assign-ipv6-address-on-creation")
        }
        // Each further interface takes an address for itself.
        let interfaces = max(1, min(type.maxInterfaces, (share + type.addressesPerInterface - 1) / type.addressesPerInterface))
        let podAddresses = max(1, min(type.podAddresses, share - interfaces))
        var tags = request.tags
        tags[LaunchInstancesStep.clusterTag] = cluster.name
        tags["kubernetes.io/cluster/\(cluster.name)"] = "owned"
        var launch = InstanceLaunch(
            instanceID: AWSIdentifier.resource("i"), instanceType: type.name, imageID: request.imageID, subnetID: subnet.id,
            groupIDs: request.securityGroupIDs, podAddresses: podAddresses, tags: tags)
        launch.isSpot = request.isSpot
        launch.keyName = request.keyName
        launch.userData = request.template?.userData
        launch.interfaceTags = request.template?.interfaceTags ?? [:]
        launch.metadataOptions = request.template?.metadataOptions ?? InstanceMetadataOptions()
        launch.isFargate = request.fargate != nil
        launch.hasIPv6Pods = cluster.network.isIPv6
        let facts = try await context.network.launch(launch)
        // Nodes of Auto Mode are called after their instances.
        let nodeName = request.claim == nil ? facts.privateDNSName : facts.id
        var record = InstanceRecord(
            instanceID: facts.id, clusterName: cluster.name, nodegroup: request.nodegroup, nodeName: nodeName, instanceType: type.name,
            vcpus: type.vcpus, memoryMiB: type.memoryMiB, maxPods: request.kubelet.maxPods ?? type.maxPods, vpcID: facts.vpcID,
            vpcCIDR: facts.vpcCIDR, subnetID: subnet.id,
            subnetCIDR: facts.subnetCIDR, zone: facts.zone, region: context.configuration.region, networkInterfaceIDs: facts.interfaceIDs,
            primaryAddress: facts.primaryAddress, macAddress: facts.macAddress, podAddresses: facts.podAddresses,
            securityGroupIDs: request.securityGroupIDs, labels: request.labels, taints: request.taints, createdAt: context.clock.now)
        record.labels.merge(InstanceLauncher.labels(type, nodeName: nodeName, subnet, context.configuration.region)) { $1 }
        record.version = request.version
        record.releaseVersion = request.releaseVersion
        record.claim = request.claim
        record.templateVersion = request.template?.version
        record.metadataOptions = launch.metadataOptions
        record.kubelet = request.kubelet
        record.fargate = request.fargate
        record.pool = request.pool
        if request.pool != nil { record.phase = .warming }
        if cluster.network.isIPv6, let address = facts.ipv6Address, let prefix = facts.ipv6Prefix, let range = facts.subnetIPv6CIDR {
            record.ipv6 = InstanceIPv6(address: address, prefix: prefix, subnetCIDR: range, vpcCIDRs: cluster.network.vpcIPv6CIDRs ?? [])
        }
        let launched = record
        try await context.state.update { $0.instances[launched.instanceID] = launched }
        return launched
    }

    /// The well-known labels of every node. Upstream: kubelet and cloud provider labels.
    static func labels(_ type: InstanceTypeFacts, nodeName: String, _ subnet: SubnetFacts, _ region: String) -> [String: String] {
        let architecture = type.architecture == "arm64" ? "arm64" : "amd64"
        var labels = [
            "kubernetes.io/hostname": nodeName, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture, "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture,
            "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": subnet.zone,
            "failure-domain.beta.kubernetes.io/region": region, "failure-domain.beta.kubernetes.io/zone": subnet.zone,
            "topology.k8s.aws/zone-id": subnet.zoneID,
        ]
        // Fargate has none.
        if !type.name.isEmpty { for key in ["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"] { labels[key] = type.name } }
        return labels
    }
}
