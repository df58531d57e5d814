import KubeAPI
import KubeScheduler

/// A node that would be made: of a pool, in a zone, of one of several instance types, with the pods it is for.
struct PlannedNode: Sendable {
    let name: String
    let pool: NodePool
    let zone: String
    /// What it can be, the cheapest first; never empty.
    private(set) var offerings: [Offering]
    private(set) var pods: [SimulatedPod] = []
    /// What it could be before the last pod.
    private var earlier: [Offering] = []
    /// Labels that the pool leaves to the pods, and its own.
    let labels: [String: String]
    private let region: String

    init(name: String, pool: NodePool, zone: String, offerings: [Offering], labels: [String: String], region: String) {
        self.name = name
        self.pool = pool
        self.zone = zone
        self.offerings = offerings
        self.labels = labels
        self.region = region
    }

    /// What it will be if nothing more is put on it.
    var choice: Offering? { offerings.first }

    func labels(_ offering: Offering) -> [String: String] {
        labels.merging(offering.labels(zone: zone, region: region)) { $1 }
    }

    /// Puts a pod on it if there is an instance type that has room for all its pods and that the scheduler would take; tries the cheapest first. The
    /// node stands in the simulation as what it became.
    mutating func take(_ pod: SimulatedPod, _ daemons: [SimulatedPod], _ simulation: inout SchedulingSimulation) throws -> Bool {
        let before = simulation
        for (place, offering) in offerings.enumerated() {
            let node = try NodeModel.node(
                named: name, labels: labels(offering), taints: pool.taints, allocatable: offering.type.allocatable)
            simulation.remove(node: name)
            simulation.set(node: node)
            let mine = daemons.filter { SchedulingSimulation.isForNode($0, node) }
            guard mine.allSatisfy({ simulation.put($0, on: name) }), pods.allSatisfy({ simulation.put($0, on: name) }),
                simulation.put(pod, on: name)
            else { continue }
            // Larger ones stay for what may still come; smaller ones are too small for good.
            earlier = offerings
            offerings.removeFirst(place)
            pods.append(pod)
            return true
        }
        simulation = before
        return false
    }

    /// Takes the last pod off again.
    mutating func giveUp(_ simulation: inout SchedulingSimulation) {
        guard !earlier.isEmpty, let last = pods.popLast() else { return }
        simulation.remove(last)
        offerings = earlier
    }
}

extension SchedulingSimulation {
    /// Puts a pod on a node if it would have it.
    mutating func put(_ pod: SimulatedPod, on node: String) -> Bool {
        guard first(of: [node], taking: pod) != nil else { return false }
        place(pod, on: node)
        return true
    }
}
