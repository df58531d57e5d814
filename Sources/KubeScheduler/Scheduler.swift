package import KubeAPI
package import KubeClient
package import Logging
import Synchronization

/// Binds pods to nodes. Upstream: pkg/scheduler.
///
/// One task decides, pod after pod, from a cache that counts its own decisions in at once; binding is done beside it, many at a time. Informers keep
/// queue
/// and cache; a decision is made under the same lock, so that no event can fall between a decision and what is queued for it.
package final class Scheduler: Sendable {
    /// Bindings and failure reports under way at once: enough to fill the store's group commits, well below the API server's limit of 200 writes in
    /// flight, which
    /// it shares with everyone else.
    private static let maxInFlight = 64
    package static let defaultName = "default-scheduler"

    /// All that decisions are made from.
    struct State: Sendable {
        var cache = SchedulerCache()
        var queue: SchedulingQueue
        /// By profile.
        var cycles: [SchedulingCycle]
        var parked = ParkedPods()

        init(_ configuration: SchedulerConfiguration) {
            queue = SchedulingQueue(configuration.backoff)
            cycles = configuration.profiles.map { SchedulingCycle(profile: $0) }
        }
    }

    /// What is to be done about a pod.
    enum Step: Sendable {
        case bind(QueuedPod, node: String, VolumeChoice?)
        case fail(QueuedPod, message: String, Preemption?)
        /// Nothing could be found out.
        case error(QueuedPod, message: String)
        /// Extenders have a say in it.
        case consult(QueuedPod, ExtenderRound)
    }

    /// Room that is to be made for a pod.
    struct Preemption: Sendable {
        var node: String
        var victims: [PodInfo]
        /// Pods that were promised this node and must look again.
        var displaced: [PodInfo]

        /// There is no room to be made anywhere: what the pod was promised earlier is taken back. Upstream: NewPostFilterResultWithNominatedNode("").
        static let none = Preemption(node: "", victims: [], displaced: [])
    }

    let configuration: SchedulerConfiguration
    private let extenders: [SchedulerExtender]
    private let client: KubeClient
    private let informers: InformerFactory
    private let ownsInformers: Bool
    let pods: SharedInformer
    let nodes: SharedInformer
    private let namespaces: SharedInformer
    private let budgets: SharedInformer
    private let storage: [SharedInformer]
    private let resourceClaims: SharedInformer
    private let others: [SharedInformer]
    private let lookup: VolumeLookup
    private let selectors: WorkloadSelectors
    private let shapes = PodShapes()
    /// By profile: events come from whom a pod names as its scheduler.
    private let recorders: [EventRecorder]
    let now: @Sendable () -> Timestamp
    private let logger: Logger
    let state: Mutex<State>
    /// By profile.
    private let names: [String]
    private let timers: WorkQueue<String>
    private let volumeTimers: WorkQueue<String>
    private let wake: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - configuration: only pods whose `spec.schedulerName` names one of its profiles are scheduled.
    ///   - informers: shared ones that the caller runs; nil: the scheduler makes and runs its own.
    package init(
        client: KubeClient, informers: InformerFactory? = nil, configuration: SchedulerConfiguration = .standard,
        now: @escaping @Sendable () -> Timestamp = { .now },
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "scheduler")
    ) {
        self.client = client
        self.configuration = configuration
        names = configuration.schedulerNames
        extenders = configuration.extenders.map { SchedulerExtender($0) }
        state = Mutex(State(configuration))
        self.now = now
        self.logger = logger
        ownsInformers = informers == nil
        let informers = informers ?? InformerFactory(client: client, clock: clock, logger: logger)
        self.informers = informers
        pods = informers.informer(for: .pods)
        nodes = informers.informer(for: .nodes)
        namespaces = informers.informer(for: .namespaces)
        let services = informers.informer(for: .services)
        let replicaSets = informers.informer(for: .replicaSets)
        let statefulSets = informers.informer(for: .statefulSets)
        let replicationControllers = informers.informer(for: .replicationControllers)
        budgets = informers.informer(for: .podDisruptionBudgets)
        let claims = informers.informer(for: .persistentVolumeClaims)
        let volumes = informers.informer(for: .persistentVolumes)
        let classes = informers.informer(for: .storageClasses)
        let csiNodes = informers.informer(for: .csiNodes)
        let drivers = informers.informer(for: .csiDrivers)
        let capacities = informers.informer(for: .csiStorageCapacities)
        resourceClaims = informers.informer(for: .resourceClaims)
        storage = [claims, volumes, classes, csiNodes, drivers, capacities]
        lookup = VolumeLookup(
            claims: claims.indexer, volumes: volumes.indexer, classes: classes.indexer, csiNodes: csiNodes.indexer, drivers: drivers.indexer,
            capacities: capacities.indexer)
        others = [services, replicaSets, statefulSets, replicationControllers, budgets]
        let serviceSelectors = ServiceSelectors()
        serviceSelectors.follow(services)
        selectors = WorkloadSelectors(
            services: serviceSelectors,
            workloads: [
                "ReplicaSet": replicaSets.indexer, "StatefulSet": statefulSets.indexer, "ReplicationController": replicationControllers.indexer,
            ])
        recorders = configuration.profiles.map { EventRecorder(client: client, component: $0.name, clock: clock, wallClock: now, logger: logger) }
        timers = WorkQueue(name: "scheduler-backoff", clock: clock)
        volumeTimers = WorkQueue(name: "scheduler-volumes", clock: clock)
        (wake, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        addHandlers()
    }

    /// Runs until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            if ownsInformers { group.addTask { await self.informers.run() } }
            for recorder in recorders { group.addTask { await recorder.run() } }
            group.addTask { await self.timers.run(workers: 1) { self.timerEnded($0) } }
            group.addTask { await self.volumeTimers.run(workers: 1) { await self.volumesDidNotCome($0) } }
            // All pods and nodes must be known before the first decision, or full nodes would look empty.
            for informer in [nodes, pods, namespaces, resourceClaims] + storage + others {
                do { try await informer.waitForSync() } catch { return }
            }
            let (slots, giveBack) = AsyncStream<Void>.makeStream()
            for _ in 0..<Self.maxInFlight { giveBack.yield() }
            var free = slots.makeAsyncIterator()
            waker.yield()
            for await _ in wake {
                while !Task.isCancelled {
                    guard await free.next() != nil else { return }
                    guard var step = next() else {
                        giveBack.yield()
                        break
                    }
                    // The next pod waits for it: decisions are made one after the other.
                    if case .consult(let pod, let round) = step {
                        guard let decided = await consult(pod, round) else {
                            giveBack.yield()
                            continue
                        }
                        step = decided
                    }
                    let decided = step
                    group.addTask {
                        switch decided {
                        case .bind(let pod, let node, let choice): await self.bind(pod, node, choice)
                        case .fail(let pod, let message, let preemption):
                            if let preemption { await self.prepare(preemption, for: pod) }
                            await self.report(pod, message, nominated: preemption?.node)
                        case .error(let pod, let message): await self.report(pod, message, reason: "SchedulerError")
                        case .consult: break
                        }
                        giveBack.yield()
                    }
                }
            }
        }
        timers.shutDown()
        volumeTimers.shutDown()
    }

    // MARK: Deciding

    /// Takes the next pod and decides; nil when none waits. Upstream: ScheduleOne up to assume.
    private func next() -> Step? {
        let time = now()
        let (step, timer) = state.withLock { state -> (Step?, SchedulingQueue.Timer?) in
            if let (pod, node) = state.parked.popReady() { return (.bind(pod, node: node, nil), nil) }
            while let pod = state.queue.pop() {
                if state.cache.nodeName(of: pod.info.uid) != nil { continue }
                if !extenders.isEmpty, let round = round(for: pod.info) {
                    state.queue.beginConsultation(pod.info.uid)
                    return (.consult(pod, round), nil)
                }
                let input = input(pod, state)
                if configuration.profiles[pod.profile].waitsForClaims, input.devices?.refusal != nil {
                    // Nothing to tell: its claims are being made, and who makes them says what is wrong. Upstream: DynamicResources.PreEnqueue.
                    state.queue.addWaiting(pod, for: [DynamicResources.name], now: time)
                    continue
                }
                switch state.cycles[pod.profile].schedule(input, &state.cache) {
                case .node(let node): return (take(pod, node, input, &state), nil)
                case .unfit(var error):
                    let preemption = preempt(pod, input, &state, &error)
                    let timer = state.queue.addUnschedulable(
                        pod, rejectedBy: error.plugins, isPreparing: preemption?.victims.isEmpty == false, now: time)
                    return (.fail(pod, message: error.message, preemption), timer)
                case .noNodes:
                    let timer = state.queue.addUnschedulable(pod, rejectedBy: [], now: time)
                    return (.fail(pod, message: SchedulingCycle.noNodesMessage, nil), timer)
                }
            }
            return (nil, nil)
        }
        if let timer { start(timer) }
        return step
    }

    /// What plugins are told about a pod.
    func input(_ pod: QueuedPod, _ state: borrowing State) -> CycleInput {
        CycleInput(
            pod: pod.info, workloadSelector: pod.info.spreadConstraints.isEmpty ? selectors.selector(for: pod.info) : nil,
            volumes: lookup.needs(of: pod.info, promised: state.parked.promised), devices: devices(of: pod.info), lookup: lookup)
    }

    /// Nil: it has no ResourceClaims.
    private func devices(of pod: PodInfo) -> DeviceNeeds? {
        guard pod.hasResourceClaims, let object = pods.indexer.get(pod.key) else { return nil }
        return DeviceNeeds(object, claims: resourceClaims.indexer)
    }

    /// Counts a pod in on the node that was chosen. Upstream: assume, and the Reserve plugins.
    func take(_ pod: QueuedPod, _ node: String, _ input: CycleInput, _ state: inout State) -> Step {
        state.cache.assume(pod.info, on: node)
        state.cache.nominator.remove(pod.info.uid)
        guard configuration.profiles[pod.profile].volumePatience != nil else { return .bind(pod, node: node, nil) }
        let choice = input.volumes.flatMap { needs in state.cache.node(node).flatMap { try? VolumeChoice(needs, on: $0) } }
        if let choice { state.parked.promise(choice) }
        return .bind(pod, node: node, choice)
    }

    /// The extenders whose concern a pod is; nil: none.
    private func round(for pod: PodInfo) -> ExtenderRound? {
        guard let object = pods.indexer.get(pod.key) else { return nil }
        let interested = extenders.filter { $0.isInterested(in: object) }
        return interested.isEmpty ? nil : ExtenderRound(extenders: interested, pod: object, logger: logger)
    }

    /// How room is made for a pod; nil: in its profile it is not.
    func preemption(for pod: QueuedPod, _ state: borrowing State) -> DefaultPreemption? {
        let budgets = state.cache.hasPods(below: pod.info.priority) ? budgets.indexer.list().compactMap(DisruptionBudget.init) : []
        return DefaultPreemption(configuration.profiles[pod.profile], budgets: budgets)
    }

    /// Looks for a node where the pod would fit if others went, and promises it the place. Upstream: RunPostFilterPlugins.
    private func preempt(_ pod: QueuedPod, _ input: CycleInput, _ state: inout State, _ error: inout FitError) -> Preemption? {
        error.devices = configuration.profiles[pod.profile].wordOnDevices(of: pod.info)
        guard let preemption = preemption(for: pod, state) else { return nil }
        return nominate(input, preemption.find(input, &state.cache, beyondHelp: error.unresolvable), &state, &error)
    }

    /// Promises a pod the place that preemption has found.
    func nominate(_ input: CycleInput, _ outcome: DefaultPreemption.Outcome, _ state: inout State, _ error: inout FitError) -> Preemption? {
        switch outcome {
        case .unhelpful(let message):
            error.preemption = message
            return nil
        case .noCandidates(let message):
            error.preemption = message
            return withdrawNomination(of: input.pod, &state)
        case .nominate(let node, let victims):
            let displaced = state.cache.nominator.pods(on: node, behind: input.pod)
            for pod in displaced { state.cache.nominator.remove(pod.uid) }
            state.cache.nominator.nominate(input.pod, for: node)
            error.devices = nil
            return Preemption(node: node, victims: victims, displaced: displaced)
        }
    }

    /// Nobody stands back before the pod any longer.
    func withdrawNomination(of pod: PodInfo, _ state: inout State) -> Preemption {
        state.cache.nominator.remove(pod.uid)
        return .none
    }

    func start(_ timer: SchedulingQueue.Timer) { timers.addAfter(timer.uid, .milliseconds(Int64(timer.after * 1000) + 1)) }

    private func timerEnded(_ uid: String) {
        let time = now()
        if let timer = state.withLock({ $0.queue.flush(uid, now: time) }) { start(timer) } else { waker.yield() }
    }

    // MARK: Acting

    /// Upstream: bindingCycle with VolumeBinding's PreBind and the DefaultBinder.
    private func bind(_ pod: QueuedPod, _ node: String, _ choice: VolumeChoice?) async {
        let info = pod.info
        if let choice, !choice.isEmpty {
            do {
                let orders = try await choice.write(client, node: node)
                park(pod, node, orders: orders)
            } catch {
                state.withLock { $0.parked.forget(choice) }
                await giveBack(pod, node, "PreBind plugin \"VolumeBinding\"", error)
            }
            return
        }
        do {
            if !extenders.isEmpty, let round = round(for: info), try await round.bind(info, to: node) { return assigned(pod, node) }
            try await client.create(
                .pods, namespace: info.namespace,
                [
                    "apiVersion": "v1", "kind": "Binding",
                    "metadata": ["name": .string(info.name), "namespace": .string(info.namespace), "uid": .string(info.uid)],
                    "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
                ], name: info.name, subresource: "binding")
            assigned(pod, node)
        } catch let error as ExtenderError {
            await giveBack(pod, node, nil, error)
        } catch {
            await giveBack(pod, node, "Bind plugin \"DefaultBinder\"", error)
        }
    }

    private func assigned(_ pod: QueuedPod, _ node: String) {
        let info = pod.info
        logger.debug("Successfully bound pod to node", metadata: ["pod": "\(info.key)", "node": "\(node)"])
        recorders[pod.profile].event(
            regarding: info.reference, .normal, reason: "Scheduled", message: "Successfully assigned \(info.namespace)/\(info.name) to \(node)")
    }

    /// What was to be done for a pod's binding failed: its place is free again.
    /// - Parameter plugin: whose doing it is; nil: an extender's, whose errors stand alone.
    private func giveBack(_ pod: QueuedPod, _ node: String, _ plugin: String?, _ error: any Error) async {
        if error is CancellationError { return }
        let info = pod.info
        let time = now()
        let isGone = (error as? StatusError)?.isNotFound ?? false
        // Pods that waited for room may fit.
        let timersToStart = state.withLock { state -> [SchedulingQueue.Timer] in
            state.cache.forget(info.uid)
            var timers = state.queue.move(.assignedPodRemoved, now: time)
            let isBound = state.cache.nodeName(of: info.uid) != nil
            if !isGone, !isBound, pods.indexer.get(info.key)?.metadata.uid == info.uid, !state.queue.contains(info.uid) {
                timers.append(state.queue.addBackoff(pod, now: time))
            }
            return timers
        }
        timersToStart.forEach(start)
        waker.yield()
        // Too many requests, or somebody was faster: nothing is wrong with pod or node.
        if isGone || (error as? StatusError)?.code == 429 || (error as? StatusError)?.isConflict ?? false { return }
        let text = (error as? StatusError)?.message ?? "\(error)"
        logger.info("binding failed", metadata: ["pod": "\(info.key)", "node": "\(node)", "error": "\(text)"])
        await report(pod, plugin.map { "running \($0): \(text)" } ?? text, reason: "SchedulerError")
    }

    /// Keeps a pod's place while its volumes are made and bound. Upstream: BindPodVolumes' wait.
    private func park(_ pod: QueuedPod, _ node: String, orders: [String: Int64]) {
        state.withLock { $0.parked.park(pod, node, orders: orders) }
        volumeTimers.addAfter(pod.info.uid, configuration.profiles[pod.profile].volumePatience ?? PluginArguments().bindTimeout)
        storageChanged(nil)
    }

    /// A pod has waited long enough, or in vain.
    private func volumesDidNotCome(_ uid: String) async {
        let (problem, parked) = state.withLock { state in
            (state.parked.problem(uid, lookup) { state.cache.node($0) }, state.parked.remove(uid))
        }
        guard let (pod, node) = parked else { return }
        let text = "binding volumes: \(problem ?? "context deadline exceeded")"
        await giveBack(pod, node, "PreBind plugin \"VolumeBinding\"", StatusError.internalError(text))
    }

    /// Ends the pods that stand in a pod's way. Upstream: prepareCandidateAsync.
    private func prepare(_ preemption: Preemption, for pod: QueuedPod) async {
        if !preemption.victims.isEmpty {
            let isFailed = await withTaskGroup(of: Bool.self) { group in
                for victim in preemption.victims { group.addTask { await !self.preempt(victim, on: preemption.node, for: pod) } }
                return await group.reduce(false) { $0 || $1 }
            }
            let time = now()
            if let timer = state.withLock({ $0.queue.endPreparation(pod.info.uid, isFailed: isFailed, now: time) }) { start(timer) }
            waker.yield()
        }
        for pod in preemption.displaced { await note(pod, ["nominatedNodeName": .null]) }
    }

    /// False: the victim stays, so the pod has to look again. Upstream: preemption.Executor.PreemptPod.
    private func preempt(_ victim: PodInfo, on node: String, for pod: QueuedPod) async -> Bool {
        do {
            let scheduler = configuration.profiles[pod.profile].name
            if let current = pods.indexer.get(victim.key), let condition = PodConditions.preempted(current, by: scheduler, now: now()) {
                try await patchStatus(victim, ["conditions": [condition]])
            }
            try await client.delete(
                .pods, namespace: victim.namespace, name: victim.name, options: DeleteOptions(preconditionUID: victim.uid))
            recorders[pod.profile].event(
                regarding: victim.reference, .normal, reason: "Preempted", message: "Preempted by pod \(pod.info.uid) on node \(node)")
        } catch let error as StatusError where error.isNotFound {
            // Gone by itself.
        } catch {
            logger.info("a pod could not be preempted", metadata: ["pod": "\(victim.key)", "error": "\(error)"])
            return false
        }
        return true
    }

    /// Tells why a pod is not scheduled: by an event and its PodScheduled condition; and where room is made for it, empty where nowhere is.
    /// Upstream: handleSchedulingFailure.
    private func report(_ pod: QueuedPod, _ message: String, reason: String = "Unschedulable", nominated: String? = nil) async {
        recorders[pod.profile].event(regarding: pod.info.reference, .warning, reason: "FailedScheduling", message: message)
        // The newest the cache has: the decision may be older than the last change of status.
        guard let current = pods.indexer.get(pod.info.key), current.metadata.uid == pod.info.uid, current["spec"]["nodeName"].string == nil else {
            return
        }
        var status: Value = [:]
        if let condition = PodConditions.unscheduled(current, reason: reason, message: message, now: now()) { status["conditions"] = [condition] }
        if let nominated, current["status"]["nominatedNodeName"].string ?? "" != nominated {
            status["nominatedNodeName"] = nominated.isEmpty ? .null : .string(nominated)
        }
        if status != [:] { await note(pod.info, status) }
    }

    /// Writes what only informs: the next try writes it again, no decision depends on it.
    private func note(_ pod: PodInfo, _ status: Value) async {
        do {
            try await patchStatus(pod, status)
        } catch {
            logger.debug("status not written", metadata: ["pod": "\(pod.key)", "error": "\(error)"])
        }
    }

    private func patchStatus(_ pod: PodInfo, _ status: Value) async throws {
        // The uid makes it the very pod that was decided about.
        try await client.patch(
            .pods, namespace: pod.namespace, name: pod.name, type: .strategicMerge, ["metadata": ["uid": .string(pod.uid)], "status": status],
            subresource: "status")
    }

    // MARK: Hearing

    private func addHandlers() {
        pods.addHandler(
            InformerHandler(
                added: { [weak self] in self?.podChanged(nil, $0) }, updated: { [weak self] in self?.podChanged($0, $1) },
                deleted: { [weak self] in self?.podChanged($0, nil) }))
        nodes.addHandler(
            InformerHandler(
                added: { [weak self] in self?.nodeChanged(nil, $0) }, updated: { [weak self] in self?.nodeChanged($0, $1) },
                deleted: { [weak self] in self?.nodeChanged($0, nil) }))
        for informer in storage {
            let isVolume = informer.resource == .persistentVolumes
            informer.addHandler(.any { [weak self] in self?.storageChanged(isVolume ? $0 : nil) })
        }
        resourceClaims.addHandler(.any { [weak self] _ in self?.move(.devicesChanged) })
        namespaces.addHandler(
            InformerHandler(
                added: { [weak self] in self?.namespaceChanged($0.metadata.name, $0.metadata.labels) },
                updated: { [weak self] old, new in
                    if old.metadata.labels != new.metadata.labels { self?.namespaceChanged(new.metadata.name, new.metadata.labels) }
                }, deleted: { [weak self] in self?.namespaceChanged($0.metadata.name, nil) }))
    }

    /// What has happened may let pods fit that did not.
    private func move(_ event: ClusterEvent) {
        let time = now()
        state.withLock { $0.queue.move(event, now: time) }.forEach(start)
        waker.yield()
    }

    /// Pods whose volumes are there may be bound, others may fit now.
    private func storageChanged(_ volume: Object?) {
        let time = now()
        let (timersToStart, refused) = state.withLock { state -> ([SchedulingQueue.Timer], [String]) in
            if let volume, ClaimBinding.isTaken(volume) { state.parked.isKnown(volume.metadata.name) }
            let refused = state.parked.refused(lookup) { state.cache.node($0) }
            state.parked.release(lookup, except: refused)
            return (state.queue.move(.storageChanged, now: time), refused)
        }
        for uid in refused { volumeTimers.add(uid) }
        timersToStart.forEach(start)
        waker.yield()
    }

    private func podChanged(_ old: Object?, _ new: Object?) {
        let effect = PodChange.of(old, new, schedulers: names)
        if effect == .none {
            guard let old, let new else { return }
            if PodChange.isStart(old, new) { started(new) }
            if PodChange.hasGotClaims(old, new) { move(.devicesChanged) }
            return
        }
        let time = now()
        // Taken apart before the lock is taken.
        let info = new.flatMap { effect == .remove ? nil : podInfo(old, $0) }
        let uid = new?.metadata.uid ?? old?.metadata.uid ?? ""
        let profile = effect == .pending && names.count > 1 ? new.flatMap { names.firstIndex(of: PodChange.schedulerName(of: $0)) } ?? 0 : 0
        let timersToStart = state.withLock { state -> [SchedulingQueue.Timer] in
            switch effect {
            case .none: return []
            case .remove:
                state.queue.remove(uid)
                state.cache.nominator.remove(uid)
                state.parked.remove(uid)
                return state.cache.remove(uid) == nil ? [] : state.queue.move(.assignedPodRemoved, now: time)
            case .bound:
                guard let info else { return [] }
                state.queue.remove(uid)
                state.cache.nominator.remove(uid)
                let wasKnown = state.cache.nodeName(of: uid)
                state.cache.set(info)
                var timers = state.queue.move(.assignedPodChanged, now: time)
                // It may take less than before, or another node than was assumed.
                if wasKnown != nil, old.map({ $0["spec"]["nodeName"].string != nil }) ?? false || wasKnown != info.nodeName {
                    timers += state.queue.move(.assignedPodRemoved, now: time)
                }
                return timers
            case .pending:
                guard let info, state.cache.nodeName(of: uid) == nil else { return [] }
                state.queue.set(info, profile: profile, holdsGated: configuration.profiles[profile].holdsGatedPods, now: time)
                if !info.nominatedNodeName.isEmpty { state.cache.nominator.nominate(info, for: info.nominatedNodeName) }
                return []
            }
        }
        timersToStart.forEach(start)
        waker.yield()
    }

    /// Takes a pod apart, unless it is one that we know and that was only bound.
    private func podInfo(_ old: Object?, _ new: Object) -> PodInfo {
        if let old, PodChange.isBinding(old, new), let known = state.withLock({ $0.cache.info(of: new.metadata.uid) }),
            known.spreadConstraints.isEmpty || known.labels == new.metadata.labels
        {
            return PodInfo(known, as: new, shapes: shapes)
        }
        return PodInfo(new, shapes: shapes)
    }

    /// Its node has taken a pod on: who is to go first is judged by that.
    private func started(_ pod: Object) {
        state.withLock { state in
            if let known = state.cache.info(of: pod.metadata.uid) { state.cache.refresh(PodInfo(known, as: pod, shapes: shapes)) }
        }
    }

    private func nodeChanged(_ old: Object?, _ new: Object?) {
        guard let new else {
            guard let old else { return }
            let time = now()
            let timersToStart = state.withLock { state -> [SchedulingQueue.Timer] in
                state.cache.removeNode(old.metadata.name)
                return state.queue.move(.nodeRemoved, now: time)
            }
            timersToStart.forEach(start)
            waker.yield()
            return
        }
        let change = NodeChange.of(old, new)
        guard change.isRelevant else { return }
        let time = now()
        let timersToStart = state.withLock { state -> [SchedulingQueue.Timer] in
            state.cache.setNode(new)
            return change.events.flatMap { state.queue.move($0, now: time) }
        }
        timersToStart.forEach(start)
        waker.yield()
    }

    private func namespaceChanged(_ name: String, _ labels: [String: String]?) {
        let time = now()
        let timersToStart = state.withLock { state -> [SchedulingQueue.Timer] in
            state.cache.setNamespace(name, labels: labels)
            return state.queue.move(.namespaceChanged, now: time)
        }
        timersToStart.forEach(start)
        waker.yield()
    }
}
