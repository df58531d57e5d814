import KubeAPI

/// One condition of a NodePool, NodeClaim or NodeClass. Upstream: operatorpkg/status.Condition.
struct StatusCondition: Sendable, Equatable {
    var type: String
    /// `True`, `False` or `Unknown`.
    var status: String
    var reason: String
    var message: String

    init(_ type: String, _ status: String = "True", reason: String? = nil, message: String = "") {
        self.type = type
        self.status = status
        self.reason = reason ?? type
        self.message = message
    }

    static func isTrue(_ type: String, _ object: Object) -> Bool { view(type, object)["status"].string == "True" }

    /// Since when it has its status; nil: it is not there.
    static func since(_ type: String, _ object: Object) -> Timestamp? {
        view(type, object)["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:))
    }

    static func view(_ type: String, _ object: Object) -> JSONView? {
        object["status"]["conditions"].elements.first { $0["type"].string == type }
    }

    /// The object's conditions with these and without `removed`; nil when they stand there so. A condition's time moves with its status.
    static func merged(_ conditions: [StatusCondition], without removed: [String] = [], into object: Object, now: Timestamp) -> Value? {
        let before = object["status"]["conditions"].elements.map(\.value)
        var all = before.filter { condition in !removed.contains(condition["type"]?.string ?? "") }
        for condition in conditions {
            let place = all.firstIndex { $0["type"]?.string == condition.type }
            let old = place.map { all[$0] }
            let time = old?["status"]?.string == condition.status ? old?["lastTransitionTime"]?.string : nil
            let value: Value = [
                "type": .string(condition.type), "status": .string(condition.status), "reason": .string(condition.reason),
                "message": .string(condition.message), "lastTransitionTime": .string(time ?? now.rfc3339),
                "observedGeneration": .int(object.metadata.generation),
            ]
            if let place { all[place] = value } else { all.append(value) }
        }
        guard all != before else { return nil }
        return .array(all)
    }
}
