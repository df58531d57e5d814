import AWSProtocol
import ClusterLifecycle

/// One kind of change that UpdateClusterConfig makes, with the members that ask for it.
struct ClusterConfigUpdate: Sendable {
    var members: Set<String>
    var begin: @Sendable (EKSCall) async throws -> UpdateRecord
}

/// UpdateClusterConfig is one operation on the wire and one for each kind of change inside: a call makes one kind of change, each an update of its
/// own type. Upstream: eks UpdateClusterConfig, "Only one type of update can be allowed".
extension EKSAPI {
    /// The kinds of change that are built. A member of the model in none of them is refused as not implemented.
    static let clusterConfigUpdates: [ClusterConfigUpdate] = [
        accessConfigUpdate, vpcConfigUpdate, loggingUpdate, upgradePolicyUpdate, zonalShiftUpdate, deletionProtectionUpdate, autoModeUpdate,
        scalingTierUpdate, remoteNetworkUpdate,
    ]

    static let updateClusterConfigHandlers: [String: EKSHandler] = [
        "UpdateClusterConfig": { call in
            let given = Set((call.input.objectValue ?? [:]).filter { $0.value != .null }.keys).subtracting(["name", "clientRequestToken"])
            let names: [String: AWSJSON] = ["clusterName": .string(call.required("name"))]
            guard !given.isEmpty else { throw EKSFault.invalidParameter("The type for cluster update was not provided.", names) }
            let built = clusterConfigUpdates.reduce(into: Set<String>()) { $0.formUnion($1.members) }
            if let missing = given.subtracting(built).sorted().first { throw EKSFault.notImplemented("UpdateClusterConfig's \(missing)") }
            guard let update = clusterConfigUpdates.first(where: { given.isSubset(of: $0.members) }) else {
                throw EKSFault.invalidParameter("Only one type of update can be allowed.", names)
            }
            return ["update": try await update.begin(call).json]
        }
    ]
}
