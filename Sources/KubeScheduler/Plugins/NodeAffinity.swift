/// Honours nodeSelector and node affinity, and prefers the nodes the pod prefers. Upstream: plugins/nodeaffinity.
struct NodeAffinity: FilterPlugin, ScorePlugin {
    let name = "NodeAffinity"
    let weight: Int64 = 2
    let looksOnlyAtNode = true

    private struct Filter: NodeFilter {
        var affinity: RequiredNodeAffinity
        func filter(_ node: NodeInfo) -> Rejection? {
            affinity.matches(node) ? nil : Rejection("node(s) didn't match Pod's node affinity/selector", unresolvable: true)
        }
    }

    private struct Scorer: NodeScorer {
        var pod: PodInfo
        func score(_ node: NodeInfo) -> Int64 {
            pod.preferredNodes.reduce(0) { $0 + ($1.term.matches(node) ? min(100, max(0, $1.weight)) : 0) }
        }
        func normalize(_ scores: inout [Int64], _ places: [Int]) { scaleToMaximum(&scores, reverse: false) }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        input.pod.nodeAffinity.isEmpty ? nil : Filter(affinity: input.pod.nodeAffinity)
    }

    func candidates(_ input: CycleInput) -> Set<String>? { input.pod.nodeAffinity.nodeNames }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        input.pod.preferredNodes.isEmpty ? nil : Scorer(pod: input.pod)
    }
}
