import KubeAPI
import KubeStorage

/// One resource in one version with all that serving it takes. Upstream: handlers.RequestScope with its genericregistry.Store.
struct RequestScope: Sendable {
    let row: ResourceRow
    /// Shared by all versions of a resource.
    let storage: ResourceStorage
    let strategy: (any ResourceStrategy)?
    /// To and from the version that is stored; nil where that is this one.
    let conversion: VersionConversion?
    let nameRule: MetadataValidation.NameRule
    /// Of a custom resource, what its definition says of this version. Nil for built-in kinds.
    let custom: CustomResourceVersion?

    var resource: GroupResource { row.groupResource }
    /// The kind objects are stored as.
    var storedKind: GroupVersionKind { conversion?.storedKind ?? row.groupVersionKind }

    /// An object as it is kept, in this scope's version.
    func external(_ object: Object) -> Object { conversion?.toExternal(object) ?? object }

    /// Events go away by themselves. Upstream: --event-ttl.
    static let eventLifetimeSeconds: Int64 = 3600
    var timeToLive: Int64? { row.resource == "events" && (row.group.isEmpty || row.group == "events.k8s.io") ? Self.eventLifetimeSeconds : nil }
}

/// Where objects are kept, as upstream keeps them. Upstream: the storage factory's SpecialDefaultResourcePrefixes and the prefixes of the extension
/// servers.
enum StorageKeys {
    static let root = "/registry/"

    private static let special: [String: String] = [
        "/replicationcontrollers": "controllers", "/endpoints": "services/endpoints", "/services": "services/specs", "/nodes": "minions",
        "networking.k8s.io/ingresses": "ingress",
    ]
    private static let groupsWithOwnServer: Set<String> = ["apiextensions.k8s.io", "apiregistration.k8s.io"]

    /// The prefix of all keys of a resource, with a slash at its end so that no other resource's keys begin with it.
    static func prefix(_ row: ResourceRow) -> String {
        if row.isCustom || groupsWithOwnServer.contains(row.group) { return "\(root)\(row.group)/\(row.resource)/" }
        // The events of both groups are the same objects.
        return "\(root)\(special["\(row.group)/\(row.resource)"] ?? row.resource)/"
    }
}
