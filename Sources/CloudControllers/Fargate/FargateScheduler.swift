package import KubeAPI
package import KubeClient
package import Logging
import Synchronization

/// The scheduler of pods on Fargate: says which there are, refuses what Fargate cannot run, and binds each to the node that was made for it.
///
/// ```
/// pods ──watch──▶ sync ──publish──▶ whoever makes machines ──bind(pod, node)──▶ pods/binding
/// ```
///
/// Upstream: EKS's fargate-scheduler.
package final class FargateScheduler: Sendable {
    /// As the default scheduler's: reports under way at once.
    private static let workers = 8
    private static let claimIndex = "fargate-claim"
    /// The condition's reason of a pod that Fargate cannot run. Upstream: as EKS writes it.
    private static let unsupported = "POD_UNSUPPORTED_ON_FARGATE"
    private static let loggingEvent =
        "Disabled logging because aws-logging configmap was not found. configmap \"aws-logging\" not found"

    private let client: KubeClient
    private let pods: SharedInformer
    private let claims: SharedInformer
    private let volumes: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private let publish: @Sendable ([FargatePod]) -> Void
    /// Those there are, by namespace and name; nil until the informers know all.
    private let known = Mutex<[String: FargatePod]?>(nil)

    /// - Parameters:
    ///   - informers: shared ones that the caller runs.
    ///   - publish: gets all pods on Fargate, once they are known, and at each change.
    package init(
        client: KubeClient, informers: InformerFactory, now: @escaping @Sendable () -> Timestamp = { .now },
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "fargate-scheduler"),
        publish: @escaping @Sendable ([FargatePod]) -> Void
    ) {
        self.client = client
        self.now = now
        self.logger = logger
        self.publish = publish
        pods = informers.informer(for: .pods)
        claims = informers.informer(for: .persistentVolumeClaims)
        volumes = informers.informer(for: .persistentVolumes)
        queue = WorkQueue(name: "fargate", clock: clock)
        recorder = EventRecorder(client: client, component: FargatePod.schedulerName, clock: clock, wallClock: now, logger: logger)
        addHandlers()
    }

    private func addHandlers() {
        let (queue, pods) = (queue, pods)
        pods.addIndex(Self.claimIndex) { pod in
            guard FargatePod.isOurs(pod) else { return [] }
            return pod["spec"]["volumes"].elements.compactMap { volume in
                volume["persistentVolumeClaim"].flatMap { $0["claimName"] }?.string.map { "\(pod.metadata.namespace)/\($0)" }
            }
        }
        pods.addHandler(.any { if FargatePod.isOurs($0) { queue.add($0.metadata.key) } })
        let claimChanged: @Sendable (String) -> Void = { key in
            for pod in pods.indexer.byIndex(Self.claimIndex, key) { queue.add(pod.metadata.key) }
        }
        claims.addHandler(.any { claimChanged($0.metadata.key) })
        volumes.addHandler(
            .any { volume in
                let claim = volume["spec"]["claimRef"]
                if let namespace = claim["namespace"].string, let name = claim["name"].string { claimChanged("\(namespace)/\(name)") }
            })
    }

    /// Runs until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.recorder.run() }
            group.addTask {
                // Only cancellation ends the wait early.
                do { for informer in [self.pods, self.claims, self.volumes] { try await informer.waitForSync() } } catch { return }
                self.takeAll()
                await self.queue.run(workers: Self.workers, logger: self.logger) { try await self.sync($0) }
            }
        }
    }

    /// Binds a pod to its node. One that is gone, or bound, needs nothing more. Throws `StatusError`.
    package func bind(_ pod: FargatePod, to node: String) async throws {
        do {
            try await client.create(
                .pods, namespace: pod.namespace,
                [
                    "apiVersion": "v1", "kind": "Binding",
                    "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(pod.uid)],
                    "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
                ], name: pod.name, subresource: "binding")
        } catch let error as StatusError where error.isNotFound || error.isConflict { return }
        recorder.event(
            regarding: Self.reference(pod), .normal, reason: "Scheduled",
            message: "Successfully assigned \(pod.namespace)/\(pod.name) to \(node)")
    }

    /// Says why a pod waits. Throws `StatusError`.
    package func report(_ message: String, of pod: FargatePod) async throws {
        guard let object = pods.indexer.get("\(pod.namespace)/\(pod.name)"), object.metadata.uid == pod.uid else { return }
        try await fail(object, reason: "Unschedulable", message)
    }

    private static func reference(_ pod: FargatePod) -> ObjectReference {
        ObjectReference(apiVersion: "v1", kind: "Pod", namespace: pod.namespace, name: pod.name, uid: pod.uid)
    }

    // MARK: Hearing

    /// The first look: what is published is everything or nothing, so that nobody takes a pod for gone that was not seen yet.
    private func takeAll() {
        var all: [String: FargatePod] = [:]
        for pod in pods.indexer.list() where FargatePod.isOurs(pod) { all[pod.metadata.key] = FargatePod(pod, isSupported: refusal(of: pod) == nil) }
        let first = all
        known.withLock { known in
            known = first
            publish(Array(first.values))
        }
    }

    private func refusal(of pod: Object) -> String? {
        let namespace = pod.metadata.namespace
        let (claims, volumes) = (claims.indexer, volumes.indexer)
        return FargateRestrictions(
            claim: { claims.get(namespace: namespace, name: $0) }, volume: { volumes.get(namespace: nil, name: $0) }
        ).message(for: pod)
    }

    private func sync(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), FargatePod.isOurs(pod) else { return put(nil, key) }
        let isBound = !(pod["spec"]["nodeName"].string ?? "").isEmpty
        let refusal = isBound ? nil : refusal(of: pod)
        let isNew = known.withLock { $0?[key]?.uid != pod.metadata.uid }
        put(FargatePod(pod, isSupported: refusal == nil), key)
        guard !isBound, !pod.metadata.isBeingDeleted else { return }
        if isNew, pod.metadata.annotations[FargatePod.loggingAnnotation] == FargatePod.noLoggingConfiguration {
            recorder.event(pod, .warning, reason: "LoggingDisabled", message: Self.loggingEvent)
        }
        if let refusal { try await fail(pod, reason: Self.unsupported, refusal) }
    }

    private func put(_ pod: FargatePod?, _ key: String) {
        known.withLock { known in
            guard var all = known, all[key] != pod else { return }
            // Not two holders of one dictionary while it is changed.
            known = [:]
            all[key] = pod
            known = all
            // Under the lock, so that what is published last is what is known last.
            publish(Array(all.values))
        }
    }

    /// Tells by an event and the pod's PodScheduled condition. A condition that stands there is written, and told, no second time.
    private func fail(_ pod: Object, reason: String, _ message: String) async throws {
        let old = pod["status"]["conditions"].elements.first { $0["type"].string == "PodScheduled" }
        let isSame = old["status"].string == "False"
        if isSame, old["reason"].string == reason, old["message"].string == message { return }
        recorder.event(pod, .warning, reason: "FailedScheduling", message: message)
        let transition = (isSame ? old["lastTransitionTime"].string : nil) ?? now().rfc3339
        let condition: Value = [
            "type": "PodScheduled", "status": "False", "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": .string(transition),
        ]
        do {
            try await client.patch(
                .pods, namespace: pod.metadata.namespace, name: pod.metadata.name, type: .strategicMerge,
                ["metadata": ["uid": .string(pod.metadata.uid)], "status": ["conditions": [condition]]], subresource: "status")
        } catch let error as StatusError where error.isNotFound || error.isConflict {}  // Gone, or another of its name.
    }
}
