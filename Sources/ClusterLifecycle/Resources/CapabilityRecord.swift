/// Upstream: eks CapabilityStatus.
package enum CapabilityStatus: String, Codable, Sendable {
    case creating = "CREATING"
    case active = "ACTIVE"
    case updating = "UPDATING"
    case deleting = "DELETING"
}

/// Who has a role in Argo CD. Upstream: eks ArgoCdRoleMapping.
package struct ArgoRoleMapping: Codable, Sendable, Equatable {
    /// Upstream: eks SsoIdentity.
    package struct Identity: Codable, Sendable, Hashable {
        package var id: String
        /// `SSO_USER` or `SSO_GROUP`.
        package var type: String

        package init(id: String, type: String) {
            self.id = id
            self.type = type
        }
    }
    /// `ADMIN`, `EDITOR` or `VIEWER`.
    package var role: String
    package var identities: [Identity]

    package init(role: String, identities: [Identity]) {
        self.role = role
        self.identities = identities
    }
}

/// What an Argo CD capability is told. Upstream: eks ArgoCdConfigRequest.
package struct ArgoConfiguration: Codable, Sendable, Equatable {
    package var namespace: String
    package var idcInstanceARN: String
    package var idcRegion: String?
    package var roleMappings: [ArgoRoleMapping]
    package var vpceIDs: [String]
    package var endpointPrefix: String?

    package init(
        namespace: String, idcInstanceARN: String, idcRegion: String?, roleMappings: [ArgoRoleMapping], vpceIDs: [String], endpointPrefix: String?
    ) {
        self.namespace = namespace
        self.idcInstanceARN = idcInstanceARN
        self.idcRegion = idcRegion
        self.roleMappings = roleMappings
        self.vpceIDs = vpceIDs
        self.endpointPrefix = endpointPrefix
    }
}

/// What an ACK capability is told. Upstream: eks AckConfigRequest.
package struct AckConfiguration: Codable, Sendable, Equatable {
    package var enableCrossNamespace: Bool?
    package var disabledServices: [String]?

    package init(enableCrossNamespace: Bool? = nil, disabledServices: [String]? = nil) {
        self.enableCrossNamespace = enableCrossNamespace
        self.disabledServices = disabledServices
    }
}

/// A capability as the service keeps it: a record, no controller runs for it. Upstream: eks Capability.
package struct CapabilityRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    package var name: String
    package var arn: String
    /// `ACK`, `KRO` or `ARGOCD`.
    package var type: String
    package var roleARN: String
    package var argo: ArgoConfiguration?
    package var ack: AckConfiguration?
    /// `RETAIN`
    package var deletePropagationPolicy: String
    /// Seconds since 1970.
    package var createdAt: Double
    package var modifiedAt: Double
    package var status: CapabilityStatus
    package var tags: [String: String]

    var key: String { LifecycleTables.key(clusterName, name) }

    static func settle(_ tables: inout LifecycleTables) {
        for capability in tables.capabilities.values {
            switch capability.status {
            case .active: break
            case .creating: tables.capabilities[capability.key]?.status = .active
            case .updating:
                tables.capabilities[capability.key]?.status = .active
                for update in tables.updates.values
                where update.clusterName == capability.clusterName && update.capability == capability.name && update.status == .inProgress {
                    tables.updates[update.id]?.status = .successful
                }
            case .deleting:
                tables.capabilities[capability.key] = nil
                for update in tables.updates.values where update.clusterName == capability.clusterName && update.capability == capability.name {
                    tables.updates[update.id] = nil
                }
            }
        }
    }
}
