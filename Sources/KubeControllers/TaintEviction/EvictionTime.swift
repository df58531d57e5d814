import KubeAPI

/// When a pod has to leave its node because of the node's NoExecute taints. Upstream: processPodOnNode in pkg/controller/tainteviction.
enum EvictionTime: Sendable, Equatable {
    case never
    case at(Timestamp)

    /// - Parameter since: when the pod was first told to leave, for taints that do not say when they were added; nil: now. Upstream: the CreatedAt of
    ///   the eviction queue's worker.
    static func of(pod: Object, taints: [Taint], now: Timestamp, since: Timestamp? = nil) -> EvictionTime {
        let noExecute = taints.filter { $0.effect == "NoExecute" }
        guard !noExecute.isEmpty else { return .never }
        let tolerations = pod["spec"]["tolerations"].elements.map(Toleration.init(view:))
        var earliest: Timestamp?
        for taint in noExecute {
            // The longest-suffering toleration that matches a taint does not help: the shortest counts, as upstream has it.
            let matching = tolerations.filter { $0.tolerates(taint) }
            guard !matching.isEmpty else { return .at(now) }
            guard let seconds = matching.compactMap(\.seconds).min() else { continue }
            let time = (taint.timeAdded ?? since ?? now).adding(seconds: max(0, seconds))
            earliest = min(earliest ?? time, time)
        }
        return earliest.map { .at($0) } ?? .never
    }
}

/// Upstream: core/v1 Taint.
struct Taint: Sendable, Equatable {
    var key: String
    var value: String
    var effect: String
    var timeAdded: Timestamp?

    init(view: JSONView) {
        key = view["key"].string ?? ""
        value = view["value"].string ?? ""
        effect = view["effect"].string ?? ""
        timeAdded = view["timeAdded"].string.flatMap(Timestamp.init(rfc3339:))
    }
}

/// Upstream: core/v1 Toleration.
struct Toleration: Sendable, Equatable {
    var key: String
    var op: String
    var value: String
    var effect: String
    /// Nil: for ever.
    var seconds: Int64?

    init(view: JSONView) {
        key = view["key"].string ?? ""
        op = view["operator"].string ?? ""
        value = view["value"].string ?? ""
        effect = view["effect"].string ?? ""
        seconds = view["tolerationSeconds"].int
    }

    /// Upstream: Toleration.ToleratesTaint.
    func tolerates(_ taint: Taint) -> Bool {
        if !effect.isEmpty, effect != taint.effect { return false }
        if !key.isEmpty, key != taint.key { return false }
        switch op {
        case "", "Equal": return value == taint.value
        case "Exists": return true
        default: return false
        }
    }
}
