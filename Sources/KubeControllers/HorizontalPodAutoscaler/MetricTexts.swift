import KubeAPI

/// What events and conditions say of a metric. Upstream: pkg/controller/podautoscaler/horizontal.go.
extension MetricSpec {
    private var isAverage: Bool { if case .averageValue = target { true } else { false } }
    private var isUtilization: Bool { if case .utilization = target { true } else { false } }

    /// As the conditions name it. Upstream: the metricNameProposal of each source.
    var description: String {
        switch source {
        case .resource(let name, nil): isUtilization ? "\(name) resource utilization (percentage of request)" : "\(name) resource"
        case .resource(let name, _): isUtilization ? "\(name) container resource utilization (percentage of request)" : "\(name) resource"
        case .pods: "pods metric \(metricName)"
        case .object(let kind, _): isAverage ? "external metric \(metricName)(\(selectorText))" : "\(kind.kind) metric \(metricName)"
        case .external: "external metric \(metricName)(\(selectorText))"
        }
    }

    /// The reason of the condition when it cannot be had. Upstream: FailedGetResourceMetric and so on.
    var failureReason: String {
        switch source {
        case .resource(_, nil): "FailedGetResourceMetric"
        case .resource: "FailedGetContainerResourceMetric"
        case .pods: "FailedGetPodsMetric"
        case .object: "FailedGetObjectMetric"
        case .external: "FailedGetExternalMetric"
        }
    }

    /// Why it cannot be had, as its event and the condition say it. Upstream: the err of computeStatusFor….
    func failure(_ error: String) -> String {
        guard case .resource(let name, _) = source else { return error }
        return "failed to get \(name) \(isUtilization ? "utilization" : "usage"): \(error)"
    }

    /// The same among all metrics, of which it is the first. Upstream: the err of computeReplicasForMetric.
    func failureAmongAll(_ error: String) -> String {
        let failure = failure(error)
        switch source {
        case .resource(let name, nil): return "failed to get \(name) resource metric value: \(failure)"
        case .resource(_, let container?): return "failed to get \(container) container metric value: \(failure)"
        case .pods: return "failed to get pods metric value: \(failure)"
        case .object: return "failed to get object metric value: \(isAverage ? "failed to get \(metricName) object metric: " : "")\(failure)"
        case .external:
            let what = isAverage ? "\(metricName) external metric" : "external metric \(metricName)"
            return "failed to get \(metricName) external metric value: failed to get \(what): \(failure)"
        }
    }

    /// What could not be read, before the reason. Upstream: pkg/controller/podautoscaler/replica_calculator.go.
    func unread(in namespace: String) -> String {
        switch source {
        case .resource(let name, _): "unable to get metrics for resource \(name): "
        case .pods: "unable to get metric \(metricName): "
        case .object(let kind, let name): "unable to get metric \(metricName): \(kind.kind) on \(namespace) \(name)/"
        case .external: "unable to get external metric \(namespace)/\(metricName)/\(selectorText): "
        }
    }

    /// Upstream: metav1.LabelSelector's generated String.
    static func goText(of selector: JSONView) -> String {
        let labels = selector["matchLabels"].stringMap.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)," }
        let expressions = selector["matchExpressions"].elements.map { expression in
            let values = expression["values"].strings.joined(separator: " ")
            return
                "LabelSelectorRequirement{Key:\(expression["key"].string ?? ""),Operator:\(expression["operator"].string ?? ""),Values:[\(values)],},"
        }
        return "&LabelSelector{MatchLabels:map[string]string{\(labels.joined())},"
            + "MatchExpressions:[]LabelSelectorRequirement{\(expressions.joined())},}"
    }
}
