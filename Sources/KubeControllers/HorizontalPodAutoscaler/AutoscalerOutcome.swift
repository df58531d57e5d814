import KubeAPI

/// `status` of a HorizontalPodAutoscaler as it is being made. Upstream: autoscaling/v2 HorizontalPodAutoscalerStatus.
struct AutoscalerOutcome: Sendable {
    var current = 0
    var desired = 0
    var metrics: [Value] = []
    var lastScale: Timestamp?
    private var conditions: [Condition]
    private let now: Timestamp

    init(_ status: JSONView?, now: Timestamp) {
        self.now = now
        current = Int(clamping: status["currentReplicas"].int ?? 0)
        desired = Int(clamping: status["desiredReplicas"].int ?? 0)
        metrics = status["currentMetrics"].elements.map(\.value)
        lastScale = status["lastScaleTime"].string.flatMap(Timestamp.init(rfc3339:))
        conditions = status["conditions"].elements.map(Condition.init(view:))
    }

    /// Upstream: setCondition; the message is always the newest.
    mutating func set(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String) {
        let status = isTrue ? "True" : "False"
        let time = now.rfc3339
        if let place = conditions.firstIndex(where: { $0.type == type }) {
            if conditions[place].status != status { conditions[place].lastTransitionTime = time }
            conditions[place].status = status
            conditions[place].reason = reason
            conditions[place].message = message
        } else {
            conditions.append(Condition(type: type, status: status, reason: reason, message: message, lastTransitionTime: time))
        }
    }

    var value: Value {
        var status: Value = ["currentReplicas": .int(Int64(current)), "desiredReplicas": .int(Int64(desired)), "conditions": conditions.value]
        status["currentMetrics"] = metrics.isEmpty ? .null : .array(metrics)
        if let lastScale { status["lastScaleTime"] = .string(lastScale.rfc3339) }
        return status
    }
}
