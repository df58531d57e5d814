import KubeAPI
import KubeClient
import Logging

/// Rolls Deployments out: makes a ReplicaSet of each template and moves pods from the old ones to the new one. Upstream: pkg/controller/deployment.
final class DeploymentController: Controller {
    let name = "deployment-controller"
    /// Deployments worked on at once. Upstream: --concurrent-deployment-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let deployments: SharedInformer
    private let replicaSets: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let claimer: ControllerRefClaimer
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        deployments = environment.informers.informer(for: .deployments)
        replicaSets = environment.informers.informer(for: .replicaSets)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("deployment")
        recorder = environment.recorder(name)
        claimer = ControllerRefClaimer(client: environment.client, ownerResource: .deployments, resource: .replicaSets)
        ControllerIndex.add(to: replicaSets)
        ControllerIndex.add(to: pods)
        let queue = queue
        let resolver = OwnerResolver(owners: deployments.indexer, kind: "Deployment")
        let setResolver = OwnerResolver(owners: replicaSets.indexer, kind: "ReplicaSet")
        let sets = replicaSets.indexer
        deployments.addHandler(.any { queue.add($0.metadata.key) })
        replicaSets.addHandler(
            InformerHandler(
                added: { for key in resolver.concerned(by: $0) { queue.add(key) } },
                updated: { old, new in for key in resolver.concerned(by: new, was: old) { queue.add(key) } },
                deleted: { if let key = resolver.owner(of: $0) { queue.add(key) } }))
        // Only Recreate waits for pods to be gone; everything else shows in the ReplicaSets' statuses.
        let deploymentCache = deployments.indexer
        @Sendable func podEnded(_ pod: Object) {
            guard let setKey = setResolver.owner(of: pod), let set = sets.get(setKey), let key = resolver.owner(of: set),
                deploymentCache.get(key)?["spec"]["strategy"]["type"].string == "Recreate"
            else { return }
            queue.add(key)
        }
        pods.addHandler(InformerHandler(updated: { _, new in if PodView(new).isTerminal { podEnded(new) } }, deleted: podEnded))
    }

    func run() async throws {
        for informer in [deployments, replicaSets, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: syncDeployment.
    private func sync(_ key: String) async throws {
        guard let object = deployments.indexer.get(key) else { return }
        let selector = try LabelSelector(object: object["spec"]["selector"])
        if selector.isEverything {
            recorder.event(
                object, .warning, reason: "SelectingAll", message: "This deployment is selecting all pods. A non-empty selector is required.")
            if object["status"]["observedGeneration"].int ?? 0 < object.metadata.generation {
                var value = object.value
                value[path: "status", "observedGeneration"] = .int(object.metadata.generation)
                try await client.updateStatus(.deployments, value)
            }
            return
        }
        let state = DeploymentState(object)
        let candidates =
            ControllerIndex.owned(replicaSets.indexer, by: state.uid) + ControllerIndex.orphans(replicaSets.indexer, in: state.namespace)
        let sets = try await claimer.claim(object, selector: selector, reference: state.ownerReference, candidates: candidates)
        var live: [String: Int] = [:]
        if state.strategy == .recreate {
            for set in sets {
                let uid = set.metadata.uid
                live[uid] = ControllerIndex.owned(pods.indexer, by: uid).count { !PodView($0).isTerminal }
            }
        }
        let plan = DeploymentPlanner.plan(
            deployment: state, replicaSets: sets.map(ReplicaSetState.init), livePodsByReplicaSet: live, now: environment.now())
        try await perform(plan, object, state, Dictionary(sets.map { ($0.metadata.name, $0) }, uniquingKeysWith: { first, _ in first }))
        if let after = plan.requeueAfter { queue.addAfter(key, .fromSeconds(after)) }
    }

    private func perform(_ plan: DeploymentPlan, _ object: Object, _ state: DeploymentState, _ sets: [String: Object]) async throws {
        var current = object
        for change in plan.changes {
            switch change {
            case .create(let name, let replicas, let set):
                try await create(name, replicas, set, current, state)
            case .update(let name, let replicas, let minReadySeconds, let annotations, let from):
                guard let set = sets[name] else { continue }
                var value = set.value
                value[path: "spec", "replicas"] = .int(Int64(replicas))
                if Int(clamping: set["spec"]["minReadySeconds"].int ?? 0) != minReadySeconds {
                    value[path: "spec", "minReadySeconds"] = .int(Int64(minReadySeconds))
                }
                value[path: "metadata", "annotations"] = Value(annotations)
                try await client.update(.replicaSets, value)
                if let from {
                    recorder.event(
                        object, .normal, reason: "ScalingReplicaSet",
                        message: "Scaled \(replicas > from ? "up" : "down") replica set \(name) from \(from) to \(replicas)")
                }
            case .delete(let name):
                guard let set = sets[name] else { continue }
                do {
                    try await client.delete(
                        .replicaSets, namespace: state.namespace, name: name,
                        options: DeleteOptions(propagationPolicy: .background, preconditionUID: set.metadata.uid))
                } catch let error as StatusError where error.isNotFound {}  // Deleted already: what was wanted.
            case .setRevision(let revision):
                var value = current.value
                var annotations = current.metadata.annotations
                annotations[DeploymentAnnotation.revision] = revision
                value[path: "metadata", "annotations"] = Value(annotations)
                current = try await client.update(.deployments, value)
            case .updateStatus(let status):
                try await write(status, current)
            }
        }
    }

    private func write(_ status: DeploymentStatus, _ object: Object) async throws {
        var value = object.value
        value["status"] = status.value
        try await client.updateStatus(.deployments, value)
    }

    /// Creates the new ReplicaSet. One of its name that is not ours, or of another template, is a collision of hashes: the count of collisions is
    /// raised, which
    /// gives the next attempt another name. Upstream: the second half of getNewReplicaSet.
    private func create(_ name: String, _ replicas: Int, _ set: Value, _ object: Object, _ state: DeploymentState) async throws {
        do {
            try await client.create(.replicaSets, set)
            if replicas > 0 {
                recorder.event(
                    object, .normal, reason: "ScalingReplicaSet", message: "Scaled up replica set \(name) from 0 to \(replicas)")
            }
        } catch let error as StatusError where error.isAlreadyExists {
            let existing = try await client.get(.replicaSets, namespace: state.namespace, name: name)
            let isOurs = existing.metadata.controller?.uid == state.uid && ReplicaSetState(existing).makesPods(of: state.template)
            if isOurs { return }
            var status = state.status
            status.collisionCount = (status.collisionCount ?? 0) + 1
            try await write(status, object)
            throw error
        } catch let error as StatusError where error.isNamespaceTerminating {
            throw error
        } catch let error as StatusError {
            let message = "Failed to create new replica set \"\(name)\": \(error.message)"
            if state.progressDeadlineSeconds != nil {
                var status = state.status
                let now = environment.now().rfc3339
                status.conditions.set(
                    Condition(
                        type: "Progressing", status: "False", reason: DeploymentReason.createError, message: message, lastUpdateTime: now,
                        lastTransitionTime: now))
                if status != state.status { try await write(status, object) }
            }
            recorder.event(object, .warning, reason: DeploymentReason.createError, message: message)
            throw error
        }
    }
}

extension StatusError {
    /// Whether an object cannot be created because its namespace is being deleted: no fault, and nothing to try again.
    /// Upstream: errors.HasStatusCause(err, NamespaceTerminatingCause).
    var isNamespaceTerminating: Bool { details?.causes.contains { $0.reason == "NamespaceTerminating" } ?? false }
}
