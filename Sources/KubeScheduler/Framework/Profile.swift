/// How the pods of one scheduler name are scheduled: the plugins in the order they are asked, made ready once. Upstream: frameworkImpl.
struct Profile: Sendable {
    /// A plugin with what its score counts among the others'.
    struct Weighted: Sendable {
        var plugin: any ScorePlugin
        var weight: Int64
    }

    /// `spec.schedulerName` of its pods.
    var name: String
    /// Those that are asked before any node is looked at.
    var preFilters: [any FilterPlugin]
    var filters: [any FilterPlugin]
    var scores: [Weighted]
    /// Nil: pods never go to make room for others.
    var preemption: DefaultPreemptionArguments?
    /// Whether pods whose ResourceClaims are not there yet wait for them untried.
    var waitsForClaims: Bool
    /// Whether devices are thought about when a pod fits nowhere.
    var tellsOfDevices: Bool
    /// Whether pods with scheduling gates wait.
    var holdsGatedPods: Bool
    /// Whether claims are bound when a pod is, and how long a pod keeps its place for them; nil: they are not.
    var volumePatience: Duration?
    /// The part of nodes that is enough to find, in percent; 0: the more nodes, the fewer. Upstream: percentageOfNodesToScore.
    var percentageOfNodes: Int

    /// What stands before the word on preemption where a pod fits nowhere. Nothing is ever deallocated for it here: nothing was allocated here.
    /// Upstream: PostFilter of plugins/dynamicresources.
    func wordOnDevices(of pod: PodInfo) -> String? {
        guard tellsOfDevices else { return nil }
        return pod.hasResourceClaims ? "still not schedulable" : "no new claims to deallocate"
    }

    /// Of the default profile.
    static let standard = SchedulerConfiguration.standard.profiles[0]
}
