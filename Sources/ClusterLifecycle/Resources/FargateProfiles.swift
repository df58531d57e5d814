package import AWSProtocol
import AWSServices

/// What CreateFargateProfile asks for. Upstream: eks CreateFargateProfileRequest.
package struct CreateFargateProfileInput: Sendable {
    package var clusterName: String
    package var name: String
    package var roleARN: String
    package var subnetIDs: [String] = []
    package var selectors: [FargateSelector] = []
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String, roleARN: String) {
        self.clusterName = clusterName
        self.name = name
        self.roleARN = roleARN
    }
}

/// The checks of Fargate profiles. Upstream: EKS User Guide, "Define which Pods use AWS Fargate when launched", and EKS's quotas.
enum FargateRequirements {
    static let perCluster = 10
    static let selectorLimit = 5
    static let labelLimit = 5
    static let service = "eks-fargate-pods.amazonaws.com"
    /// Terraform's provider tries again on this text.
    static let untrusting =
        "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal"

    /// A cluster makes or removes one profile at a time. Upstream: eks DeleteFargateProfile; the message as EKS answers.
    static func busy(_ verb: String, _ name: String, _ other: FargateProfileRecord) -> AWSError {
        EKSFault.inUse(
            "Cannot \(verb) Fargate Profile \(name) because cluster \(other.clusterName) currently has Fargate profile \(other.name) in status "
                + other.status.rawValue,
            ["clusterName": .string(other.clusterName), "fargateProfileName": .string(name)])
    }

    static func checkSelectors(_ selectors: [FargateSelector]) throws(AWSError) {
        guard !selectors.isEmpty else { throw EKSFault.invalidParameter("Fargate profile must have at least one selector") }
        guard selectors.count <= selectorLimit else {
            throw EKSFault.invalidParameter("A Fargate profile can have \(selectorLimit) selectors at most")
        }
        for selector in selectors {
            guard !selector.namespace.isEmpty else { throw EKSFault.invalidParameter("Every selector of a Fargate profile must have a namespace") }
            guard selector.labels.count <= labelLimit else {
                throw EKSFault.invalidParameter("A selector of a Fargate profile can have \(labelLimit) labels at most")
            }
        }
    }
}

extension EKSService {
    /// Records a new profile in CREATING. Upstream: eks CreateFargateProfile. Throws InvalidParameterException, InvalidRequestException,
    /// ResourceLimitExceededException, ResourceNotFoundException, ResourceInUseException.
    package func createFargateProfile(_ input: CreateFargateProfileInput, caller: AWSCaller) async throws -> FargateProfileRecord {
        let operation = "CreateFargateProfile/\(input.clusterName)"
        let key = LifecycleTables.key(input.clusterName, input.name)
        let (cluster, replayed) = try await state.update { tables -> (ClusterRecord, FargateProfileRecord?) in
            (try tables.cluster(input.clusterName), try tables.replay(operation, input.token).flatMap { tables.fargateProfiles[$0] })
        }
        if let replayed { return replayed }
        let record = try await newFargateProfile(input, cluster, caller)
        try await state.update { tables in
            let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName), "fargateProfileName": .string(input.name)]
            let cluster = try tables.cluster(input.clusterName)
            guard cluster.status == .active || cluster.status == .updating else {
                throw EKSFault.invalidRequest("Cluster '\(cluster.name)' is not in ACTIVE status", fields)
            }
            guard tables.fargateProfiles[key] == nil else {
                throw EKSFault.invalidRequest("A Fargate Profile already exists with this name in this cluster.", fields)
            }
            guard tables.fargateProfiles.values.count(where: { $0.clusterName == cluster.name }) < FargateRequirements.perCluster else {
                throw EKSFault.limit("The cluster has the most Fargate profiles it can have: \(FargateRequirements.perCluster)", fields)
            }
            if let other = tables.fargateProfiles(of: cluster.name).first(where: { $0.status != .active }) {
                throw FargateRequirements.busy("create", input.name, other)
            }
            tables.fargateProfiles[key] = record
            tables.remember(operation, input.token, made: key)
        }
        await reconciler.wake(.fargateProfile(cluster: input.clusterName, name: input.name))
        return record
    }

    private func newFargateProfile(_ input: CreateFargateProfileInput, _ cluster: ClusterRecord, _ caller: AWSCaller) async throws
        -> FargateProfileRecord
    {
        guard !input.name.isEmpty, input.name.count <= 100 else {
            throw EKSFault.invalidParameter("The Fargate profile's name must have from 1 to 100 characters")
        }
        guard !input.name.lowercased().hasPrefix("eks-") else { throw EKSFault.invalidParameter("Fargate profile names must not begin with eks-") }
        try FargateRequirements.checkSelectors(input.selectors)
        try TagFault.checkNew(input.tags)
        try await requireRole(input.roleARN, trusting: FargateRequirements.service, otherwise: FargateRequirements.untrusting)
        try await identities.authorize(caller, action: "iam:PassRole", resource: input.roleARN)
        let ids = input.subnetIDs.uniqued
        let subnets = await network.subnets(ids)
        if let missing = ids.first(where: { id in !subnets.contains { $0.id == id } }) {
            throw EKSFault.invalidParameter("The subnet ID '\(missing.prefix(64))' does not exist")
        }
        guard !subnets.isEmpty else { throw EKSFault.invalidParameter("At least one private subnet must be given") }
        for subnet in subnets {
            guard subnet.vpcID == cluster.network.vpcID else {
                throw EKSFault.invalidParameter("Subnet \(subnet.id) is in VPC \(subnet.vpcID), the cluster is in VPC \(cluster.network.vpcID)")
            }
            guard await !network.isPublic(subnetID: subnet.id) else {
                throw EKSFault.invalidParameter("Subnet \(subnet.id) provided in Fargate Profile is not a private subnet")
            }
        }
        return FargateProfileRecord(
            clusterName: cluster.name, name: input.name,
            arn: configuration.arn("fargateprofile/\(cluster.name)/\(input.name)/\(AWSIdentifier.uuid())"), createdAt: clock.now,
            roleARN: input.roleARN, subnetIDs: ids, selectors: input.selectors, status: .creating, tags: input.tags)
    }

    /// Throws InvalidParameterException unless the role exists and trusts the service; `untrusting` says the latter in other words.
    func requireRole(_ arn: String, trusting service: String, otherwise untrusting: String? = nil) async throws {
        guard let role = await identities.roleFacts(arn: arn, services: [service], actions: []) else {
            throw EKSFault.invalidParameter("Role with arn: \(arn.prefix(200)), could not be assumed because it does not exist")
        }
        guard role.trustedServices.contains(service) else {
            throw EKSFault.invalidParameter(
                untrusting
                    ?? "Role with arn: \(arn), could not be assumed. Role could not be assumed because the trusted entity is not correct: its trust "
                    + "policy must allow \(service) sts:AssumeRole")
        }
    }

    /// Throws ResourceNotFoundException.
    package func describeFargateProfile(_ cluster: String, _ name: String) async throws -> FargateProfileRecord {
        try await state.read { try $0.fargateProfile(cluster, name) }
    }

    /// Throws ResourceNotFoundException for an unknown cluster.
    package func listFargateProfiles(_ cluster: String) async throws -> [String] {
        try await state.read { tables in
            _ = try tables.cluster(cluster)
            return tables.fargateProfiles.values.filter { $0.clusterName == cluster }.map(\.name)
        }
    }

    /// Sets a profile to DELETING. Upstream: eks DeleteFargateProfile. Throws ResourceNotFoundException, ResourceInUseException.
    package func deleteFargateProfile(_ cluster: String, _ name: String) async throws -> FargateProfileRecord {
        let profile = try await state.update { tables in
            var profile = try tables.fargateProfile(cluster, name)
            if let other = tables.fargateProfiles(of: cluster).first(where: { $0.status == .deleting && $0.name != name }) {
                throw FargateRequirements.busy("delete", name, other)
            }
            profile.status = .deleting
            tables.fargateProfiles[profile.key] = profile
            return profile
        }
        await reconciler.wake(.fargateProfile(cluster: cluster, name: name))
        return profile
    }
}

extension LifecycleTables {
    fileprivate func fargateProfile(_ cluster: String, _ name: String) throws(AWSError) -> FargateProfileRecord {
        _ = try self.cluster(cluster)
        guard let profile = fargateProfiles[LifecycleTables.key(cluster, name)] else {
            throw EKSFault.notFound(
                "No Fargate Profile found with name: \(name).", ["clusterName": .string(cluster), "fargateProfileName": .string(name)])
        }
        return profile
    }
}
