import KubeAPI

/// When an indexed Job counts as done before all its indexes are. Upstream: batch/v1 SuccessPolicy, pkg/controller/job/success_policy.go.
struct SuccessPolicy: Sendable {
    private struct Rule: Sendable {
        var indexes: IndexSet?
        var count: Int?
    }

    private let rules: [Rule]

    /// Nil: the Job has no policy. Indexes from `completions` on are left out.
    init?(_ view: JSONView?, completions: Int) {
        guard let view, !view.isNull else { return nil }
        rules = (view["rules"].map { Array($0.elements) } ?? []).map { rule in
            Rule(
                indexes: rule["succeededIndexes"].string.map { IndexSet(text: $0).below(completions) },
                count: rule["succeededCount"].int.map { Int(clamping: $0) })
        }
    }

    /// Which rule is met, in words; nil: none. Upstream: matchSuccessPolicy.
    func met(by succeeded: IndexSet) -> String? {
        guard !succeeded.isEmpty else { return nil }
        let index = rules.firstIndex { rule in
            guard let wanted = rule.indexes else { return rule.count.map { succeeded.count >= $0 } ?? false }
            guard !wanted.isEmpty else { return false }
            let common = wanted.intersectionCount(succeeded)
            return common == wanted.count || rule.count.map { common >= $0 } ?? false
        }
        return index.map { "Matched rules at index \($0)" }
    }
}
