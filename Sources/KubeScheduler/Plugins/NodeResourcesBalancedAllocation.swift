/// Prefers nodes where cpu and memory would be used to the same degree. Upstream: plugins/noderesources BalancedAllocation.
struct NodeResourcesBalancedAllocation: ScorePlugin {
    let name = "NodeResourcesBalancedAllocation"
    let weight: Int64 = 1
    let looksOnlyAtNode = true

    private struct Scorer: NodeScorer {
        var requests: Resource

        func score(_ node: NodeInfo) -> Int64 {
            func fraction(_ requested: Int64, _ capacity: Int64) -> Double? {
                capacity > 0 ? min(1, Double(requested) / Double(capacity)) : nil
            }
            let fractions = [
                fraction(node.requested.milliCPU + requests.milliCPU, node.allocatable.milliCPU),
                fraction(node.requested.memory + requests.memory, node.allocatable.memory),
            ].compactMap { $0 }
            // The standard deviation of two values is half their distance.
            let deviation = fractions.count == 2 ? abs(fractions[0] - fractions[1]) / 2 : 0
            return Int64((1 - deviation) * Double(maxNodeScore))
        }
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        // A pod that asks for nothing balances nothing.
        input.pod.requests.milliCPU == 0 && input.pod.requests.memory == 0 ? nil : Scorer(requests: input.pod.requests)
    }
}
