import KubeAPI

/// A PriorityLevelConfiguration as requests are admitted by it. Upstream: flowcontrol.PriorityLevelConfigurationSpec.
struct PriorityLevel: Sendable, Equatable {
    /// Requests wait in queues; `handSize` of them are dealt to each flow.
    struct Queuing: Sendable, Equatable {
        var queues: Int
        var handSize: Int
        /// Requests that may wait in one queue.
        var queueLength: Int
    }

    /// The part of all seats a level has.
    struct Limited: Sendable, Equatable {
        var shares: Int64
        /// Percent of the nominal seats others may use while they are free.
        var lendable: Int64
        /// Percent of the nominal seats that may be borrowed beyond them; nil: any number.
        var borrowing: Int64?
        /// Nil: what finds no seat is refused at once.
        var queuing: Queuing?
    }

    var name: String
    var uid: String
    /// Nil: exempt, never held up.
    var limited: Limited?

    /// What a server has as long as nobody has written the two levels it cannot do without. Upstream: bootstrap.MandatoryPriorityLevelConfiguration*.
    static let exempt = PriorityLevel(name: "exempt", uid: "", limited: nil)
    static let catchAll = PriorityLevel(
        name: "catch-all", uid: "", limited: Limited(shares: 5, lendable: 0, borrowing: nil, queuing: nil))

    init(name: String, uid: String, limited: Limited?) {
        self.name = name
        self.uid = uid
        self.limited = limited
    }

    init(_ object: Object) {
        name = object.metadata.name
        uid = object.metadata.uid
        let spec = object["spec"]
        guard spec["type"].string != "Exempt" else { return }
        let limited = spec["limited"]
        let response = limited["limitResponse"]
        var queuing: Queuing?
        if response["type"].string == "Queue" {
            let set = response["queuing"]
            // The defaults of the API, for objects that were stored without them.
            let queues = Self.small(set["queues"].int, or: 64)
            queuing = Queuing(
                queues: queues, handSize: min(queues, Self.small(set["handSize"].int, or: 8)),
                queueLength: Self.small(set["queueLengthLimit"].int, or: 50))
        }
        self.limited = Limited(
            shares: max(0, min(limited["nominalConcurrencyShares"].int ?? 30, Int64(Int32.max))),
            lendable: max(0, min(100, limited["lendablePercent"].int ?? 0)), borrowing: limited["borrowingLimitPercent"].int.map { max(0, $0) },
            queuing: queuing)
    }

    /// Validation allows at most ten million queues; no server of ours needs more than these, and each costs memory.
    private static let maximumCount: Int64 = 100_000

    private static func small(_ number: Int64?, or fallback: Int) -> Int {
        guard let number, number > 0 else { return fallback }
        return Int(min(number, maximumCount))
    }
}
