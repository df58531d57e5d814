import KubeAPI
import KubeScheduler

/// A node that might be taken away. Upstream: karpenter disruption.Candidate.
struct DisruptionCandidate: Sendable {
    let node: NodeState
    let claim: NodeClaim
    let pool: NodePool
    /// Those that have to go somewhere else.
    let pods: [SimulatedPod]

    /// Nil: the node is not to be touched: it is not ready yet, going already, of no pool that is there, or somebody asks for it to be left alone.
    init?(_ node: NodeState, _ snapshot: ClusterSnapshot) {
        guard let claim = node.claim, claim.isInitialized, !node.isLeaving, let pool = snapshot.pools.first(where: { $0.name == claim.pool }),
            node.object.metadata.annotations[Names.doNotDisrupt] != "true", claim.object.metadata.annotations[Names.doNotDisrupt] != "true"
        else { return nil }
        self.node = node
        self.claim = claim
        self.pool = pool
        pods = node.pods.filter { PodNeeds.isReschedulable($0.object) }
    }

    /// Nil: the node has not drifted. Upstream: karpenter nodeclaim/disruption.Drift.
    func drift(_ classes: [String: Object], imageID: String) -> String? {
        let annotations = claim.object.metadata.annotations
        if let hash = annotations[Names.poolHash], annotations[Names.poolHashVersion] == NodePool.hashVersion, hash != pool.hash {
            return "NodePoolDrifted"
        }
        if !pool.requirements.match(claim.object.metadata.labels.merging(node.object.metadata.labels) { $1 }) { return "RequirementsDrifted" }
        if let image = claim.object["status"]["imageID"].string, image != imageID { return "AMIDrift" }
        guard let nodeClass = classes[claim.nodeClass] else { return nil }
        if let hash = annotations[Names.classHash], hash != NodeClass(nodeClass).hash { return "NodeClassDrifted" }
        return nil
    }

    /// Since when nothing has come to it or gone. Upstream: nodeclaim/disruption.Consolidation.
    var quietSince: Timestamp {
        let initialized = StatusCondition.since("Initialized", claim.object) ?? claim.object.metadata.creationTimestamp ?? Timestamp(seconds: 0)
        let lastPod = claim.object["status"]["lastPodEventTime"].string.flatMap(Timestamp.init(rfc3339:))
        return lastPod.map { max($0, initialized) } ?? initialized
    }

    /// Why its pods may not be moved now: one asks to be left alone, or a budget allows none to go. Upstream: StateNode.ValidatePodsDisruptable.
    func obstacle(_ budgets: [Object]) -> String? {
        for pod in pods.map(\.object) {
            if PodNeeds.mayNotBeDisrupted(pod) { return "pod \(pod.metadata.key) has \"karpenter.sh/do-not-disrupt\" annotation" }
            let blocking = budgets.first { budget in
                budget.metadata.namespace == pod.metadata.namespace && (budget["status"]["disruptionsAllowed"].int ?? 0) <= 0
                    // The API server has read the selector before.
                    && ((try? LabelSelector(object: budget["spec"]["selector"]))?.matches(pod.metadata.labels) ?? false)
            }
            if let blocking { return "pdb \(blocking.metadata.key) prevents pod evictions" }
        }
        return nil
    }
}
