import AWSProtocol

/// An add-on's place in its life. Upstream: eks AddonStatus.
///
/// ```
/// CREATING ─▶ ACTIVE ⇄ UPDATING        ACTIVE ⇄ DEGRADED
///    │           │         │
///    ▼           ▼         ▼
/// CREATE_FAILED  DELETING  UPDATE_FAILED
/// ```
package enum AddonStatus: String, Codable, Sendable {
    case creating = "CREATING"
    case active = "ACTIVE"
    case createFailed = "CREATE_FAILED"
    case updating = "UPDATING"
    case deleting = "DELETING"
    case degraded = "DEGRADED"
    case updateFailed = "UPDATE_FAILED"
}

/// What becomes of fields that others have set. Upstream: eks ResolveConflicts.
package enum AddonConflictResolution: String, Codable, Sendable {
    case overwrite = "OVERWRITE"
    case none = "NONE"
    case preserve = "PRESERVE"
}

/// An add-on of a cluster as the service keeps it. Upstream: eks Addon.
package struct AddonRecord: Codable, Sendable, Equatable {
    package var clusterName: String
    package var name: String
    package var arn: String
    /// `v1.20.4-eksbuild.2`
    package var version: String
    package var serviceAccountRoleARN: String?
    /// The JSON that was given.
    package var configurationValues: String?
    package var resolveConflicts: AddonConflictResolution
    package var tags: [String: String]
    /// Seconds since 1970.
    package var createdAt: Double
    package var modifiedAt: Double
    package var status: AddonStatus = .creating
    package var health: [HealthIssue] = []
    /// Deleted without what it put into the cluster.
    package var isPreserved = false

    package init(
        clusterName: String, name: String, arn: String, version: String, serviceAccountRoleARN: String? = nil, configurationValues: String? = nil,
        resolveConflicts: AddonConflictResolution = .none, tags: [String: String] = [:], createdAt: Double
    ) {
        self.clusterName = clusterName
        self.name = name
        self.arn = arn
        self.version = version
        self.serviceAccountRoleARN = serviceAccountRoleARN
        self.configurationValues = configurationValues
        self.resolveConflicts = resolveConflicts
        self.tags = tags
        self.createdAt = createdAt
        modifiedAt = createdAt
    }
}

extension LifecycleTables {
    func addons(of cluster: String) -> [AddonRecord] { addons.values.filter { $0.clusterName == cluster } }

    /// The add-on `name`. Throws ResourceNotFoundException in EKS's words.
    func addon(_ cluster: String, _ name: String) throws(AWSError) -> AddonRecord {
        _ = try self.cluster(cluster)
        guard let addon = addons[LifecycleTables.key(cluster, name)] else {
            throw EKSFault.notFound("No addon: \(name) found in cluster: \(cluster)", ["clusterName": .string(cluster), "addonName": .string(name)])
        }
        return addon
    }

    /// Its Pod Identity associations, which go with it.
    func podIdentities(ownedBy addon: AddonRecord) -> [PodIdentityRecord] {
        podIdentities(of: addon.clusterName).filter { $0.ownerARN == addon.arn }.sorted { $0.id < $1.id }
    }
}

extension TaggedKinds {
    static let addon = TaggedKind(
        name: "addon",
        tags: { tables, arn, parts in
            parts.count == 4 ? tables.addons[LifecycleTables.key(parts[1], parts[2])].flatMap { $0.arn == arn ? $0.tags : nil } : nil
        },
        set: { tables, _, parts, tags in tables.addons[LifecycleTables.key(parts[1], parts[2])]?.tags = tags })
}
