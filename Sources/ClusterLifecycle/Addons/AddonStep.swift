import AWSProtocol

/// Brings one add-on to what its record says: its objects in the cluster, then whether it runs.
struct AddonStep {
    /// What has to be done after it: look again after a while, or tell nobody.
    enum Outcome: Equatable {
        case done
        case again(after: Double)
    }

    let context: StepContext

    /// `readyNodes` is how many nodes the cluster has to run on. Throws what the control plane or the records' storage throws.
    func run(_ addon: AddonRecord, readyNodes: Int) async throws -> Outcome {
        guard let definition = AddonCatalog.named(addon.name) else { return .done }
        switch addon.status {
        case .creating, .updating: return try await install(addon, definition, readyNodes)
        case .active, .degraded: return try await look(addon, definition, readyNodes)
        case .deleting:
            try await remove(addon, definition)
            return .done
        case .createFailed, .updateFailed: return .done
        }
    }

    private func install(_ addon: AddonRecord, _ definition: AddonDefinition, _ readyNodes: Int) async throws -> Outcome {
        do { try await context.controlPlanes.applyAddon(AddonObjects(definition, addon), to: addon.clusterName) } catch let conflict as AddonConflict
        {
            let issue = HealthIssue(
                code: "ConfigurationConflict",
                message: "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. "
                    + "Conflicts: \(conflict.descriptions.joined(separator: "; "))")
            try await set(addon, addon.status == .creating ? .createFailed : .updateFailed, [issue])
            return .done
        }
        let verdict = Self.verdict(
            addon, definition, readyNodes: readyNodes, now: context.clock.now, patience: context.configuration.addonPatience)
        try await set(addon, verdict.status, verdict.health)
        return verdict.again.map { .again(after: $0) } ?? .done
    }

    private func look(_ addon: AddonRecord, _ definition: AddonDefinition, _ readyNodes: Int) async throws -> Outcome {
        let verdict = Self.verdict(addon, definition, readyNodes: readyNodes, now: context.clock.now, patience: context.configuration.addonPatience)
        if verdict.status != addon.status { try await set(addon, verdict.status, verdict.health) }
        return .done
    }

    /// What an installed add-on is: one that needs a node and has none waits for it when it is new, and is degraded otherwise.
    static func verdict(
        _ addon: AddonRecord, _ definition: AddonDefinition, readyNodes: Int, now: Double, patience: Double
    ) -> (status: AddonStatus, health: [HealthIssue], again: Double?) {
        guard definition.needsNode, readyNodes == 0 else { return (.active, [], nil) }
        let issue = HealthIssue(
            code: "InsufficientNumberOfReplicas", message: "The add-on is unhealthy because it doesn't have the desired number of replicas.")
        let remaining = addon.modifiedAt + patience - now
        guard addon.status == .creating || addon.status == .updating, remaining > 0 else { return (.degraded, [issue], nil) }
        return (addon.status, [issue], remaining)
    }

    private func set(_ addon: AddonRecord, _ status: AddonStatus, _ health: [HealthIssue]) async throws {
        try await context.state.update { tables in
            let key = LifecycleTables.key(addon.clusterName, addon.name)
            // Changed meanwhile: the next round is for that.
            guard var current = tables.addons[key], current.arn == addon.arn, current.modifiedAt == addon.modifiedAt, current.status == addon.status
            else { return }
            current.status = status
            current.health = health
            tables.addons[key] = current
            guard status != .updating else { return }
            for var update in tables.updates.values
            where update.clusterName == addon.clusterName && update.addon == addon.name && update.status == .inProgress {
                update.status = status == .active ? .successful : .failed
                update.errors = status == .active ? [] : health
                tables.updates[update.id] = update
            }
        }
    }

    private func remove(_ addon: AddonRecord, _ definition: AddonDefinition) async throws {
        if !addon.isPreserved { try await context.controlPlanes.removeAddon(AddonObjects(definition, addon), from: addon.clusterName) }
        try await context.state.update { tables in
            guard tables.addons[LifecycleTables.key(addon.clusterName, addon.name)]?.arn == addon.arn else { return }
            tables.remove(addon)
        }
    }
}

extension LifecycleTables {
    /// Removes an add-on's record with its associations and updates.
    mutating func remove(_ addon: AddonRecord) {
        for association in podIdentities(ownedBy: addon) { podIdentities[association.id] = nil }
        for update in updates.values where update.clusterName == addon.clusterName && update.addon == addon.name { updates[update.id] = nil }
        addons[LifecycleTables.key(addon.clusterName, addon.name)] = nil
    }
}

/// What an add-on is in its cluster: service accounts in its namespace, and the ConfigMaps that tell the nodes its settings.
package struct AddonObjects: Sendable, Equatable {
    package var name: String
    package var version: String
    package var namespace: String
    package var serviceAccounts: [String]
    /// Their data, by name.
    package var configMaps: [String: [String: String]]
    /// For all its service accounts; nil for none.
    package var roleARN: String?
    package var resolveConflicts: AddonConflictResolution

    init(_ definition: AddonDefinition, _ addon: AddonRecord) {
        name = definition.name
        version = addon.version
        namespace = definition.namespace
        serviceAccounts = definition.serviceAccounts.map(\.name)
        // Checked when they were given.
        configMaps = (try? AddonSettings(addon.configurationValues))?.configMaps(of: definition.name) ?? [:]
        roleARN = addon.serviceAccountRoleARN
        resolveConflicts = addon.resolveConflicts
    }
}

/// Fields of an add-on's objects are somebody else's, and are to stay so.
package struct AddonConflict: Error, Sendable {
    /// As the API server says it.
    package var descriptions: [String]

    package init(_ descriptions: [String]) { self.descriptions = descriptions }
}
