import KubeAPI

/// Decisions in which extenders have a say. While they are asked nothing is locked: what happens meanwhile is remembered by the queue, and the nodes they
/// leave are looked up again by name. Upstream: schedulePod with findNodesThatPassExtenders and prioritizeNodes.
extension Scheduler {
    /// What is known of a pod before extenders are asked.
    private enum Opening: Sendable {
        case nodes([String], FitError)
        case unfit(FitError)
        case noNodes
    }

    /// Decides about a pod; nil: it is not ours any more, or the scheduler ends.
    func consult(_ pod: QueuedPod, _ round: ExtenderRound) async -> Step? {
        do {
            let nominated = state.withLock { state in
                let input = input(pod, state)
                return state.cycles[pod.profile].nominatedNode(input, &state.cache)
            }
            if let nominated, try await filterAgain(nominated, round) { return conclude(pod, [nominated], [:]) }
            switch open(pod) {
            case .noNodes: return fail(pod) { _ in (SchedulingCycle.noNodesMessage, [], nil) }
            case .unfit(let error): return try await makeRoom(pod, round, error, unresolvable: [])
            case .nodes(let names, var error):
                let filtered = try await round.filter(names) { nodes.indexer.get($0) }
                if filtered.nodes.count != names.count { error.plugins.insert(ClusterEvent.extender) }
                for rejection in filtered.rejections.values { error.add(ClusterEvent.extender, rejection) }
                guard !filtered.nodes.isEmpty else {
                    let unresolvable = filtered.rejections.filter(\.value.isUnresolvable).keys
                    return try await makeRoom(pod, round, error, unresolvable: Set(unresolvable))
                }
                // One alone need not be compared.
                let worth = filtered.nodes.count > 1 ? try await round.prioritize(filtered.nodes.compactMap { nodes.indexer.get($0) }) : [:]
                return conclude(pod, filtered.nodes, worth)
            }
        } catch let error as ExtenderError {
            return fail(pod, error)
        } catch {
            // The scheduler ends.
            return nil
        }
    }

    /// Whether extenders, too, will have the pod where room was made for it. What goes wrong is found again with all nodes.
    private func filterAgain(_ node: String, _ round: ExtenderRound) async throws -> Bool {
        do { return try await !round.filter([node]) { nodes.indexer.get($0) }.nodes.isEmpty } catch is ExtenderError { return false }
    }

    private func open(_ pod: QueuedPod) -> Opening {
        state.withLock { state in
            let input = input(pod, state)
            switch state.cycles[pod.profile].search(input, &state.cache, isAdvised: true) {
            case .found(let places, _, let error): return .nodes(places.map { state.cache.nodes[$0].name }, error)
            case .ended(.unfit(let error)): return .unfit(error)
            case .ended(.noNodes): return .noNodes
            case .ended(.node(let node)): return .nodes([node], FitError(nodeCount: state.cache.nodeCount, reasons: [:], plugins: []))
            }
        }
    }

    /// Takes the best of the nodes that are left.
    private func conclude(_ pod: QueuedPod, _ names: [String], _ worth: [String: Int64]) -> Step? {
        let (step, timer) = state.withLock { state -> (Step?, SchedulingQueue.Timer?) in
            guard isOurs(pod, state) else {
                _ = state.queue.endConsultation()
                return (nil, nil)
            }
            let input = input(pod, state)
            guard let node = state.cycles[pod.profile].choose(among: names, input, &state.cache, worth: worth) else {
                // They are all gone since.
                let error = FitError(nodeCount: state.cache.nodeCount, reasons: [:], plugins: [ClusterEvent.extender])
                return giveUp(pod, error.message, error.plugins, nil, &state)
            }
            _ = state.queue.endConsultation()
            return (take(pod, node, input, &state), nil)
        }
        if let timer { start(timer) }
        return step
    }

    /// Looks for pods that may go for this one; extenders that know about it may object. Upstream: Evaluator.Preempt.
    private func makeRoom(_ pod: QueuedPod, _ round: ExtenderRound, _ error: FitError, unresolvable: Set<String>) async throws -> Step? {
        let search = state.withLock { state -> DefaultPreemption.Search? in
            let input = input(pod, state)
            return preemption(for: pod, state)?.search(input, &state.cache, unresolvable: unresolvable, beyondHelp: error.unresolvable)
        }
        var candidates: [DefaultPreemption.Candidate] = []
        var problem: String?
        switch search {
        case nil: break
        case .unhelpful(let message), .noCandidates(let message): problem = message
        case .candidates(let found):
            do {
                candidates = try await round.preempt(
                    found, objects: { self.pods.indexer.get($0.key) },
                    pods: { node in self.state.withLock { $0.cache.node(node) == nil ? nil : $0.cache.pods(on: node) } })
            } catch let error as ExtenderError {
                problem = error.description
            }
        }
        return fail(pod) { [candidates, problem] state in
            var error = error
            error.preemption = problem
            error.devices = configuration.profiles[pod.profile].wordOnDevices(of: pod.info)
            if case .noCandidates = search { return (error.message, error.plugins, withdrawNomination(of: pod.info, &state)) }
            guard search != nil, problem == nil, let preemption = preemption(for: pod, state) else { return (error.message, error.plugins, nil) }
            let room = nominate(input(pod, state), preemption.choose(candidates), &state, &error)
            return (error.message, error.plugins, room)
        }
    }

    private func fail(
        _ pod: QueuedPod, _ explain: (inout State) -> (message: String, plugins: Set<String>, Preemption?)
    ) -> Step? {
        let (step, timer) = state.withLock { state -> (Step?, SchedulingQueue.Timer?) in
            guard isOurs(pod, state) else {
                _ = state.queue.endConsultation()
                return (nil, nil)
            }
            let (message, plugins, preemption) = explain(&state)
            return giveUp(pod, message, plugins, preemption, &state)
        }
        if let timer { start(timer) }
        return step
    }

    /// An extender that may not be left out gave no answer: that is tried again, whatever happens.
    private func fail(_ pod: QueuedPod, _ error: ExtenderError) -> Step? {
        let time = now()
        let timer = state.withLock { state -> SchedulingQueue.Timer? in
            _ = state.queue.endConsultation()
            return isOurs(pod, state) ? state.queue.addBackoff(pod, now: time) : nil
        }
        guard let timer else { return nil }
        start(timer)
        return .error(pod, message: error.description)
    }

    /// Puts a pod back; where something has happened since that may help, it is soon tried again.
    private func giveUp(
        _ pod: QueuedPod, _ message: String, _ plugins: Set<String>, _ preemption: Preemption?, _ state: inout State
    ) -> (Step?, SchedulingQueue.Timer?) {
        let events = state.queue.endConsultation()
        guard isOurs(pod, state) else { return (nil, nil) }
        let time = now()
        let timer =
            events.contains { $0.concerns(plugins) }
            ? state.queue.addBackoff(pod, now: time)
            : state.queue.addUnschedulable(pod, rejectedBy: plugins, isPreparing: preemption?.victims.isEmpty == false, now: time)
        return (.fail(pod, message: message, preemption), timer)
    }

    /// Whether the pod still waits for us: it may be gone, bound, or back in the queue in a newer form.
    private func isOurs(_ pod: QueuedPod, _ state: borrowing State) -> Bool {
        guard let current = pods.indexer.get(pod.info.key)?.metadata, current.uid == pod.info.uid, !current.isBeingDeleted else { return false }
        return state.cache.nodeName(of: pod.info.uid) == nil && !state.queue.contains(pod.info.uid)
    }
}
