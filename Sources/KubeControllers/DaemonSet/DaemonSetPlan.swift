import KubeAPI

/// What a DaemonSet's controller has to do to its pods.
struct DaemonSetPlan: Sendable {
    /// Nodes that get a pod.
    var creates: [String] = []
    var deletes: [Object] = []
    /// Those of `deletes` that had failed, or finished, which a daemon never should.
    var dead: [Object] = []
}

/// Decides which nodes get a daemon and which daemons go. Upstream: pkg/controller/daemon (manage in daemon_controller.go, update.go).
struct DaemonSetPlanner {
    let set: DaemonSetState
    /// The hash of the current template.
    let hash: String
    let now: Timestamp
    private let tolerations: [Toleration]
    private let nodes: [Object]
    private let podsByNode: [String: [Object]]

    /// `pods`: those the DaemonSet manages.
    init(set: DaemonSetState, hash: String, nodes: [Object], pods: [Object], now: Timestamp) {
        self.set = set
        self.hash = hash
        self.nodes = nodes.sorted { $0.metadata.name < $1.metadata.name }
        self.now = now
        tolerations = set.parsedTolerations
        var byNode: [String: [Object]] = [:]
        for pod in pods { if let node = DaemonSetState.targetNode(of: pod) { byNode[node, default: []].append(pod) } }
        // The one that has been there longest comes first, a scheduled one before one that is not. Upstream: podByCreationTimestampAndPhase.
        podsByNode = byNode.mapValues { pods in
            pods.sorted { a, b in
                let (x, y) = (PodView(a), PodView(b))
                if x.nodeName.isEmpty != y.nodeName.isEmpty { return !x.nodeName.isEmpty }
                if let p = x.meta.creationTimestamp, let q = y.meta.creationTimestamp, p != q { return p < q }
                return x.meta.name < y.meta.name
            }
        }
    }

    private func isUpdated(_ pod: Object) -> Bool { pod.metadata.labels[ControllerHistory.hashLabel] == hash }
    private func isAvailable(_ pod: Object) -> Bool { PodView(pod).isAvailable(minReadySeconds: set.minReadySeconds, now: now) }

    private var desiredCount: Int { nodes.count { set.placement(on: $0, tolerations: tolerations).shouldRun } }

    /// The placement first; only when that is settled are pods replaced, as upstream has it.
    func plan() -> DaemonSetPlan {
        var plan = manage()
        guard case .rollingUpdate = set.strategy else { return plan }
        let fenceposts = set.fenceposts(desired: desiredCount)
        var update = DaemonSetPlan()
        if fenceposts.surge == 0 { replace(fenceposts.unavailable, &update) } else { surge(fenceposts.surge, &update) }
        let known = Set(plan.deletes.map(\.metadata.uid))
        plan.deletes += update.deletes.filter { !known.contains($0.metadata.uid) }
        plan.creates += update.creates.filter { !plan.creates.contains($0) }
        return plan
    }

    /// Upstream: podsShouldBeOnNode, and the removal of pods from nodes that are gone.
    private func manage() -> DaemonSetPlan {
        var plan = DaemonSetPlan()
        let allowsSurge = set.fenceposts(desired: 1).surge > 0
        for node in nodes {
            let name = node.metadata.name
            let pods = podsByNode[name] ?? []
            let (shouldRun, mayStay) = set.placement(on: node, tolerations: tolerations)
            if shouldRun, pods.isEmpty {
                plan.creates.append(name)
            } else if mayStay {
                var running: [Object] = []
                for pod in pods where !pod.metadata.isBeingDeleted {
                    if PodView(pod).isTerminal {
                        plan.deletes.append(pod)
                        plan.dead.append(pod)
                    } else {
                        running.append(pod)
                    }
                }
                guard running.count > 1 else { continue }
                if allowsSurge {
                    // One old and one new may stand side by side.
                    let new = running.filter(isUpdated)
                    let old = running.filter { !isUpdated($0) }
                    plan.deletes += new.dropFirst() + old.dropFirst()
                    if let oldest = old.first, let newest = new.first, !PodView(oldest).isReady || isAvailable(newest) { plan.deletes.append(oldest) }
                } else {
                    plan.deletes += running.dropFirst()
                }
            } else {
                plan.deletes += pods.filter { !$0.metadata.isBeingDeleted }
            }
        }
        // Pods that were never scheduled, for nodes that are gone: the pod garbage collector only takes those that were.
        let present = Set(nodes.map(\.metadata.name))
        for (node, pods) in podsByNode where !present.contains(node) {
            plan.deletes += pods.filter { PodView($0).nodeName.isEmpty && !$0.metadata.isBeingDeleted }
        }
        return plan
    }

    /// Old pods to delete so that no more than `maxUnavailable` nodes are without an available one. Upstream: rollingUpdate without surge.
    private func replace(_ maxUnavailable: Int, _ plan: inout DaemonSetPlan) {
        var unavailable = 0
        var unhealthy: [Object] = []
        var candidates: [Object] = []
        for node in nodes where set.placement(on: node, tolerations: tolerations).shouldRun {
            let pods = (podsByNode[node.metadata.name] ?? []).filter { !$0.metadata.isBeingDeleted }
            let new = pods.filter(isUpdated)
            let old = pods.filter { !isUpdated($0) }
            if new.count > 1 || old.count > 1 || (new.isEmpty && old.isEmpty) {
                unavailable += 1
            } else if let new = new.first {
                if !isAvailable(new) { unavailable += 1 }
            } else if let old = old.first {
                if !isAvailable(old) {
                    // It is no use as it is: replacing it costs nothing.
                    unhealthy.append(old)
                    unavailable += 1
                } else {
                    candidates.append(old)
                }
            }
        }
        plan.deletes += unhealthy + candidates.prefix(max(0, maxUnavailable - unavailable))
    }

    /// Nodes that get a new pod beside the old one; old ones go once theirs is available (in `manage`). Upstream: rollingUpdate with surge.
    private func surge(_ maxSurge: Int, _ plan: inout DaemonSetPlan) {
        var surging = 0
        var unhealthy: [String] = []
        var candidates: [String] = []
        for node in nodes where set.placement(on: node, tolerations: tolerations).shouldRun {
            let name = node.metadata.name
            let pods = (podsByNode[name] ?? []).filter { !$0.metadata.isBeingDeleted }
            let new = pods.filter(isUpdated)
            let old = pods.filter { !isUpdated($0) }
            guard new.count <= 1, old.count <= 1, let oldPod = old.first else { continue }
            if let newPod = new.first {
                if isAvailable(newPod) { plan.deletes.append(oldPod) } else { surging += 1 }
            } else if !isAvailable(oldPod) {
                unhealthy.append(name)
            } else {
                candidates.append(name)
            }
        }
        plan.creates += unhealthy + candidates.prefix(max(0, maxSurge - surging))
    }

    /// Upstream: updateDaemonSetStatus.
    func status() -> DaemonSetStatus {
        var status = DaemonSetStatus()
        status.observedGeneration = set.generation
        for node in nodes {
            let pods = podsByNode[node.metadata.name] ?? []
            let shouldRun = set.placement(on: node, tolerations: tolerations).shouldRun
            guard shouldRun else {
                if !pods.isEmpty { status.numberMisscheduled += 1 }
                continue
            }
            status.desiredNumberScheduled += 1
            // The oldest counts: during a surge that is the one to be replaced.
            guard let pod = pods.first else { continue }
            status.currentNumberScheduled += 1
            if PodView(pod).isReady {
                status.numberReady += 1
                if isAvailable(pod) { status.numberAvailable += 1 }
            }
            if isUpdated(pod) { status.updatedNumberScheduled += 1 }
        }
        status.numberUnavailable = status.desiredNumberScheduled - status.numberAvailable
        return status
    }

    /// Seconds until the next ready pod becomes available.
    var nextAvailability: Double? {
        guard set.minReadySeconds > 0 else { return nil }
        return podsByNode.values.joined().compactMap { PodView($0).secondsUntilAvailable(minReadySeconds: set.minReadySeconds, now: now) }
            .filter { $0 > 0 }.min()
    }
}

/// How long a daemon that failed on a node lies before it is replaced: not at all the first time, then 1 s, doubled with each failure, up to 15 min.
/// Upstream: the failedPodsBackoff of DaemonSetsController.
struct FailedPodsBackoff: Sendable {
    static let first: Double = 1
    static let longest: Double = 900

    private var entries: [String: (pause: Double, until: Timestamp)] = [:]

    /// Seconds to wait; zero: replace it now, which counts as one more failure.
    mutating func wait(_ key: String, now: Timestamp) -> Double {
        // Those that have been quiet for long begin anew, and are forgotten.
        entries = entries.filter { now.timeInterval(since: $0.value.until) < 2 * Self.longest }
        if let entry = entries[key] {
            let left = entry.until.timeInterval(since: now)
            if left > 0 { return left }
        }
        let pause = entries[key].map { min(Self.longest, $0.pause * 2) } ?? Self.first
        entries[key] = (pause, Timestamp(microseconds: now.microseconds &+ Int64(pause * 1_000_000)))
        return 0
    }
}
