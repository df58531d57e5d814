import KubeAPI

/// How full a node is to be. Upstream: config.ScoringStrategy of NodeResourcesFitArgs.
struct ResourceScoring: Sendable, Equatable {
    /// Upstream: config.ScoringStrategyType.
    enum Strategy: Sendable, Equatable {
        /// The emptier ones first.
        case leastAllocated
        /// The fuller ones first.
        case mostAllocated
        /// By a curve over how full they are in percent.
        case requestedToCapacityRatio(Shape)
    }

    /// A resource that is looked at, with its weight of 1 to 100. Upstream: config.ResourceSpec.
    struct Weighted: Sendable, Equatable {
        var kind: Kind
        var weight: Int64
    }

    /// Which amount of a `Resource` is meant.
    enum Kind: Sendable, Equatable {
        case cpu, memory, ephemeralStorage
        case scalar(String)

        init(_ name: String) {
            switch name {
            case "cpu": self = .cpu
            case "memory": self = .memory
            case "ephemeral-storage": self = .ephemeralStorage
            default: self = .scalar(name)
            }
        }

        /// What of it a pod asks for, how much of it a node has, and what its pods take with this one; nil: the node or the pod has nothing to do with
        /// it. Upstream: calculateResourceAllocatableRequest.
        func amounts(_ node: NodeInfo, taken: Resource, _ pod: Resource) -> (requested: Int64, capacity: Int64)? {
            let (requested, capacity): (Int64, Int64)
            switch self {
            case .cpu: (requested, capacity) = (taken.milliCPU &+ pod.milliCPU, node.allocatable.milliCPU)
            case .memory: (requested, capacity) = (taken.memory &+ pod.memory, node.allocatable.memory)
            case .ephemeralStorage:
                (requested, capacity) = (node.requested.ephemeralStorage &+ pod.ephemeralStorage, node.allocatable.ephemeralStorage)
            case .scalar(let name):
                guard let wanted = pod.scalar[name], wanted > 0, let all = node.allocatable.scalar[name] else { return nil }
                (requested, capacity) = ((node.requested.scalar[name] ?? 0) &+ wanted, all)
            }
            return capacity > 0 ? (requested, capacity) : nil
        }

        /// Upstream: calculatePodResourceRequest.
        func amount(of pod: Resource) -> Int64 {
            switch self {
            case .cpu: pod.milliCPU
            case .memory: pod.memory
            case .ephemeralStorage: pod.ephemeralStorage
            case .scalar(let name): pod.scalar[name] ?? 0
            }
        }
    }

    /// Straight lines between points, level before the first and after the last. Upstream: helper.BuildBrokenLinearFunction.
    struct Shape: Sendable, Equatable {
        /// Percent used and scores of 0 to 100, by rising percent.
        var points: [(utilization: Int64, score: Int64)]

        static func == (a: Shape, b: Shape) -> Bool { a.points.elementsEqual(b.points, by: ==) }

        func score(_ utilization: Int64) -> Int64 {
            guard let after = points.firstIndex(where: { utilization <= $0.utilization }) else { return points.last?.score ?? 0 }
            guard after > 0 else { return points[after].score }
            let (low, high) = (points[after - 1], points[after])
            return low.score + (high.score - low.score) * (utilization - low.utilization) / max(1, high.utilization - low.utilization)
        }
    }

    static let defaultResources = [Weighted(kind: .cpu, weight: 1), Weighted(kind: .memory, weight: 1)]
    static let standard = ResourceScoring()

    var strategy = Strategy.leastAllocated
    var resources = defaultResources

    /// 0 to 100. `pod` counts containers without requests as the defaults. Upstream: leastResourceScorer, mostResourceScorer,
    /// buildRequestedToCapacityRatioScorerFunction.
    func score(_ node: NodeInfo, _ pod: Resource) -> Int64 {
        var sum: Int64 = 0
        var weights: Int64 = 0
        for resource in resources {
            guard let (requested, capacity) = resource.kind.amounts(node, taken: node.nonZeroRequested, pod) else { continue }
            // Amounts are bounded by `Resource.limit`: a hundred times that is no overflow.
            let used = min(max(0, requested), capacity)
            switch strategy {
            case .leastAllocated:
                sum += resource.weight * ((capacity - used) * maxNodeScore / capacity)
                weights += resource.weight
            case .mostAllocated:
                sum += resource.weight * (used * maxNodeScore / capacity)
                weights += resource.weight
            case .requestedToCapacityRatio(let shape):
                let score = shape.score(used * 100 / capacity)
                if score > 0 {
                    sum += resource.weight * score
                    weights += resource.weight
                }
            }
        }
        guard weights > 0 else { return 0 }
        if case .requestedToCapacityRatio = strategy { return Int64((Double(sum) / Double(weights)).rounded(.toNearestOrAwayFromZero)) }
        return sum / weights
    }
}
