import KubeAPI
import KubeClient
import Logging

/// Deletes finished Jobs when their time is over. Upstream: pkg/controller/ttlafterfinished.
final class TTLAfterFinishedController: Controller {
    let name = "ttl-after-finished-controller"
    /// Upstream: --concurrent-ttl-after-finished-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let jobs: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        jobs = environment.informers.informer(for: .jobs)
        queue = environment.queue("ttl_jobs_to_delete")
        let (queue, now) = (queue, environment.now)
        @Sendable func look(_ job: Object) {
            if let left = Self.secondsLeft(job, now: now()) { queue.addAfter(job.metadata.key, .fromSeconds(left)) }
        }
        jobs.addHandler(InformerHandler(added: look, updated: { look($1) }))
    }

    func run() async throws {
        try await jobs.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Seconds until a Job is to go; zero or less when it is due, nil when it has no such time, has not finished or is going already.
    /// Upstream: timeLeft.
    static func secondsLeft(_ job: Object, now: Timestamp) -> Double? {
        guard let ttl = job["spec"]["ttlSecondsAfterFinished"].int, !job.metadata.isBeingDeleted else { return nil }
        let end = job["status"]["conditions"].elements.first {
            ($0["type"]?.equals("Complete") ?? false || $0["type"]?.equals("Failed") ?? false) && $0["status"]?.equals("True") ?? false
        }
        guard let finished = end.flatMap({ $0["lastTransitionTime"].string }).flatMap(Timestamp.init(rfc3339:)) else { return nil }
        return finished.adding(seconds: ttl).timeInterval(since: now)
    }

    private func sync(_ key: String) async throws {
        guard let cached = jobs.indexer.get(key), let left = Self.secondsLeft(cached, now: environment.now()) else { return }
        guard left <= 0 else { return queue.addAfter(key, .fromSeconds(left)) }
        let meta = cached.metadata
        do {
            // The cache may be behind: the time may have been made longer, or the Job anew.
            let job = try await environment.client.get(.jobs, namespace: meta.namespace, name: meta.name)
            guard job.metadata.uid == meta.uid, let left = Self.secondsLeft(job, now: environment.now()) else { return }
            guard left <= 0 else { return queue.addAfter(key, .fromSeconds(left)) }
            try await environment.client.delete(
                .jobs, namespace: meta.namespace, name: meta.name, options: DeleteOptions(propagationPolicy: .foreground, preconditionUID: meta.uid))
        } catch let error as StatusError where error.isNotFound {}
    }
}
