/// What nodes of a group are launched as: an update replaces those of another generation.
struct LaunchGeneration: Sendable, Equatable {
    var releaseVersion: String
    /// Of the user's launch template; nil for a group without one.
    var templateVersion: Int?
}

extension NodegroupRecord {
    /// That of its nodes, unless a rollout is on the way.
    var generation: LaunchGeneration { LaunchGeneration(releaseVersion: releaseVersion, templateVersion: template?.version) }
}

extension NodegroupRollout {
    /// That of the nodes that come.
    var generation: LaunchGeneration { LaunchGeneration(releaseVersion: releaseVersion, templateVersion: template?.version) }
}

extension InstanceRecord {
    /// Nil for one of which it is not known.
    var generation: LaunchGeneration? { releaseVersion.map { LaunchGeneration(releaseVersion: $0, templateVersion: templateVersion) } }
}
