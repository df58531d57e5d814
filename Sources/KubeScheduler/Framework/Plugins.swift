import KubeAPI

/// Why a node cannot take a pod.
struct Rejection: Sendable, Equatable {
    /// Upstream's words, counted over all nodes in the message.
    var reasons: [String]
    /// Whether removing other pods could not help. Upstream: UnschedulableAndUnresolvable.
    var isUnresolvable: Bool

    init(_ reasons: String..., unresolvable: Bool = false) {
        self.reasons = reasons
        isUnresolvable = unresolvable
    }

    init(reasons: [String], unresolvable: Bool = false) {
        self.reasons = reasons
        isUnresolvable = unresolvable
    }
}

/// A pod about to be scheduled, with what its plugins need from elsewhere.
struct CycleInput: Sendable {
    var pod: PodInfo
    /// Selects the pods of the same Services and workload, for spreading by default; nil when there are none.
    var workloadSelector: LabelSelector?
    /// Nil: the pod has no claims.
    var volumes: VolumeNeeds?
    /// Nil: the pod has no ResourceClaims.
    var devices: DeviceNeeds?
    /// Where more about volumes can be read; nil where there are none.
    var lookup: VolumeLookup?
}

/// The highest score of one plugin for one node. Upstream: framework.MaxNodeScore.
let maxNodeScore: Int64 = 100

/// What a plugin made of one pod, to be asked about each node. Upstream: a plugin's PreFilter state with its Filter.
protocol NodeFilter {
    /// Nil: the node will do.
    func filter(_ node: NodeInfo) -> Rejection?
}

/// Upstream: framework.PreFilterPlugin and FilterPlugin.
protocol FilterPlugin: Sendable {
    var name: String { get }
    /// Whether what it prepares depends on the pods of all nodes, so that it must prepare anew when a pod is thought away.
    /// Upstream: PreFilterExtensions.
    var looksAtOtherPods: Bool { get }
    /// Whether its answer about a node follows from the node and what of the pod stands in its `NodeNeeds`.
    var looksOnlyAtNode: Bool { get }
    /// Nil: the plugin has nothing to say about this pod (upstream's Skip).
    func prepareFilter(_ input: CycleInput, _ cache: inout SchedulerCache) -> (any NodeFilter)?
    /// Why no node will do, whatever nodes there are; nil: some may. Upstream: a status of PreFilter that is no success.
    func refusal(_ input: CycleInput) -> String?
    /// The only nodes that could do, where the pod names them; nil: any. Upstream: PreFilterResult.
    func candidates(_ input: CycleInput) -> Set<String>?
}

extension FilterPlugin {
    var looksAtOtherPods: Bool { false }
    var looksOnlyAtNode: Bool { false }
    func refusal(_ input: CycleInput) -> String? { nil }
    func candidates(_ input: CycleInput) -> Set<String>? { nil }
}

/// What a plugin made of one pod and the nodes that are left, to be asked about each. Upstream: PreScore state with Score and NormalizeScore.
protocol NodeScorer {
    func score(_ node: NodeInfo) -> Int64
    /// Brings all nodes' scores into 0...100. `places` are the nodes of `scores`, in the same order.
    func normalize(_ scores: inout [Int64], _ places: [Int])
}

extension NodeScorer {
    func normalize(_ scores: inout [Int64], _ places: [Int]) {}

    /// Upstream: helper.DefaultNormalizeScore.
    func scaleToMaximum(_ scores: inout [Int64], reverse: Bool) {
        let most = scores.max() ?? 0
        if most == 0 {
            if reverse { for index in scores.indices { scores[index] = maxNodeScore } }
            return
        }
        for index in scores.indices {
            let scaled = maxNodeScore * scores[index] / most
            scores[index] = reverse ? maxNodeScore - scaled : scaled
        }
    }
}

/// Upstream: framework.PreScorePlugin and ScorePlugin.
protocol ScorePlugin: Sendable {
    var name: String { get }
    /// Whether its score of a node, before normalising, follows from the node and what of the pod stands in its `NodeNeeds`.
    var looksOnlyAtNode: Bool { get }
    /// `places` are the nodes, by their places in the cache, that are left. Nil: the plugin has no preference for this pod.
    func prepareScore(_ input: CycleInput, _ places: [Int], _ cache: inout SchedulerCache) -> (any NodeScorer)?
}

extension ScorePlugin {
    var looksOnlyAtNode: Bool { false }
}
