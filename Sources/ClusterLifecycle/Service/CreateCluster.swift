package import AWSProtocol
import AWSServices

/// The checks of CreateCluster, as functions of what IAM and EC2 say. Upstream: EKS User Guide, "Subnet requirements", "Cluster IAM role"; the
/// messages are those that Terraform's provider and eksctl match on.
enum ClusterRequirements {
    /// Free addresses a subnet must have. Upstream: EKS User Guide, "Subnet requirements for clusters".
    static let freeAddresses = 6
    static let securityGroupLimit = 4
    static let publicCIDRLimit = 40
    /// Upstream: EKS quotas.
    static let clusterLimit = 100
    static let describeSubnets = "ec2:DescribeSubnets"
    static let clusterPolicy = "policy/AmazonEKSClusterPolicy"

    static func checkSubnets(_ subnets: [SubnetFacts], asked: [String], cluster: String, inUse: Set<String> = []) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        if let missing = asked.first(where: { id in !subnets.contains { $0.id == id } }) {
            throw EKSFault.invalidParameter("The subnet ID '\(missing.prefix(64))' does not exist", fields)
        }
        guard Set(subnets.map(\.zone)).count >= 2 else {
            throw EKSFault.invalidParameter("Subnets specified must be in at least two different AZs", fields)
        }
        guard Set(subnets.map(\.vpcID)).count == 1 else {
            throw EKSFault.invalidParameter(
                "Subnets specified must belong to the same VPC: \(Set(subnets.map(\.vpcID)).sorted().joined(separator: ", "))", fields)
        }
        for subnet in subnets where subnet.freeAddresses < freeAddresses && !inUse.contains(subnet.id) {
            throw EKSFault.invalidParameter(
                "subnet \(subnet.id) has \(subnet.freeAddresses) free addresses, EKS needs \(freeAddresses): use a larger subnet or free some", fields
            )
        }
    }

    static func checkRole(_ role: RoleFacts?, arn: String, cluster: String) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        guard let parsed = ARN(arn), parsed.service == "iam", parsed.resource.hasPrefix("role/") else {
            throw EKSFault.invalidParameter("Error in role params: '\(arn.prefix(200))' is not the ARN of an IAM role", fields)
        }
        guard let role else { throw EKSFault.invalidParameter("Role with arn: \(arn), could not be assumed because it does not exist", fields) }
        guard role.trustedServices.contains("eks.amazonaws.com") else {
            throw EKSFault.invalidParameter(
                "Role with arn: \(arn), could not be assumed. Role could not be assumed because the trusted entity is not correct: "
                    + "its trust policy must allow eks.amazonaws.com sts:AssumeRole",
                fields)
        }
        if role.allowedActions.contains(describeSubnets) { return }
        if role.attachedPolicyARNs.isEmpty {
            throw EKSFault.invalidParameter(
                "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following "
                    + "policy is attached: arn:aws:iam::aws:\(clusterPolicy)",
                fields)
        }
        throw EKSFault.invalidParameter("IAM role's policy must include the `ec2:DescribeSubnets` action", fields)
    }

    static func checkDNS(_ vpc: VPCFacts, isPrivate: Bool) throws(AWSError) {
        guard vpc.enableDNSSupport else {
            throw EKSFault.invalidParameter(
                "VPC \(vpc.id) must have enableDnsSupport, otherwise nodes cannot register: aws ec2 modify-vpc-attribute --vpc-id "
                    + "\(vpc.id) --enable-dns-support"
            )
        }
        guard !isPrivate || vpc.enableDNSHostnames else {
            throw EKSFault.invalidParameter("Private endpoint access needs enableDnsHostnames and enableDnsSupport in VPC \(vpc.id)")
        }
    }

    /// The service range: the asked-for one, or one of EKS's two that does not meet the VPC's. Upstream: eks
    /// KubernetesNetworkConfigRequest.serviceIpv4Cidr.
    static func serviceRange(asked: String?, vpc: VPCFacts) throws(AWSError) -> String {
        guard let vpcBlock = IPv4Block(vpc.cidr) else { throw EKSFault.invalidParameter("VPC \(vpc.id) has no IPv4 range") }
        guard let asked else {
            let standard = ["10.100.0.0/16", "172.20.0.0/16"]
            let isTen = IPv4Block("10.0.0.0/8")?.overlaps(vpcBlock) ?? false
            return isTen ? standard[1] : standard[0]
        }
        let privateBlocks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].compactMap { IPv4Block($0) }
        guard let block = IPv4Block(asked), (12...24).contains(block.prefixLength), privateBlocks.contains(where: { $0.contains(block) }) else {
            throw EKSFault.invalidParameter(
                "serviceIpv4Cidr '\(asked.prefix(32))' must be a range within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, between /24 and /12")
        }
        guard !block.overlaps(vpcBlock) else {
            throw EKSFault.invalidParameter("serviceIpv4Cidr \(block) must not overlap the VPC's range \(vpc.cidr)")
        }
        return block.description
    }
}

extension EKSService {
    /// Records a new cluster in CREATING and sets the reconciler to work. Upstream: eks CreateCluster. Throws ResourceInUseException,
    /// InvalidParameterException, ResourceLimitExceededException in EKS's words, `AccessDenial` when the caller may not pass the role.
    package func createCluster(_ input: CreateClusterInput, caller: AWSCaller) async throws -> ClusterRecord {
        let now = clock.now
        // A replayed request is answered before its parameters are checked against a world its first run has changed.
        let replayed = try await state.update { tables -> ClusterRecord? in
            if let name = try tables.replay("CreateCluster", input.token), let known = tables.clusters[name] { return known }
            guard tables.clusters[input.name] == nil, tables.registrations[input.name] == nil else {
                throw EKSFault.inUse("Cluster already exists with name: \(input.name)", ["clusterName": .string(input.name)])
            }
            guard tables.clusters.rows.count < ClusterRequirements.clusterLimit else {
                throw EKSFault.limit("Cluster limit exceeded for account: \(ClusterRequirements.clusterLimit)", ["clusterName": .string(input.name)])
            }
            return nil
        }
        if let replayed { return replayed }
        let record = try await newCluster(input, caller: caller, now: now)
        let nodes = await context.autoModeEntry(record)
        let creator = record.access.mode.hasEntries ? context.creatorEntry(record, principalID: String(caller.userID.prefix { $0 != ":" })) : nil
        do { return try await keep(record, [creator, nodes].compactMap { $0 }, input) } catch {
            if let grant = record.encryption?.grantID { try await keys.retire(grant: grant) }
            throw error
        }
    }

    /// Records a new cluster, or finds that it is there by the same request.
    private func keep(_ record: ClusterRecord, _ entries: [AccessEntryRecord], _ input: CreateClusterInput) async throws -> ClusterRecord {
        let created = try await state.update { tables -> ClusterRecord in
            // The same request may have been sent twice at once.
            if let name = try tables.replay("CreateCluster", input.token), let known = tables.clusters[name] { return known }
            guard tables.clusters[record.name] == nil else {
                throw EKSFault.inUse("Cluster already exists with name: \(record.name)", ["clusterName": .string(record.name)])
            }
            tables.clusters[record.name] = record
            for entry in entries { tables.set(entry) }
            tables.remember("CreateCluster", input.token, made: record.name)
            return record
        }
        await reconciler.wake(.cluster(record.name))
        return created
    }

    private func newCluster(_ input: CreateClusterInput, caller: AWSCaller, now: Double) async throws -> ClusterRecord {
        guard let version = input.version.map(KubernetesVersions.named) ?? KubernetesVersions.standard else {
            throw EKSFault.invalidParameter(
                "unsupported Kubernetes version: \(input.version?.prefix(32) ?? ""), the versions are "
                    + "\(KubernetesVersions.all.map(\.name).joined(separator: ", "))",
                ["clusterName": .string(input.name)])
        }
        guard version.status(at: now) != "UNSUPPORTED" else {
            throw EKSFault.invalidParameter("unsupported Kubernetes version: \(version.name)", ["clusterName": .string(input.name)])
        }
        guard input.supportType != "STANDARD" || version.status(at: now) == "STANDARD_SUPPORT" else {
            throw EKSFault.invalidParameter(
                "Kubernetes version \(version.name) is in extended support: upgradePolicy.supportType must be EXTENDED",
                ["clusterName": .string(input.name)])
        }
        guard input.endpointPublicAccess || input.endpointPrivateAccess else {
            throw EKSFault.invalidParameter("Private and public endpoint access cannot both be false", ["clusterName": .string(input.name)])
        }
        let mode = input.authenticationMode ?? "CONFIG_MAP"
        guard mode != "CONFIG_MAP" || input.bootstrapClusterCreatorAdminPermissions else {
            throw EKSFault.invalidParameter(
                "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP",
                ["clusterName": .string(input.name)])
        }
        let autoMode = try input.autoMode.created(mode: mode, bootstrapsAddons: input.bootstrapSelfManagedAddons, cluster: input.name)
        let role = await identities.roleFacts(arn: input.roleARN, services: ["eks.amazonaws.com"], actions: [ClusterRequirements.describeSubnets])
        try ClusterRequirements.checkRole(role, arn: input.roleARN, cluster: input.name)
        try await identities.authorize(
            caller, action: "iam:PassRole", resource: input.roleARN, context: ["iam:passedtoservice": ["eks.amazonaws.com"]])
        if let role = autoMode?.nodeRoleARN { try await checkAutoModeRole(role, caller) }
        let subnetIDs = input.subnetIDs.uniqued
        let subnets = await network.subnets(subnetIDs)
        try ClusterRequirements.checkSubnets(subnets, asked: subnetIDs, cluster: input.name)
        guard let first = subnets.first, let vpc = await network.vpc(first.vpcID) else {
            throw EKSFault.invalidParameter("The subnets' VPC does not exist")
        }
        if input.isIPv6 { try IPv6Requirements.check(subnets, vpc, askedIPv4: input.serviceIPv4CIDR, cluster: input.name) }
        try await checkSecurityGroups(input.securityGroupIDs, vpcID: vpc.id)
        try ClusterRequirements.checkDNS(vpc, isPrivate: input.endpointPrivateAccess)
        let cidrs = try publicCIDRs(input)
        try TagFault.checkNew(input.tags)
        var record = ClusterRecord(
            name: input.name, id: AWSIdentifier.hex(32).uppercased(), arn: configuration.arn("cluster/\(input.name)"),
            accountID: configuration.account,
            region: configuration.region, createdAt: now, version: version.name, platformVersion: version.platformVersion, roleARN: input.roleARN,
            network: ClusterNetwork(
                vpcID: vpc.id, vpcCIDR: vpc.cidr, subnetIDs: subnetIDs, securityGroupIDs: input.securityGroupIDs,
                endpointPublicAccess: input.endpointPublicAccess, endpointPrivateAccess: input.endpointPrivateAccess, publicAccessCIDRs: cidrs,
                serviceIPv4CIDR: input.isIPv6 ? "" : try ClusterRequirements.serviceRange(asked: input.serviceIPv4CIDR, vpc: vpc)),
            access: ClusterAccess(
                authenticationMode: mode, bootstrapClusterCreatorAdminPermissions: input.bootstrapClusterCreatorAdminPermissions,
                creatorARN: caller.principalARN),
            enabledLogTypes: input.enabledLogTypes, supportType: input.supportType ?? "EXTENDED", deletionProtection: input.deletionProtection,
            bootstrapSelfManagedAddons: input.bootstrapSelfManagedAddons ?? (autoMode == nil), zonalShiftEnabled: input.zonalShiftEnabled ?? false,
            tags: input.tags,
            clientRequestToken: input.token?.token)
        if input.isIPv6 {
            record.network.serviceIPv6CIDR = IPv6Requirements.serviceRange(avoiding: vpc.ipv6CIDRs)
            record.network.vpcIPv6CIDRs = vpc.ipv6CIDRs
        }
        record.scalingTier = input.tier
        if let networks = input.remoteNetworks, !networks.isEmpty {
            try networks.check(record)
            record.remoteNetworks = networks
        }
        if let encryption = input.encryption { record.encryption = try await grant(encryption, to: record, caller: caller) }
        record.autoMode = autoMode
        if input.autoMode.namesConfig { record.autoModeAsked = true }
        if input.zonalShiftEnabled != nil { record.zonalShiftAsked = true }
        return record
    }

    /// Ranges that are sent are kept where there is no public endpoint, too, without effect; none are made up for it.
    private func publicCIDRs(_ input: CreateClusterInput) throws(AWSError) -> [String] {
        guard input.endpointPublicAccess || !input.publicAccessCIDRs.isEmpty else { return [] }
        return try PublicCIDRs.checked(input.publicAccessCIDRs, isIPv6: input.isIPv6)
    }

    func checkSecurityGroups(_ ids: [String], vpcID: String) async throws {
        guard ids.count <= ClusterRequirements.securityGroupLimit else {
            throw EKSFault.invalidParameter("securityGroupIds can have \(ClusterRequirements.securityGroupLimit) groups at most")
        }
        for id in ids {
            guard let vpc = await network.vpcID(ofSecurityGroup: id) else {
                throw EKSFault.invalidParameter("The security group '\(id.prefix(64))' does not exist")
            }
            guard vpc == vpcID else { throw EKSFault.invalidParameter("Security group \(id) is in VPC \(vpc), the subnets are in VPC \(vpcID)") }
        }
    }

    /// Sets a cluster to DELETING. Upstream: eks DeleteCluster. Deleting it again while it goes answers the same. Throws ResourceNotFoundException,
    /// ResourceInUseException, InvalidRequestException.
    package func deleteCluster(_ name: String) async throws -> ClusterRecord {
        let cluster = try await state.update { tables in
            var cluster = try tables.cluster(name)
            guard cluster.status != .deleting else { return cluster }
            if let update = tables.runningUpdate(of: name) {
                throw EKSFault.inUse(
                    "Cannot delete because cluster \(name) currently has update \(update.id) in progress", ["clusterName": .string(name)])
            }
            guard !cluster.deletionProtection else {
                throw EKSFault.invalidRequest(
                    "Cluster \(name) has deletion protection enabled: switch it off before deleting the cluster", ["clusterName": .string(name)])
            }
            if let attachment = tables.attachment(to: name) { throw EKSFault.inUse(attachment, ["clusterName": .string(name)]) }
            cluster.status = .deleting
            tables.clusters[name] = cluster
            return cluster
        }
        await reconciler.cancelStart(name)
        await reconciler.wake(.cluster(name))
        return cluster
    }
}
