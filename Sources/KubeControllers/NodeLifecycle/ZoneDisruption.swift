import KubeAPI

/// How badly a zone is hit, and so how fast its nodes may be evicted. Upstream: ComputeZoneState and handleDisruption in
/// pkg/controller/nodelifecycle.
struct ZoneDisruption: Sendable {
    enum ZoneState: Sendable, Equatable { case normal, partialDisruption, fullDisruption }

    var evictionRate: Double
    var secondaryRate: Double
    var largeClusterThreshold: Int
    var unhealthyThreshold: Double

    /// Ready by node, by zone.
    private var zones: [String: [String: Bool]] = [:]
    private var zoneOf: [String: String] = [:]
    /// The earliest time of the next eviction.
    private var next: [String: Timestamp] = [:]

    init(evictionRate: Double, secondaryRate: Double, largeClusterThreshold: Int, unhealthyThreshold: Double) {
        self.evictionRate = evictionRate
        self.secondaryRate = secondaryRate
        self.largeClusterThreshold = largeClusterThreshold
        self.unhealthyThreshold = unhealthyThreshold
    }

    /// `counts`: whether the node is one of those that its zone is judged by; it is evicted at the zone's pace in any case.
    mutating func observe(node: String, zone: String, ready: Bool, counts: Bool = true) {
        if let old = zoneOf[node], old != zone || !counts { leave(old, node) }
        zoneOf[node] = zone
        if counts { zones[zone, default: [:]][node] = ready }
    }

    mutating func remove(node: String) {
        guard let zone = zoneOf.removeValue(forKey: node) else { return }
        leave(zone, node)
        if !zoneOf.values.contains(zone) { next[zone] = nil }
    }

    /// A zone by which nothing is judged any more is none.
    private mutating func leave(_ zone: String, _ node: String) {
        zones[zone]?[node] = nil
        if zones[zone]?.isEmpty ?? false { zones[zone] = nil }
    }

    /// Upstream: ComputeZoneState.
    func state(of zone: String) -> ZoneState {
        let nodes = zones[zone] ?? [:]
        let notReady = nodes.values.count { !$0 }
        if notReady > 0, notReady == nodes.count { return .fullDisruption }
        if notReady > 2, Double(notReady) / Double(max(1, nodes.count)) >= unhealthyThreshold { return .partialDisruption }
        return .normal
    }

    /// Every node of every zone is silent: it is more likely that we are cut off than that all have died at once.
    var allFullyDisrupted: Bool { !zones.isEmpty && zones.keys.allSatisfy { state(of: $0) == .fullDisruption } }

    /// Asks to evict one node's pods. Zero: now, and the next of its zone has to wait its turn. Otherwise the seconds to wait; nil while the zone's
    /// state forbids it.
    mutating func acquire(node: String, now: Timestamp) -> Double? {
        guard let zone = zoneOf[node], !allFullyDisrupted else { return nil }
        let rate: Double
        switch state(of: zone) {
        case .normal, .fullDisruption: rate = evictionRate
        case .partialDisruption: rate = (zones[zone]?.count ?? 0) > largeClusterThreshold ? secondaryRate : 0
        }
        guard rate > 0 else { return nil }
        if let time = next[zone], time > now { return time.timeInterval(since: now) }
        next[zone] = Timestamp(microseconds: now.microseconds &+ Int64(min(1e6, 1 / rate) * 1_000_000))
        return 0
    }
}
