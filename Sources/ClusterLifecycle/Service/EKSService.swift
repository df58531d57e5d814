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
    nonisolated let clock: AWSClock
    nonisolated let reconciler: Reconciler

    /// Loads the records. Nothing starts before `run`. Throws what the storage throws.
    package init(
        configuration: EKSConfiguration, storage: any RowStorage, network: EC2Network, identities: IdentityStore, controlPlanes: any ControlPlaneHost,
        machines: any MachineHost, clock: AWSClock = .system, logger: Logger
    ) async throws {
        self.configuration = configuration
        self.network = network
        self.identities = identities
        self.clock = clock
        state = try await DurableState(storage: storage)
        reconciler = Reconciler(
            StepContext(
                configuration: configuration, state: state, network: network, controlPlanes: controlPlanes, machines: machines, clock: clock,
                logger: logger))
    }

    /// Brings all clusters, node groups and instances to where their records want them, and keeps them there, until the task is cancelled; then
    /// stops the control planes, keeping their data. Machines go on running.
    package nonisolated func run() async { await reconciler.run() }

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

    /// The ids of a cluster's updates, or of one of its node groups'. Throws ResourceNotFoundException.
    package func listUpdates(_ cluster: String, nodegroup: String?) async throws -> [String] {
        try await state.read { tables in
            if let nodegroup { _ = try tables.nodegroup(cluster, nodegroup) } else { _ = try tables.cluster(cluster) }
            return tables.updates.values.filter { $0.clusterName == cluster && $0.nodegroup == nodegroup }.map(\.id).sorted()
        }
    }

    /// Throws ResourceNotFoundException.
    package func describeUpdate(_ cluster: String, id: String, nodegroup: String?) async throws -> UpdateRecord {
        try await state.read { tables in
            if let nodegroup { _ = try tables.nodegroup(cluster, nodegroup) } else { _ = try tables.cluster(cluster) }
            guard let update = tables.updates[id], update.clusterName == cluster, update.nodegroup == nodegroup else {
                throw EKSFault.notFound("No update found for ID: \(id)", ["clusterName": .string(cluster)])
            }
            return update
        }
    }

    /// The tags of a cluster or node group. Throws NotFoundException, BadRequestException.
    package func tags(of arn: String) async throws -> [String: String] {
        let key = try taggable(arn)
        return try await state.read { tables in
            switch key {
            case .cluster(let name): return try tables.clusters[name]?.tags ?? { throw TagFault.notFound(arn) }()
            case .nodegroup(let name, let id):
                guard let group = tables.nodegroups[name], group.id == id else { throw TagFault.notFound(arn) }
                return group.tags
            }
        }
    }

    /// Adds and removes tags of a cluster or node group. Throws NotFoundException, BadRequestException.
    package func changeTags(of arn: String, add: [String: String], remove: [String]) async throws {
        let key = try taggable(arn)
        try TagFault.check(add)
        @Sendable func changed(_ tags: [String: String]) throws(AWSError) -> [String: String] {
            let result = tags.merging(add) { _, new in new }.filter { !remove.contains($0.key) }
            guard result.count <= TagFault.limit else { throw TagFault.bad("A resource can have \(TagFault.limit) tags at most.") }
            return result
        }
        try await state.update { tables in
            switch key {
            case .cluster(let name):
                guard var cluster = tables.clusters[name] else { throw TagFault.notFound(arn) }
                cluster.tags = try changed(cluster.tags)
                tables.clusters[name] = cluster
            case .nodegroup(let name, let id):
                guard var group = tables.nodegroups[name], group.id == id else { throw TagFault.notFound(arn) }
                group.tags = try changed(group.tags)
                tables.nodegroups[name] = group
            }
        }
    }

    private enum Taggable: Sendable {
        case cluster(String)
        case nodegroup(key: String, id: String)
    }

    private func taggable(_ text: String) throws(AWSError) -> Taggable {
        guard let arn = ARN(text), arn.service == "eks", arn.account == configuration.account, arn.region == configuration.region else {
            throw TagFault.bad("Invalid ARN: \(text.prefix(200))")
        }
        let parts = arn.resourceParts.map(String.init)
        if parts.count == 2, parts[0] == "cluster" { return .cluster(parts[1]) }
        if parts.count == 4, parts[0] == "nodegroup" { return .nodegroup(key: LifecycleTables.key(parts[1], parts[2]), id: parts[3]) }
        throw TagFault.bad("Resources of this type cannot be tagged here: \(text.prefix(200))")
    }
}

/// The tag operations have errors of their own. Upstream: eks BadRequestException, NotFoundException.
package enum TagFault {
    /// Tags on a resource. Upstream: EKS User Guide, "Tag restrictions".
    static let limit = 50

    static func bad(_ text: String) -> AWSError { AWSError("BadRequestException", text, status: 400) }
    static func notFound(_ arn: String) -> AWSError { AWSError("NotFoundException", "Resource not found: \(arn.prefix(300))", status: 404) }

    /// The tags of a new resource: what is wrong with them is the create call's own error, which does not know BadRequestException.
    static func checkNew(_ tags: [String: String]) throws(AWSError) {
        guard tags.count <= limit else { throw EKSFault.invalidParameter("A resource can have \(limit) tags at most.") }
        do throws(AWSError) { try check(tags) } catch { throw EKSFault.invalidParameter(error.message) }
    }

    static func check(_ tags: [String: String]) throws(AWSError) {
        for (key, value) in tags {
            guard !key.isEmpty, key.count <= 128, value.count <= 256 else {
                throw bad("Tag keys must have from 1 to 128 characters and values 256 at most.")
            }
            guard !key.lowercased().hasPrefix("aws:") else { throw bad("Tag keys must not begin with aws:") }
        }
    }
}
