package import AutoMode
import AWSProtocol
import AWSServices
import KubeAPI

/// The instances of a cluster's EKS Auto Mode: records like those of node groups, whose machines the reconciler starts and ends.
struct ClusterNodeProvider: NodeProvider {
    let clusterName: String
    let context: StepContext
    let reconciler: Reconciler

    var region: String { context.configuration.region }

    /// Those of the host's architecture: it runs no other. Upstream: amazon-eks-ami, kube-reserved, as nodes keep it back.
    let instanceTypes: [InstanceType] = InstanceTypes.all.values.compactMap { type in
        #if arch(arm64)
            let (hosted, name) = ("arm64", "arm64")
        #else
            let (hosted, name) = ("x86_64", "amd64")
        #endif
        guard type.architecture == hosted else { return nil }
        return InstanceType(
            name: type.name, vcpus: type.vcpus, memoryMiB: type.memoryMiB, architecture: name, maxPods: type.maxPods,
            reserved: reserved(vcpus: Int64(type.vcpus), maxPods: Int64(type.maxPods)))
    }.sorted { $0.name < $1.name }

    /// What a node keeps back: cpu in steps by the count of processors, memory 255 MiB and 11 MiB for each pod.
    private static func reserved(vcpus: Int64, maxPods: Int64) -> ResourceList {
        let millicores = 60 + (vcpus > 1 ? 10 : 0) + min(max(vcpus - 2, 0), 2) * 5 + max(vcpus - 4, 0) * 5 / 2
        return ["cpu": Quantity(milli: millicores), "memory": Quantity((255 + 11 * maxPods) * 1_048_576, .binarySI)]
    }

    func facts(_ selection: NodeClassSelection) async -> NodeClassFacts {
        let now = context.clock.now
        let (cluster, shifted) = await context.state.read { tables in
            let cluster = tables.clusters[clusterName]
            return (cluster, cluster.map { tables.shiftedZones(of: $0, at: now) } ?? [])
        }
        let vpc = cluster?.network.vpcID ?? ""
        let subnets = await context.network.subnets(in: vpc, matching: selection.subnets.map { ResourceTerm(id: $0.id, name: nil, tags: $0.tags) })
            .avoiding(shifted)
        let groups = await context.network.securityGroups(
            in: vpc, matching: selection.securityGroups.map { ResourceTerm(id: $0.id, name: $0.name, tags: $0.tags) })
        return NodeClassFacts(
            subnets: subnets.map { NodeClassFacts.Subnet(id: $0.id, zone: $0.zone, zoneID: $0.zoneID) },
            securityGroups: groups.map { NodeClassFacts.SecurityGroup(id: $0.id, name: $0.name) },
            instanceProfile: "\(clusterName)_\(cluster?.id.lowercased() ?? "")", roleProblem: await roleProblem(selection.role))
    }

    /// Upstream: EKS User Guide, "Create node class access entry".
    private func roleProblem(_ name: String) async -> String? {
        guard let arn = await context.identities.roleARN(named: name) else { return "Role \(name) does not exist" }
        let role = await context.identities.roleFacts(arn: arn, services: ["ec2.amazonaws.com"], actions: [])
        guard role?.trustedServices.contains("ec2.amazonaws.com") ?? false else { return "Role \(name) does not trust ec2.amazonaws.com" }
        let entry = await context.state.read { $0.accessEntries[LifecycleTables.key(clusterName, arn)] }
        guard let entry, entry.type == .ec2, entry.policies.contains(where: { $0.arn == context.autoNodePolicy }) else {
            return "Role \(name) is unauthorized to join nodes to the cluster: it needs an access entry of type EC2 with AmazonEKSAutoNodePolicy"
        }
        return nil
    }

    func imageID() async -> String { await context.state.read { $0.clusters[clusterName] }.map(Self.imageID) ?? "" }

    /// One image of each release, named after what it holds.
    private static func imageID(_ cluster: ClusterRecord) -> String {
        let release = KubernetesVersions.named(cluster.version)?.nodeReleaseVersion ?? cluster.version
        return "ami-" + CanonicalRequest.hash(of: Array("EKS_AUTO/\(release)".utf8)).prefix(17)
    }

    func launch(_ launch: NodeLaunch) async throws -> ProvidedNode {
        let (known, found) = await context.state.read { tables in (tables.instance(ofClaim: launch.claimUID), tables.clusters[clusterName]) }
        if let known { return ProvidedNode(known) }
        guard let cluster = found, cluster.autoMode != nil, cluster.status == .active || cluster.status == .updating else {
            throw LaunchRefused("EKS Auto Mode of cluster \(clusterName) is off")
        }
        if let trouble = await reconciler.whyNotLaunching(in: clusterName) { throw LaunchRefused(trouble) }
        guard let type = InstanceTypes.all[launch.instanceType] else { throw InsufficientCapacity("\(launch.instanceType) does not exist") }
        let roleARN = try await authorized(launch, cluster)
        let subnets = await context.network.subnets(launch.subnetIDs).filter { $0.zone == launch.zone }
        guard let subnet = subnets.max(by: { $0.freeAddresses < $1.freeAddresses }), subnet.freeAddresses >= 2 else {
            throw InsufficientCapacity("the subnets in \(launch.zone) have no free addresses")
        }
        let release = KubernetesVersions.named(cluster.version)?.nodeReleaseVersion
        let imageID = Self.imageID(cluster)
        var request = InstanceRequest(type: type, imageID: imageID)
        request.claim = InstanceClaim(name: launch.claimName, uid: launch.claimUID, nodeRoleARN: roleARN, imageID: imageID)
        request.securityGroupIDs = launch.securityGroupIDs
        request.tags = launch.tags.merging(["eks:eks-cluster-name": clusterName, "Name": launch.claimName]) { own, _ in own }
        request.labels = launch.labels
        request.taints = launch.taints.map { NodeTaint(key: $0.key, value: $0.value.isEmpty ? nil : $0.value, effect: $0.effect) }
        request.isSpot = launch.labels["karpenter.sh/capacity-type"] == "spot"
        request.version = cluster.version
        request.releaseVersion = release
        let record: InstanceRecord
        do { record = try await InstanceLauncher(context: context).launch(request, cluster, subnet, share: subnet.freeAddresses) } catch let error
            as AWSError
        {
            throw InsufficientCapacity(error.message)
        }
        await reconciler.wake(.instance(record.instanceID))
        return ProvidedNode(record)
    }

    /// The ARN of the node role. EKS launches as the cluster's role does. Upstream: EKS User Guide, "Amazon EKS Auto Mode cluster IAM role".
    private func authorized(_ launch: NodeLaunch, _ cluster: ClusterRecord) async throws -> String {
        let action = "ec2:RunInstances"
        let role = await context.identities.roleFacts(arn: cluster.roleARN, services: [], actions: [action])
        guard role?.allowedActions.contains(action) ?? false else {
            throw LaunchRefused(
                "UnauthorizedOperation: \(cluster.roleARN) is not authorized to perform \(action): attach arn:aws:iam::aws:policy/AmazonEKSComputePolicy"
            )
        }
        guard let arn = await context.identities.roleARN(named: launch.role) else { throw LaunchRefused("Role \(launch.role) does not exist") }
        return arn
    }

    func nodes() async -> [ProvidedNode] {
        await context.state.read { tables in
            tables.claimedInstances(of: clusterName).filter { $0.phase != .terminating }.map(ProvidedNode.init)
        }
    }

    func isThere(claimUID: String) async -> Bool { await context.state.read { $0.instance(ofClaim: claimUID) != nil } }

    func terminate(claimUID: String) async throws {
        let ended = try await context.state.update { tables -> String? in
            guard var instance = tables.instance(ofClaim: claimUID) else { return nil }
            instance.phase = .terminating
            tables.instances[instance.instanceID] = instance
            return instance.instanceID
        }
        if let ended { await reconciler.wake(.instance(ended)) }
    }

    func changes() -> AsyncStream<Void> { context.instanceChanges.subscribe(clusterName) }
}

extension ProvidedNode {
    fileprivate init(_ record: InstanceRecord) {
        self.init(
            claimUID: record.claim?.uid ?? "", providerID: "aws:///\(record.zone)/\(record.instanceID)", nodeName: record.nodeName,
            imageID: record.claim?.imageID ?? "", zone: record.zone, instanceType: record.instanceType)
    }
}

extension LifecycleTables {
    func claimedInstances(of cluster: String) -> [InstanceRecord] {
        instances.values.filter { $0.claim != nil && $0.clusterName == cluster }.sorted { $0.instanceID < $1.instanceID }
    }

    func instance(ofClaim uid: String) -> InstanceRecord? { instances.values.first { $0.claim?.uid == uid } }
}

extension EKSService {
    /// Launches and ends the nodes of a cluster's EKS Auto Mode.
    package nonisolated func nodeProvider(cluster: String) -> any NodeProvider {
        ClusterNodeProvider(clusterName: cluster, context: context, reconciler: reconciler)
    }
}

extension AutoModeSettings {
    /// What a control plane is told; nil: Auto Mode is off.
    init?(_ cluster: ClusterRecord) {
        guard let config = cluster.autoMode else { return nil }
        self.init(
            nodePools: config.nodePools, nodeRole: config.nodeRoleARN.flatMap { ARN($0)?.resourceParts.last.map(String.init) },
            subnetIDs: cluster.network.subnetIDs, securityGroupIDs: [cluster.network.clusterSecurityGroupID].compactMap { $0 })
    }
}
