import KubeAPI

/// What a Deployment's controller has to do next, in order. Nothing here has been done yet.
struct DeploymentPlan: Sendable, Equatable {
    enum Change: Sendable, Equatable {
        /// Create the ReplicaSet of the current template. `object` is complete.
        case create(name: String, replicas: Int, object: Value)
        /// Write a ReplicaSet's spec.replicas, spec.minReadySeconds and annotations; `scaledFrom` is the old size where the size changes.
        case update(name: String, replicas: Int, minReadySeconds: Int, annotations: [String: String], scaledFrom: Int?)
        /// Delete an old ReplicaSet beyond the history limit.
        case delete(name: String)
        /// Write the Deployment's revision annotation.
        case setRevision(String)
        case updateStatus(DeploymentStatus)
    }

    var changes: [Change] = []
    /// Seconds after which to look again, because only time can change the decision (the progress deadline).
    var requeueAfter: Double?
}

/// Decides, from a Deployment and its ReplicaSets as they are, what to change: a value, no input or output.
/// Upstream: pkg/controller/deployment (sync.go, rolling.go, recreate.go, progress.go) with its util package.
struct DeploymentPlanner {
    let deployment: DeploymentState
    /// Pods by the uid of the ReplicaSet that controls them that are neither Succeeded nor Failed: what Recreate waits for.
    let livePodsByReplicaSet: [String: Int]
    let now: Timestamp

    /// All ReplicaSets of the Deployment but the new one, oldest first, as they will be once the changes so far are done.
    var oldSets: [ReplicaSetState]
    /// The ReplicaSet of the current template.
    var newSet: ReplicaSetState?
    private var annotations: [String: String]
    var conditions: [Condition]
    private var original: [String: ReplicaSetState] = [:]
    private var order: [String] = []
    private var creation: DeploymentPlan.Change?
    private var deletions: [String] = []
    private var newRevision: String?

    init(deployment: DeploymentState, replicaSets: [ReplicaSetState], livePodsByReplicaSet: [String: Int] = [:], now: Timestamp) {
        self.deployment = deployment
        self.livePodsByReplicaSet = livePodsByReplicaSet
        self.now = now
        let sorted = replicaSets.sorted(by: ReplicaSetState.olderFirst)
        // The oldest that matches wins, so that the choice is the same every time. Upstream: deploymentutil.FindNewReplicaSet.
        newSet = sorted.first { $0.makesPods(of: deployment.template) }
        let newName = newSet?.name
        oldSets = sorted.filter { $0.name != newName }
        annotations = deployment.annotations
        conditions = deployment.status.conditions
        for set in sorted {
            original[set.name] = set
            order.append(set.name)
        }
    }

    /// The whole decision. Upstream: DeploymentController.syncDeployment.
    static func plan(deployment: DeploymentState, replicaSets: [ReplicaSetState], livePodsByReplicaSet: [String: Int] = [:], now: Timestamp)
        -> DeploymentPlan
    {
        var planner = DeploymentPlanner(deployment: deployment, replicaSets: replicaSets, livePodsByReplicaSet: livePodsByReplicaSet, now: now)
        if deployment.isBeingDeleted {
            planner.syncRevision(createIfMissing: false)
            return planner.finish(rollout: false)
        }
        planner.checkPaused()
        if deployment.paused || planner.isScaling {
            planner.syncRevision(createIfMissing: false)
            planner.scale()
            if deployment.paused { planner.cleanUp() }
            return planner.finish(rollout: false)
        }
        switch deployment.strategy {
        case .recreate: planner.recreate()
        case .rollingUpdate: planner.rollingUpdate()
        }
        return planner.finish(rollout: true)
    }

    var allSets: [ReplicaSetState] { oldSets + (newSet.map { [$0] } ?? []) }
    var hasProgressDeadline: Bool { deployment.progressDeadlineSeconds != nil }

    // MARK: Revisions

    /// Upstream: getAllReplicaSetsAndSyncRevision with getNewReplicaSet.
    private mutating func syncRevision(createIfMissing: Bool) {
        let revision = String((oldSets.map(\.revision).max() ?? 0) &+ 1)
        if var set = newSet {
            annotate(&set, revision: revision, isNew: false)
            set.minReadySeconds = deployment.minReadySeconds
            newSet = set
            setRevision(set.annotations[DeploymentAnnotation.revision] ?? revision)
            if hasProgressDeadline, conditions.condition("Progressing") == nil {
                conditions.set(progressing("True", DeploymentReason.foundNewReplicaSet, "Found new replica set \"\(set.name)\""))
            }
            return
        }
        guard createIfMissing else { return }
        var template = deployment.template
        let hash = Self.templateHash(template, collisionCount: deployment.status.collisionCount)
        template[path: "metadata", "labels", DeploymentAnnotation.podTemplateHash] = .string(hash)
        var selector = deployment.selector
        selector[path: "matchLabels", DeploymentAnnotation.podTemplateHash] = .string(hash)
        let name = "\(deployment.name)-\(hash)"
        var set = ReplicaSetState(
            name: name, annotations: [:], replicas: 0, minReadySeconds: deployment.minReadySeconds, template: template, created: now)
        set.replicas = newReplicas(of: set)
        annotate(&set, revision: revision, isNew: true)
        var metadata: Value = [
            "name": .string(name), "namespace": .string(deployment.namespace), "ownerReferences": [deployment.ownerReference.value],
            "annotations": Value(set.annotations),
        ]
        metadata["labels"] = template[path: "metadata", "labels"]
        var spec: Value = ["replicas": .int(Int64(set.replicas)), "selector": selector, "template": template]
        if deployment.minReadySeconds != 0 { spec["minReadySeconds"] = .int(Int64(deployment.minReadySeconds)) }
        creation = .create(
            name: name, replicas: set.replicas, object: ["apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec])
        newSet = set
        setRevision(revision)
        if hasProgressDeadline {
            conditions.set(progressing("True", DeploymentReason.newReplicaSetCreated, "Created new replica set \"\(name)\""))
        }
    }

    private mutating func setRevision(_ revision: String) {
        guard annotations[DeploymentAnnotation.revision] != revision else { return }
        annotations[DeploymentAnnotation.revision] = revision
        newRevision = revision
    }

    /// The label value that tells the pods of one template from those of another, made of the template and the number of collisions met so far.
    /// Upstream: controller.ComputeHash; the hashed text differs (upstream hashes Go's dump of the struct), the alphabet is the same.
    static func templateHash(_ template: Value, collisionCount: Int?) -> String {
        var hash = FNV32a()
        hash.combine(template.canonical.jsonBytes)
        if let collisionCount { hash.combine(String(collisionCount).utf8) }
        return hash.safeEncoded
    }

    /// Copies the Deployment's annotations to a ReplicaSet and writes its revision, keeping the revisions it had before.
    /// Upstream: deploymentutil.SetNewReplicaSetAnnotations.
    private func annotate(_ set: inout ReplicaSetState, revision: String, isNew: Bool) {
        for (key, value) in deployment.annotations where !DeploymentAnnotation.notCopied.contains(key) { set.annotations[key] = value }
        let old = set.annotations[DeploymentAnnotation.revision]
        if (old.flatMap { Int64($0) } ?? 0) < (Int64(revision) ?? 0) {
            set.annotations[DeploymentAnnotation.revision] = revision
            if let old {
                var history = (set.annotations[DeploymentAnnotation.revisionHistory] ?? "").split(separator: ",").map(String.init)
                history.append(old)
                while history.count > 1, history.joined(separator: ",").utf8.count > DeploymentAnnotation.historyLimit { history.removeFirst() }
                set.annotations[DeploymentAnnotation.revisionHistory] = history.joined(separator: ",")
            }
        }
        if isNew { annotateSizes(&set) }
    }

    /// Upstream: deploymentutil.SetReplicasAnnotations.
    private func annotateSizes(_ set: inout ReplicaSetState) {
        set.annotations[DeploymentAnnotation.desiredReplicas] = String(deployment.replicas)
        set.annotations[DeploymentAnnotation.maxReplicas] = String(deployment.replicas + deployment.maxSurge)
    }

    // MARK: Scaling

    /// Whether spec.replicas changed since the ReplicaSets were last sized. Upstream: isScalingEvent.
    private var isScaling: Bool {
        allSets.contains { set in
            set.replicas > 0 && (set.annotations[DeploymentAnnotation.desiredReplicas].flatMap { Int($0) }.map { $0 != deployment.replicas } ?? false)
        }
    }

    /// Gives a ReplicaSet a size and writes the sizes it was reckoned with. True when the size changes. Upstream: scaleReplicaSet.
    @discardableResult mutating func resize(_ name: String, to size: Int) -> Bool {
        var set: ReplicaSetState
        let place = oldSets.firstIndex { $0.name == name }
        if let place { set = oldSets[place] } else if let newSet, newSet.name == name { set = newSet } else { return false }
        let changed = set.replicas != size
        set.replicas = size
        annotateSizes(&set)
        if let place { oldSets[place] = set } else { newSet = set }
        return changed
    }

    /// Resizes only where the size changes. Upstream: scaleReplicaSetAndRecordEvent.
    @discardableResult mutating func scale(_ set: ReplicaSetState, to size: Int) -> Bool {
        set.replicas == size ? false : resize(set.name, to: size)
    }

    /// Sizes the ReplicaSets of a Deployment that is paused or whose replicas changed, in proportion to their sizes in the middle of a rollout.
    /// Upstream: DeploymentController.scale.
    private mutating func scale() {
        if let only = activeOrLatest {
            scale(only, to: deployment.replicas)
            return
        }
        if let newSet, newSet.replicas == deployment.replicas, newSet.availableReplicas == deployment.replicas,
            newSet.annotations[DeploymentAnnotation.desiredReplicas].flatMap({ Int($0) }) == deployment.replicas
        {
            for set in oldSets where set.replicas > 0 { scale(set, to: 0) }
            return
        }
        guard case .rollingUpdate = deployment.strategy else { return }
        let active = allSets.filter { $0.replicas > 0 }
        let allowed = deployment.replicas > 0 ? deployment.replicas + deployment.maxSurge : 0
        let toAdd = allowed - active.reduce(0) { $0 + $1.replicas }
        let sorted = active.sorted { a, b in
            if a.replicas != b.replicas { return a.replicas > b.replicas }
            // Growing prefers the newer, shrinking the older. Upstream: ReplicaSetsBySizeNewer, ReplicaSetsBySizeOlder.
            return toAdd > 0 ? ReplicaSetState.olderFirst(b, a) : ReplicaSetState.olderFirst(a, b)
        }
        var added = 0
        var sizes: [Int] = []
        for set in sorted {
            let share = toAdd == 0 ? 0 : proportion(of: set, toAdd: toAdd, added: added)
            sizes.append(set.replicas + share)
            added += share
        }
        for (index, set) in sorted.enumerated() {
            var size = sizes[index]
            if index == 0, toAdd != 0 { size = max(0, size + toAdd - added) }
            resize(set.name, to: size)
        }
    }

    /// The one ReplicaSet that carries all replicas, or nil when there are several. Upstream: deploymentutil.FindActiveOrLatest.
    private var activeOrLatest: ReplicaSetState? {
        let active = allSets.filter { $0.replicas > 0 }
        switch active.count {
        case 0: return newSet ?? oldSets.max(by: ReplicaSetState.olderFirst)
        case 1: return active.first
        default: return nil
        }
    }

    /// Upstream: deploymentutil.GetReplicaSetProportion with getReplicaSetFraction.
    private func proportion(of set: ReplicaSetState, toAdd: Int, added: Int) -> Int {
        guard set.replicas != 0, toAdd != 0, toAdd != added else { return 0 }
        let fraction: Int
        if deployment.replicas == 0 {
            fraction = -set.replicas
        } else {
            var before = set.annotations[DeploymentAnnotation.maxReplicas].flatMap { Int($0) } ?? 0
            if before == 0 { before = deployment.status.replicas }
            guard before != 0 else { return 0 }
            let size = Double(set.replicas) * Double(deployment.replicas + deployment.maxSurge) / Double(before)
            // Half away from zero, as Go's math.Round.
            fraction = (Int(exactly: size.rounded(.toNearestOrAwayFromZero)) ?? set.replicas) - set.replicas
        }
        let left = toAdd - added
        return toAdd > 0 ? min(fraction, left) : max(fraction, left)
    }

    /// How many replicas the new ReplicaSet may have now. Upstream: deploymentutil.NewRSNewReplicas.
    private func newReplicas(of set: ReplicaSetState) -> Int {
        guard case .rollingUpdate = deployment.strategy else { return deployment.replicas }
        let others = oldSets.reduce(0) { $0 + $1.replicas }
        let current = others + set.replicas
        let most = deployment.replicas + deployment.maxSurge
        guard current < most else { return set.replicas }
        return set.replicas + min(most - current, deployment.replicas - set.replicas)
    }

    // MARK: Strategies

    /// One step up for the new pods, or one step down for the old ones, never both at once. Upstream: rolloutRolling.
    private mutating func rollingUpdate() {
        syncRevision(createIfMissing: true)
        if reconcileNewSet() { return }
        if reconcileOldSets() { return }
        cleanUpIfComplete()
    }

    /// Upstream: reconcileNewReplicaSet.
    private mutating func reconcileNewSet() -> Bool {
        guard let set = newSet, set.replicas != deployment.replicas else { return false }
        if set.replicas > deployment.replicas { return scale(set, to: deployment.replicas) }
        return scale(set, to: newReplicas(of: set))
    }

    /// Upstream: reconcileOldReplicaSets.
    private mutating func reconcileOldSets() -> Bool {
        let oldPods = oldSets.reduce(0) { $0 + $1.replicas }
        guard oldPods > 0 else { return false }
        let minAvailable = deployment.replicas - deployment.maxUnavailable
        let newUnavailable = newSet.map { $0.replicas - $0.availableReplicas } ?? 0
        let most = oldPods + (newSet?.replicas ?? 0) - minAvailable - newUnavailable
        guard most > 0 else { return false }
        // Pods that are not available go first, so that a broken old version cannot block the new one. Upstream: cleanupUnhealthyReplicas.
        var cleaned = 0
        for set in oldSets where set.replicas > 0 {
            guard cleaned < most else { break }
            let unhealthy = set.replicas - set.availableReplicas
            guard unhealthy > 0 else { continue }
            let down = min(most - cleaned, unhealthy)
            scale(set, to: set.replicas - down)
            cleaned += down
        }
        // Upstream: scaleDownOldReplicaSetsForRollingUpdate.
        let available = allSets.reduce(0) { $0 + $1.availableReplicas }
        let budget = max(0, available - minAvailable)
        var scaled = 0
        for set in oldSets where set.replicas > 0 {
            guard scaled < budget else { break }
            let down = min(set.replicas, budget - scaled)
            scale(set, to: set.replicas - down)
            scaled += down
        }
        return cleaned + scaled > 0
    }

    /// Upstream: rolloutRecreate.
    private mutating func recreate() {
        syncRevision(createIfMissing: false)
        var scaledDown = false
        for set in oldSets where set.replicas > 0 { if scale(set, to: 0) { scaledDown = true } }
        if scaledDown || oldPodsRunning { return }
        if newSet == nil { syncRevision(createIfMissing: true) }
        if let newSet { scale(newSet, to: deployment.replicas) }
        cleanUpIfComplete()
    }

    /// Upstream: oldPodsRunning.
    private var oldPodsRunning: Bool {
        if oldSets.contains(where: { $0.statusReplicas > 0 }) { return true }
        return livePodsByReplicaSet.contains { $0.key != newSet?.uid && $0.value > 0 }
    }

    private mutating func cleanUpIfComplete() {
        if isComplete(deployment.status) { cleanUp() }
    }

    /// Deletes old, empty ReplicaSets beyond the history limit, the lowest revisions first. Upstream: cleanupDeployment.
    private mutating func cleanUp() {
        guard let limit = deployment.revisionHistoryLimit else { return }
        let cleanable = oldSets.filter { !$0.isBeingDeleted }
        let excess = cleanable.count - limit
        guard excess > 0 else { return }
        let byRevision = cleanable.sorted { $0.revision == $1.revision ? ReplicaSetState.olderFirst($0, $1) : $0.revision < $1.revision }
        for set in byRevision.prefix(excess)
        where set.statusReplicas == 0 && set.replicas == 0 && set.generation <= set.observedGeneration {
            deletions.append(set.name)
        }
    }

    // MARK: The result

    private mutating func finish(rollout: Bool) -> DeploymentPlan {
        var plan = DeploymentPlan()
        let status = rollout ? rolloutStatus() : baseStatus()
        if let creation { plan.changes.append(creation) }
        let present = Dictionary(allSets.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for name in order {
            guard let before = original[name], let after = present[name], before != after else { continue }
            plan.changes.append(
                .update(
                    name: name, replicas: after.replicas, minReadySeconds: after.minReadySeconds, annotations: after.annotations,
                    scaledFrom: before.replicas == after.replicas ? nil : before.replicas))
        }
        for name in deletions { plan.changes.append(.delete(name: name)) }
        if let newRevision { plan.changes.append(.setRevision(newRevision)) }
        if status != deployment.status { plan.changes.append(.updateStatus(status)) } else if rollout { plan.requeueAfter = requeueAfter(status) }
        return plan
    }
}
