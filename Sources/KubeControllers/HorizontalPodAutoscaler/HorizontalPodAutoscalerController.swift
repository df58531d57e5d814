import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Brings workloads to the size that their metrics ask for. Upstream: pkg/controller/podautoscaler/horizontal.go.
final class HorizontalPodAutoscalerController: Controller {
    let name = "horizontal-pod-autoscaler-controller"
    /// Upstream: --concurrent-horizontal-pod-autoscaler-syncs, --horizontal-pod-autoscaler-sync-period.
    private static let workers = 5
    private static let period = Duration.seconds(15)

    private let environment: ControllerEnvironment
    private let autoscalers: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let histories = Mutex<[String: AutoscalerHistory]>([:])
    private let selectors = Mutex(AutoscalerSelectors())
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        autoscalers = environment.informers.informer(for: .horizontalPodAutoscalers)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("horizontalpodautoscaler")
        recorder = environment.recorder("horizontal-pod-autoscaler")
        let queue = queue
        autoscalers.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) },
                updated: { if $0.metadata.generation != $1.metadata.generation { queue.add($1.metadata.key) } },
                deleted: { queue.add($0.metadata.key) }))
    }

    func run() async throws {
        for informer in [autoscalers, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { key in
            guard let object = self.autoscalers.indexer.get(key) else {
                self.histories.withLock { _ = $0.removeValue(forKey: key) }
                self.selectors.withLock { $0.remove(key, in: String(key.prefix { $0 != "/" })) }
                return
            }
            self.queue.addAfter(key, Self.period)
            try await self.reconcile(AutoscalerState(object), key)
        }
    }

    /// Upstream: reconcileAutoscaler.
    private func reconcile(_ state: AutoscalerState, _ key: String) async throws {
        var outcome = AutoscalerOutcome(state.object["status"], now: environment.now())
        let row: ResourceRow
        let scale: Object
        do {
            (row, scale) = try await target(of: state)
        } catch let error as StatusError {
            recorder.event(state.object, .warning, reason: "FailedGetScale", message: error.message)
            outcome.set("AbleToScale", false, "FailedGetScale", "the HPA controller was unable to get the target's current scale: \(error.message)")
            return try await write(outcome, state)
        }
        outcome.set("AbleToScale", true, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
        outcome.metrics = []
        // Others' servers may say any number; of replicas there are 32 bits.
        func replicas(_ number: Int64) -> Int { Int(Int32(clamping: max(0, number))) }
        let current = replicas(scale["spec"]["replicas"].int ?? 0)
        var desired = current
        var reason = ""
        if current == 0, state.minReplicas != 0 {
            outcome.set("ScalingActive", false, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
        } else if current > state.maxReplicas {
            (desired, reason) = (state.maxReplicas, "Current number of replicas above Spec.MaxReplicas")
        } else if current < state.minReplicas {
            (desired, reason) = (state.minReplicas, "Current number of replicas below Spec.MinReplicas")
        } else {
            guard let wanted = await measure(state, scale, current, key, &outcome) else {
                outcome.current = current
                return try await write(outcome, state)
            }
            let now = environment.now()
            let limited = histories.withLock { $0[key, default: AutoscalerHistory()].limit(wanted.replicas, current: current, state, now: now) }
            outcome.set("AbleToScale", true, limited.ability.reason, limited.ability.message)
            let limit = limited.limit
            outcome.set(
                "ScalingLimited", limit != nil, limit?.reason ?? "DesiredWithinRange",
                limit?.message ?? "the desired count is within the acceptable range")
            desired = limited.replicas
            reason = wanted.replicas > current ? "\(wanted.metric) above target" : wanted.replicas < current ? "All metrics below target" : ""
        }
        outcome.current = current
        if desired != current { try await rescale(state, row, scale, from: current, to: desired, reason, key, &outcome) }
        outcome.desired = desired
        try await write(outcome, state)
    }

    private func target(of state: AutoscalerState) async throws -> (ResourceRow, Object) {
        guard let row = environment.configuration.resources()[state.target], row.subresource("scale") != nil else {
            throw StatusError.internalError("no matches for kind \"\(state.target.kind)\" in group \"\(state.target.group)\"")
        }
        return (row, try await client.get(row.groupVersionResource, namespace: state.namespace, name: state.targetName, subresource: "scale"))
    }

    private func rescale(
        _ state: AutoscalerState, _ row: ResourceRow, _ scale: Object, from: Int, to: Int, _ reason: String, _ key: String,
        _ outcome: inout AutoscalerOutcome
    ) async throws {
        var value = scale.value
        value[path: "spec", "replicas"] = .int(Int64(to))
        do {
            try await client.update(row.groupVersionResource, value, subresource: "scale")
        } catch let error as StatusError {
            recorder.event(
                state.object, .warning, reason: "FailedRescale", message: "New size: \(to); reason: \(reason); error: \(error.message)")
            outcome.set("AbleToScale", false, "FailedUpdateScale", "the HPA controller was unable to update the target scale: \(error.message)")
            try await write(outcome, state)
            throw error
        }
        outcome.set("AbleToScale", true, "SucceededRescale", "the HPA controller was able to update the target scale to \(to)")
        outcome.lastScale = environment.now()
        recorder.event(state.object, .normal, reason: "SuccessfulRescale", message: "New size: \(to); reason: \(reason)")
        // Without a behaviour nobody asks what was done. Upstream: storeScaleEvent.
        let now = environment.now()
        if state.hasBehavior { histories.withLock { $0[key, default: AutoscalerHistory()].scaled(from: from, to: to, at: now) } }
    }

    private func write(_ outcome: AutoscalerOutcome, _ state: AutoscalerState) async throws {
        var value = state.object.value
        var status = outcome.value
        status["observedGeneration"] = .int(state.object.metadata.generation)
        guard !Value.semanticallyEqual(value["status"], status) else { return }
        value["status"] = status
        try await client.updateStatus(.horizontalPodAutoscalers, value)
    }

    // MARK: Metrics

    /// The pods of the target, and how they are selected; nil, and told of: they cannot be told, or other autoscalers have them, too.
    /// Upstream: validateAndParseSelector.
    private func select(
        _ state: AutoscalerState, _ scale: Object, _ key: String, _ outcome: inout AutoscalerOutcome
    ) -> (pods: [Object], text: String)? {
        func refuse(_ reason: String, _ condition: String, _ message: String, _ told: String? = nil) {
            recorder.event(state.object, .warning, reason: reason, message: message)
            outcome.set("ScalingActive", false, condition, told ?? message)
            recorder.event(state.object, .warning, reason: "FailedComputeMetricsReplicas", message: message)
        }
        let text = scale["status"]["selector"].string ?? ""
        guard !text.isEmpty else {
            refuse("SelectorRequired", "InvalidSelector", "selector is required", "the HPA target's scale is missing a selector")
            return nil
        }
        let selector: LabelSelector
        do { selector = try LabelSelector(parsing: text) } catch {
            let message = "couldn't convert selector into a corresponding internal selector object: \(error)"
            refuse("InvalidSelector", "InvalidSelector", message)
            return nil
        }
        let selected = pods.indexer.list(namespace: state.namespace).filter { selector.matches($0) }
        let known = selectors.withLock { selectors in
            selectors.set(selector, of: key, in: state.namespace)
            return selectors
        }
        let having = known.having(oneOf: selected, in: state.namespace)
        guard having.count <= 1 else {
            let message = "pods by selector \(text) are controlled by multiple HPAs: [\(having.joined(separator: " "))]"
            refuse("AmbiguousSelector", "AmbiguousSelector", message)
            return nil
        }
        return (selected, text)
    }

    /// The highest proposal of all metrics. A metric that cannot be had keeps the workload from shrinking. Upstream: computeReplicasForMetrics.
    private func measure(
        _ state: AutoscalerState, _ scale: Object, _ current: Int, _ key: String, _ outcome: inout AutoscalerOutcome
    ) async -> (replicas: Int, metric: String)? {
        guard let (selected, text) = select(state, scale, key, &outcome) else { return nil }
        let measurement = Measurement(
            reader: MetricsReader(client: client), namespace: state.namespace, selector: text, pods: selected,
            statusReplicas: Int(clamping: scale["status"]["replicas"].int ?? 0), resources: environment.configuration.resources,
            calculator: ReplicaCalculator(
                current: current, scaleUpTolerance: state.scaleUp.tolerance, scaleDownTolerance: state.scaleDown.tolerance, now: environment.now()))
        var best: (replicas: Int, metric: String)?
        var failure: (metric: MetricSpec, error: String)?
        var failures = 0
        for metric in state.metrics {
            do {
                let (replicas, status) = try await measurement.propose(metric)
                outcome.metrics.append(status)
                if best.map({ replicas > $0.replicas }) ?? true { best = (replicas, metric.description) }
            } catch {
                let text = (error as? StatusError)?.message ?? "\(error)"
                failures += 1
                failure = failure ?? (metric, text)
                recorder.event(state.object, .warning, reason: metric.failureReason, message: metric.failure(text))
            }
        }
        if let (metric, error) = failure, failures == state.metrics.count || (best.map { $0.replicas < current } ?? true) {
            outcome.set(
                "ScalingActive", false, metric.failureReason, "the HPA was unable to compute the replica count: \(metric.failure(error))")
            recorder.event(
                state.object, .warning, reason: "FailedComputeMetricsReplicas",
                message: "invalid metrics (\(failures) invalid out of \(state.metrics.count)), first error is: \(metric.failureAmongAll(error))")
            return nil
        }
        if let best {
            outcome.set("ScalingActive", true, "ValidMetricFound", "the HPA was able to successfully calculate a replica count from \(best.metric)")
        }
        return best
    }
}
