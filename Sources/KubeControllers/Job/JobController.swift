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
    private let released = ReleasedPods()
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
        let (queue, expectations, released, indexer) = (queue, expectations, released, pods.indexer)
        jobs.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) }, updated: { queue.add($1.metadata.key) },
                deleted: { job in
                    let meta = job.metadata
                    expectations.forget(meta.key)
                    queue.add(meta.key)
                    // Its pods, and those that it would have adopted. Upstream: cleanupPodFinalizers.
                    let near = ControllerIndex.owned(indexer, by: meta.uid) + ControllerIndex.orphans(indexer, in: meta.namespace)
                    for pod in near where Self.isOrphan(pod) { queue.add(Self.orphanKey(pod)) }
                }))
        let resolver = OwnerResolver(owners: jobs.indexer, kind: "Job")
        @Sendable func deleted(_ pod: Object) {
            guard let key = resolver.owner(of: pod) else { return }
            expectations.deletionObserved(key, pod.metadata.uid)
            queue.add(key)
        }
        /// A pod whose Job is gone, or no longer named by it, keeps its finalizer for ever unless somebody takes it.
        @Sendable func orphan(_ pod: Object) {
            guard Self.isOrphan(pod), resolver.owner(of: pod) == nil else { return }
            queue.add(Self.orphanKey(pod))
        }
        pods.addHandler(
            InformerHandler(
                added: { pod in
                    released.observe(pod)
                    if pod.metadata.isBeingDeleted {
                        deleted(pod)
                    } else {
                        if let key = resolver.owner(of: pod) { expectations.creationObserved(key) }
                        for key in resolver.concerned(by: pod) { queue.add(key) }
                    }
                    orphan(pod)
                },
                updated: { old, new in
                    released.observe(new)
                    if new.metadata.isBeingDeleted { deleted(new) } else { for key in resolver.concerned(by: new, was: old) { queue.add(key) } }
                    orphan(new)
                },
                deleted: { pod in
                    released.remove(pod.metadata.uid)
                    deleted(pod)
                }))
    }

    /// Whether a pod may have lost the Job that counts it: it is tracked, by a Job or by nobody. Upstream: updatePod, deletePod.
    static func isOrphan(_ pod: Object) -> Bool {
        guard JobTracking.isTracked(pod) else { return false }
        return pod.metadata.controller.map { $0.kind == "Job" && $0.apiVersion == "batch/v1" } ?? true
    }

    /// Whether a Job is going to make a pod that nobody controls its own.
    static func adopts(_ job: Object, _ pod: Object) -> Bool {
        if job.metadata.isBeingDeleted || pod.metadata.isBeingDeleted || !isOurs(job) { return false }
        guard let selector = try? LabelSelector(object: job["spec"]["selector"]), !selector.isEverything else { return false }  // Matches nothing.
        return selector.matches(pod) && !JobState(job).isFinished
    }

    /// Whether no other controller runs it. Upstream: managedByExternalController.
    private static func isOurs(_ job: Object) -> Bool { job["spec"]["managedBy"].string.map { $0 == "kubernetes.io/job-controller" } ?? true }

    /// Keys of Jobs have no space; these do.
    private static func orphanKey(_ pod: Object) -> String { "pod \(pod.metadata.key)" }

    func run() async throws {
        for informer in [jobs, pods] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { key in
            if key.hasPrefix("pod ") { try await self.releaseOrphan(String(key.dropFirst(4))) } else { try await self.sync(key) }
        }
    }

    /// Upstream: syncOrphanPod.
    private func releaseOrphan(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), Self.isOrphan(pod) else { return }
        let namespace = pod.metadata.namespace
        guard let owner = pod.metadata.controller else {
            // It is adopted with the finalizer that it has.
            if jobs.indexer.list(namespace: namespace).contains(where: { Self.adopts($0, pod) }) { return }
            return try await release(pod)
        }
        let cached = jobs.indexer.get(namespace: namespace, name: owner.name)
        if cached?.metadata.uid == owner.uid { return }
        // The cache may be behind: a pod must not be lost from its Job's counts.
        do {
            let job = try await client.get(.jobs, namespace: namespace, name: owner.name)
            if job.metadata.uid == owner.uid { return }
        } catch let error as StatusError where error.isNotFound {}
        try await release(pod)
    }

    /// Upstream: syncJob.
    private func sync(_ key: String) async throws {
        guard let object = jobs.indexer.get(key) else {
            expectations.forget(key)
            return
        }
        // Somebody else's to run. Upstream: spec.managedBy.
        if !Self.isOurs(object) { return }
        let job = JobState(object)
        let now = environment.now()
        let selector = try LabelSelector(object: object["spec"]["selector"])
        // Before the pods are looked at: one that arrives or is released in between must not make an older view of them count.
        let trusted = expectations.satisfied(key, now: now)
        let released = released.all
        var candidates = ControllerIndex.owned(pods.indexer, by: job.uid)
        if !job.isFinished { candidates += ControllerIndex.orphans(pods.indexer, in: job.namespace) }
        let owned = try await claimer.claim(object, selector: selector, reference: job.ownerReference, candidates: candidates)
        if job.isFinished, !owned.contains(where: { JobTracking.isTracked($0) && !released.contains($0.metadata.uid) }) { return }
        let plan = JobPlanner(job: job, pods: owned, now: now, mayManage: trusted, released: released).plan()
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
        // Pods that go because there are too many are no failures: they leave the count before they are deleted.
        if plan.deletesAreUncounted {
            for pod in plan.deletes where JobTracking.isTracked(pod) && !released.contains(pod.metadata.uid) { try await release(pod) }
        }
        // Not before: what throws above is neither deleted nor created, and would be waited for.
        expectations.expect(key, creations: plan.creates.count, deletions: plan.deletes.map(\.metadata.uid), now: environment.now())
        let batch = PodBatch(client: client, recorder: recorder, expectations: expectations, owner: object, key: key)
        let deleted = await batch.delete(plan.deletes)
        let created = await batch.create(plan.creates.map { index in job.pod(index: index, replacing: index.flatMap { plan.replaced[$0] }) })
        if let error = created ?? deleted { throw error }
    }

    /// Takes the tracking finalizer from a pod, whatever else was written to it meanwhile; one that is gone needs it no more.
    /// Upstream: removeTrackingFinalizerPatch, removeTrackingFinalizerFromPods.
    private func release(_ pod: Object) async throws {
        let meta = pod.metadata
        released.insert(meta.uid)
        do {
            try await client.patch(
                .pods, namespace: meta.namespace, name: meta.name, type: .strategicMerge, JobTracking.releasePatch(uid: meta.uid))
        } catch let error as StatusError where error.isNotFound {
            // Where the cache has dropped it, no event will come that says so.
            if pods.indexer.get(meta.key)?.metadata.uid != meta.uid { released.remove(meta.uid) }
        } catch {
            released.remove(meta.uid)
            throw error
        }
    }
}
