/// Keeps pods off nodes without room for their requests, and prefers the emptier or, if told so, the fuller ones. Upstream: plugins/noderesources Fit.
struct NodeResourcesFit: FilterPlugin, ScorePlugin {
    let name = "NodeResourcesFit"
    let looksOnlyAtNode = true
    private let arguments: NodeResourcesFitArguments
    /// By default nothing has to be looked up for a node.
    private let isPlain: Bool

    init(_ arguments: NodeResourcesFitArguments = .standard) {
        self.arguments = arguments
        isPlain = arguments.scoring == .standard
    }

    private struct Filter: NodeFilter {
        var requests: Resource

        func filter(_ node: NodeInfo) -> Rejection? {
            var reasons: [String] = []
            var unresolvable = false
            if node.podCount + 1 > node.allowedPods { reasons.append("Too many pods") }
            func check(_ resource: String, _ request: Int64, _ allocatable: Int64, _ requested: Int64) {
                guard request > 0, request > allocatable &- requested else { return }
                reasons.append("Insufficient \(resource)")
                if request > allocatable { unresolvable = true }
            }
            check("cpu", requests.milliCPU, node.allocatable.milliCPU, node.requested.milliCPU)
            check("memory", requests.memory, node.allocatable.memory, node.requested.memory)
            check("ephemeral-storage", requests.ephemeralStorage, node.allocatable.ephemeralStorage, node.requested.ephemeralStorage)
            for (resource, request) in requests.scalar {
                check(resource, request, node.allocatable.scalar[resource] ?? 0, node.requested.scalar[resource] ?? 0)
            }
            return reasons.isEmpty ? nil : Rejection(reasons: reasons, unresolvable: unresolvable)
        }
    }

    private struct StrategyScorer: NodeScorer {
        var scoring: ResourceScoring
        var requests: Resource
        func score(_ node: NodeInfo) -> Int64 { scoring.score(node, requests) }
    }

    /// `ResourceScoring.standard`, for cpu and memory alone.
    private struct Scorer: NodeScorer {
        var requests: Resource

        func score(_ node: NodeInfo) -> Int64 {
            var sum: Int64 = 0
            var weights: Int64 = 0
            func count(_ requested: Int64, _ capacity: Int64) {
                guard capacity > 0 else { return }
                weights += 1
                if requested <= capacity { sum += (capacity - max(0, requested)) * maxNodeScore / capacity }
            }
            count(node.nonZeroRequested.milliCPU &+ requests.milliCPU, node.allocatable.milliCPU)
            count(node.nonZeroRequested.memory &+ requests.memory, node.allocatable.memory)
            return weights == 0 ? 0 : sum / weights
        }
    }

    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)? {
        var requests = input.pod.requests
        if !arguments.ignoresNothing { requests.scalar = requests.scalar.filter { !arguments.ignores($0.key) } }
        return Filter(requests: requests)
    }

    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)? {
        if isPlain { return Scorer(requests: input.pod.nonZeroRequests) }
        return StrategyScorer(scoring: arguments.scoring, requests: input.pod.nonZeroRequests)
    }
}
