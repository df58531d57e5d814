package import AWSProtocol
package import AWSServices
package import Logging

/// The service's settings.
package struct EKSConfiguration: Sendable {
    package var region: String
    package var account: String
    /// How long an instance may take from start to a Ready node. Upstream: EKS gives a node group's instances 15 minutes.
    package var nodeJoinTimeout: Duration = .seconds(900)
    /// After this a node group says in its health what it waits for.
    package var slowJoin: Duration = .seconds(30)
    /// How long an update waits for pods that may not be evicted. Upstream: EKS gives up on a node's pods after 15 minutes.
    package var evictionTimeout: Duration = .seconds(900)
    /// Seconds that a new add-on may lack a node to run on before it is DEGRADED. Upstream: EKS gives its add-ons 20 minutes.
    package var addonPatience: Double = 1_200
    /// How long a node may take to go by new certificates.
    package var certificatePatience: Duration = .seconds(60)
    /// First wait after a failed start; doubled each time up to `longestRetry`.
    package var firstRetry: Duration = .seconds(1)
    package var longestRetry: Duration = .seconds(60)

    package init(region: String, account: String) {
        self.region = region
        self.account = account
    }

    package var partition: String { ARN.partition(ofRegion: region) }

    func arn(_ resource: String) -> String {
        ARN(partition: partition, service: "eks", region: region, account: account, resource: resource).description
    }
}

/// EKS without its wire: one method per operation, deciding on durable records, and the reconcilers that make the records true.
///
/// An operation returns once its record is on disk; `run` does the rest, and picks up where it was after a restart.
package actor EKSService {
    nonisolated let configuration: EKSConfiguration
    nonisolated let state: DurableState<LifecycleTables>
    nonisolated let network: EC2Network
    nonisolated let identities: IdentityStore
    nonisolated let keys: KMSKeys
    nonisolated let clock: AWSClock
    nonisolated let context: StepContext
    nonisolated let reconciler: Reconciler
    nonisolated let controlPlanes: any ControlPlaneHost
    nonisolated let instanceSessions = InstanceCredentials()

    /// Loads the records. Nothing starts before `run`. Throws what the storage throws.
    package init(
        configuration: EKSConfiguration, storage: any RowStorage, network: EC2Network, identities: IdentityStore, keys: KMSKeys,
        controlPlanes: any ControlPlaneHost, machines: any MachineHost, clock: AWSClock = .system, logger: Logger
    ) async throws {
        self.configuration = configuration
        self.network = network
        self.identities = identities
        self.keys = keys
        self.clock = clock
        self.controlPlanes = controlPlanes
        state = try await DurableState(storage: storage)
        context = StepContext(
            configuration: configuration, state: state, network: network, identities: identities, keys: keys, controlPlanes: controlPlanes,
            machines: machines, clock: clock, logger: logger)
        reconciler = Reconciler(context)
    }

    /// Brings all clusters, node groups and instances to where their records want them, and keeps them there, until the task is cancelled; then
    /// stops the control planes, keeping their data. Machines go on running.
    package nonisolated func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.reconciler.run() }
            group.addTask { await self.followCalendar() }
            group.addTask { await self.followKeys() }
        }
    }

    /// Waits until nothing is being done or scheduled to be done at once; for tests.
    package nonisolated func settled() async { await reconciler.settled() }

    /// The service's time, seconds since 1970.
    package nonisolated var now: Double { clock.now }

    /// Of the caller's account: the clusters' names, sorted.
    package func listClusters() async -> [String] { await state.read { $0.clusters.rows.keys.sorted() } }

    /// Throws ResourceNotFoundException.
    package func describeCluster(_ name: String) async throws -> ClusterRecord { try await state.read { try $0.cluster(name) } }

    /// All clusters, for whoever has to find one by its endpoint or ARN.
    package func clusters() async -> [ClusterRecord] { await state.read { Array($0.clusters.values) } }

    /// Throws ResourceNotFoundException for an unknown cluster.
    package func listNodegroups(_ cluster: String) async throws -> [String] {
        try await state.read { tables in
            _ = try tables.cluster(cluster)
            return tables.nodegroups(of: cluster).map(\.name).sorted()
        }
    }

    /// Throws ResourceNotFoundException.
    package func describeNodegroup(_ cluster: String, _ name: String) async throws -> NodegroupRecord {
        try await state.read { try $0.nodegroup(cluster, name) }
    }

    /// The instances of a node group. Throws ResourceNotFoundException.
    package func instances(_ cluster: String, _ nodegroup: String) async throws -> [InstanceRecord] {
        try await state.read { tables in tables.instances(of: try tables.nodegroup(cluster, nodegroup)) }
    }

    /// Whether there is an instance of this id that is a record only.
    package func isSimulated(instance id: String) async -> Bool { await state.read { $0.instances[id]?.isSimulated ?? false } }

    /// The ids of the updates of a cluster, or of what belongs to it. Throws ResourceNotFoundException.
    package func listUpdates(_ cluster: String, of target: UpdateTarget) async throws -> [String] {
        try await state.read { tables in
            try tables.requireTarget(cluster, target)
            return tables.updates.values.filter { $0.clusterName == cluster && $0.target == target }.map(\.id).sorted()
        }
    }

    /// The ids of the updates of a cluster, or of a node group in it. Throws ResourceNotFoundException.
    package func listUpdates(_ cluster: String, nodegroup: String?) async throws -> [String] {
        try await listUpdates(cluster, of: nodegroup.map(UpdateTarget.nodegroup) ?? .cluster)
    }

    /// An update of a cluster, or of a node group in it. Throws ResourceNotFoundException.
    package func describeUpdate(_ cluster: String, id: String, nodegroup: String?) async throws -> UpdateRecord {
        try await describeUpdate(cluster, id: id, of: nodegroup.map(UpdateTarget.nodegroup) ?? .cluster)
    }

    /// Throws ResourceNotFoundException.
    package func describeUpdate(_ cluster: String, id: String, of target: UpdateTarget) async throws -> UpdateRecord {
        try await state.read { tables in
            try tables.requireTarget(cluster, target)
            guard let update = tables.updates[id], update.clusterName == cluster, update.target == target else {
                throw EKSFault.notFound("No update found for ID: \(id)", ["clusterName": .string(cluster)])
            }
            return update
        }
    }
}
