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

    /// How much more balanced the node is with the pod than without it: 50 to 100, 75 for no change. Upstream: balancedResourceScorer.
    private static func score(with: Int64, without: Int64) -> Int64 { maxNodeScore / 2 + (maxNodeScore / 2 + with - without) / 2 }

    private static func fraction(_ requested: Int64, _ capacity: Int64) -> Double { max(0, min(1, Double(requested) / Double(capacity))) }

    private struct GeneralScorer: NodeScorer {
        var resources: [ResourceScoring.Kind]
        var requests: Resource

        func score(_ node: NodeInfo) -> Int64 {
            var with: [Double] = []
            var without: [Double] = []
            for resource in resources {
                guard let amounts = resource.amounts(node, taken: node.requested, requests) else { continue }
                with.append(fraction(amounts.requested, amounts.capacity))
                without.append(fraction(amounts.requested &- resource.amount(of: requests), amounts.capacity))
            }
            return NodeResourcesBalancedAllocation.score(with: Self.balance(with), without: Self.balance(without))
        }

        /// Upstream: balancedResourceScore.
        private static func balance(_ fractions: [Double]) -> Int64 {
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
            NodeResourcesBalancedAllocation.score(
                with: Self.balance(
                    node.requested.milliCPU &+ requests.milliCPU, node.requested.memory &+ requests.memory, node.allocatable),
                without: Self.balance(node.requested.milliCPU, node.requested.memory, node.allocatable))
        }

        private static func balance(_ milliCPU: Int64, _ memory: Int64, _ allocatable: Resource) -> Int64 {
            guard allocatable.milliCPU > 0, allocatable.memory > 0 else { return maxNodeScore }
            // The standard deviation of two values is half their distance.
            let deviation = abs(fraction(milliCPU, allocatable.milliCPU) - fraction(memory, allocatable.memory)) / 2
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
