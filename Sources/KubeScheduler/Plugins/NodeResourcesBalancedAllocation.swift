/// Prefers nodes where cpu and memory, or the resources it is told, would be used to the same degree. Upstream: plugins/noderesources BalancedAllocation.
struct NodeResourcesBalancedAllocation: ScorePlugin {
    let name = "NodeResourcesBalancedAllocation"
    private let resources: [ResourceScoring.Kind]
    private let isPlain: Bool

    init(_ arguments: BalancedAllocationArguments = .standard) {
        resources = arguments.resources
        isPlain = arguments == .standard
    }
    let looksOnlyAtNode = true

    private struct GeneralScorer: NodeScorer {
        var resources: [ResourceScoring.Kind]
        var requests: Resource

        func score(_ node: NodeInfo) -> Int64 {
            let fractions = resources.compactMap { resource in
                resource.amounts(node, taken: node.requested, requests).map { max(0, min(1, Double($0.requested) / Double($0.capacity))) }
            }
            guard fractions.count > 1 else { return maxNodeScore }
            if fractions.count == 2 { return Int64((1 - abs(fractions[0] - fractions[1]) / 2) * Double(maxNodeScore)) }
            let mean = fractions.reduce(0, +) / Double(fractions.count)
            let variance = fractions.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(fractions.count)
            return Int64((1 - variance.squareRoot()) * Double(maxNodeScore))
        }
    }

    /// For cpu and memory alone.
    private struct Scorer: NodeScorer {
        var requests: Resource

        func score(_ node: NodeInfo) -> Int64 {
            func fraction(_ requested: Int64, _ capacity: Int64) -> Double? {
                capacity > 0 ? max(0, min(1, Double(requested) / Double(capacity))) : nil
            }
            let fractions = [
                fraction(node.requested.milliCPU &+ requests.milliCPU, node.allocatable.milliCPU),
                fraction(node.requested.memory &+ requests.memory, node.allocatable.memory),
            ].compactMap { $0 }
            // The standard deviation of two values is half their distance.
            let deviation = fractions.count == 2 ? abs(fractions[0] - fractions[1]) / 2 : 0
            return Int64((1 - deviation) * Double(maxNodeScore))
        }
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        // A pod that asks for nothing balances nothing.
        let requests = input.pod.requests
        if isPlain { return requests.milliCPU == 0 && requests.memory == 0 ? nil : Scorer(requests: requests) }
        return resources.allSatisfy { $0.amount(of: requests) == 0 } ? nil : GeneralScorer(resources: resources, requests: requests)
    }
}
