import KubeAPI

/// How a Service wants its connections kept near. Upstream: Service's `spec.trafficDistribution` and the annotation topology-mode.
enum TopologyMode: Sendable, Equatable {
    case anywhere
    /// `PreferClose`, `PreferSameZone`: each endpoint is for its own zone.
    case sameZone
    /// `PreferSameNode`: for its own node, and its zone after that.
    case sameNode
    /// Zones get endpoints in proportion to their CPU.
    case proportional

    private static let annotation = "service.kubernetes.io/topology-mode"
    private static let oldAnnotation = "service.kubernetes.io/topology-aware-hints"

    /// The annotation counts before the field. Upstream: hintsEnabled, validTrafficDistribution.
    init(annotations: [String: String], trafficDistribution: String) {
        if ["Auto", "auto"].contains(annotations[Self.oldAnnotation] ?? annotations[Self.annotation] ?? "") {
            self = .proportional
            return
        }
        switch trafficDistribution {
        case "PreferClose", "PreferSameZone": self = .sameZone
        case "PreferSameNode": self = .sameNode
        default: self = .anywhere
        }
    }
}

/// What became of the proportional hints of one address family of a Service.
enum TopologyOutcome: Sendable, Equatable {
    /// The Service does not ask for them.
    case notAsked
    /// Endpoints by the zone they are for.
    case given([String: Int])
    /// The reason, as the Service's event tells it.
    case refused(String)
}

/// A slice as it will be: `before` changed or left alone, or a new one where that is nil. Upstream: topologycache.SliceInfo.
struct SliceDraft {
    var before: Value?
    var value: Value

    var isChanged: Bool { before.map { !Value.semanticallyEqual($0, value) } ?? true }
    var endpoints: [Value] { value["endpoints"]?.array ?? [] }

    /// Gives each endpoint the hints that `hints` says.
    mutating func setHints(_ hints: (Value) -> Value?) {
        value["endpoints"] = .array(
            endpoints.map { endpoint in
                let wanted = hints(endpoint)
                if wanted == nil, endpoint["hints"] == nil { return endpoint }
                var endpoint = endpoint
                endpoint["hints"] = wanted
                return endpoint
            })
    }
}

/// Writes into a family's slices which zones and nodes each endpoint is for. Upstream: endpointslice/trafficdist and TopologyCache.AddHints.
enum TopologyHints {
    /// By how much a zone's endpoints may get more than their share of the connections. Upstream: overloadThreshold.
    static let overloadThreshold = 0.2

    /// How many endpoints a zone gets. Upstream: topologycache.allocation.
    struct Allocation: Equatable {
        var minimum: Int
        var maximum: Int
        var desired: Double
    }

    struct Refusal: Error, Equatable { var message: String }

    /// - Parameter ratios: each zone's part of the CPU; nil when too little is known of the nodes.
    static func apply(_ mode: TopologyMode, to drafts: inout [SliceDraft], ratios: [String: Double]?) -> TopologyOutcome {
        switch mode {
        case .anywhere: clear(&drafts)
        case .sameZone, .sameNode:
            for place in drafts.indices { drafts[place].setHints { isReady($0) ? near($0, alsoNode: mode == .sameNode) : nil } }
        case .proportional:
            do {
                return .given(try share(&drafts, ratios))
            } catch {
                clear(&drafts)
                return .refused(error.message)
            }
        }
        return .notAsked
    }

    /// Upstream: TopologyCache.getAllocations. Throws why there are none.
    static func allocations(_ ratios: [String: Double]?, endpoints: Int) throws(Refusal) -> [String: Allocation] {
        guard let ratios else {
            throw Refusal(message: "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")
        }
        let figures = "(\(endpoints) endpoints, \(ratios.count) zones)"
        guard ratios.count <= endpoints else { throw Refusal(message: "Insufficient number of endpoints \(figures)") }
        var result: [String: Allocation] = [:]
        for (zone, ratio) in ratios {
            let desired = ratio * Double(endpoints)
            let minimum = Int((desired * (1 / (1 + overloadThreshold))).rounded(.up))
            result[zone] = Allocation(minimum: minimum, maximum: 0, desired: max(desired, Double(minimum)))
        }
        let spare = endpoints - result.values.reduce(0) { $0 + $1.minimum }
        guard spare >= 0 else {
            throw Refusal(message: "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold \(figures)")
        }
        return result.mapValues { Allocation(minimum: $0.minimum, maximum: $0.minimum + spare, desired: $0.desired) }
    }

    /// How many endpoints zones give away and get, so that all come near what they should have. Upstream: getGivingAndReceivingZones.
    static func transfers(_ allocations: [String: Allocation], given: [String: Int]) -> (giving: [String: Int], receiving: [String: Int]) {
        var surplus: [String: Double] = [:]
        var lack: [String: Double] = [:]
        for (zone, allocation) in allocations {
            let difference = Double(given[zone] ?? 0) - allocation.desired
            if difference > 0 { surplus[zone] = difference } else if difference < 0 { lack[zone] = -difference }
        }
        var giving: [String: Int] = [:]
        var receiving: [String: Int] = [:]
        while let from = most(surplus), let to = most(lack), min(from.number, to.number) >= 0.5, max(from.number, to.number) >= 1 {
            giving[from.zone, default: 0] += 1
            surplus[from.zone] = from.number - 1
            receiving[to.zone, default: 0] += 1
            lack[to.zone] = to.number - 1
        }
        return (giving, receiving)
    }

    private static func most(_ zones: [String: Double]) -> (zone: String, number: Double)? {
        zones.max { ($0.value, $1.key) < ($1.value, $0.key) }.map { ($0.key, $0.value) }
    }

    /// Slices that change get hints anew, the others keep theirs while these are still good. Upstream: TopologyCache.AddHints.
    private static func share(_ drafts: inout [SliceDraft], _ ratios: [String: Double]?) throws(Refusal) -> [String: Int] {
        let ready = drafts.reduce(0) { $0 + $1.endpoints.count { isReady($0) } }
        let allocations = try allocations(ratios, endpoints: ready)
        var given: [String: Int] = [:]
        var open: [Int] = []
        for (place, draft) in drafts.enumerated() {
            if !draft.isChanged, let hints = standing(draft, given, allocations) {
                given.merge(hints) { $0 + $1 }
            } else {
                open.append(place)
            }
        }
        for place in open {
            for endpoint in drafts[place].endpoints where isReady(endpoint) {
                guard let zone = zone(endpoint) else { throw Refusal(message: "One or more endpoints do not have a zone specified") }
                given[zone, default: 0] += 1
            }
        }
        var (giving, receiving) = transfers(allocations, given: given)
        for place in open {
            drafts[place].setHints { endpoint in
                guard isReady(endpoint), let own = zone(endpoint) else { return nil }
                guard let left = giving[own], left > 0, let to = receiving.filter({ $0.value > 0 }).keys.min() else { return near(endpoint) }
                giving[own] = left - 1
                receiving[to, default: 0] -= 1
                given[own, default: 0] -= 1
                given[to, default: 0] += 1
                return hints(zone: to)
            }
        }
        guard !given.isEmpty else { throw Refusal(message: "No hints allocated for zones") }
        return given
    }

    /// The zones that an unchanged slice's endpoints are for; nil when it must get new hints. Upstream: getHintsByZone.
    private static func standing(_ draft: SliceDraft, _ given: [String: Int], _ allocations: [String: Allocation]) -> [String: Int]? {
        var result: [String: Int] = [:]
        for endpoint in draft.endpoints where isReady(endpoint) {
            let zones = (endpoint[path: "hints", "forZones"]?.array ?? []).compactMap { $0["name"]?.string }
            guard !zones.isEmpty, zones.allSatisfy({ allocations[$0] != nil }) else { return nil }
            for zone in zones { result[zone, default: 0] += 1 }
        }
        let isWithin = result.allSatisfy { zone, count in count + (given[zone] ?? 0) <= (allocations[zone]?.maximum ?? 0) }
        return isWithin ? result : nil
    }

    private static func clear(_ drafts: inout [SliceDraft]) {
        for place in drafts.indices where drafts[place].endpoints.contains(where: { $0["hints"] != nil }) { drafts[place].setHints { _ in nil } }
    }

    /// Upstream: preferCloseHeuristic.update.
    private static func near(_ endpoint: Value, alsoNode: Bool = false) -> Value? {
        hints(zone: zone(endpoint), node: alsoNode ? endpoint["nodeName"]?.string : nil)
    }

    private static func hints(zone: String? = nil, node: String? = nil) -> Value? {
        var hints: Value = [:]
        if let zone { hints["forZones"] = [["name": .string(zone)]] }
        if let node { hints["forNodes"] = [["name": .string(node)]] }
        return zone == nil && node == nil ? nil : hints
    }

    private static func isReady(_ endpoint: Value) -> Bool { endpoint[path: "conditions", "ready"]?.bool == true }
    private static func zone(_ endpoint: Value) -> String? { endpoint["zone"]?.string.flatMap { $0.isEmpty ? nil : $0 } }
}
