package import AWSProtocol
import AWSServices

/// A role for a service account of an add-on. Upstream: eks AddonPodIdentityAssociations.
package struct AddonPodIdentity: Sendable, Equatable {
    package var serviceAccount: String
    package var roleARN: String

    package init(serviceAccount: String, roleARN: String) {
        self.serviceAccount = serviceAccount
        self.roleARN = roleARN
    }
}

/// What CreateAddon and UpdateAddon ask for; nil leaves as it is. Upstream: eks CreateAddonRequest, UpdateAddonRequest.
package struct AddonInput: Sendable {
    package var clusterName: String
    package var name: String
    package var version: String?
    /// The empty text takes the role away.
    package var serviceAccountRoleARN: String?
    package var resolveConflicts: AddonConflictResolution?
    package var configurationValues: String?
    /// An empty list takes all away.
    package var podIdentities: [AddonPodIdentity]?
    package var namespace: String?
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(clusterName: String, name: String) {
        self.clusterName = clusterName
        self.name = name
    }
}

extension EKSService {
    /// Records a new add-on in CREATING. Upstream: eks CreateAddon. Throws ResourceInUseException, ResourceNotFoundException,
    /// InvalidParameterException, InvalidRequestException, `AccessDenial` when the caller may not pass a role.
    package func createAddon(_ input: AddonInput, caller: AWSCaller) async throws -> AddonRecord {
        let operation = "CreateAddon/\(input.clusterName)"
        let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName), "addonName": .string(input.name)]
        let key = LifecycleTables.key(input.clusterName, input.name)
        let (cluster, replayed) = try await state.update { tables -> (ClusterRecord, AddonRecord?) in
            let cluster = try tables.cluster(input.clusterName)
            if let name = try tables.replay(operation, input.token) { return (cluster, try tables.addon(cluster.name, name)) }
            return (cluster, nil)
        }
        if let replayed { return replayed }
        guard cluster.status == .active || cluster.status == .updating else {
            throw EKSFault.invalidRequest("Cluster '\(cluster.name)' is not in ACTIVE status", fields)
        }
        let (definition, version) = try AddonRequirements.version(input.name, asked: input.version, cluster: cluster, fields)
        try await check(input, definition, caller, fields)
        try TagFault.checkNew(input.tags)
        var record = AddonRecord(
            clusterName: cluster.name, name: definition.name,
            arn: configuration.arn("addon/\(cluster.name)/\(definition.name)/\(AWSIdentifier.uuid())"),
            version: version.name, resolveConflicts: input.resolveConflicts ?? .none, tags: input.tags, createdAt: clock.now)
        record.apply(input)
        let made = record
        let associations = (input.podIdentities ?? []).map { association(of: made, $0) }
        try await state.update { tables in
            guard try tables.cluster(made.clusterName).status != .deleting else {
                throw EKSFault.invalidRequest("Cluster '\(made.clusterName)' is being deleted", fields)
            }
            guard tables.addons[key] == nil else { throw EKSFault.inUse("Addon already exists.", fields) }
            tables.addons[key] = made
            for association in associations { try tables.add(association) }
            tables.remember(operation, input.token, made: made.name)
        }
        await reconciler.wake(.addon(cluster: cluster.name, name: made.name))
        return made
    }

    /// The checks that creating and updating share.
    private func check(_ input: AddonInput, _ definition: AddonDefinition, _ caller: AWSCaller, _ fields: [String: AWSJSON]) async throws {
        guard input.namespace == nil || input.namespace == definition.namespace else {
            throw EKSFault.invalidParameter("Addon \(definition.name) can be installed in namespace \(definition.namespace) only", fields)
        }
        try AddonRequirements.checkConfiguration(input.configurationValues, definition, fields)
        try AddonRequirements.checkAssociations(input.podIdentities ?? [], definition, fields)
        if let arn = input.serviceAccountRoleARN, !arn.isEmpty {
            guard await identities.roleFacts(arn: arn, services: [], actions: []) != nil else {
                throw EKSFault.invalidParameter("Role provided in the request does not exist: \(arn.prefix(200))", fields)
            }
            try await identities.authorize(caller, action: "iam:PassRole", resource: arn)
        }
        for association in input.podIdentities ?? [] { try await checkPodRole(association.roleARN, target: nil, caller, fields) }
    }

    private func association(of addon: AddonRecord, _ asked: AddonPodIdentity) -> PodIdentityRecord {
        let id = PodIdentityRequirements.newID()
        return PodIdentityRecord(
            clusterName: addon.clusterName, namespace: AddonCatalog.named(addon.name)?.namespace ?? "kube-system",
            serviceAccount: asked.serviceAccount, roleARN: asked.roleARN, arn: configuration.arn("podidentityassociation/\(addon.clusterName)/\(id)"),
            id: id, createdAt: clock.now, ownerARN: addon.arn)
    }

    /// The add-on with the ARNs of its associations. Throws ResourceNotFoundException.
    package func describeAddon(_ cluster: String, _ name: String) async throws -> (addon: AddonRecord, associationARNs: [String]) {
        try await state.read { tables in
            let addon = try tables.addon(cluster, name)
            return (addon, tables.podIdentities(ownedBy: addon).map(\.arn))
        }
    }

    /// Throws ResourceNotFoundException for an unknown cluster.
    package func listAddons(_ cluster: String) async throws -> [String] {
        try await state.read { tables in
            _ = try tables.cluster(cluster)
            return tables.addons(of: cluster).map(\.name).sorted()
        }
    }

    /// Changes an add-on; the update is InProgress until the cluster has it. Upstream: eks UpdateAddon. Throws ResourceNotFoundException,
    /// ResourceInUseException, InvalidParameterException, InvalidRequestException, `AccessDenial`.
    package func updateAddon(_ input: AddonInput, caller: AWSCaller) async throws -> UpdateRecord {
        let operation = "UpdateAddon/\(input.clusterName)/\(input.name)"
        let fields: [String: AWSJSON] = ["clusterName": .string(input.clusterName), "addonName": .string(input.name)]
        let (cluster, present, replayed) = try await state.update { tables -> (ClusterRecord, AddonRecord, UpdateRecord?) in
            let addon = try tables.addon(input.clusterName, input.name)
            let known = try tables.replay(operation, input.token).flatMap { tables.updates[$0] }
            return (try tables.cluster(input.clusterName), addon, known)
        }
        if let replayed { return replayed }
        let (definition, version) = try AddonRequirements.version(input.name, asked: input.version ?? present.version, cluster: cluster, fields)
        try await check(input, definition, caller, fields)
        let now = clock.now
        let update = try await state.update { tables -> UpdateRecord in
            var addon = try tables.addon(input.clusterName, input.name)
            guard addon.status != .creating, addon.status != .updating, addon.status != .deleting else {
                let text = "Addon \(addon.name) cannot be updated as it is currently in \(addon.status.rawValue) state"
                throw addon.status == .deleting ? EKSFault.invalidRequest(text, fields) : EKSFault.inUse(text, fields)
            }
            addon.version = version.name
            addon.resolveConflicts = input.resolveConflicts ?? .none
            addon.apply(input)
            addon.status = .updating
            addon.modifiedAt = now
            tables.addons[LifecycleTables.key(addon.clusterName, addon.name)] = addon
            if let wanted = input.podIdentities { try self.replaceAssociations(of: addon, by: wanted, &tables) }
            var update = UpdateRecord(
                id: AWSIdentifier.uuid(), clusterName: addon.clusterName, type: "AddonUpdate", parameters: input.parameters(version.name),
                createdAt: now, clientRequestToken: input.token?.token)
            update.addon = addon.name
            tables.updates[update.id] = update
            tables.remember(operation, input.token, made: update.id)
            return update
        }
        await reconciler.wake(.addon(cluster: input.clusterName, name: input.name))
        return update
    }

    private nonisolated func replaceAssociations(of addon: AddonRecord, by wanted: [AddonPodIdentity], _ tables: inout LifecycleTables) throws {
        for old in tables.podIdentities(ownedBy: addon) {
            if let same = wanted.first(where: { $0.serviceAccount == old.serviceAccount }) {
                tables.podIdentities[old.id]?.roleARN = same.roleARN
            } else {
                tables.podIdentities[old.id] = nil
            }
        }
        let present = Set(tables.podIdentities(ownedBy: addon).map(\.serviceAccount))
        for new in wanted where !present.contains(new.serviceAccount) {
            let id = PodIdentityRequirements.newID()
            try tables.add(
                PodIdentityRecord(
                    clusterName: addon.clusterName, namespace: AddonCatalog.named(addon.name)?.namespace ?? "kube-system",
                    serviceAccount: new.serviceAccount, roleARN: new.roleARN,
                    arn: configuration.arn("podidentityassociation/\(addon.clusterName)/\(id)"), id: id, createdAt: clock.now, ownerARN: addon.arn))
        }
    }

    /// Sets an add-on to DELETING; with `preserve` what it put into the cluster stays. Upstream: eks DeleteAddon. Throws ResourceNotFoundException.
    package func deleteAddon(_ cluster: String, _ name: String, preserve: Bool) async throws -> AddonRecord {
        let addon = try await state.update { tables in
            var addon = try tables.addon(cluster, name)
            guard addon.status != .deleting else { return addon }
            addon.status = .deleting
            addon.isPreserved = preserve
            tables.addons[LifecycleTables.key(cluster, name)] = addon
            return addon
        }
        await reconciler.wake(.addon(cluster: cluster, name: name))
        return addon
    }
}

extension AddonRecord {
    fileprivate mutating func apply(_ input: AddonInput) {
        if let arn = input.serviceAccountRoleARN { serviceAccountRoleARN = arn.isEmpty ? nil : arn }
        if let values = input.configurationValues { configurationValues = values.isEmpty ? nil : values }
    }
}

extension AddonInput {
    /// What an update shows of itself. Upstream: eks UpdateParamType.
    fileprivate func parameters(_ version: String) -> [UpdateParameter] {
        var parameters: [UpdateParameter] = []
        if self.version != nil { parameters.append(UpdateParameter(type: "AddonVersion", value: version)) }
        if let arn = serviceAccountRoleARN { parameters.append(UpdateParameter(type: "ServiceAccountRoleArn", value: arn)) }
        if let resolveConflicts { parameters.append(UpdateParameter(type: "ResolveConflicts", value: resolveConflicts.rawValue)) }
        if let values = configurationValues { parameters.append(UpdateParameter(type: "ConfigurationValues", value: values)) }
        if let podIdentities {
            let list = AWSJSON.array(podIdentities.map { ["serviceAccount": .string($0.serviceAccount), "roleArn": .string($0.roleARN)] })
            parameters.append(UpdateParameter(type: "PodIdentityAssociations", value: String(decoding: list.encoded, as: UTF8.self)))
        }
        return parameters
    }
}
