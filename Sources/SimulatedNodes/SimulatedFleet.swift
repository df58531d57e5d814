package import KubeAPI
package import KubeClient
package import Logging
internal import Synchronization

/// The simulated nodes of one cluster. It outlives the cluster's control planes: each runs it while it runs.
package final class SimulatedFleet: Sendable {
    private struct State {
        var groups: [String: Set<String>] = [:]
        var nodes: [String: SimulatedNode] = [:]
        var wheel = LeaseWheel()
        var worker: FleetWorker?
    }

    private let state = Mutex(State())

    package init() {}

    /// Says which nodes a node group has, all of them: others of the group are no longer simulated. Their Node objects are not deleted here.
    package func set(_ nodes: [SimulatedNode], ofGroup group: String) {
        let (worker, new) = state.withLock { state -> (FleetWorker?, [String]) in
            var gone = state.groups[group] ?? []
            var new: [String] = []
            for node in nodes {
                gone.remove(node.name)
                if state.nodes[node.name] == nil {
                    new.append(node.name)
                    state.wheel.insert(node.name)
                }
                state.nodes[node.name] = node
            }
            for name in gone {
                state.nodes[name] = nil
                state.wheel.remove(name)
            }
            state.groups[group] = nodes.isEmpty ? nil : Set(nodes.map(\.name))
            return (state.worker, new)
        }
        if !new.isEmpty { worker?.came(new) }
    }

    func node(_ name: String) -> SimulatedNode? { state.withLock { $0.nodes[name] } }
    var names: [String] { state.withLock { Array($0.nodes.keys) } }
    func leases(inSlot slot: Int) -> [String] { state.withLock { $0.wheel.names(slot) } }

    /// Registers the nodes, renews their leases and runs their pods, by one client for all, until the task is cancelled.
    /// - Parameter informers: shared ones that the caller runs.
    package func run(
        client: KubeClient, informers: InformerFactory, now: @escaping @Sendable () -> Timestamp = { .now },
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "simulated-nodes")
    ) async {
        let worker = FleetWorker(fleet: self, client: client, informers: informers, now: now, clock: clock, logger: logger)
        state.withLock { $0.worker = worker }
        await worker.run()
        state.withLock { if $0.worker === worker { $0.worker = nil } }
    }
}

/// Nodes by the moment of a period at which their leases are renewed: a timer for all of them, and the writes spread evenly, a few at a time: one commit to the
/// disk serves them.
struct LeaseWheel: Sendable {
    /// Upstream: a kubelet renews at a quarter of the lease's 40 s.
    static let period = Duration.seconds(10)
    static let slotCount = 100
    /// Leases that are renewed together.
    static let groupSize = 8
    /// The slots in an order that spreads the first of them over the period: a step that shares no factor with their number.
    private static let order = (0..<slotCount).map { $0 * 37 % slotCount }

    private var slots = [Set<String>](repeating: [], count: slotCount)
    private var places: [String: Int] = [:]

    var count: Int { places.count }

    /// Into a slot whose last group has room, or else the one with the fewest.
    mutating func insert(_ name: String) {
        let open = Self.order.first { !slots[$0].count.isMultiple(of: Self.groupSize) }
        guard places[name] == nil, let slot = open ?? Self.order.min(by: { slots[$0].count < slots[$1].count }) else { return }
        places[name] = slot
        slots[slot].insert(name)
    }

    mutating func remove(_ name: String) {
        if let slot = places.removeValue(forKey: name) { slots[slot].remove(name) }
    }

    func names(_ slot: Int) -> [String] { slots.indices.contains(slot) ? Array(slots[slot]) : [] }
}
