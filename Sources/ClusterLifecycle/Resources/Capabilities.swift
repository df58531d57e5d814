package import AWSProtocol

/// What CreateCapability asks for. Upstream: eks CreateCapabilityRequest.
package struct CreateCapabilityInput: Sendable {
    package var clusterName: String
    package var name: String
    package var type: String
    package var roleARN: String
    package var argo: ArgoConfiguration?
    package var ack: AckConfiguration?
    package var deletePropagationPolicy: String
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String, type: String, roleARN: String, deletePropagationPolicy: String) {
        self.clusterName = clusterName
        self.name = name
        self.type = type
        self.roleARN = roleARN
        self.deletePropagationPolicy = deletePropagationPolicy
    }
}

/// What UpdateCapability changes; what is left out stays. Upstream: eks UpdateCapabilityRequest.
package struct UpdateCapabilityInput: Sendable {
    package var clusterName: String
    package var name: String
    package var roleARN: String?
    package var setMappings: [ArgoRoleMapping] = []
    package var removeMappings: [ArgoRoleMapping] = []
    package var vpceIDs: [String]?
    package var ack: AckConfiguration?
    package var deletePropagationPolicy: String?
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String) {
        self.clusterName = clusterName
        self.name = name
    }
}

extension EKSService {
    private static let capabilityService = "capabilities.eks.amazonaws.com"

    /// Records a new capability in CREATING. Upstream: eks CreateCapability: one of each type in a cluster. Throws InvalidParameterException,
    /// InvalidRequestException, ResourceInUseException.
    package func createCapability(_ input: CreateCapabilityInput, caller: AWSCaller) async throws -> CapabilityRecord {
        let operation = "CreateCapability/\(input.clusterName)"
        let known = try await state.update { tables -> CapabilityRecord? in
            _ = try tables.capabilityCluster(input.clusterName)
            return try tables.replay(operation, input.token).flatMap { tables.capabilities[$0] }
        }
        if let known { return known }
        let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName)]
        guard InputNames.isName(input.name, limit: 100) else {
            throw EKSFault.invalidParameter(
                "The capability's name can have letters, digits, hyphens and underscores: \(input.name.prefix(100))", fields)
        }
        guard (input.type == "ARGOCD") == (input.argo != nil), input.ack == nil || input.type == "ACK" else {
            throw EKSFault.invalidParameter("The configuration does not fit the capability's type \(input.type)", fields)
        }
        try TagFault.checkNew(input.tags)
        try await requireRole(input.roleARN, trusting: Self.capabilityService)
        try await identities.authorize(caller, action: "iam:PassRole", resource: input.roleARN)
        let arn = "capability/\(input.clusterName)/\(input.type.lowercased())/\(input.name)/\(AWSIdentifier.uuid())"
        let record = CapabilityRecord(
            clusterName: input.clusterName, name: input.name, arn: configuration.arn(arn), type: input.type, roleARN: input.roleARN,
            argo: input.argo, ack: input.ack, deletePropagationPolicy: input.deletePropagationPolicy, createdAt: clock.now, modifiedAt: clock.now,
            status: .creating, tags: input.tags)
        try await state.update { tables in
            let cluster = try tables.capabilityCluster(input.clusterName)
            guard cluster.status == .active || cluster.status == .updating else {
                throw EKSFault.invalidRequest("Cluster '\(cluster.name)' is not in ACTIVE status", fields)
            }
            guard tables.capabilities[record.key] == nil else {
                throw EKSFault.inUse("Capability already exists with name \(record.name) and cluster name \(cluster.name)", fields)
            }
            if let other = tables.capabilities.values.first(where: { $0.clusterName == cluster.name && $0.type == record.type }) {
                throw EKSFault.inUse("Cluster \(cluster.name) has a capability of type \(record.type) already: \(other.name)", fields)
            }
            tables.capabilities[record.key] = record
            tables.remember(operation, input.token, made: record.key)
        }
        await reconciler.wake(.records)
        return record
    }

    /// Throws ResourceNotFoundException.
    package func describeCapability(_ cluster: String, _ name: String) async throws -> CapabilityRecord {
        try await state.read { try $0.capability(cluster, name) }
    }

    /// Throws InvalidParameterException for an unknown cluster: eks ListCapabilities has no other error.
    package func listCapabilities(_ cluster: String) async throws -> [CapabilityRecord] {
        try await state.read { tables in
            _ = try tables.capabilityCluster(cluster)
            return tables.capabilities.values.filter { $0.clusterName == cluster }
        }
    }

    /// Changes a capability's settings. Upstream: eks UpdateCapability. Throws InvalidParameterException, ResourceNotFoundException,
    /// ResourceInUseException.
    package func updateCapability(_ input: UpdateCapabilityInput, caller: AWSCaller) async throws -> UpdateRecord {
        let operation = "UpdateCapability/\(input.clusterName)/\(input.name)"
        if let role = input.roleARN {
            _ = try await describeCapability(input.clusterName, input.name)
            try await requireRole(role, trusting: Self.capabilityService)
            try await identities.authorize(caller, action: "iam:PassRole", resource: role)
        }
        let now = clock.now
        let update = try await state.update { tables -> UpdateRecord in
            var capability = try tables.capability(input.clusterName, input.name)
            if let id = try tables.replay(operation, input.token), let known = tables.updates[id] { return known }
            let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName)]
            guard capability.status == .active else {
                throw EKSFault.inUse("Capability \(capability.name) cannot be updated: it is \(capability.status.rawValue)", fields)
            }
            let parameters = try capability.apply(input)
            guard !parameters.isEmpty else { throw EKSFault.invalidParameter("No changes were given for the capability", fields) }
            capability.status = .updating
            capability.modifiedAt = now
            tables.capabilities[capability.key] = capability
            var update = UpdateRecord(
                id: AWSIdentifier.uuid(), clusterName: capability.clusterName, type: "CapabilityUpdate", parameters: parameters, createdAt: now,
                clientRequestToken: input.token?.token)
            update.capability = capability.name
            tables.updates[update.id] = update
            tables.remember(operation, input.token, made: update.id)
            return update
        }
        await reconciler.wake(.records)
        return update
    }

    /// Sets a capability to DELETING; what it made in the cluster stays. Upstream: eks DeleteCapability. Throws ResourceNotFoundException.
    package func deleteCapability(_ cluster: String, _ name: String) async throws -> CapabilityRecord {
        let capability = try await state.update { tables in
            var capability = try tables.capability(cluster, name)
            capability.status = .deleting
            tables.capabilities[capability.key] = capability
            return capability
        }
        await reconciler.wake(.records)
        return capability
    }
}

extension CapabilityRecord {
    /// Takes over what is asked for, and returns the update's parameters. Throws InvalidParameterException for another type's settings.
    fileprivate mutating func apply(_ input: UpdateCapabilityInput) throws(AWSError) -> [UpdateParameter] {
        var parameters: [UpdateParameter] = []
        if let role = input.roleARN {
            roleARN = role
            parameters.append(UpdateParameter(type: "RoleArn", value: role))
        }
        let changesArgo = !input.setMappings.isEmpty || !input.removeMappings.isEmpty || input.vpceIDs != nil
        guard !changesArgo || argo != nil, input.ack == nil || type == "ACK" else {
            throw EKSFault.invalidParameter("The configuration does not fit the capability's type \(type)", ["clusterName": .string(clusterName)])
        }
        if var settings = argo, changesArgo {
            settings.change(set: input.setMappings, remove: input.removeMappings)
            if !input.setMappings.isEmpty {
                parameters.append(UpdateParameter(type: "RoleMappingsToAddOrUpdate", json: .array(input.setMappings.map(\.json))))
            }
            if !input.removeMappings.isEmpty {
                parameters.append(UpdateParameter(type: "RoleMappingsToRemove", json: .array(input.removeMappings.map(\.json))))
            }
            if let ids = input.vpceIDs {
                settings.vpceIDs = ids
                parameters.append(UpdateParameter(type: "NetworkAccess", json: ["vpceIds": .strings(ids)]))
            }
            argo = settings
        }
        if let change = input.ack {
            var settings = ack ?? AckConfiguration()
            if let isEnabled = change.enableCrossNamespace {
                settings.enableCrossNamespace = isEnabled
                parameters.append(UpdateParameter(type: "EnableCrossNamespace", value: String(isEnabled)))
            }
            if let services = change.disabledServices {
                settings.disabledServices = services
                parameters.append(UpdateParameter(type: "DisabledServices", json: .strings(services)))
            }
            ack = settings
        }
        if let policy = input.deletePropagationPolicy { deletePropagationPolicy = policy }
        return parameters
    }
}

extension ArgoConfiguration {
    /// An identity has one role: it leaves the one it had.
    mutating func change(set: [ArgoRoleMapping], remove: [ArgoRoleMapping]) {
        let moved = Set(set.flatMap(\.identities))
        var roles: [String: [ArgoRoleMapping.Identity]] = [:]
        for mapping in roleMappings {
            let removed = Set(remove.filter { $0.role == mapping.role }.flatMap(\.identities))
            roles[mapping.role, default: []] += mapping.identities.filter { !moved.contains($0) && !removed.contains($0) }
        }
        for mapping in set { roles[mapping.role, default: []] += mapping.identities }
        roleMappings = roles.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { ArgoRoleMapping(role: $0.key, identities: $0.value) }
    }
}

extension ArgoRoleMapping {
    /// Upstream: eks ArgoCdRoleMapping.
    package var json: AWSJSON {
        let shown = identities.map { identity -> AWSJSON in ["id": .string(identity.id), "type": .string(identity.type)] }
        return ["role": .string(role), "identities": .array(shown)]
    }
}

/// Names as EKS lets them be.
enum InputNames {
    /// Letters, digits, hyphens and underscores, beginning with a letter or digit.
    static func isName(_ name: String, limit: Int) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
        guard let first = name.utf8.first, name.utf8.count <= limit, isAlphanumeric(first) else { return false }
        return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F }
    }
}

extension LifecycleTables {
    /// The operations of capabilities have no error of their own for a cluster that is not there. Upstream: eks service model.
    fileprivate func capabilityCluster(_ name: String) throws(AWSError) -> ClusterRecord {
        guard let cluster = clusters[name] else {
            throw EKSFault.invalidParameter("No cluster found for name: \(name).", ["clusterName": .string(name)])
        }
        return cluster
    }

    func capability(_ cluster: String, _ name: String) throws(AWSError) -> CapabilityRecord {
        _ = try self.cluster(cluster)
        guard let capability = capabilities[LifecycleTables.key(cluster, name)] else {
            throw EKSFault.notFound("No capability found for name: \(name).", ["clusterName": .string(cluster)])
        }
        return capability
    }
}
