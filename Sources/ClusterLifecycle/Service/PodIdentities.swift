package import AWSProtocol
import AWSServices

/// What CreatePodIdentityAssociation asks for. Upstream: eks CreatePodIdentityAssociationRequest.
package struct CreatePodIdentityInput: Sendable {
    package var clusterName: String
    package var namespace: String
    package var serviceAccount: String
    package var roleARN: String
    package var tags: [String: String] = [:]
    package var disableSessionTags: Bool?
    package var targetRoleARN: String?
    /// A session policy.
    package var policy: String?
    package var token: IdempotencyToken?

    package init(clusterName: String, namespace: String, serviceAccount: String, roleARN: String) {
        self.clusterName = clusterName
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.roleARN = roleARN
    }
}

/// What UpdatePodIdentityAssociation asks for; nil leaves as it is. Upstream: eks UpdatePodIdentityAssociationRequest.
package struct UpdatePodIdentityInput: Sendable {
    package var clusterName: String
    package var id: String
    package var roleARN: String?
    package var disableSessionTags: Bool?
    /// The empty text takes the target away.
    package var targetRoleARN: String?
    /// The empty text takes the session policy away.
    package var policy: String?
    package var token: IdempotencyToken?

    package init(clusterName: String, id: String) {
        self.clusterName = clusterName
        self.id = id
    }
}

/// The checks of associations. Upstream: EKS User Guide, "Learn how EKS Pod Identity grants Pods access to AWS services".
enum PodIdentityRequirements {
    static let service = "pods.eks.amazonaws.com"
    static let actions = ["sts:AssumeRole", "sts:TagSession"]
    /// Upstream: EKS quotas.
    static let perCluster = 5_000

    /// Kubernetes' names: a namespace is a DNS label, a service account a DNS subdomain.
    static func checkNames(_ namespace: String, _ serviceAccount: String, _ fields: [String: AWSJSON]) throws(AWSError) {
        guard isName(namespace, longest: 63, dots: false) else {
            throw EKSFault.invalidParameter("Invalid namespace '\(namespace.prefix(100))': it must be the name of a Kubernetes namespace", fields)
        }
        guard isName(serviceAccount, longest: 253, dots: true) else {
            throw EKSFault.invalidParameter(
                "Invalid serviceAccount '\(serviceAccount.prefix(100))': it must be the name of a Kubernetes service account", fields)
        }
    }

    /// A session policy must be one, and leaves no room for session tags. Upstream: eks PodIdentityAssociation.policy, "disableSessionTags must be set to
    /// true".
    static func checkPolicy(_ record: PodIdentityRecord, _ fields: [String: AWSJSON]) throws(AWSError) {
        guard let policy = record.policy else { return }
        do { try ServiceSession.check(policy: policy) } catch { throw EKSFault.invalidParameter("Invalid policy: \(error.message)", fields) }
        guard record.disableSessionTags == true else {
            throw EKSFault.invalidParameter("disableSessionTags must be set to true when a policy is specified", fields)
        }
    }

    private static func isName(_ text: String, longest: Int, dots: Bool) -> Bool {
        func isAlphanumeric(_ byte: UInt8?) -> Bool { byte.map { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) } ?? false }
        return text.utf8.count <= longest && isAlphanumeric(text.utf8.first) && isAlphanumeric(text.utf8.last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || (dots && $0 == 0x2E) }
    }

    /// A new association's id.
    static func newID() -> String { "a-" + AWSIdentifier.unique("", length: 17).lowercased() }
}

extension EKSService {
    /// Associates a role with a service account. Upstream: eks CreatePodIdentityAssociation. Throws ResourceInUseException,
    /// ResourceLimitExceededException, InvalidParameterException, ResourceNotFoundException, `AccessDenial` when the caller may not pass the role.
    package func createPodIdentity(_ input: CreatePodIdentityInput, caller: AWSCaller) async throws -> PodIdentityRecord {
        let operation = "CreatePodIdentityAssociation/\(input.clusterName)"
        let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName)]
        let replayed = try await state.update { tables -> PodIdentityRecord? in
            _ = try tables.cluster(input.clusterName)
            if let id = try tables.replay(operation, input.token), let known = tables.podIdentities[id] { return known }
            return nil
        }
        if let replayed { return replayed }
        try PodIdentityRequirements.checkNames(input.namespace, input.serviceAccount, fields)
        try TagFault.checkNew(input.tags)
        try await checkPodRole(input.roleARN, target: input.targetRoleARN, caller, fields)
        let id = PodIdentityRequirements.newID()
        let record = newPodIdentity(input, id: id)
        try PodIdentityRequirements.checkPolicy(record, fields)
        return try await state.update { tables in
            let cluster = try tables.cluster(input.clusterName)
            guard cluster.status != .deleting else { throw EKSFault.invalidRequest("Cluster '\(cluster.name)' is being deleted", fields) }
            // The same request may have been sent twice at once.
            if let id = try tables.replay(operation, input.token), let known = tables.podIdentities[id] { return known }
            try tables.add(record)
            tables.remember(operation, input.token, made: id)
            return record
        }
    }

    private func newPodIdentity(_ input: CreatePodIdentityInput, id: String) -> PodIdentityRecord {
        var record = PodIdentityRecord(
            clusterName: input.clusterName, namespace: input.namespace, serviceAccount: input.serviceAccount, roleARN: input.roleARN,
            arn: configuration.arn("podidentityassociation/\(input.clusterName)/\(id)"), id: id, tags: input.tags, createdAt: clock.now)
        record.disableSessionTags = input.disableSessionTags
        if let target = input.targetRoleARN, !target.isEmpty { record.target(target, configuration) }
        record.policy = input.policy.flatMap { $0.isEmpty ? nil : $0 }
        return record
    }

    /// A role must be there, trust EKS's pods, and be one that the caller may pass on. A target trusts the role, which is seen when it is assumed.
    func checkPodRole(_ arn: String, target: String?, _ caller: AWSCaller, _ fields: [String: AWSJSON]) async throws {
        func check(_ arn: String) throws(AWSError) {
            guard let parsed = ARN(arn), parsed.service == "iam", parsed.resource.hasPrefix("role/") else {
                throw EKSFault.invalidParameter("Invalid role ARN: '\(arn.prefix(200))'", fields)
            }
        }
        try check(arn)
        if let target, !target.isEmpty { try check(target) }
        guard
            let isTrusting = await identities.trusts(
                roleARN: arn, service: PodIdentityRequirements.service, actions: PodIdentityRequirements.actions)
        else { throw EKSFault.invalidParameter("Role provided in the request does not exist: \(arn)", fields) }
        guard isTrusting else {
            throw EKSFault.invalidParameter(
                "Trust policy of the role provided is invalid: it must allow \(PodIdentityRequirements.service) "
                    + PodIdentityRequirements.actions.joined(separator: " and "), fields)
        }
        try await identities.authorize(caller, action: "iam:PassRole", resource: arn, context: ["iam:passedtoservice": ["pods.eks.amazonaws.com"]])
        if let target, !target.isEmpty {
            try await identities.authorize(
                caller, action: "iam:PassRole", resource: target, context: ["iam:passedtoservice": ["pods.eks.amazonaws.com"]])
        }
    }

    /// Throws ResourceNotFoundException.
    package func describePodIdentity(_ cluster: String, id: String) async throws -> PodIdentityRecord {
        try await state.read { try $0.podIdentity(cluster, id: id) }
    }

    /// A cluster's associations, of one namespace or service account if named, in the order they were made. Throws ResourceNotFoundException.
    package func listPodIdentities(_ cluster: String, namespace: String?, serviceAccount: String?) async throws -> [PodIdentityRecord] {
        try await state.read { tables in
            _ = try tables.cluster(cluster)
            return tables.podIdentities(of: cluster)
                .filter { (namespace ?? $0.namespace) == $0.namespace && (serviceAccount ?? $0.serviceAccount) == $0.serviceAccount }
                .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
        }
    }

    /// Changes the role or its settings; running pods get the new role with their next credentials. Upstream: eks UpdatePodIdentityAssociation.
    /// Throws ResourceNotFoundException, InvalidParameterException, `AccessDenial`.
    package func updatePodIdentity(_ input: UpdatePodIdentityInput, caller: AWSCaller) async throws -> PodIdentityRecord {
        let operation = "UpdatePodIdentityAssociation/\(input.id)"
        let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName)]
        let (present, isReplay) = try await state.update { tables in
            let record = try tables.podIdentity(input.clusterName, id: input.id)
            return (record, try tables.replay(operation, input.token) != nil)
        }
        if isReplay { return present }
        if input.roleARN != nil || input.targetRoleARN != nil {
            try await checkPodRole(input.roleARN ?? present.roleARN, target: input.targetRoleARN, caller, fields)
        }
        let now = clock.now
        let configuration = configuration
        return try await state.update { tables in
            var record = try tables.podIdentity(input.clusterName, id: input.id)
            record.roleARN = input.roleARN ?? record.roleARN
            record.disableSessionTags = input.disableSessionTags ?? record.disableSessionTags
            if let target = input.targetRoleARN { record.target(target, configuration) }
            if let policy = input.policy { record.policy = policy.isEmpty ? nil : policy }
            try PodIdentityRequirements.checkPolicy(record, fields)
            record.modifiedAt = now
            tables.podIdentities[record.id] = record
            tables.remember(operation, input.token, made: record.id)
            return record
        }
    }

    /// Removes an association; credentials given out stay good until they end. Upstream: eks DeletePodIdentityAssociation. Throws
    /// ResourceNotFoundException.
    package func deletePodIdentity(_ cluster: String, id: String) async throws -> PodIdentityRecord {
        try await state.update { tables in
            let record = try tables.podIdentity(cluster, id: id)
            tables.podIdentities[id] = nil
            return record
        }
    }

    /// Whether a service account has a role by an association: its new pods are then told how to get credentials.
    package func hasPodIdentity(_ cluster: String, namespace: String, serviceAccount: String) async -> Bool {
        await state.read { $0.podIdentity(cluster, namespace, serviceAccount) != nil }
    }
}

extension PodIdentityRecord {
    /// Sets or, with the empty text, takes away the target role, with the external ID its trust policy can ask for.
    mutating func target(_ arn: String, _ configuration: EKSConfiguration) {
        targetRoleARN = arn.isEmpty ? nil : arn
        externalID = arn.isEmpty ? nil : "\(configuration.region)/\(configuration.account)/\(clusterName)/\(namespace)/\(serviceAccount)"
    }
}

extension LifecycleTables {
    /// The association `id`. Throws ResourceNotFoundException.
    func podIdentity(_ cluster: String, id: String) throws(AWSError) -> PodIdentityRecord {
        _ = try self.cluster(cluster)
        guard let record = podIdentities[id], record.clusterName == cluster else {
            throw EKSFault.notFound("Association not found: \(id.prefix(64))", ["clusterName": .string(cluster)])
        }
        return record
    }

    /// Keeps a new association. Throws ResourceInUseException when the service account has one, ResourceLimitExceededException.
    mutating func add(_ record: PodIdentityRecord) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(record.clusterName)]
        if let known = podIdentity(record.clusterName, record.namespace, record.serviceAccount) {
            throw EKSFault.inUse("Association already exists: \(known.id)", fields)
        }
        guard podIdentities(of: record.clusterName).count < PodIdentityRequirements.perCluster else {
            throw EKSFault.limit("Association limit exceeded for the cluster: \(PodIdentityRequirements.perCluster)", fields)
        }
        podIdentities[record.id] = record
    }
}

extension TaggedKinds {
    static let podIdentity = TaggedKind(
        name: "podidentityassociation",
        tags: { tables, arn, parts in parts.count == 3 ? tables.podIdentities[parts[2]].flatMap { $0.arn == arn ? $0.tags : nil } : nil },
        set: { tables, _, parts, tags in tables.podIdentities[parts[2]]?.tags = tags })
}
