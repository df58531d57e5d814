internal import Certificates
package import CloudControllers
package import ControlPlane
internal import FoundationEssentials

/// Control planes and machines that exist only as a note: the whole life of clusters and node groups without Kubernetes, root or time. What it is
/// told to do wrong, it does.
package actor SimulatedHosts: ControlPlaneHost, MachineHost {
    /// A failure made on purpose.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
        package init(_ description: String) { self.description = description }
    }

    /// What the simulation does otherwise than well.
    package struct Faults: Sendable {
        /// Control planes do not start, for this reason.
        package var controlPlaneStart: String?
        /// Control planes wait with their start until this is false again.
        package var holdsControlPlaneStart = false
        /// Control planes of this version do not start.
        package var failingVersion: String?
        /// Machines do not start, for this reason.
        package var machineStart: String?
        /// Pods may not be evicted.
        package var podsStay = false
        /// Labels and taints cannot be written.
        package var nodesRefuseChanges = false
        /// Nodes of machines that start do not become Ready.
        package var nodesStayAway = false
        /// Machines of warm pools are never ready.
        package var machinesStayCold = false
        /// Nodes do not take new certificates.
        package var nodesKeepCertificates = false
        /// Add-ons meet fields of others, unless they overwrite them.
        package var addonConflict: String?

        package init() {}
    }

    package private(set) var faults = Faults()
    /// What was called, in order: `start demo`, `machine i-1`, `drain ip-…`.
    package private(set) var calls: [String] = []
    package private(set) var specs: [String: MachineSpec] = [:]
    /// What the control planes were told last of who may enter, by cluster.
    package private(set) var access: [String: ClusterAccessRules] = [:]
    /// The last labels and taints that nodes were given.
    package private(set) var changes: [String: NodeChange] = [:]
    /// The records that control planes run by.
    package private(set) var records: [String: ClusterRecord] = [:]
    private var clusters: Set<String> = []
    /// Certificates in PEM by cluster and name.
    private var authorities: [String: String] = [:]
    private var inspections: [String: ClusterInspection] = [:]
    private var held: [CheckedContinuation<Void, Never>] = []
    /// The Fargate profiles that control planes were told last, by cluster.
    package private(set) var fargateProfiles: [String: FargateProfiles] = [:]
    /// The zones that are shifted away from, by cluster.
    package private(set) var shiftedZones: [String: Set<String>] = [:]
    /// The pods on Fargate, by cluster.
    package private(set) var pods: [String: [FargatePod]] = [:]
    private var podFeeds: [String: [AsyncStream<[FargatePod]>.Continuation]] = [:]
    private var feeds: [String: [AsyncStream<NodeReadiness>.Continuation]] = [:]
    private var ready: [String: Set<String>] = [:]
    private nonisolated let exitStream: AsyncStream<String>
    private nonisolated let exitInput: AsyncStream<String>.Continuation

    package init() { (exitStream, exitInput) = AsyncStream.makeStream() }

    package func set(_ faults: Faults) {
        self.faults = faults
        guard !faults.holdsControlPlaneStart else { return }
        for waiter in held { waiter.resume() }
        held = []
    }

    package func start(_ cluster: ClusterRecord) async throws -> ControlPlaneEndpoint {
        calls.append("start \(cluster.name)")
        while faults.holdsControlPlaneStart, !Task.isCancelled {
            // A held start ends with its task, as a real one must.
            await withTaskCancellationHandler {
                await withCheckedContinuation { held.append($0) }
            } onCancel: {
                Task { await self.releaseHeld() }
            }
        }
        try Task.checkCancellation()
        if let reason = faults.controlPlaneStart { throw Failure(reason) }
        if faults.failingVersion == cluster.version { throw Failure("version \(cluster.version) does not start") }
        records[cluster.name] = cluster
        if inspections[cluster.name] == nil { inspections[cluster.name] = ClusterInspection() }
        clusters.insert(cluster.name)
        let bundle = try cluster.clusterAuthorities.ordered.map { try authority($0, of: cluster) }.joined()
        return ControlPlaneEndpoint(
            url: "https://127.0.0.1:\(6_443 + clusters.count)", certificateAuthorityData: Data(bundle.utf8).base64EncodedString(),
            oidcIssuer: "https://oidc.eks.\(cluster.region).amazonaws.com/id/\(cluster.id)")
    }

    private func releaseHeld() {
        for waiter in held { waiter.resume() }
        held = []
    }

    package func stop(_ clusterName: String) async {
        calls.append("stop \(clusterName)")
        clusters.remove(clusterName)
        for feed in feeds.removeValue(forKey: clusterName) ?? [] { feed.finish() }
        for feed in podFeeds.removeValue(forKey: clusterName) ?? [] { feed.finish() }
    }

    package func delete(_ clusterName: String) async throws {
        await stop(clusterName)
        calls.append("delete \(clusterName)")
        ready[clusterName] = nil
    }

    package func nodeBootstrap(_ cluster: ClusterRecord, _ instance: InstanceRecord) async throws -> NodeBootstrap {
        var files = ["node": Array(instance.nodeName.utf8)]
        if instance.isInPool { files[Self.warmFile] = [] }
        return NodeBootstrap(files: files)
    }

    /// The authorities' certificates are real: their validity counts.
    package func makeAuthority(_ id: String, of cluster: ClusterRecord) async throws -> String {
        calls.append("authority \(cluster.fileName(id))")
        return Data(try authority(cluster.fileName(id), of: cluster).utf8).base64EncodedString()
    }

    private func authority(_ name: String, of cluster: ClusterRecord) throws -> String {
        let key = "\(cluster.name)/\(name)"
        if let known = authorities[key] { return known }
        // Successors as if they were made at the first one's end.
        let years: Int64 = name == ClusterAuthorities.initialName ? 10 : 15
        let validity = CertificateValidity(now: Int64(cluster.createdAt), seconds: years * CertificateValidity.yearInSeconds)
        let made = try CertificateAuthority(commonName: name, validity: validity).certificatePEM
        authorities[key] = made
        return made
    }

    package func removeAuthority(_ id: String, of cluster: ClusterRecord) async throws { calls.append("remove authority \(cluster.fileName(id))") }

    package func node(_ nodeName: String, of clusterName: String, goesBy authorities: ClusterAuthorities, patience: Duration) async throws -> Bool {
        !faults.nodesKeepCertificates && ready[clusterName]?.contains(nodeName) ?? false
    }

    /// Among the files of a machine that waits to join.
    private static let warmFile = "warm"

    package func renew(_ instanceID: String, _ bootstrap: NodeBootstrap) async throws {
        calls.append("renew \(instanceID)")
        guard var spec = specs[instanceID], spec.bootstrap.files[Self.warmFile] != nil else { return }
        spec.bootstrap = bootstrap
        specs[instanceID] = spec
        join(spec)
    }

    package func isPrepared(_ instanceID: String, patience: Duration) async throws -> Bool {
        calls.append("prepare \(instanceID)")
        guard faults.machinesStayCold else { return true }
        try await Task.sleep(for: min(patience, .milliseconds(5)))
        return false
    }

    package func nodeReadiness(_ clusterName: String) async -> AsyncStream<NodeReadiness> {
        let (stream, input) = AsyncStream<NodeReadiness>.makeStream()
        for node in ready[clusterName] ?? [] { input.yield(NodeReadiness(clusterName: clusterName, nodeName: node, isReady: true)) }
        feeds[clusterName, default: []].append(input)
        return stream
    }

    package func setSimulatedNodes(_ instances: [InstanceRecord], ofGroup group: String, in clusterName: String) async {
        calls.append("simulate \(instances.count) of \(group)")
        let names = Set(instances.map(\.nodeName))
        for name in names.subtracting(ready[clusterName] ?? []) where !faults.nodesStayAway {
            ready[clusterName, default: []].insert(name)
            for feed in feeds[clusterName] ?? [] { feed.yield(NodeReadiness(clusterName: clusterName, nodeName: name, isReady: true)) }
        }
    }

    package func drainNode(_ clusterName: String, nodeName: String, patience: Duration) async throws -> Bool {
        calls.append("drain \(nodeName)")
        return !faults.podsStay
    }

    package func inspect(_ clusterName: String) async throws -> ClusterInspection {
        guard let inspection = inspections[clusterName] else { throw Failure("the API server is away") }
        return inspection
    }

    package func set(_ inspection: ClusterInspection?, of clusterName: String) { inspections[clusterName] = inspection }

    package func uncordonNode(_ clusterName: String, nodeName: String) async throws { calls.append("uncordon \(nodeName)") }

    package func changeNode(_ clusterName: String, nodeName: String, _ change: NodeChange) async throws {
        if faults.nodesRefuseChanges { throw Failure("the API server is away") }
        changes[nodeName] = change
    }

    package func deleteNode(_ clusterName: String, nodeName: String) async throws {
        calls.append("delete node \(nodeName)")
        ready[clusterName]?.remove(nodeName)
    }

    /// `NAMESPACE/ACCOUNT/POD` is a token; a pod may be left out, `expired` is one that is.
    package func serviceAccount(ofToken token: String, audience: String, cluster name: String) async throws -> ServiceAccountIdentity {
        if token == "expired" { throw ServiceAccountTokenFault.expired }
        let parts = token.split(separator: "/").map(String.init)
        guard clusters.contains(name), parts.count >= 2 else { throw ServiceAccountTokenFault.invalid }
        let pod = parts.count > 2 ? parts[2] : nil
        return ServiceAccountIdentity(namespace: parts[0], name: parts[1], podName: pod, podUID: pod.map { "uid-\($0)" })
    }

    package func applyAddon(_ addon: AddonObjects, to clusterName: String) async throws {
        calls.append("addon \(addon.name) \(addon.version)")
        if let field = faults.addonConflict, addon.resolveConflicts == .none { throw AddonConflict([field]) }
    }

    package func removeAddon(_ addon: AddonObjects, from clusterName: String) async throws { calls.append("remove addon \(addon.name)") }

    package func issuerDocuments(_ clusterName: String) async -> IssuerDocuments? {
        clusters.contains(clusterName) ? IssuerDocuments(configuration: Array("{}".utf8), keys: Array("{\"keys\":[]}".utf8)) : nil
    }

    package func setAccess(_ rules: ClusterAccessRules, of clusterName: String) async { access[clusterName] = rules }

    package func mapNodeRole(_ arn: String, of kind: NodeRoleKind, isWanted: Bool, in clusterName: String) async throws {
        calls.append("\(isWanted ? "map" : "unmap") \(arn)")
    }

    package func setFargateProfiles(_ profiles: FargateProfiles, of clusterName: String) async { fargateProfiles[clusterName] = profiles }

    package func fargatePods(_ clusterName: String) async -> AsyncStream<[FargatePod]> {
        let (stream, input) = AsyncStream<[FargatePod]>.makeStream(bufferingPolicy: .bufferingNewest(1))
        input.yield(pods[clusterName] ?? [])
        podFeeds[clusterName, default: []].append(input)
        return stream
    }

    package func setShiftedZones(_ zones: Set<String>, of clusterName: String) { shiftedZones[clusterName] = zones }

    /// Has the cluster have these pods on Fargate.
    package func set(pods: [FargatePod], of clusterName: String) {
        self.pods[clusterName] = pods
        for feed in podFeeds[clusterName] ?? [] { feed.yield(pods) }
    }

    package func bindPod(_ pod: FargatePod, to nodeName: String, in clusterName: String) async throws {
        calls.append("bind \(pod.name) \(nodeName)")
        set(
            pods: (pods[clusterName] ?? []).map { known in
                var known = known
                if known.uid == pod.uid, known.nodeName == nil { known.nodeName = nodeName }
                return known
            }, of: clusterName)
    }

    package func reportPod(_ pod: FargatePod, _ message: String, in clusterName: String) async throws {
        calls.append("report \(pod.name): \(message)")
    }

    package func deletePods(ofFargateProfile profile: String, in clusterName: String) async throws {
        guard !faults.podsStay else { return }
        set(pods: (pods[clusterName] ?? []).filter { $0.profile != profile }, of: clusterName)
    }

    package func start(_ spec: MachineSpec) async throws {
        calls.append("machine \(spec.instanceID)")
        if let reason = faults.machineStart { throw Failure(reason) }
        specs[spec.instanceID] = spec
        join(spec)
    }

    /// The node of a machine becomes Ready, unless it is in a warm pool.
    private func join(_ spec: MachineSpec) {
        guard !faults.nodesStayAway, spec.bootstrap.files[Self.warmFile] == nil else { return }
        ready[spec.clusterName, default: []].insert(spec.hostName)
        for feed in feeds[spec.clusterName] ?? [] { feed.yield(NodeReadiness(clusterName: spec.clusterName, nodeName: spec.hostName, isReady: true)) }
    }

    package func terminate(_ instanceID: String) async throws {
        calls.append("terminate \(instanceID)")
        specs[instanceID] = nil
    }

    package func halt(_ instanceID: String) async throws {
        calls.append("halt \(instanceID)")
        specs[instanceID] = nil
    }

    package func running() async -> Set<String> { Set(specs.keys) }

    package nonisolated func exits() -> AsyncStream<String> { exitStream }

    /// Has a node tell of itself what a monitoring agent or its lease would.
    package func report(_ nodeName: String, isReady: Bool, _ problems: [NodeProblem], cluster: String = "demo") {
        for feed in feeds[cluster] ?? [] {
            feed.yield(NodeReadiness(clusterName: cluster, nodeName: nodeName, isReady: isReady, problems: problems))
        }
    }

    /// Ends a machine as `kill -9` of its init would.
    package func kill(_ instanceID: String) {
        specs[instanceID] = nil
        exitInput.yield(instanceID)
    }

    /// Ends all machines without telling, as a crash of the host would.
    package func crashHost() {
        specs = [:]
        ready = [:]
    }
}
