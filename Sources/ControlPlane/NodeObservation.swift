internal import KubeAPI

/// What a node says of itself: whether it is Ready, and the conditions by which it is unhealthy.
package struct NodeObservation: Sendable, Equatable {
    /// A condition that is not as it should be. Upstream: core/v1 NodeCondition.
    package struct Problem: Sendable, Equatable {
        package var condition: String
        package var reason: String
        /// Of its last transition, seconds since 1970.
        package var since: Double
    }
    package var isReady = false
    package var problems: [Problem] = []

    /// One that is gone.
    init() {}

    /// Conditions whose type ends in `Ready` should be True; pressures are the scheduler's and the kubelet's matter.
    init(_ node: Object) {
        for condition in node["status"]["conditions"].elements {
            guard let type = condition["type"].string, type.hasSuffix("Ready") else { continue }
            let status = condition["status"].string
            if type == "Ready", status == "True" { isReady = true }
            // Only the kubelet's own silence makes a node unhealthy, not that of who reports more.
            guard status == "False" || (type == "Ready" && status == "Unknown") else { continue }
            let since = condition["lastTransitionTime"].string.flatMap { Timestamp(rfc3339: $0) }
            let seconds = since.map { Double($0.microseconds) / 1_000_000 } ?? 0
            problems.append(Problem(condition: type, reason: condition["reason"].string ?? "", since: seconds))
        }
    }
}
