/// Honours nodeSelector and node affinity, and prefers the nodes the pod prefers; with what the profile adds for all pods. Upstream: plugins/nodeaffinity.
struct NodeAffinity: FilterPlugin, ScorePlugin {
    let name = "NodeAffinity"
    let looksOnlyAtNode = true
    private let added: AddedNodeAffinity

    init(_ added: AddedNodeAffinity = .none) { self.added = added }

    private struct Filter: NodeFilter {
        var affinity: RequiredNodeAffinity
        var added: [NodeSelectorTerm]?
        func filter(_ node: NodeInfo) -> Rejection? {
            if let added, !added.contains(where: { $0.matches(node) }) {
                return Rejection("node(s) didn't match scheduler-enforced node affinity", unresolvable: true)
            }
            return affinity.matches(node) ? nil : Rejection("node(s) didn't match Pod's node affinity/selector", unresolvable: true)
        }
    }

    private struct Scorer: NodeScorer {
        var preferred: [PreferredNodes]
        func score(_ node: NodeInfo) -> Int64 {
            preferred.reduce(0) { $0 + ($1.term.matches(node) ? min(100, max(0, $1.weight)) : 0) }
        }
        func normalize(_ scores: inout [Int64], _ places: [Int]) { scaleToMaximum(&scores, reverse: false) }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        input.pod.nodeAffinity.isEmpty && added.required == nil ? nil : Filter(affinity: input.pod.nodeAffinity, added: added.required)
    }

    func candidates(_ input: CycleInput) -> Set<String>? { input.pod.nodeAffinity.nodeNames }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        let preferred = added.preferred.isEmpty ? input.pod.preferredNodes : added.preferred + input.pod.preferredNodes
        return preferred.isEmpty ? nil : Scorer(preferred: preferred)
    }
}
