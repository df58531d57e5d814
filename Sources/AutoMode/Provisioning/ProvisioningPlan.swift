import KubeAPI
import KubeScheduler

/// Which nodes to make for the pods that have none. A pure function of what there is: each pod goes to a node that is there or on its way, else to one
/// already planned, else to a new one of the heaviest pool that can have it; the largest pods first, so that few nodes are needed. A planned node is
/// the cheapest instance type with room for all its pods. Upstream: karpenter provisioning/scheduling.Scheduler.Solve.
struct ProvisioningPlan: Sendable {
    private(set) var nodes: [PlannedNode] = []
    /// By pod's key: the node, there or planned, it is meant for.
    private(set) var nominations: [String: String] = [:]
    /// By pod's key: why no node can be made for it.
    private(set) var failures: [String: String] = [:]

    /// Nodes that one plan makes at most: the rest is for the next.
    static let mostNodes = 100

    static func plan(_ snapshot: ClusterSnapshot, for pods: [SimulatedPod], without removed: Set<String> = []) throws -> ProvisioningPlan {
        var plan = ProvisioningPlan()
        var simulation = snapshot.simulation(without: removed)
        let present = snapshot.nodes.filter { !$0.isLeaving && !removed.contains($0.name) }.map(\.name).sorted()
        for pod in ordered(pods) { try plan.place(pod, present, snapshot, &simulation) }
        return plan
    }

    /// Upstream: provisioning/scheduling.Queue, by CPU and memory, the largest first.
    private static func ordered(_ pods: [SimulatedPod]) -> [SimulatedPod] {
        pods.sorted { a, b in
            if a.milliCPU != b.milliCPU { return a.milliCPU > b.milliCPU }
            if a.memory != b.memory { return a.memory > b.memory }
            return a.object.metadata.key < b.object.metadata.key
        }
    }

    private mutating func place(
        _ pod: SimulatedPod, _ present: [String], _ snapshot: ClusterSnapshot, _ simulation: inout SchedulingSimulation
    ) throws {
        let key = pod.object.metadata.key
        if let name = simulation.first(of: present, taking: pod) {
            simulation.place(pod, on: name)
            nominations[key] = name
            return
        }
        for place in nodes.indices {
            guard let before = nodes[place].choice, try nodes[place].take(pod, snapshot.daemons, &simulation) else { continue }
            if let after = nodes[place].choice, after == before || isWithinLimits(of: nodes[place].pool, snapshot) {
                nominations[key] = nodes[place].name
                return
            }
            // Too much for its pool now: planned anew without the pod.
            nodes[place].giveUp(&simulation)
        }
        var reasons: [String] = []
        for pool in snapshot.pools {
            if let node = try newNode(for: pod, of: pool, snapshot, &simulation, &reasons) {
                nodes.append(node)
                nominations[key] = node.name
                return
            }
        }
        failures[key] = reasons.isEmpty ? "no NodePool is ready" : reasons.joined(separator: "; ")
    }

    private func newNode(
        for pod: SimulatedPod, of pool: NodePool, _ snapshot: ClusterSnapshot, _ simulation: inout SchedulingSimulation, _ reasons: inout [String]
    ) throws -> PlannedNode? {
        guard nodes.count < Self.mostNodes else { return nil }
        guard let zones = snapshot.zones[pool.nodeClass] else {
            reasons.append("NodePool \"\(pool.name)\": its NodeClass \"\(pool.nodeClass)\" is not ready")
            return nil
        }
        var labels = pool.labels
        labels[Names.nodePool] = pool.name
        labels[Names.nodeClass] = pool.nodeClass
        labels[Names.computeType] = "auto"
        labels.merge(CustomLabels.of(pool, for: pod)) { $1 }
        let all = Offering.all(Array(snapshot.types.values))
        var isTooSmall = false
        for zone in ordered(zones, of: pool, snapshot) {
            let offerings = all.filter { offering in
                pool.requirements.match(labels.merging(offering.labels(zone: zone, region: snapshot.region)) { $1 })
            }
            guard !offerings.isEmpty else { continue }
            var node = PlannedNode(
                name: "\(pool.name)-planned-\(nodes.count + 1)", pool: pool, zone: zone, offerings: offerings, labels: labels,
                region: snapshot.region)
            let before = simulation
            guard try node.take(pod, snapshot.daemons, &simulation) else { continue }
            if isWithinLimits(of: pool, snapshot, and: node) { return node }
            isTooSmall = true
            simulation = before
        }
        reasons.append(
            isTooSmall
                ? "NodePool \"\(pool.name)\": all available instance types exceed limits for nodepool"
                : "NodePool \"\(pool.name)\": no instance type satisfied resources, requirements and taints")
        return nil
    }

    /// The zones with the fewest of the pool's nodes first, so that nodes spread.
    private func ordered(_ zones: [String], of pool: NodePool, _ snapshot: ClusterSnapshot) -> [String] {
        var counts: [String: Int] = [:]
        for node in snapshot.nodes { if let claim = node.claim, claim.pool == pool.name, let zone = claim.zone { counts[zone, default: 0] += 1 } }
        for node in nodes where node.pool.name == pool.name { counts[node.zone, default: 0] += 1 }
        return zones.sorted { a, b in
            let (left, right) = (counts[a] ?? 0, counts[b] ?? 0)
            return left == right ? a < b : left < right
        }
    }

    private func isWithinLimits(of pool: NodePool, _ snapshot: ClusterSnapshot, and new: PlannedNode? = nil) -> Bool {
        guard !pool.limits.isEmpty else { return true }
        var usage = snapshot.usage(of: pool.name)
        for node in nodes + (new.map { [$0] } ?? []) where node.pool.name == pool.name {
            usage.add(node.choice?.type.capacity ?? [:])
            usage.add(["nodes": Quantity(1)])
        }
        return pool.allows(usage)
    }
}
