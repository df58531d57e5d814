import KubeAPI

/// How many seats a request takes. Upstream: util/flowcontrol/request.WorkEstimator.
enum WorkEstimate {
    /// Objects a list puts together for one seat. Upstream: objectsPerSeat.
    static let objectsPerSeat = 100
    /// Upstream: maximumSeats.
    static let maximumSeats = 10
    /// The part of a level's nominal seats one request may take. Upstream: priorityLevelMaxSeatsPercent.
    static let maximumPart = 0.15

    /// Lists and watches that begin with a list cost by the number of objects of their resource, all else one seat. Lists are answered from the
    /// cache, which looks at every object, so `limit` makes none cheaper.
    static func seats(_ info: RequestInfo, _ query: QueryParameters, count: () -> Int) -> Int {
        switch info.verb {
        case "list", "deletecollection": break
        case "watch": guard query.flag("sendInitialEvents") else { return 1 }
        default: return 1
        }
        guard info.name.isEmpty else { return 1 }
        return max(1, min(maximumSeats, (count() + objectsPerSeat - 1) / objectsPerSeat))
    }

    /// What a level of so many nominal seats lets one request take.
    static func limit(nominal: Int) -> Int { max(1, Int((Double(nominal) * maximumPart).rounded(.up))) }
}
