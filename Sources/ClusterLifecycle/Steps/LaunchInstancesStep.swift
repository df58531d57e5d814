import AWSProtocol
import AWSServices

/// Launches the instances a node group lacks: addresses first, then their records. Their machines are started by each instance's own step.
struct LaunchInstancesStep {
    /// Tag by which instances of EKS are found again.
    static let clusterTag = "eks:cluster-name"
    static let nodegroupTag = "eks:nodegroup-name"

    /// Launches `count` more. Throws `AWSError` at the first that cannot be launched; those before it stay.
    func run(_ group: NodegroupRecord, _ cluster: ClusterRecord, _ instances: [InstanceRecord], count: Int, _ context: StepContext) async throws {
        var perSubnet: [String: Int] = [:]
        for instance in instances { perSubnet[instance.subnetID, default: 0] += 1 }
        for launched in 0..<count {
            let subnets = await context.network.subnets(group.subnetIDs)
            guard let subnet = LaunchInstancesStep.subnet(for: subnets, holding: perSubnet) else {
                throw EKSFault.invalidParameter("None of the node group's subnets exists any more: \(group.subnetIDs.joined(separator: ", "))")
            }
            // Those still to come in this subnet get their share of its free addresses.
            let still = (count - launched + subnets.count - 1) / max(1, subnets.count)
            try await launch(group, cluster, subnet, share: max(0, subnet.freeAddresses / max(1, still)), context)
            perSubnet[subnet.id, default: 0] += 1
        }
    }

    /// The subnet with the fewest of the group's instances, then the most free addresses; full ones last.
    static func subnet(for subnets: [SubnetFacts], holding: [String: Int]) -> SubnetFacts? {
        subnets.min { a, b in
            let (aFull, bFull) = (a.freeAddresses < 2, b.freeAddresses < 2)
            if aFull != bFull { return bFull }
            let (aHas, bHas) = (holding[a.id] ?? 0, holding[b.id] ?? 0)
            if aHas != bHas { return aHas < bHas }
            return a.freeAddresses == b.freeAddresses ? a.id < b.id : a.freeAddresses > b.freeAddresses
        }
    }

    private func launch(_ group: NodegroupRecord, _ cluster: ClusterRecord, _ subnet: SubnetFacts, share: Int, _ context: StepContext) async throws {
        guard let typeName = group.instanceTypes.first, let type = InstanceTypes.all[typeName] else {
            throw AWSError("InvalidInstanceType", "The instance type '\(group.instanceTypes.first ?? "")' does not exist")
        }
        guard subnet.freeAddresses >= 2 else {
            throw AWSError(
                "InsufficientFreeAddressesInSubnet",
                "subnet \(subnet.id) has \(subnet.freeAddresses) free addresses, an instance needs its own and one for a pod: use "
                    + "a larger subnet or free some"
            )
        }
        // Each further interface takes an address for itself.
        let interfaces = max(1, min(type.maxInterfaces, (share + type.addressesPerInterface - 1) / type.addressesPerInterface))
        let podAddresses = max(1, min(type.podAddresses, share - interfaces))
        let groups = [cluster.network.clusterSecurityGroupID].compactMap { $0 }
        var tags = group.tags
        tags[LaunchInstancesStep.clusterTag] = cluster.name
        tags[LaunchInstancesStep.nodegroupTag] = group.name
        tags["kubernetes.io/cluster/\(cluster.name)"] = "owned"
        let imageID = LaunchInstancesStep.imageID(group)
        let facts = try await context.network.launch(
            InstanceLaunch(
                instanceID: AWSIdentifier.resource("i"), instanceType: type.name, imageID: imageID, subnetID: subnet.id, groupIDs: groups,
                podAddresses: podAddresses, tags: tags))
        var record = InstanceRecord(
            instanceID: facts.id, clusterName: cluster.name, nodegroup: group.name, nodeName: facts.privateDNSName, instanceType: type.name,
            vcpus: type.vcpus,
            memoryMiB: type.memoryMiB, maxPods: type.maxPods, vpcID: facts.vpcID, vpcCIDR: facts.vpcCIDR, subnetID: subnet.id,
            subnetCIDR: facts.subnetCIDR,
            zone: facts.zone, region: context.configuration.region, networkInterfaceIDs: facts.interfaceIDs, primaryAddress: facts.primaryAddress,
            macAddress: facts.macAddress, podAddresses: facts.podAddresses, securityGroupIDs: groups,
            labels: LaunchInstancesStep.labels(group, type, facts, subnet, context.configuration.region), taints: group.taints,
            createdAt: context.clock.now)
        record.version = group.launchVersion
        record.releaseVersion = group.launchRelease
        let launched = record
        try await context.state.update { $0.instances[launched.instanceID] = launched }
    }

    /// An image id that stays the same for a release: there is one image, named after what it holds.
    static func imageID(_ group: NodegroupRecord) -> String {
        "ami-" + CanonicalRequest.hash(of: Array("\(group.amiType)/\(group.launchRelease)".utf8)).prefix(17)
    }

    /// The group's labels, EKS's own, and the well-known ones. Upstream: EKS User Guide, "Managed node groups"; kubelet and cloud provider labels.
    static func labels(
        _ group: NodegroupRecord, _ type: InstanceTypeFacts, _ facts: InstanceFacts, _ subnet: SubnetFacts, _ region: String
    ) -> [String: String] {
        var labels = group.labels
        labels["eks.amazonaws.com/nodegroup"] = group.name
        labels["eks.amazonaws.com/nodegroup-image"] = imageID(group)
        labels["eks.amazonaws.com/capacityType"] = group.capacityType
        labels["kubernetes.io/hostname"] = facts.privateDNSName
        labels["kubernetes.io/os"] = "linux"
        labels["kubernetes.io/arch"] = type.architecture == "arm64" ? "arm64" : "amd64"
        labels["beta.kubernetes.io/os"] = labels["kubernetes.io/os"]
        labels["beta.kubernetes.io/arch"] = labels["kubernetes.io/arch"]
        labels["node.kubernetes.io/instance-type"] = type.name
        labels["beta.kubernetes.io/instance-type"] = type.name
        labels["topology.kubernetes.io/region"] = region
        labels["topology.kubernetes.io/zone"] = facts.zone
        labels["failure-domain.beta.kubernetes.io/region"] = region
        labels["failure-domain.beta.kubernetes.io/zone"] = facts.zone
        labels["topology.k8s.aws/zone-id"] = subnet.zoneID
        return labels
    }
}
