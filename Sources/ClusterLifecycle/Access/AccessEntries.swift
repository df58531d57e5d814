package import AWSProtocol
import AWSServices

/// What CreateAccessEntry asks for. Upstream: eks CreateAccessEntryRequest.
package struct CreateAccessEntryInput: Sendable {
    package var clusterName: String
    package var principalARN: String
    package var type: String?
    package var userName: String?
    package var groups: [String] = []
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(clusterName: String, principalARN: String) {
        self.clusterName = clusterName
        self.principalARN = principalARN
    }
}

extension EKSService {
    /// Upstream: eks CreateAccessEntry. Throws InvalidParameterException, InvalidRequestException, ResourceInUseException,
    /// ResourceLimitExceededException, ResourceNotFoundException, and `AccessDenial` when the caller may not pass the role.
    package func createAccessEntry(_ input: CreateAccessEntryInput, caller: AWSCaller) async throws -> AccessEntryRecord {
        let principal = try AccessEntryRequirements.principal(input.principalARN)
        let type = try AccessEntryRequirements.type(input.type)
        try AccessEntryRequirements.check(
            type, principal, account: configuration.account, groups: input.groups, userName: input.userName)
        try AccessEntryRequirements.check(groups: input.groups)
        if let name = input.userName { try AccessEntryRequirements.check(userName: name) }
        try TagFault.checkNew(input.tags)
        _ = try await state.read { try $0.clusterWithEntries(input.clusterName) }
        let principalID = try await existing(principal)
        if type.needsPassRole {
            try await identities.authorize(
                caller, action: "iam:PassRole", resource: principal.arn, context: ["iam:passedtoservice": ["eks.amazonaws.com"]])
        }
        let operation = "CreateAccessEntry/\(input.clusterName)"
        let record = AccessEntryRecord(
            clusterName: input.clusterName, principalARN: principal.arn, principalID: principalID,
            arn: configuration.arn("\(principal.entryResource(input.clusterName))/\(AWSIdentifier.uuid())"), type: type,
            userName: input.userName ?? type.nodeUserName ?? principal.standardUserName, groups: type == .standard ? input.groups : type.nodeGroups,
            tags: input.tags, createdAt: clock.now)
        let made = try await state.update { tables -> AccessEntryRecord in
            _ = try tables.clusterWithEntries(input.clusterName)
            if let arn = try tables.replay(operation, input.token), let known = tables.accessEntries[LifecycleTables.key(input.clusterName, arn)] {
                return known
            }
            let key = LifecycleTables.key(input.clusterName, principal.arn)
            guard tables.accessEntries[key] == nil else {
                throw EKSFault.inUse(
                    "The specified access entry resource is already in use on this cluster.", ["clusterName": .string(input.clusterName)])
            }
            guard tables.accessEntries(of: input.clusterName).count < AccessEntryRequirements.perCluster else {
                throw EKSFault.limit(
                    "The cluster has the most access entries it can have: \(AccessEntryRequirements.perCluster)",
                    ["clusterName": .string(input.clusterName)])
            }
            tables.accessEntries[key] = record
            tables.remember(operation, input.token, made: principal.arn)
            return record
        }
        await context.publishAccess(of: input.clusterName)
        return made
    }

    /// The id of a principal of this account. Those of other accounts cannot be asked after: EKS asks IAM, here there is no other IAM. Throws when
    /// there is no such user or role.
    private func existing(_ principal: IAMPrincipal) async throws -> String? {
        guard principal.account == configuration.account else { return nil }
        if principal.kind == .root { return principal.account }
        guard let id = await identities.principalID(arn: principal.arn) else { throw AccessEntryRequirements.invalidPrincipal }
        return id
    }

    /// Upstream: eks DescribeAccessEntry. Throws ResourceNotFoundException, InvalidRequestException.
    package func describeAccessEntry(_ cluster: String, _ principalARN: String) async throws -> AccessEntryRecord {
        try await state.read { try $0.accessEntry(cluster, principalARN) }
    }

    /// The principals' ARNs, sorted; with `policyARN` those whose entries have that policy. Upstream: eks ListAccessEntries. Throws
    /// ResourceNotFoundException, InvalidRequestException, InvalidParameterException.
    package func listAccessEntries(_ cluster: String, policyARN: String?) async throws -> [String] {
        if let policyARN { _ = try AccessEntryRequirements.policy(policyARN, partition: configuration.partition) }
        return try await state.read { tables in
            _ = try tables.clusterWithEntries(cluster)
            let entries = tables.accessEntries(of: cluster).filter { entry in
                policyARN.map { arn in entry.policies.contains { $0.arn == arn } } ?? true
            }
            return entries.map(\.principalARN).sorted()
        }
    }

    /// Changes what is not nil. Upstream: eks UpdateAccessEntry. Throws ResourceNotFoundException, InvalidRequestException,
    /// InvalidParameterException.
    package func updateAccessEntry(
        _ cluster: String, _ principalARN: String, groups: [String]?, userName: String?, token: IdempotencyToken?
    ) async throws -> AccessEntryRecord {
        try AccessEntryRequirements.check(groups: groups ?? [])
        if let userName { try AccessEntryRequirements.check(userName: userName) }
        let now = clock.now
        let operation = "UpdateAccessEntry/\(cluster)"
        let changed = try await state.update { tables -> AccessEntryRecord in
            var entry = try tables.accessEntry(cluster, principalARN)
            if try tables.replay(operation, token) != nil { return entry }
            guard entry.type == .standard else { throw AccessEntryRequirements.onlyStandard }
            entry.groups = groups ?? entry.groups
            entry.userName = userName ?? entry.userName
            entry.modifiedAt = now
            tables.set(entry)
            tables.remember(operation, token, made: principalARN)
            return entry
        }
        await context.publishAccess(of: cluster)
        return changed
    }

    /// Upstream: eks DeleteAccessEntry. Throws ResourceNotFoundException, InvalidRequestException.
    package func deleteAccessEntry(_ cluster: String, _ principalARN: String) async throws {
        try await state.update { tables in
            _ = try tables.accessEntry(cluster, principalARN)
            tables.accessEntries[LifecycleTables.key(cluster, principalARN)] = nil
        }
        await context.publishAccess(of: cluster)
    }
}

extension AccessEntryRequirements {
    static let onlyStandard = EKSFault.invalidParameter("This operation can only be performed on Access Entries with a type of \"STANDARD\".")
}

extension LifecycleTables {
    func accessEntries(of cluster: String) -> [AccessEntryRecord] { accessEntries.values.filter { $0.clusterName == cluster } }

    mutating func set(_ entry: AccessEntryRecord) { accessEntries[LifecycleTables.key(entry.clusterName, entry.principalARN)] = entry }

    /// A cluster whose mode has access entries. Throws ResourceNotFoundException, and InvalidRequestException in EKS's words for another mode.
    func clusterWithEntries(_ name: String) throws(AWSError) -> ClusterRecord {
        let cluster = try self.cluster(name)
        guard cluster.access.mode.hasEntries else {
            throw EKSFault.invalidRequest(
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
                ["clusterName": .string(name)])
        }
        return cluster
    }

    /// Throws ResourceNotFoundException in the words that Terraform's provider waits on.
    func accessEntry(_ cluster: String, _ principalARN: String) throws(AWSError) -> AccessEntryRecord {
        _ = try clusterWithEntries(cluster)
        guard let entry = accessEntries[LifecycleTables.key(cluster, principalARN)] else {
            throw EKSFault.notFound(
                "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
                ["clusterName": .string(cluster)])
        }
        return entry
    }
}
