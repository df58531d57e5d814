package import AWSProtocol
import AWSServices

/// The checks of node groups. Upstream: EKS User Guide, "Create a managed node group".
enum NodegroupRequirements {
    /// Upstream: EKS quotas.
    static let perCluster = 30
    static let largestSize = 450
    /// Simulated nodes cost some kilobytes each.
    static let largestSimulatedSize = 20_000
    static let reservedLabelPrefixes = ["kubernetes.io/", "k8s.io/", "eks.amazonaws.com/"]
    static let taintLimit = 50

    /// What a new group's nodes are to be: nil means machines. Throws InvalidParameterException.
    static func runtime(_ tags: [String: String]) throws(AWSError) -> String? {
        guard let runtime = tags[SimulatedInstancesStep.tag] else { return nil }
        guard runtime == SimulatedInstancesStep.runtime else {
            throw EKSFault.invalidParameter(
                "The tag \(SimulatedInstancesStep.tag) must be \"\(SimulatedInstancesStep.runtime)\", not \"\(runtime.prefix(64))\"")
        }
        return runtime
    }

    static func checkScaling(_ scaling: ScalingConfig, isSimulated: Bool) throws(AWSError) {
        let largestSize = isSimulated ? largestSimulatedSize : largestSize
        guard scaling.minSize >= 0, scaling.maxSize >= 1, scaling.desiredSize >= 0 else {
            throw EKSFault.invalidParameter("Node group sizes: minSize and desiredSize must be 0 at least, maxSize 1")
        }
        guard scaling.maxSize <= largestSize else {
            throw EKSFault.invalidParameter("maxSize \(scaling.maxSize) exceeds the limit of \(largestSize) nodes per node group")
        }
        guard scaling.minSize <= scaling.maxSize else {
            throw EKSFault.invalidParameter("Minimum capacity \(scaling.minSize) can't be greater than max size \(scaling.maxSize)")
        }
        guard scaling.minSize <= scaling.desiredSize else {
            throw EKSFault.invalidParameter("Minimum capacity \(scaling.minSize) can't be greater than desired size \(scaling.desiredSize)")
        }
        guard scaling.desiredSize <= scaling.maxSize else {
            throw EKSFault.invalidParameter("Desired capacity \(scaling.desiredSize) can't be greater than max size \(scaling.maxSize)")
        }
    }

    #if arch(arm64)
        private static let (hosted, other, standard) = ("arm64", "x86_64", "AL2023_ARM_64_STANDARD")
    #else
        private static let (hosted, other, standard) = ("x86_64", "arm64", "AL2023_x86_64_STANDARD")
    #endif

    /// The AMI type of a group without an image of its own, and that all types run it. Only the host's own architecture can be run.
    static func amiType(asked: String?, hasTemplate: Bool, types: [InstanceTypeFacts]) throws(AWSError) -> String {
        let amiType = asked ?? standard
        guard amiType != "CUSTOM" else {
            throw EKSFault.invalidParameter(
                hasTemplate
                    ? "The launch template must specify an image id for Custom ami type node group"
                    : "Launch template details can't be null for Custom ami type node group")
        }
        guard amiType == standard else { throw EKSFault.notImplemented("The amiType \(amiType) (this machine runs \(standard))") }
        try checkArchitecture(hosted, types, amiType: amiType)
        return amiType
    }

    /// Throws InvalidRequestException for types of another architecture than the host's, or than the image's.
    static func checkArchitecture(_ architecture: String, _ types: [InstanceTypeFacts], amiType: String) throws(AWSError) {
        let wrong = types.filter { $0.architecture != hosted || architecture != hosted }.map(\.name)
        guard wrong.isEmpty else {
            throw EKSFault.invalidRequest(
                "[\(wrong.joined(separator: ", "))] is not a valid instance type for requested amiType \(amiType): it is \(other)")
        }
    }

    /// The types of these names. Throws InvalidParameterException when some do not exist. Upstream: 20 types at most.
    static func instanceTypes(_ names: [String]) throws(AWSError) -> [InstanceTypeFacts] {
        guard names.count <= 20 else { throw EKSFault.invalidParameter("A node group can have 20 instance types at most") }
        let unknown = names.filter { InstanceTypes.all[$0] == nil }
        guard unknown.isEmpty else {
            throw EKSFault.invalidParameter(
                "The following supplied instance types do not exist: [\(unknown.map { String($0.prefix(64)) }.joined(separator: ", "))]")
        }
        return names.compactMap { InstanceTypes.all[$0] }
    }

    static func checkLabels(_ labels: [String: String]) throws(AWSError) {
        for (key, value) in labels {
            guard !reservedLabelPrefixes.contains(where: key.hasPrefix) else {
                throw EKSFault.invalidParameter(
                    "Label cannot contain reserved prefixes [\(reservedLabelPrefixes.joined(separator: ", "))]: \(key.prefix(100))")
            }
            guard isLabel(key, value) else {
                throw EKSFault.invalidParameter("Invalid label \(key.prefix(100))=\(value.prefix(100))")
            }
        }
    }

    static func checkTaints(_ taints: [NodeTaint]) throws(AWSError) {
        guard taints.count <= taintLimit else { throw EKSFault.invalidParameter("A node group can have \(taintLimit) taints at most") }
        for taint in taints {
            guard isLabelKey(taint.key), isLabelPart(taint.value ?? "", mayBeEmpty: true) else {
                throw EKSFault.invalidParameter("Invalid taint \(taint.key.prefix(100))")
            }
        }
    }

    /// Whether a node may have this label.
    static func isLabel(_ key: String, _ value: String) -> Bool { isLabelKey(key) && isLabelPart(value, mayBeEmpty: true) }

    /// Upstream: apimachinery validation.IsQualifiedName.
    private static func isLabelKey(_ key: String) -> Bool {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let name = parts.last, isLabelPart(name, mayBeEmpty: false) else { return false }
        guard parts.count == 2 else { return true }
        let prefix = parts[0]
        return !prefix.isEmpty && prefix.utf8.count <= 253
            && prefix.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.utf8.first != 0x2D && part.utf8.last != 0x2D
                    && part.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
            }
    }

    private static func isLabelPart(_ text: some StringProtocol, mayBeEmpty: Bool) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return mayBeEmpty }
        return bytes.count <= 63 && isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }
    }
}

extension EKSService {
    /// Records a new node group in CREATING. Upstream: eks CreateNodegroup. Throws ResourceInUseException, InvalidParameterException,
    /// InvalidRequestException, ResourceLimitExceededException, ResourceNotFoundException.
    package func createNodegroup(_ input: CreateNodegroupInput, caller: AWSCaller) async throws -> NodegroupRecord {
        let operation = "CreateNodegroup/\(input.clusterName)"
        let key = LifecycleTables.key(input.clusterName, input.name)
        let (cluster, replayed) = try await state.update { tables -> (ClusterRecord, NodegroupRecord?) in
            let cluster = try tables.cluster(input.clusterName)
            if let name = try tables.replay(operation, input.token), let known = tables.nodegroups[LifecycleTables.key(input.clusterName, name)] {
                return (cluster, known)
            }
            try EKSService.checkRoom(tables, input, key)
            return (cluster, nil)
        }
        if let replayed { return replayed }
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster.name), "nodegroupName": .string(input.name)]
        guard cluster.status == .active || cluster.status == .updating else {
            throw EKSFault.invalidRequest("Cluster '\(cluster.name)' is not in ACTIVE status", fields)
        }
        let record = try await newNodegroup(input, cluster, caller)
        let created = try await state.update { tables -> NodegroupRecord in
            let cluster = try tables.cluster(input.clusterName)
            guard cluster.status == .active || cluster.status == .updating else {
                throw EKSFault.invalidRequest("Cluster '\(cluster.name)' is not in ACTIVE status", fields)
            }
            // The same request may have been sent twice at once.
            if let name = try tables.replay(operation, input.token), let known = tables.nodegroups[LifecycleTables.key(input.clusterName, name)] {
                return known
            }
            try EKSService.checkRoom(tables, input, key)
            tables.nodegroups[key] = record
            tables.remember(operation, input.token, made: record.name)
            return record
        }
        await reconciler.wake(.nodegroup(cluster: cluster.name, name: record.name))
        return created
    }

    private static func checkRoom(_ tables: LifecycleTables, _ input: CreateNodegroupInput, _ key: String) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName), "nodegroupName": .string(input.name)]
        guard tables.nodegroups[key] == nil else {
            throw EKSFault.inUse("NodeGroup already exists with name \(input.name) and cluster name \(input.clusterName)", fields)
        }
        guard tables.nodegroups(of: input.clusterName).count < NodegroupRequirements.perCluster else {
            throw EKSFault.limit("The cluster has the most node groups it can have: \(NodegroupRequirements.perCluster)", fields)
        }
    }

    private func newNodegroup(_ input: CreateNodegroupInput, _ cluster: ClusterRecord, _ caller: AWSCaller) async throws -> NodegroupRecord {
        let scaling = input.scaling ?? ScalingConfig(minSize: 1, maxSize: 2, desiredSize: 2)
        let runtime = try NodegroupRequirements.runtime(input.tags)
        try NodegroupRequirements.checkScaling(scaling, isSimulated: runtime != nil)
        try await checkNodeRole(input.nodeRoleARN)
        try await identities.authorize(
            caller, action: "iam:PassRole", resource: input.nodeRoleARN, context: ["iam:passedtoservice": ["eks.amazonaws.com"]])
        let subnetIDs = input.subnetIDs.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let subnets = await network.subnets(subnetIDs)
        if let missing = subnetIDs.first(where: { id in !subnets.contains { $0.id == id } }) {
            throw EKSFault.invalidParameter("The subnet ID '\(missing.prefix(64))' does not exist")
        }
        guard !subnets.isEmpty else { throw EKSFault.invalidParameter("At least one subnet must be given") }
        for subnet in subnets where subnet.vpcID != cluster.network.vpcID {
            throw EKSFault.invalidParameter("Subnet \(subnet.id) is in VPC \(subnet.vpcID), the cluster is in VPC \(cluster.network.vpcID)")
        }
        if cluster.network.isIPv6 {
            try IPv6Requirements.check(subnets, ["clusterName": .string(cluster.name), "nodegroupName": .string(input.name)])
            guard runtime == nil else {
                throw EKSFault.notImplemented("A node group of simulated nodes, which have IPv4 addresses, in a cluster with ipFamily ipv6")
            }
        }
        var template: NodegroupTemplate?
        if let reference = input.launchTemplate { template = try await self.template(reference, caller) }
        let launch = try LaunchSettings(input, template, cluster)
        if let access = input.remoteAccess { try await RemoteAccessStep.check(access, cluster, network) }
        try NodegroupRequirements.checkLabels(input.labels)
        try NodegroupRequirements.checkTaints(input.taints)
        try TagFault.checkNew(input.tags)
        let capacity = input.capacityType ?? "ON_DEMAND"
        guard capacity != "CAPACITY_BLOCK" else { throw EKSFault.notImplemented("The capacityType CAPACITY_BLOCK") }
        let diskSize = input.diskSize ?? 20
        guard (1...16_384).contains(diskSize) else { throw EKSFault.invalidParameter("diskSize must be from 1 to 16384 GiB") }
        let id = AWSIdentifier.uuid()
        var record = NodegroupRecord(
            clusterName: cluster.name, name: input.name, id: id, arn: configuration.arn("nodegroup/\(cluster.name)/\(input.name)/\(id)"),
            createdAt: clock.now,
            version: launch.version, releaseVersion: launch.releaseVersion, scaling: scaling, instanceTypes: launch.instanceTypes,
            subnetIDs: subnetIDs, amiType: launch.amiType, capacityType: capacity, nodeRoleARN: input.nodeRoleARN, labels: input.labels,
            taints: input.taints, diskSize: diskSize,
            updateConfig: (input.updateConfig ?? NodegroupUpdateConfig()).orOneNode,
            tags: input.tags,
            clientRequestToken: input.token?.token, autoScalingGroupName: "eks-\(input.name)-\(id)")
        record.template = template
        record.nodeRepair = input.nodeRepair
        record.remoteAccess = input.remoteAccess
        record.runtime = runtime
        record.warmPool = input.warmPool?.applied(to: nil, isNew: true)
        try WarmPoolRequirements.check(record)
        return record
    }

    func checkNodeRole(_ arn: String) async throws {
        guard let parsed = ARN(arn), parsed.service == "iam", parsed.resource.hasPrefix("role/") else {
            throw EKSFault.invalidParameter("Error in role params: '\(arn.prefix(200))' is not the ARN of an IAM role")
        }
        guard let role = await identities.roleFacts(arn: arn, services: ["ec2.amazonaws.com"], actions: []) else {
            throw EKSFault.invalidParameter("The role with name \(parsed.resourceParts.last ?? "") cannot be found: \(arn) does not exist")
        }
        guard role.trustedServices.contains("ec2.amazonaws.com") else {
            throw EKSFault.invalidParameter(
                "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole \(arn)")
        }
    }

    /// Sets a node group to DELETING. Upstream: eks DeleteNodegroup. Throws ResourceNotFoundException.
    package func deleteNodegroup(_ cluster: String, _ name: String) async throws -> NodegroupRecord {
        let group = try await state.update { tables in
            var group = try tables.nodegroup(cluster, name)
            guard group.status != .deleting else { return group }
            group.status = .deleting
            tables.nodegroups[LifecycleTables.key(cluster, name)] = group
            return group
        }
        await reconciler.wake(.nodegroup(cluster: cluster, name: name))
        return group
    }
}
