import KubeAPI
import KubeClient
import Synchronization

/// The nodes' CPU by zone, kept as nodes come and go. Upstream: TopologyCache.SetNodes.
struct ZoneCapacity: Sendable {
    private struct Facts: Sendable, Equatable {
        /// Empty when the node does not say.
        var zone: String
        var milliCPU: Int64
        var isIncomplete: Bool { zone.isEmpty || milliCPU <= 0 }
    }

    static let excludedLabels = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"]

    private var nodes: [String: Facts] = [:]
    private var incomplete = 0
    private var zones: [String: (nodes: Int, milliCPU: Double)] = [:]

    /// Takes a node in as it is now; nil: it is gone. Whether that changed anything.
    mutating func set(_ name: String, _ node: Object?) -> Bool {
        let facts = node.flatMap(Self.facts)
        let old = nodes[name]
        guard old != facts else { return false }
        if let old { count(old, -1) }
        if let facts { count(facts, 1) }
        nodes[name] = facts
        return true
    }

    private mutating func count(_ facts: Facts, _ sign: Int) {
        guard !facts.isIncomplete else { return incomplete += sign }
        var zone = zones[facts.zone] ?? (0, 0)
        zone.nodes += sign
        zone.milliCPU += Double(sign) * Double(facts.milliCPU)
        zones[facts.zone] = zone.nodes > 0 ? zone : nil
    }

    /// Each zone's part of all CPU; nil when a node does not tell its zone or CPU, or when there are fewer than two zones.
    var ratios: [String: Double]? {
        guard incomplete == 0, zones.count >= 2 else { return nil }
        let total = zones.values.reduce(0) { $0 + $1.milliCPU }
        return zones.mapValues { $0.milliCPU / total }
    }

    /// Nil: a node that does not count.
    private static func facts(_ node: Object) -> Facts? {
        let labels = node.metadata.labels
        guard !excludedLabels.contains(where: { labels[$0] != nil }) else { return nil }
        let ready = node["status"]["conditions"].elements.first { $0["type"].string == "Ready" }
        guard ready["status"].string == "True" else { return nil }
        return Facts(
            zone: labels[EndpointSliceController.zoneLabel] ?? "", milliCPU: node["status"]["allocatable"]["cpu"].quantity?.milliValue ?? 0)
    }
}

/// Which Services have proportional hints, and what nodes these were made for. Upstream: endpointslice/topologycache.TopologyCache.
final class TopologyCache: Sendable {
    /// What a Service is told of its hints.
    struct Event: Sendable, Equatable {
        var type: EventRecorder.EventType
        var reason: String
        var message: String
    }

    private struct State: Sendable {
        var capacity = ZoneCapacity()
        /// By Service and address family.
        var given: [String: [String: [String: Int]]] = [:]
        /// Services that were told that they have hints.
        var populated: Set<String> = []
        /// Services that ask in vain.
        var refused: Set<String> = []

        mutating func forget(_ service: String, _ family: String) {
            given[service]?[family] = nil
            if given[service]?.isEmpty == true { given[service] = nil }
            populated.remove(service)
        }
    }

    private let state = Mutex(State())

    var ratios: [String: Double]? { state.withLock { $0.capacity.ratios } }

    /// Takes a node in as it is now (nil: it is gone) and says which Services need other hints for that. Upstream: checkNodeTopologyDistribution.
    func observe(_ name: String, _ node: Object?) -> [String] {
        state.withLock { state in
            let before = state.capacity.ratios
            guard state.capacity.set(name, node), !state.given.isEmpty || !state.refused.isEmpty else { return [] }
            let ratios = state.capacity.ratios
            let overloaded = state.given.filter { $0.value.values.contains { Self.isOverloaded($0, ratios) } }.map(\.key)
            // Upstream looks at those that asked in vain with its resync only.
            let hopeful = before.map { Set($0.keys) } == ratios.map { Set($0.keys) } ? [] : state.refused
            return hopeful.union(overloaded).sorted()
        }
    }

    /// Remembers what became of a family's hints; what its Service is to be told of that.
    func note(_ service: String, family: String, _ outcome: TopologyOutcome) -> Event? {
        state.withLock { state -> Event? in
            switch outcome {
            case .given(let zones):
                state.given[service, default: [:]][family] = zones
                state.refused.remove(service)
                guard state.populated.insert(service).inserted else { return nil }
                return Event(
                    type: .normal, reason: "TopologyAwareHintsEnabled", message: "Topology Aware Hints has been enabled, addressType: \(family)")
            case .refused(let message):
                state.forget(service, family)
                state.refused.insert(service)
                return Event(type: .warning, reason: "TopologyAwareHintsDisabled", message: "\(message), addressType: \(family)")
            case .notAsked:
                let hadHints = state.populated.contains(service)
                state.forget(service, family)
                state.refused.remove(service)
                guard hadHints else { return nil }
                return Event(
                    type: .warning, reason: "TopologyAwareHintsDisabled", message: "Topology Aware Hints has been disabled, addressType: \(family)")
            }
        }
    }

    /// Forgets the address families that the Service has no more.
    func keep(_ service: String, families: some Sequence<String>) {
        let families = Set(families)
        state.withLock { state in
            for family in state.given[service]?.keys.filter({ !families.contains($0) }) ?? [] { state.forget(service, family) }
        }
    }

    /// The Service is gone.
    func forget(_ service: String) {
        state.withLock { state in
            state.given[service] = nil
            state.populated.remove(service)
            state.refused.remove(service)
        }
    }

    /// Whether a zone has too few endpoints for its part of the CPU. Upstream: serviceOverloaded.
    static func isOverloaded(_ given: [String: Int], _ ratios: [String: Double]?) -> Bool {
        guard !given.isEmpty else { return false }
        guard let ratios else { return true }
        let total = Double(given.values.reduce(0, +))
        return ratios.contains { zone, ratio in
            guard let endpoints = given[zone] else { return true }
            return Double(endpoints) < (total * ratio * (1 / (1 + TopologyHints.overloadThreshold))).rounded(.up)
        }
    }
}
