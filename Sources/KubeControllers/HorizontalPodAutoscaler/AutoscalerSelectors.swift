import KubeAPI

/// Which pods the targets of autoscalers have, as far as they were looked at: two autoscalers of the same pods would each undo what the other does.
/// Upstream: hpaSelectors of HorizontalController.
struct AutoscalerSelectors: Sendable {
    /// By namespace and the autoscaler's key.
    private var selectors: [String: [String: LabelSelector]] = [:]

    mutating func set(_ selector: LabelSelector, of key: String, in namespace: String) { selectors[namespace, default: [:]][key] = selector }

    mutating func remove(_ key: String, in namespace: String) {
        selectors[namespace]?[key] = nil
        if selectors[namespace]?.isEmpty ?? false { selectors[namespace] = nil }
    }

    /// Keys of the autoscalers that have one of these pods of a namespace, sorted. Upstream: hpasControllingPodsUnderSelector.
    func having(oneOf pods: [Object], in namespace: String) -> [String] {
        (selectors[namespace] ?? [:]).filter { entry in pods.contains { entry.value.matches($0) } }.keys.sorted()
    }
}
