import KubeAPI
import KubeClient
import Logging

/// Keeps `status` of PodDisruptionBudgets, by which evictions are granted. Upstream: pkg/controller/disruption.
final class DisruptionController: Controller {
    let name = "disruption-controller"
    private static let workers = 5
    /// After which a pod that was to be disturbed and lives on is no longer marked so. Upstream: stalePodDisruptionTimeout.
    static let staleDisruption: Int64 = 120

    private enum Key: Hashable, Sendable {
        case budget(String)
        /// A pod with the condition DisruptionTarget.
        case pod(String)
    }

    private let environment: ControllerEnvironment
    private let budgets: SharedInformer
    private let pods: SharedInformer
    private let others: [SharedInformer]
    private let scale: ExpectedScale
    private let queue: WorkQueue<Key>
    private let recorder: EventRecorder
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        let informers = environment.informers
        budgets = informers.informer(for: .podDisruptionBudgets)
        pods = informers.informer(for: .pods)
        others = [.replicaSets, .deployments, .statefulSets, .replicationControllers].map { informers.informer(for: $0) }
        scale = ExpectedScale(
            client: environment.client, replicaSets: others[0].indexer, deployments: others[1].indexer, statefulSets: others[2].indexer,
            replicationControllers: others[3].indexer, resources: environment.configuration.resources)
        queue = environment.queue("disruption", of: Key.self)
        recorder = environment.recorder("controllermanager")
        let (queue, indexer, now) = (queue, budgets.indexer, environment.now)
        budgets.addHandler(.any { queue.add(.budget($0.metadata.key)) })
        @Sendable func concerned(by pod: Object) -> [String] {
            indexer.list(namespace: pod.metadata.namespace).filter { budget in
                // A selector that cannot be read selects nothing.
                guard let selector = try? LabelSelector(object: budget["spec"]["selector"]) else { return false }
                return selector.matches(pod)
            }.map(\.metadata.key)
        }
        @Sendable func changed(_ pod: Object) {
            for key in concerned(by: pod) { queue.add(.budget(key)) }
            if let wait = Self.staleAfter(pod, now: now()) { queue.addAfter(.pod(pod.metadata.key), .fromSeconds(wait)) }
        }
        pods.addHandler(
            InformerHandler(
                added: changed,
                updated: { old, new in
                    // Most updates of a pod change nothing that counts.
                    let (before, after) = (PodView(old), PodView(new))
                    let isSame =
                        before.isReady == after.isReady && before.meta.isBeingDeleted == after.meta.isBeingDeleted
                        && before.meta.labels == after.meta.labels && before.meta.controller == after.meta.controller
                    if !isSame, before.meta.labels != after.meta.labels { for key in concerned(by: old) { queue.add(.budget(key)) } }
                    if !isSame || after.condition("DisruptionTarget") != nil { changed(new) }
                }, deleted: { for key in concerned(by: $0) { queue.add(.budget(key)) } }))
        for informer in others {
            informer.addHandler(
                InformerHandler(updated: { old, new in
                    guard old["spec"]["replicas"].int != new["spec"]["replicas"].int else { return }
                    for budget in indexer.list(namespace: new.metadata.namespace) { queue.add(.budget(budget.metadata.key)) }
                }))
        }
    }

    func run() async throws {
        for informer in [budgets, pods] + others { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { key in
            switch key {
            case .budget(let key): try await self.sync(key)
            case .pod(let key): try await self.clearStale(key)
            }
        }
    }

    private func sync(_ key: String) async throws {
        guard let budget = budgets.indexer.get(key) else { return }
        do {
            try await reckon(budget, key)
        } catch let error as StatusError where error.isConflict || error.isNotFound {
            // Another version of the budget brings the key back.
            return
        } catch let error as CancellationError {
            throw error
        } catch {
            let message = (error as? StatusError)?.message ?? "\(error)"
            guard let tree = DisruptionPlan.failSafe(budget, message: message, now: environment.now()) else { return }
            try await client.updateStatus(.podDisruptionBudgets, tree)
        }
    }

    private func reckon(_ budget: Object, _ key: String) async throws {
        let selector: LabelSelector
        do { selector = try LabelSelector(object: budget["spec"]["selector"]) } catch {
            recorder.event(budget, .warning, reason: "NoPods", message: "Failed to get pods: \(error)")
            throw error
        }
        let selected = pods.indexer.list(namespace: budget.metadata.namespace).filter { selector.matches($0) }
        if selected.isEmpty { recorder.event(budget, .normal, reason: "NoPods", message: "No matching pods found") }
        let wish = DisruptionPlan.wish(budget)
        var wanted: Int64 = 0
        switch wish {
        case .none, .minimum: break
        case .minimumPart, .maximumUnavailable:
            do {
                let (sum, hasUnmanaged) = try await scale.sum(of: selected)
                wanted = sum
                if hasUnmanaged { noteUnmanaged(budget, selector) }
            } catch {
                recorder.event(
                    budget, .warning, reason: "CalculateExpectedPodCountFailed",
                    message: "Failed to calculate the number of expected pods: \((error as? StatusError)?.message ?? "\(error)")")
                throw error
            }
        }
        guard let (expected, desired) = DisruptionPlan.expected(wish, pods: selected.count, scale: wanted) else {
            throw DisruptionError(description: "invalid value for IntOrString: invalid type: string is not a percentage")
        }
        let now = environment.now()
        let (status, recheck) = DisruptionPlan.status(of: budget, pods: selected, expected: expected, desired: desired, now: now)
        if let tree = DisruptionPlan.plan(budget, status, now: now) { try await client.updateStatus(.podDisruptionBudgets, tree) }
        if let recheck { queue.addAfter(.budget(key), .fromSeconds(recheck + 0.001)) }
    }

    private func noteUnmanaged(_ budget: Object, _ selector: LabelSelector) {
        recorder.event(
            budget, .warning, reason: "UnmanagedPods",
            message:
                "Pods selected by this PodDisruptionBudget (selector: \(selector)) were found to be unmanaged. As a result, the status of the PDB "
                + "cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" "
                + "field of the PDB to an integer value.")
    }

    // MARK: Disruptions that did not come

    /// Seconds until a pod that was to be disturbed and was not counts as undisturbed; zero or less when it does, nil when it is not marked.
    /// Upstream: nonTerminatingPodHasStaleDisruptionCondition.
    static func staleAfter(_ pod: Object, now: Timestamp) -> Double? {
        let view = PodView(pod)
        guard !view.meta.isBeingDeleted, !view.isTerminal, let condition = view.condition("DisruptionTarget"), condition["status"].string == "True",
            // The kubelet's own word is not taken back.
            condition["reason"].string != "TerminationByKubelet"
        else { return nil }
        guard let since = condition["lastTransitionTime"].string.flatMap(Timestamp.init(rfc3339:)) else { return 0 }
        return since.adding(seconds: staleDisruption).timeInterval(since: now)
    }

    private func clearStale(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), let wait = Self.staleAfter(pod, now: environment.now()) else { return }
        guard wait <= 0 else { return queue.addAfter(.pod(key), .fromSeconds(wait)) }
        var tree = pod.value
        guard tree.setPodCondition(type: "DisruptionTarget", status: "False", now: environment.now()) else { return }
        do { try await client.updateStatus(.pods, tree) } catch let error as StatusError where error.isNotFound {}
    }
}
