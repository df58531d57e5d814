/// Keeps pods off nodes with taints they do not tolerate, and prefers nodes with fewer disliked taints. Upstream: plugins/tainttoleration.
struct TaintToleration: FilterPlugin, ScorePlugin {
    let name = "TaintToleration"
    let looksOnlyAtNode = true

    private struct Filter: NodeFilter {
        var pod: PodInfo
        func filter(_ node: NodeInfo) -> Rejection? {
            for taint in node.taints where taint.forbids && !pod.tolerates(taint) {
                return Rejection("node(s) had untolerated taint(s)", unresolvable: true)
            }
            return nil
        }
    }

    private struct Scorer: NodeScorer {
        var tolerations: [Toleration]
        func score(_ node: NodeInfo) -> Int64 {
            Int64(node.taints.count { taint in taint.effect == "PreferNoSchedule" && !tolerations.contains { $0.tolerates(taint) } })
        }
        func normalize(_ scores: inout [Int64], _ places: [Int]) { scaleToMaximum(&scores, reverse: true) }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? { Filter(pod: input.pod) }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        // Every node would get the same score: no preference.
        guard cache.dislikingNodes > 0 else { return nil }
        return Scorer(tolerations: input.pod.tolerations.filter { $0.effect.isEmpty || $0.effect == "PreferNoSchedule" })
    }
}
