import KubeAPI
import KubeClient
import KubeScheduler
import Synchronization

/// What the controllers of Auto Mode read, kept by watch, and the claims that were made a moment ago and are not in it yet.
final class Caches: Sendable {
    private static let nodeIndex = "auto-mode-node"

    let pods: SharedInformer
    let nodes: SharedInformer
    let budgets: SharedInformer
    let claims: SharedInformer
    let pools: SharedInformer
    let classes: SharedInformer
    private let daemonSets: SharedInformer
    private let namespaces: SharedInformer
    private let others: [SharedInformer]
    private let volumes: SchedulingSimulation.VolumeCaches
    private let types: [String: InstanceType]
    private let region: String
    private let now: @Sendable () -> Timestamp
    let marks = PodMarks()
    let shortages = ZoneShortages()
    /// By name: without them the same pods would be provided for twice.
    private let expected = Mutex<[String: Object]>([:])

    /// `shared` has the cluster's own kinds, `own` those of Auto Mode.
    init(shared: InformerFactory, own: InformerFactory, provider: any NodeProvider, now: @escaping @Sendable () -> Timestamp) {
        self.now = now
        pods = shared.informer(for: .pods)
        nodes = shared.informer(for: .nodes)
        budgets = shared.informer(for: .podDisruptionBudgets)
        daemonSets = shared.informer(for: .daemonSets)
        namespaces = shared.informer(for: .namespaces)
        let claimsOfVolumes = shared.informer(for: .persistentVolumeClaims)
        let persistentVolumes = shared.informer(for: .persistentVolumes)
        let storageClasses = shared.informer(for: .storageClasses)
        let csiNodes = shared.informer(for: .csiNodes)
        others = [claimsOfVolumes, persistentVolumes, storageClasses, csiNodes]
        volumes = SchedulingSimulation.VolumeCaches(
            claims: claimsOfVolumes.indexer, volumes: persistentVolumes.indexer, classes: storageClasses.indexer, csiNodes: csiNodes.indexer)
        claims = own.informer(for: .nodeClaims)
        pools = own.informer(for: .nodePools)
        classes = own.informer(for: .nodeClasses)
        types = Dictionary(provider.instanceTypes.map { ($0.name, $0) }) { first, _ in first }
        region = provider.region
        pods.addIndex(Self.nodeIndex) { pod in pod["spec"]["nodeName"].string.map { [$0] } ?? [] }
        claims.addHandler(InformerHandler(added: { [self] in forget($0.metadata.name) }))
    }

    func waitForSync() async throws {
        for informer in [pods, nodes, budgets, claims, pools, classes, daemonSets, namespaces] + others { try await informer.waitForSync() }
    }

    /// Before a claim is made.
    func expect(_ claim: Object) { expected.withLock { $0[claim.metadata.name] = claim } }

    func forget(_ name: String) { expected.withLock { _ = $0.removeValue(forKey: name) } }

    func claim(_ name: String) -> NodeClaim? { claims.indexer.get(name).map(NodeClaim.init) }
    func type(_ name: String?) -> InstanceType? { name.flatMap { types[$0] } }

    /// The pods on a node that have not finished.
    func pods(on node: String) -> [Object] {
        pods.indexer.byIndex(Self.nodeIndex, node).filter { !["Succeeded", "Failed"].contains($0["status"]["phase"].string ?? "") }
    }

    /// The claim of a node.
    func claim(ofNode name: String) -> NodeClaim? {
        claims.indexer.list().first { $0["status"]["nodeName"].string == name }.map(NodeClaim.init)
    }

    func snapshot() throws -> ClusterSnapshot {
        var snapshot = ClusterSnapshot()
        let short = shortages.zones(at: now())
        snapshot.types = types
        snapshot.region = region
        snapshot.volumes = volumes
        for namespace in namespaces.indexer.list() { snapshot.namespaces[namespace.metadata.name] = namespace.metadata.labels }
        for nodeClass in classes.indexer.list() where StatusCondition.isTrue("Ready", nodeClass) && !nodeClass.metadata.isBeingDeleted {
            let zones = nodeClass["status"]["subnets"].elements.compactMap { $0["zone"].string }
            snapshot.zones[nodeClass.metadata.name] = Set(zones).subtracting(short).sorted()
        }
        snapshot.pools = pools.indexer.list().map(NodePool.init).filter { $0.isReady && !$0.object.metadata.isBeingDeleted }.sorted { a, b in
            a.weight == b.weight ? a.name < b.name : a.weight > b.weight
        }
        snapshot.daemons = try daemonSets.indexer.list().map(Self.daemon)
        snapshot.nodes = try nodeStates()
        snapshot.pending = pods.indexer.list().filter(PodNeeds.isWaiting).map(SimulatedPod.init)
        return snapshot
    }

    private func nodeStates() throws -> [NodeState] {
        var all = claims.indexer.list()
        let known = Set(all.map(\.metadata.name))
        all += expected.withLock { Array($0.values) }.filter { !known.contains($0.metadata.name) }
        var states: [NodeState] = []
        var claimed: Set<String> = []
        for claim in all.map(NodeClaim.init) {
            let type = type(claim.instanceType)
            guard let name = claim.nodeName, let node = nodes.indexer.get(name) else {
                let object = try NodeModel.node(of: claim, type)
                states.append(NodeState(name: claim.name, object: object, claim: claim, isLeaving: claim.isBeingDeleted, pods: []))
                continue
            }
            claimed.insert(name)
            let isLeaving = claim.isBeingDeleted || node.metadata.isBeingDeleted
            let object = try NodeModel.settled(node, claim, type)
            states.append(NodeState(name: name, object: object, claim: claim, isLeaving: isLeaving, pods: simulated(on: name)))
        }
        for node in nodes.indexer.list() where !claimed.contains(node.metadata.name) {
            let name = node.metadata.name
            let isLeaving = node.metadata.isBeingDeleted || !NodeFacts.isReady(node) || node.metadata.labels[Names.nodePool] != nil
            states.append(NodeState(name: name, object: node, claim: nil, isLeaving: isLeaving, pods: simulated(on: name)))
        }
        return states
    }

    private func simulated(on node: String) -> [SimulatedPod] { pods(on: node).map(SimulatedPod.init) }

    /// A pod as a DaemonSet makes it.
    private static func daemon(_ set: Object) throws -> SimulatedPod {
        var pod: Value = ["apiVersion": "v1", "kind": "Pod", "spec": set["spec"]["template"]["spec"].value ?? [:]]
        pod["metadata"] = [
            "name": .string(set.metadata.name), "namespace": .string(set.metadata.namespace), "uid": .string("daemon-\(set.metadata.uid)"),
            "labels": set["spec"]["template"]["metadata"]["labels"].value ?? [:],
        ]
        return SimulatedPod(try Object(pod))
    }
}
