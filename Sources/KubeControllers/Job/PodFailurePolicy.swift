import KubeAPI

/// What a Job makes of a pod that failed, by its rules in order. Upstream: batch/v1 PodFailurePolicy, pkg/controller/job/pod_failure_policy.go.
struct PodFailurePolicy: Sendable {
    /// What a failure means to the Job.
    enum Verdict: Sendable, Equatable {
        /// Against the back-off limit.
        case count
        /// Nothing: the pod is replaced.
        case ignore
        /// The pod's index has failed for good.
        case failIndex
        /// The Job has failed; the message says by what.
        case failJob(String)

        /// Whether the failure stands in the counts.
        var isCounted: Bool { self != .ignore }
    }

    private struct Rule: Sendable {
        var action: String
        /// Nil: the rule is about conditions.
        var exitCodes: ExitCodes?
        /// Type and status of each.
        var conditions: [(type: String, status: String)]

        init(_ rule: JSONView) {
            action = rule["action"].string ?? ""
            exitCodes = rule["onExitCodes"].flatMap { $0.isNull ? nil : ExitCodes($0) }
            conditions = (rule["onPodConditions"].map { Array($0.elements) } ?? []).map { ($0["type"].string ?? "", $0["status"].string ?? "True") }
        }
    }

    private struct ExitCodes: Sendable {
        var container: String?
        var isNotIn: Bool
        var values: Set<Int64>

        init(_ view: JSONView) {
            container = view["containerName"].string
            isNotIn = view["operator"].string == "NotIn"
            values = Set((view["values"].map { Array($0.elements) } ?? []).compactMap(\.int))
        }

        func matches(_ code: Int64) -> Bool { code != 0 && values.contains(code) != isNotIn }
    }

    private let rules: [Rule]

    /// Nil: the Job has no policy.
    init?(_ view: JSONView?) {
        guard let view, !view.isNull else { return nil }
        rules = (view["rules"].map { Array($0.elements) } ?? []).map(Rule.init)
    }

    /// The verdict of the first rule that matches; without one, the failure counts. Upstream: matchPodFailurePolicy.
    func verdict(on pod: Object) -> Verdict {
        for (index, rule) in rules.enumerated() {
            let cause: String
            if let codes = rule.exitCodes {
                guard let (container, code) = Self.container(of: pod, matching: codes) else { continue }
                cause = "Container \(container) for pod \(pod.metadata.key) failed with exit code \(code)"
            } else {
                guard let condition = rule.conditions.first(where: { PodView(pod).condition($0.type)["status"].string == $0.status }) else {
                    continue
                }
                cause = "Pod \(pod.metadata.key) has condition \(condition.type)"
            }
            switch rule.action {
            case "Ignore": return .ignore
            case "FailIndex": return .failIndex
            case "FailJob": return .failJob("\(cause) matching FailJob rule at index \(index)")
            default: return .count
            }
        }
        return .count
    }

    /// The first container, init containers last, that ended with a code the rule names. Upstream: matchOnExitCodes.
    private static func container(of pod: Object, matching codes: ExitCodes) -> (name: String, code: Int64)? {
        let status = pod["status"]
        for container in status["containerStatuses"].elements + status["initContainerStatuses"].elements {
            let name = container["name"].string ?? ""
            guard let code = container["state"]["terminated"]["exitCode"].int, codes.container == nil || codes.container == name else { continue }
            if codes.matches(code) { return (name, code) }
        }
        return nil
    }
}
