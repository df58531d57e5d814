import KubeAPI
import KubeScheduler

/// A node as provisioning and disruption see it: what is there, or what a claim will be.
struct NodeState: Sendable {
    /// Of a node that is there its name, else the claim's.
    var name: String
    /// As the scheduler will see it when it is ready.
    var object: Object
    /// Nil: it belongs to a node group.
    var claim: NodeClaim?
    /// Whether it takes no more pods: it is going.
    var isLeaving: Bool
    /// By name of the pods on it that are not finished.
    var pods: [SimulatedPod]
}

/// Everything that decisions are made of, as it is at one moment.
struct ClusterSnapshot: Sendable {
    var nodes: [NodeState] = []
    /// The heaviest first, then by name.
    var pools: [NodePool] = []
    /// The zones with subnets, by NodeClass; classes that are not ready are not here.
    var zones: [String: [String]] = [:]
    var daemons: [SimulatedPod] = []
    /// Pods without a node that wait for one.
    var pending: [SimulatedPod] = []
    var types: [String: InstanceType] = [:]
    var region = ""
    /// Labels of namespaces.
    var namespaces: [String: [String: String]] = [:]
    var volumes: SchedulingSimulation.VolumeCaches?

    /// A simulation of all nodes that stay, with their pods. `without`: nodes to be thought away, with their pods.
    func simulation(without removed: Set<String> = []) -> SchedulingSimulation {
        var simulation = SchedulingSimulation(volumes: volumes)
        for (name, labels) in namespaces { simulation.set(namespace: name, labels: labels) }
        for node in nodes where !node.isLeaving && !removed.contains(node.name) {
            simulation.set(node: node.object)
            for pod in node.pods { simulation.place(pod, on: node.name) }
        }
        return simulation
    }

    /// What the claims of a pool use. Upstream: NodePool.status.resources.
    func usage(of pool: String) -> ResourceList {
        var usage: ResourceList = ["nodes": .zero]
        for node in nodes {
            guard let claim = node.claim, claim.pool == pool, !claim.isBeingDeleted else { continue }
            usage.add(claim.instanceType.flatMap { types[$0] }?.capacity ?? [:])
            usage.add(["nodes": Quantity(1)])
        }
        return usage
    }
}

extension ResourceList {
    mutating func add(_ other: ResourceList) { for (name, amount) in other { self[name] = (self[name] ?? .zero) + amount } }
}
