import AWSProtocol
import AWSServices

/// Launches the instances a node group lacks: addresses first, then their records. Their machines are started by each instance's own step.
struct LaunchInstancesStep {
    /// Tag by which instances of EKS are found again.
    static let clusterTag = "eks:cluster-name"
    static let nodegroupTag = "eks:nodegroup-name"

    /// Launches `count` more, into service or into the group's warm pool, whose state is `pool`. Throws `AWSError` at the first that cannot be
    /// launched; those before it stay.
    func run(
        _ group: NodegroupRecord, _ cluster: ClusterRecord, _ instances: [InstanceRecord], count: Int, pool: WarmPoolState? = nil,
        _ context: StepContext
    ) async throws {
        guard count > 0 else { return }
        let kubelet = try await LaunchInstancesStep.kubelet(group, context)
        let now = context.clock.now
        let shifted = await context.state.read { $0.shiftedZones(of: cluster, at: now) }
        var perSubnet: [String: Int] = [:]
        for instance in instances { perSubnet[instance.subnetID, default: 0] += 1 }
        for launched in 0..<count {
            let subnets = await context.network.subnets(group.subnetIDs).avoiding(shifted)
            guard let subnet = LaunchInstancesStep.subnet(for: subnets, holding: perSubnet) else {
                throw EKSFault.invalidParameter("None of the node group's subnets exists any more: \(group.subnetIDs.joined(separator: ", "))")
            }
            // Those still to come in this subnet get their share of its free addresses.
            let still = (count - launched + subnets.count - 1) / max(1, subnets.count)
            let share = max(0, subnet.freeAddresses / max(1, still))
            try await launchFirstAvailable(group, cluster, subnet, share: share, kubelet, pool, context)
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

    /// What the launch template says of the nodes' kubelets. Throws `AWSError` for one that nodes would not come up with, or when their role is gone.
    private static func kubelet(_ group: NodegroupRecord, _ context: StepContext) async throws -> KubeletSettings {
        guard await context.identities.roleFacts(arn: group.nodeRoleARN, services: [], actions: []) != nil else {
            throw AWSError("IamNodeRoleNotFound", "The node role \(group.nodeRoleARN) does not exist any more")
        }
        let settings = try KubeletSettings(group.launchTemplate)
        if !settings.ignored.isEmpty {
            context.logger.warning(
                "user data of the launch template has parts that do nothing here",
                metadata: [
                    "cluster": "\(group.clusterName)", "nodegroup": "\(group.name)", "ignored": "\(settings.ignored.joined(separator: ", "))",
                ])
        }
        return settings
    }

    /// Launches one instance of the first of the group's types that can be had. Throws what the last one failed with.
    private func launchFirstAvailable(
        _ group: NodegroupRecord, _ cluster: ClusterRecord, _ subnet: SubnetFacts, share: Int, _ kubelet: KubeletSettings, _ pool: WarmPoolState?,
        _ context: StepContext
    ) async throws {
        let types = group.launchTypes
        for (index, name) in types.enumerated() {
            do {
                guard let type = InstanceTypes.all[name] else {
                    throw AWSError("InvalidInstanceType", "The instance type '\(name)' does not exist")
                }
                var request = LaunchInstancesStep.request(group, cluster, type, kubelet)
                request.pool = pool
                _ = try await InstanceLauncher(context: context).launch(request, cluster, subnet, share: share)
                return
            } catch let error as AWSError where index + 1 < types.count && InstanceTypeOrder.unavailable.contains(error.code) {
                context.logger.warning(
                    "an instance type cannot be had; the next is tried", metadata: ["type": "\(name)", "error": "\(error.message)"])
            }
        }
    }

    private static func request(
        _ group: NodegroupRecord, _ cluster: ClusterRecord, _ type: InstanceTypeFacts, _ kubelet: KubeletSettings
    ) -> InstanceRequest {
        var request = InstanceRequest(type: type, imageID: imageID(group))
        request.nodegroup = group.name
        request.securityGroupIDs = securityGroups(group, cluster)
        request.tags = tags(group)
        request.labels = kubelet.labels.merging(labels(group)) { $1 }
        request.taints = taints(group, kubelet)
        request.version = group.launchVersion
        request.releaseVersion = group.launchRelease
        request.template = group.launchTemplate
        request.keyName = group.launchTemplate?.keyName ?? group.remoteAccess?.keyName
        request.isSpot = group.isSpot
        request.kubelet = kubelet
        return request
    }

    /// Those of the launch template in place of the cluster's. Upstream: EKS User Guide, "Using custom security groups".
    private static func securityGroups(_ group: NodegroupRecord, _ cluster: ClusterRecord) -> [String] {
        let own = group.launchTemplate?.securityGroupIDs ?? []
        return own.isEmpty ? [cluster.network.clusterSecurityGroupID, group.remoteAccess?.groupID].compactMap { $0 } : own
    }

    private static func tags(_ group: NodegroupRecord) -> [String: String] {
        var tags = group.tags
        if let template = group.launchTemplate {
            tags.merge(template.instanceTags) { $1 }
            tags["aws:ec2launchtemplate:id"] = template.id
            tags["aws:ec2launchtemplate:version"] = String(template.version)
        }
        tags[nodegroupTag] = group.name
        return tags
    }

    /// The group's own, and those of its launch template that are not among them.
    private static func taints(_ group: NodegroupRecord, _ kubelet: KubeletSettings) -> [NodeTaint] {
        group.taints + kubelet.taints.filter { taint in !group.taints.contains { $0.key == taint.key && $0.effect == taint.effect } }
    }

    /// The launch template's image, else that of the release; a release without one has an id that stays the same.
    static func imageID(_ group: NodegroupRecord) -> String {
        if let id = group.launchTemplate?.imageID { return id }
        let architecture = group.amiType.contains("ARM") ? "arm64" : "x86_64"
        if let image = EKSImages.image(release: group.launchRelease, architecture: architecture) { return image.id }
        return "ami-" + CanonicalRequest.hash(of: Array("\(group.amiType)/\(group.launchRelease)".utf8)).prefix(17)
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
