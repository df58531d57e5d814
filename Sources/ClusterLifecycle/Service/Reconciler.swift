import AWSProtocol
import AWSServices
import CloudControllers
import Logging

/// Makes the records true. Level-triggered: a key says only that something may have to be done; what, is read from the records.
///
/// ```
///  operations, machine exits, node readiness, timers ──wake(key)──▶ queue ──▶ reconcile(key): read records, do one step, write records, wake
/// whoever depends on it
/// ```
actor Reconciler {
    let context: StepContext
    var logger: Logger { context.logger }

    private let queue: AsyncStream<ReconcileKey>
    private let queueInput: AsyncStream<ReconcileKey>.Continuation
    private let timers: AsyncStream<(ReconcileKey, Duration)>
    private let timersInput: AsyncStream<(ReconcileKey, Duration)>.Continuation
    private var running: Set<ReconcileKey> = []
    private var dirty: Set<ReconcileKey> = []
    private var failures: [ReconcileKey: Int] = [:]
    private var settling: [CheckedContinuation<Void, Never>] = []

    /// Control planes started by this process: only they take bootstraps and drains.
    var serving: Set<String> = []
    private var starting: [String: Task<ClusterRecord, any Error>] = [:]
    /// Clusters whose making was called off between two steps.
    private var calledOff: Set<String> = []
    private var watches: [String: [Task<Void, Never>]] = [:]
    var fargate = FargateDemand()
    /// The last launch of a pod's machine, over or not.
    var fargateLaunch: Task<Void, Never>?
    /// What the readiness feeds said last, by cluster and node.
    var readiness: [String: [String: Bool]] = [:]
    var problems: [String: [String: [NodeProblem]]] = [:]
    /// The next look that is planned at a key, seconds since 1970.
    var timersAhead: [ReconcileKey: Double] = [:]
    /// Who waits for a node to become Ready, by cluster and node.
    var awaited: [String: [String: ReconcileKey]] = [:]
    /// Node groups and pods that may not launch before a moment, after failures in a row: seconds since 1970.
    var notBefore: [ReconcileKey: (count: Int, moment: Double)] = [:]
    /// What went wrong last with an instance of EKS Auto Mode, by cluster.
    var claimTroubles: [String: String] = [:]

    init(_ context: StepContext) {
        self.context = context
        (queue, queueInput) = AsyncStream.makeStream()
        (timers, timersInput) = AsyncStream.makeStream()
    }

    // MARK: The queue

    /// Has `key` looked at, soon and once.
    func wake(_ key: ReconcileKey) {
        guard !running.contains(key) else {
            dirty.insert(key)
            return
        }
        running.insert(key)
        queueInput.yield(key)
    }

    func wake(_ key: ReconcileKey, after delay: Duration) { timersInput.yield((key, delay)) }

    func run() async {
        await resume()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.watchExits() }
            group.addTask { await self.watchInterruptions() }
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await (key, delay) in self.timers {
                        group.addTask {
                            // Cancellation ends the wait; the wake is then of no use and does no harm.
                            try? await Task.sleep(for: delay)
                            await self.wake(key)
                        }
                    }
                }
            }
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await key in self.queue { group.addTask { await self.process(key) } }
                }
            }
        }
        for watch in watches.values.joined() { watch.cancel() }
        // This task is cancelled by now; stopping control planes must not be.
        let (names, controlPlanes) = (serving, context.controlPlanes)
        serving = []
        await Task {
            await withDiscardingTaskGroup { group in
                for name in names { group.addTask { await controlPlanes.stop(name) } }
            }
        }.value
    }

    func settled() async {
        if running.isEmpty { return }
        await withCheckedContinuation { settling.append($0) }
    }

    private func process(_ key: ReconcileKey) async {
        repeat {
            dirty.remove(key)
            do {
                switch key {
                case .cluster(let name): try await reconcileCluster(name)
                case .nodegroup(let cluster, let name): try await reconcileNodegroup(cluster, name)
                case .instance(let id): try await reconcileInstance(id)
                case .warmPool(let cluster, let name): wake(.nodegroup(cluster: cluster, name: name))
                case .insights(let cluster): try await InsightsStep().refresh(cluster, context)
                case .records: try await context.state.update { SettlingRecords.settle(&$0) }
                case .addon(let cluster, let name): try await reconcileAddon(cluster, name)
                case .fargateProfile(let cluster, let name): try await reconcileFargateProfile(cluster, name)
                case .fargatePod(let cluster, let uid): try await reconcileFargatePod(cluster, uid)
                }
                failures[key] = nil
            } catch is CancellationError {
                break
            } catch {
                let delay = retryDelay(key)
                logger.error("reconciling failed; it is tried again", metadata: ["key": "\(key)", "error": "\(error)", "delay": "\(delay)"])
                wake(key, after: delay)
            }
        } while dirty.contains(key) && !Task.isCancelled
        running.remove(key)
        if running.isEmpty {
            for waiter in settling { waiter.resume() }
            settling = []
        }
    }

    /// Doubles with each failure in a row.
    private func retryDelay(_ key: ReconcileKey) -> Duration {
        let count = failures[key, default: 0]
        failures[key] = count + 1
        return delay(after: count)
    }

    // MARK: Start

    /// After a start of the service: everything is looked at; machines that went with their host are started again; instances without a record are
    /// ended.
    private func resume() async {
        let alive = await context.machines.running()
        do {
            let launched = await context.network.instanceIDs(tagged: LaunchInstancesStep.clusterTag)
            let orphans = try await context.state.update { tables -> [String] in
                for var instance in tables.instances.values where !alive.contains(instance.instanceID) {
                    guard let phase = instance.phaseWithoutMachine else { continue }
                    instance.phase = phase
                    tables.instances[instance.instanceID] = instance
                }
                return launched.filter { tables.instances[$0] == nil }
            }
            let strays = await context.state.read { tables in alive.filter { tables.instances[$0] == nil } }
            for id in strays.union(orphans) {
                try await context.machines.terminate(id)
                try await context.network.terminate(id)
            }
        } catch {
            logger.error("cleaning up after the last run failed; it is tried again at the next start", metadata: ["error": "\(error)"])
        }
        let keys = await context.state.read { tables -> [ReconcileKey] in
            tables.clusters.rows.keys.map(ReconcileKey.cluster) + tables.nodegroups.values.map { .nodegroup(cluster: $0.clusterName, name: $0.name) }
                + tables.instances.rows.keys.map(ReconcileKey.instance) + [.records]
        }
        for key in keys { wake(key) }
    }

    // MARK: Clusters

    private func reconcileCluster(_ name: String) async throws {
        guard let cluster = await context.state.read({ $0.clusters[name] }) else { return forget(name) }
        switch cluster.status {
        case .creating: try await create(cluster)
        case .active, .updating:
            try await keepServing(cluster)
            try await KeyHealthStep().run(cluster, context)
            try await ClusterUpdateRunner(context: context).run(name)
            await shift(name)
            _ = try await endClaimedInstances(name)
            // Nodes that joined during the update may be as before it.
            if cluster.status == .updating { await wakeNodegroups(of: name) }
        case .deleting: try await delete(cluster)
        case .failed: break
        }
    }

    private func create(_ cluster: ClusterRecord) async throws {
        var cluster = cluster
        do {
            for step in ClusterCreation.steps {
                let before = cluster
                let context = context
                let task = Task { try await step.run(before, context) }
                starting[cluster.name] = task
                defer { starting[cluster.name] = nil }
                if calledOff.contains(cluster.name) { task.cancel() }
                let after = try await withTaskCancellationHandler {
                    try await task.value
                } onCancel: {
                    task.cancel()
                }
                let isCurrent = try await context.state.update { tables in
                    guard var current = tables.clusters[after.name], current.id == after.id, current.status == .creating else { return false }
                    current.network = after.network
                    current.endpoint = after.endpoint
                    tables.clusters[after.name] = current
                    return true
                }
                // Deleted meanwhile: the key is dirty, and the next round removes what was made.
                guard isCurrent else { return }
                cluster = after
            }
        } catch {
            try Task.checkCancellation()
            let issue = HealthIssue(error, resourceIDs: cluster.network.subnetIDs)
            logger.error("cluster could not be created", metadata: ["cluster": "\(cluster.name)", "error": "\(error)"])
            try await setStatus(cluster, from: .creating, to: .failed, health: [issue])
            return
        }
        try await setStatus(cluster, from: .creating, to: .active, health: [])
        await startServing(cluster.name)
    }

    private func setStatus(_ cluster: ClusterRecord, from old: ClusterStatus, to new: ClusterStatus, health: [HealthIssue]) async throws {
        try await context.state.update { tables in
            guard var current = tables.clusters[cluster.name], current.id == cluster.id, current.status == old else { return }
            current.status = new
            current.health = health
            tables.clusters[cluster.name] = current
        }
    }

    /// An ACTIVE cluster whose control plane this process has not started yet: after a restart.
    private func keepServing(_ cluster: ClusterRecord) async throws {
        guard !serving.contains(cluster.name) else { return }
        do {
            await context.publishAccess(of: cluster.name)
            await context.publishFargate(of: cluster.name)
            // First, or the control plane would take back what a shift that lasts has done.
            await shift(cluster.name)
            let endpoint = try await context.controlPlanes.start(cluster)
            try await context.state.update { tables in
                guard var current = tables.clusters[cluster.name], current.id == cluster.id else { return }
                current.endpoint = endpoint
                current.health.removeAll { $0.code == "ClusterUnreachable" }
                tables.clusters[cluster.name] = current
            }
        } catch {
            try Task.checkCancellation()
            let issue = (error as? KMSKeyUnusable).map { HealthIssue($0) } ?? HealthIssue(code: "ClusterUnreachable", message: "\(error)")
            try await setStatus(cluster, from: cluster.status, to: cluster.status, health: [issue])
            throw error
        }
        await startServing(cluster.name)
    }

    private func startServing(_ name: String) async {
        // It may have been deleted while it started.
        guard await context.state.read({ $0.clusters[name].map { $0.status != .deleting } ?? false }) else { return wake(.cluster(name)) }
        serving.insert(name)
        wake(.insights(name))
        if watches[name] == nil { watches[name] = [Task { await self.watchReadiness(name) }, Task { await self.watchFargate(name) }] }
        await wakeNodegroups(of: name)
        await wakeFargateProfiles(of: name)
        await wakeAddons(of: name)
    }

    private func wakeNodegroups(of name: String) async {
        let keys = await context.state.read { tables -> [ReconcileKey] in
            tables.nodegroups(of: name).map { .nodegroup(cluster: name, name: $0.name) }
                + tables.instances.values.filter { $0.clusterName == name }.map { .instance($0.instanceID) }
        }
        for key in keys { wake(key) }
    }

    /// Ends a start under way: its cluster is being deleted.
    func cancelStart(_ name: String) {
        calledOff.insert(name)
        starting[name]?.cancel()
    }

    /// True: there are none. Their own end wakes the cluster again.
    private func endClaimedInstances(_ name: String) async throws -> Bool {
        guard let cluster = await context.state.read({ $0.clusters[name] }) else { return true }
        let ending = try await EndClaimedInstancesStep().run(cluster, context)
        for id in ending { wake(.instance(id)) }
        return ending.isEmpty
    }

    private func delete(_ cluster: ClusterRecord) async throws {
        // Node groups go first; DeleteCluster saw to it, and this holds for records of any origin.
        guard await context.state.read({ $0.attachment(to: cluster.name) == nil }), try await endClaimedInstances(cluster.name) else { return }
        forget(cluster.name)
        try await DeleteClusterStep().run(cluster, context)
    }

    private func forget(_ name: String) {
        for watch in watches.removeValue(forKey: name) ?? [] { watch.cancel() }
        fargate.forget(name)
        serving.remove(name)
        calledOff.remove(name)
        readiness[name] = nil
        problems[name] = nil
        awaited[name] = nil
    }

    // MARK: Node groups

    /// The instances in service of a node group, and its own state.
    func reconcileMembers(_ clusterName: String, _ name: String) async throws {
        let key = LifecycleTables.key(clusterName, name)
        let read = await context.state.read { tables -> (NodegroupRecord, ClusterRecord, [InstanceRecord])? in
            guard let group = tables.nodegroups[key], let cluster = tables.clusters[clusterName] else { return nil }
            return (group, cluster, tables.instances(of: group))
        }
        guard let (group, cluster, instances) = read else { return }
        let plan = NodegroupPlan.plan(group, instances)
        if plan.isGone { return try await remove(group) }
        try await mark(drain: plan.drain, terminate: plan.terminate, giveBack: plan.giveBack, to: group.warmPool?.state)
        if group.isSimulated, group.status == .deleting { return try await simulate(group) }
        guard group.status != .deleting else { return }
        if let change = group.nodeChange, serving.contains(clusterName) { try await ChangeNodesStep().run(group, change, instances, context) }
        if group.isSimulated { try await simulate(group) }
        let isRepairing = try await repair(group, instances.filter { !$0.isInPool })
        if plan.isSettled, !isRepairing { return try await settle(group, cluster) }
        guard plan.launch > 0, serving.contains(clusterName) else { return }
        let reconcileKey = ReconcileKey.nodegroup(cluster: clusterName, name: name)
        guard !isHeldBack(reconcileKey) else { return }
        do {
            try await NodeRoleAccessStep().run(group.nodeRoleARN, cluster, context)
            let group = try await RemoteAccessStep().run(group, cluster, context)
            if group.isSimulated {
                try await SimulatedInstancesStep().launch(group, cluster, count: plan.launch, context)
                dirty.insert(reconcileKey)
            } else {
                let taken = try await takeFromPool(group, cluster, plan.launch)
                try await LaunchInstancesStep().run(group, cluster, instances, count: plan.launch - taken, context)
            }
        } catch {
            try Task.checkCancellation()
            try await fail(group, HealthIssue(error, resourceIDs: group.subnetIDs))
        }
        for id in await context.state.read({ tables in tables.instances(of: group).filter { $0.phase == .launching }.map(\.instanceID) }) {
            wake(.instance(id))
        }
    }

    /// Has instances go: drained or not, or drained and back `to` the group's warm pool.
    func mark(drain: [String] = [], terminate: [String], giveBack: [String] = [], to pool: WarmPoolState? = nil) async throws {
        let all = drain + terminate + giveBack
        guard !all.isEmpty else { return }
        try await context.state.update { tables in
            // Those that were to come again go for good.
            for id in all { tables.instances[id]?.repair = nil }
            for id in drain + giveBack { tables.instances[id]?.phase = .draining }
            for id in drain { tables.instances[id]?.pool = nil }
            for id in giveBack { tables.instances[id]?.pool = pool }
            for id in terminate { tables.instances[id]?.phase = .terminating }
        }
        for id in all { wake(.instance(id)) }
    }

    private func remove(_ group: NodegroupRecord) async throws {
        guard try await RemoteAccessStep.remove(group, context) else { return }
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard tables.nodegroups[key]?.id == group.id else { return }
            tables.nodegroups[key] = nil
            for update in tables.updates.values where update.clusterName == group.clusterName && update.nodegroup == group.name {
                tables.updates[update.id] = nil
            }
        }
        notBefore[.nodegroup(cluster: group.clusterName, name: group.name)] = nil
        notBefore[.warmPool(of: group)] = nil
        try await NodeRoleAccessStep().remove(
            group.nodeRoleARN, of: group.clusterName, isServing: serving.contains(group.clusterName), context)
        wake(.cluster(group.clusterName))
    }

    /// All wanted nodes are Ready.
    private func settle(_ group: NodegroupRecord, _ cluster: ClusterRecord) async throws {
        let key = ReconcileKey.nodegroup(cluster: group.clusterName, name: group.name)
        notBefore[key] = nil
        guard group.status == .creating || group.status == .updating || group.status == .degraded else { return }
        // A group without nodes has come this far without it.
        do { _ = try await RemoteAccessStep().run(group, cluster, context) } catch let error as AWSError {
            return try await fail(group, HealthIssue(error, resourceIDs: []))
        }
        try await finish(group, status: .active, health: [], updates: .successful, errors: [])
    }

    /// Something could not be launched or did not join. A new group fails; one that was well is degraded and tries again, later each time.
    private func fail(_ group: NodegroupRecord, _ issue: HealthIssue) async throws {
        logger.error(
            "node group has a problem",
            metadata: ["cluster": "\(group.clusterName)", "nodegroup": "\(group.name)", "code": "\(issue.code)", "message": "\(issue.message)"])
        let key = ReconcileKey.nodegroup(cluster: group.clusterName, name: group.name)
        let current = await context.state.read { $0.nodegroups[LifecycleTables.key(group.clusterName, group.name)] }
        switch current?.status {
        case .creating: try await finish(group, status: .createFailed, health: [issue], updates: .failed, errors: [issue])
        case .active, .updating, .degraded:
            try await finish(
                group, status: .degraded, health: [issue], updates: .failed,
                errors: [HealthIssue(code: EKSErrorCode.of(issue), message: issue.message, resourceIDs: issue.resourceIDs)])
            holdBack(key)
        default: break
        }
    }

    private func finish(_ group: NodegroupRecord, status: NodegroupStatus, health: [HealthIssue], updates: UpdateStatus, errors: [HealthIssue])
        async throws
    {
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard var current = tables.nodegroups[key], current.id == group.id, current.status != .deleting else { return }
            // Sizes that changed meanwhile are for the next round.
            guard status != .active || current.scaling == group.scaling else { return }
            guard status != .active || current.nodeChange == nil else { return }
            current.status = status
            current.health = health
            if let rollout = current.rollout {
                if updates == .successful {
                    (current.version, current.releaseVersion, current.template) = (rollout.version, rollout.releaseVersion, rollout.template)
                    if rollout.template?.instanceType != nil { current.instanceTypes = [] }
                }
                current.rollout = nil
            }
            tables.nodegroups[key] = current
            for var update in tables.updates.values
            where update.clusterName == group.clusterName && update.nodegroup == group.name && update.status == .inProgress {
                update.status = updates
                update.errors = errors
                tables.updates[update.id] = update
            }
        }
    }

    // MARK: Instances

    private func reconcileInstance(_ id: String) async throws {
        let read = await context.state.read { tables -> (InstanceRecord, ClusterRecord?, NodegroupRecord?)? in
            guard let instance = tables.instances[id] else { return nil }
            return (instance, tables.clusters[instance.clusterName], tables.nodegroups[LifecycleTables.key(instance.clusterName, instance.nodegroup)])
        }
        guard let (instance, cluster, group) = read, instance.isSimulated != true else { return }
        let isServing = serving.contains(instance.clusterName)
        switch instance.phase {
        case .launching:
            guard isServing, let cluster else { return }
            do {
                try await StartMachineStep().run(instance, cluster, context)
                dirty.insert(.instance(id))
            } catch {
                try Task.checkCancellation()
                try await giveUp(
                    instance, group,
                    HealthIssue(code: "AsgInstanceLaunchFailures", message: "instance \(id) could not be started: \(error)", resourceIDs: [id]))
            }
        case .joining, .ready:
            guard await context.machines.running().contains(id) else { return try await lose(instance, group) }
            if instance.phase == .joining { try await join(instance, group) }
            if isServing, let cluster, RenewCertificatesStep.isDue(instance, cluster) {
                try await RenewCertificatesStep().run(instance, cluster, context)
            }
        case .draining:
            guard isServing else { return }
            switch try await DrainInstanceStep().run(instance, group?.status == .deleting ? nil : group?.rollout, context) {
            case .drained, .goesOn: dirty.insert(.instance(id))
            case .failed: try await keep(instance, group)
            }
        case .warming, .warmed: try await keepWarm(instance, cluster, group)
        case .terminating:
            try await TerminateInstanceStep().run(instance, isClusterServing: isServing, context)
            forgetNode(of: instance)
            wake(.owner(of: instance))
            if let task = instance.fargate { wake(.fargateProfile(cluster: instance.clusterName, name: task.profile)) }
        }
    }

    /// Nothing that was said of an instance's node counts any more.
    func forgetNode(of instance: InstanceRecord) {
        readiness[instance.clusterName]?[instance.nodeName] = nil
        problems[instance.clusterName]?[instance.nodeName] = nil
        awaited[instance.clusterName]?[instance.nodeName] = nil
    }

    private func join(_ instance: InstanceRecord, _ group: NodegroupRecord?) async throws {
        awaited[instance.clusterName, default: [:]][instance.nodeName] = .instance(instance.instanceID)
        if readiness[instance.clusterName]?[instance.nodeName] ?? false {
            try await context.state.update { tables in
                guard tables.instances[instance.instanceID]?.phase == .joining else { return }
                tables.instances[instance.instanceID]?.phase = .ready
            }
            try await NodeRepairStep.finish(instance, context)
            if instance.claim != nil { forgetTroubles(of: instance.clusterName) }
            return wake(.owner(of: instance))
        }
        // A pod's node is its own: it is bound as soon as the cluster knows the node.
        if instance.fargate != nil, isRegistered(instance.nodeName, in: instance.clusterName) { wake(.owner(of: instance)) }
        let timeout = context.configuration.nodeJoinTimeout.inSeconds
        let waited = context.clock.now - (instance.startedAt ?? context.clock.now)
        let remaining = timeout - waited
        if remaining > 0 {
            let slow = context.configuration.slowJoin.inSeconds
            guard waited >= slow else { return wake(.instance(instance.instanceID), after: .seconds(min(remaining, slow - waited))) }
            let report = await context.machines.report(instance.instanceID)
            let message =
                "\(instance.nodeName) has not joined the cluster after \(Int(waited)) seconds" + (report.isEmpty ? "" : "; its log ends: \(report)")
            let issue = HealthIssue(code: "NodeCreationFailure", message: message, resourceIDs: [instance.instanceID])
            if let group { try await tell(group, issue) } else { try await tellPod(of: instance, issue.message) }
            return wake(.instance(instance.instanceID), after: .seconds(min(remaining, slow)))
        }
        let message = "Instances failed to join the kubernetes cluster: \(instance.nodeName) was not Ready within \(Int(timeout)) seconds"
        try await giveUp(instance, group, HealthIssue(code: "NodeCreationFailure", message: message, resourceIDs: [instance.instanceID]))
    }

    /// The machine of an instance died. Its group launches another, unless this one never joined: the next would not do so either, so the group says
    /// why, and tries again later or not at all.
    private func lose(_ instance: InstanceRecord, _ group: NodegroupRecord?) async throws {
        let report = await context.machines.report(instance.instanceID)
        logger.warning("a machine died; its instance is replaced", metadata: ["instance": "\(instance.instanceID)", "log": "\(report)"])
        let message = "the machine of instance \(instance.instanceID) died" + (report.isEmpty ? "" : "; its log ends: \(report)")
        let issue = HealthIssue(code: "NodeCreationFailure", message: message, resourceIDs: [instance.instanceID])
        try await giveUp(instance, instance.phase == .joining ? group : nil, issue)
    }

    /// Shows a group that is being made or changed what it waits for.
    private func tell(_ group: NodegroupRecord, _ issue: HealthIssue) async throws {
        try await context.state.update { tables in
            let key = LifecycleTables.key(group.clusterName, group.name)
            guard var current = tables.nodegroups[key], current.id == group.id, [.creating, .updating, .degraded].contains(current.status) else {
                return
            }
            current.health = [issue]
            tables.nodegroups[key] = current
        }
    }

    /// A rollout's node keeps its pods: the update fails, and the node stays.
    private func keep(_ instance: InstanceRecord, _ group: NodegroupRecord?) async throws {
        try await context.controlPlanes.uncordonNode(instance.clusterName, nodeName: instance.nodeName)
        try await context.state.update { tables in
            guard var current = tables.instances[instance.instanceID], current.phase == .draining else { return }
            current.phase = .ready
            current.drainingSince = nil
            current.pool = nil
            tables.instances[current.instanceID] = current
        }
        guard let group else { return }
        let message = "Reached max retries while trying to evict pods from nodes in node group \(group.name)"
        let error = HealthIssue(code: "PodEvictionFailure", message: message, resourceIDs: [instance.nodeName])
        try await finish(group, status: .active, health: [], updates: .failed, errors: [error])
        // What the rollout launched is too much now.
        wake(.nodegroup(cluster: group.clusterName, name: group.name))
    }

    /// Ends an instance that failed and tells its group.
    func giveUp(_ instance: InstanceRecord, _ group: NodegroupRecord?, _ issue: HealthIssue) async throws {
        try await context.state.update { tables in
            guard var current = tables.instances[instance.instanceID] else { return }
            current.phase = .terminating
            current.problem = issue.message
            tables.instances[current.instanceID] = current
        }
        dirty.insert(.instance(instance.instanceID))
        if let group { try await fail(group, issue) }
        if instance.claim != nil { noteTrouble(instance, issue) }
        guard instance.fargate != nil else { return }
        holdBack(.owner(of: instance))
        try await tellPod(of: instance, issue.message)
    }

    // MARK: Events

    /// Machines that died are replaced: the instance's own step sees that its machine is gone.
    private func watchExits() async {
        for await id in context.machines.exits() { wake(.instance(id)) }
    }

    private func watchReadiness(_ cluster: String) async {
        while !Task.isCancelled {
            for await change in await context.controlPlanes.nodeReadiness(cluster) {
                await note(change)
                await wakeAddons(of: cluster)
                if change.isReady, let key = awaited[cluster]?.removeValue(forKey: change.nodeName) { wake(key) }
            }
            // The feed ended: the control plane was replaced, or goes. Ask again unless it goes.
            do { try await Task.sleep(for: context.configuration.firstRetry) } catch { return }
        }
    }
}
