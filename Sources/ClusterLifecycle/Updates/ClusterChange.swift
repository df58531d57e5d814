import AWSProtocol

/// One type of update of a cluster: what it asks, whether it may be, what it does. Each type has a file.
protocol ClusterUpdate: Sendable {
    /// Upstream: eks UpdateType.
    var type: String { get }
    /// Whether the cluster may be changed so, at `now`, seconds since 1970. Throws in EKS's words.
    func check(_ cluster: ClusterRecord, _ tables: LifecycleTables, now: Double) throws(AWSError)
    /// Makes what the changed cluster needs beside its control plane. It may be repeated from its beginning after a crash, so everything it makes it
    /// first looks for. Throws what the update's errors should say.
    func prepare(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord
    /// Removes what the changed cluster needs no more. May be repeated.
    func tidy(_ cluster: ClusterRecord, _ context: StepContext) async throws
    /// Writes the change into the cluster's record.
    func apply(to cluster: inout ClusterRecord, now: Double)
    /// The update's parameters, of the changed cluster. Upstream: eks UpdateParam.
    func parameters(_ changed: ClusterRecord) -> [UpdateParameter]
}

extension ClusterUpdate {
    func prepare(_ cluster: ClusterRecord, _ context: StepContext) async throws -> ClusterRecord { cluster }
    func tidy(_ cluster: ClusterRecord, _ context: StepContext) async throws {}
}

/// What an update of a cluster changes, kept with the update so that it goes on after a crash.
package enum ClusterChange: Codable, Sendable, Equatable {
    case version(VersionUpdate)
    case endpointAccess(EndpointAccessUpdate)
    case vpcConfig(VpcConfigUpdate)
    case logging(LoggingUpdate)
    case upgradePolicy(UpgradePolicyUpdate)
    case zonalShift(ZonalShiftUpdate)
    case deletionProtection(DeletionProtectionUpdate)
    case encryption(EncryptionUpdate)
    case autoMode(AutoModeUpdate)
    case authority(AuthorityUpdate)
    case scalingTier(ScalingTierUpdate)
    case remoteNetwork(RemoteNetworkUpdate)

    /// What carries it out.
    var step: any ClusterUpdateStep {
        if case .authority(let change) = self { return AuthorityUpdateStep(change: change) }
        return ClusterChangeStep(change: update)
    }

    var update: any ClusterUpdate {
        switch self {
        case .version(let update): update
        case .endpointAccess(let update): update
        case .vpcConfig(let update): update
        case .logging(let update): update
        case .upgradePolicy(let update): update
        case .zonalShift(let update): update
        case .deletionProtection(let update): update
        case .encryption(let update): update
        case .autoMode(let update): update
        case .authority(let update): update
        case .scalingTier(let update): update
        case .remoteNetwork(let update): update
        }
    }
}
