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
        var request = InstanceRequest(type: type, imageID: LaunchInstancesStep.imageID(group))
        request.nodegroup = group.name
        request.securityGroupIDs = [cluster.network.clusterSecurityGroupID].compactMap { $0 }
        request.tags = group.tags
        request.tags[LaunchInstancesStep.nodegroupTag] = group.name
        request.labels = LaunchInstancesStep.labels(group)
        request.taints = group.taints
        request.version = group.launchVersion
        request.releaseVersion = group.launchRelease
        _ = try await InstanceLauncher(context: context).launch(request, cluster, subnet, share: share)
    }

    /// An image id that stays the same for a release: there is one image, named after what it holds.
    static func imageID(_ group: NodegroupRecord) -> String {
        "ami-" + CanonicalRequest.hash(of: Array("\(group.amiType)/\(group.launchRelease)".utf8)).prefix(17)
    }

    /// The group's labels and EKS's own. Upstream: EKS User Guide, "Managed node groups".
    static func labels(_ group: NodegroupRecord) -> [String: String] {
        var labels = group.labels
        labels["eks.amazonaws.com/nodegroup"] = group.name
        labels["eks.amazonaws.com/nodegroup-image"] = imageID(group)
        labels["eks.amazonaws.com/capacityType"] = group.capacityType
        return labels
    }
}
