import KubeAPI

/// Which resources are watched, and of which all objects are known. Before that nothing may be collected: an owner whose dependents have not been
/// seen yet would be let go without them. Upstream: GraphBuilder.IsSynced.
struct MonitorSync: Sendable {
    /// Nil: nobody has said yet what is watched.
    private var watched: Set<GroupVersionResource>?
    private var synced: Set<GroupVersionResource> = []

    /// What is watched from now on.
    mutating func watch(_ resources: Set<GroupVersionResource>) {
        watched = resources
        synced.formIntersection(resources)
    }

    /// A resource was listed as a whole.
    mutating func listed(_ resource: GroupVersionResource) { synced.insert(resource) }

    var isComplete: Bool { watched.map { $0.isSubset(of: synced) } ?? false }
}
