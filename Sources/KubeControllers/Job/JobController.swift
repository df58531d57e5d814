import KubeAPI
import KubeClient
import Logging

/// Runs Jobs' pods until enough have succeeded. Upstream: pkg/controller/job.
final class JobController: Controller {
    let name = "job-controller"
    /// Upstream: --concurrent-job-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let jobs: SharedInformer
    private let pods: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let expectations = Expectations()
    private let claimer: ControllerRefClaimer
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        jobs = environment.informers.informer(for: .jobs)
        pods = environment.informers.informer(for: .pods)
        queue = environment.queue("job", backoff: .init(first: .milliseconds(50), limit: .seconds(60)))
        recorder = environment.recorder(name)
        claimer = ControllerRefClaimer(
            client: environment.client, ownerResource: .jobs, resource: .pods, finalizers: [JobTracking.finalizer])
        ControllerIndex.add(to: pods)
        let (queue, expectations) = (queue, expectations)
        jobs.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) }, updated: { queue.add($1.metadata.key) },
                deleted: { job in
                    expectations.forget(job.metadata.key)
                    queue.add(job.metadata.key)
                }))
        let resolver = OwnerResolver(owners: jobs.indexer, kind: "Job")
        @Sendable func deleted(_ pod: Object) {
            guard let key = resolver.owner(of: pod) else { return }
            expectations.deletionObserved(key, pod.metadata.uid)
            queue.add(key)
        }
        /// A pod whose Job is gone keeps its finalizer for ever unless somebody takes it.
        @Sendable func orphan(_ pod: Object) {
            guard pod.metadata.controller?.kind == "Job", JobTracking.isTracked(pod), resolver.owner(of: pod) == nil else { return }
            queue.add(Self.orphanKey(pod))
        }
        pods.addHandler(
            InformerHandler(
                added: { pod in
                    if pod.metadata.isBeingDeleted {
                        deleted(pod)
                    } else {
                        if let key = resolver.owner(of: pod) { expectations.creationObserved(key) }
                        for key in resolver.concerned(by: pod) { queue.add(key) }
                    }
                    orphan(pod)
                },
                updated: { old, new in
                    if new.metadata.isBeingDeleted { deleted(new) } else { for key in resolver.concerned(by: new, was: old) { queue.add(key) } }
                    orphan(new)
                }, deleted: deleted))
    }

    /// Keys of Jobs have no space; these do.
    private static func orphanKey(_ pod: Object) -> String { "pod \(pod.metadata.key)" }

    func run() async throws {
        for informer in [jobs, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { key in
            if key.hasPrefix("pod ") { try await self.releaseOrphan(String(key.dropFirst(4))) } else { try await self.sync(key) }
        }
    }

    private func releaseOrphan(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), JobTracking.isTracked(pod), let owner = pod.metadata.controller, owner.kind == "Job" else { return }
        let cached = jobs.indexer.get(namespace: pod.metadata.namespace, name: owner.name)
        if cached?.metadata.uid == owner.uid { return }
        // The cache may be behind: a pod must not be lost from its Job's counts.
        do {
            let job = try await client.get(.jobs, namespace: pod.metadata.namespace, name: owner.name)
            if job.metadata.uid == owner.uid { return }
        } catch let error as StatusError where error.isNotFound {}
        try await release(pod)
    }

    /// Upstream: syncJob.
    private func sync(_ key: String) async throws {
        guard let object = jobs.indexer.get(key) else {
            expectations.forget(key)
            for pod in pods.indexer.list(namespace: key.split(separator: "/").first.map(String.init)) where JobTracking.isTracked(pod) {
                if pod.metadata.controller?.kind == "Job", pod.metadata.controller?.name == key.split(separator: "/").last.map(String.init) {
                    queue.add(Self.orphanKey(pod))
                }
            }
            return
        }
        // Somebody else's to run. Upstream: spec.managedBy.
        if let manager = object["spec"]["managedBy"].string, manager != "kubernetes.io/job-controller" { return }
        let job = JobState(object)
        let now = environment.now()
        let selector = try LabelSelector(object: object["spec"]["selector"])
        let candidates = ControllerIndex.owned(pods.indexer, by: job.uid) + ControllerIndex.orphans(pods.indexer, in: job.namespace)
        let owned = try await claimer.claim(object, selector: selector, reference: job.ownerReference, candidates: candidates)
        if job.isFinished, !owned.contains(where: JobTracking.isTracked) { return }
        let plan = JobPlanner(job: job, pods: owned, now: now, mayManage: expectations.satisfied(key, now: now)).plan()
        try await perform(plan, object, job, key)
        if let seconds = plan.requeueAfter { queue.addAfter(key, .fromSeconds(seconds + 0.001)) }
    }

    private func perform(_ plan: JobPlan, _ object: Object, _ job: JobState, _ key: String) async throws {
        var current = object
        var written = job.status
        func write(_ status: JobStatus) async throws {
            guard status != written else { return }
            var value = current.value
            value["status"] = status.value
            current = try await client.updateStatus(.jobs, value)
            written = status
        }
        if let counting = plan.counting { try await write(counting) }
        for pod in plan.release { try await release(pod) }
        try await write(plan.counted)
        for event in plan.events { recorder.event(object, event.isWarning ? .warning : .normal, reason: event.reason, message: event.message) }
        guard !plan.creates.isEmpty || !plan.deletes.isEmpty else { return }
        expectations.expect(key, creations: plan.creates.count, deletions: plan.deletes.map(\.metadata.uid), now: environment.now())
        let batch = PodBatch(client: client, recorder: recorder, expectations: expectations, owner: object, key: key)
        // Pods that go because there are too many are no failures: they leave the count before they are deleted.
        if plan.deletesAreUncounted { for pod in plan.deletes where JobTracking.isTracked(pod) { try await release(pod) } }
        let deleted = await batch.delete(plan.deletes)
        let created = await batch.create(plan.creates.map { index in job.pod(index: index, replacing: index.flatMap { plan.replaced[$0] }) })
        if let error = created ?? deleted { throw error }
    }

    /// Takes the tracking finalizer from a pod; one that is gone needs it no more.
    private func release(_ pod: Object) async throws {
        let meta = pod.metadata
        let left = meta.finalizers.filter { $0 != JobTracking.finalizer }
        do {
            try await client.patch(
                .pods, namespace: meta.namespace, name: meta.name, type: .merge,
                [
                    "metadata": [
                        "uid": .string(meta.uid), "resourceVersion": .string(meta.resourceVersion), "finalizers": left.isEmpty ? .null : Value(left),
                    ]
                ])
        } catch let error as StatusError where error.isNotFound {}
    }
}
