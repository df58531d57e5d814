import KubeAPI
import KubeClient
import Logging

/// Starts a Job whenever its CronJob is due. Upstream: pkg/controller/cronjob.
final class CronJobController: Controller {
    let name = "cronjob-controller"
    /// Upstream: --concurrent-cron-job-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let cronJobs: SharedInformer
    private let jobs: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        cronJobs = environment.informers.informer(for: .cronJobs)
        jobs = environment.informers.informer(for: .jobs)
        queue = environment.queue("cronjob")
        recorder = environment.recorder(name)
        ControllerIndex.add(to: jobs)
        let (queue, recorder, now) = (queue, recorder, environment.now)
        cronJobs.addHandler(
            InformerHandler(
                added: { queue.add($0.metadata.key) },
                updated: { old, new in
                    let state = CronJobState(new)
                    switch CronJobPlanner(state: state, now: now()).attention(was: CronJobState(old)) {
                    case .now: queue.add(new.metadata.key)
                    case .after(let seconds): queue.addAfter(new.metadata.key, .fromSeconds(seconds))
                    case .unparseable:
                        recorder.event(
                            new, .warning, reason: "UnParseableCronJobSchedule",
                            message: "unparseable schedule for cronjob: \(state.schedule)")
                    }
                }, deleted: { queue.add($0.metadata.key) }))
        let resolver = OwnerResolver(owners: cronJobs.indexer, kind: "CronJob")
        jobs.addHandler(
            InformerHandler(
                added: { if let key = resolver.owner(of: $0) { queue.add(key) } },
                updated: { for key in Set([resolver.owner(of: $0), resolver.owner(of: $1)].compactMap { $0 }) { queue.add(key) } },
                deleted: { if let key = resolver.owner(of: $0) { queue.add(key) } }))
    }

    func run() async throws {
        for informer in [cronJobs, jobs] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// Upstream: sync with syncCronJob and cleanupFinishedJobs.
    private func sync(_ key: String) async throws {
        guard let object = cronJobs.indexer.get(key) else { return }
        var state = CronJobState(object)
        let written = state.status
        let children = ControllerIndex.owned(jobs.indexer, by: state.uid)
        do {
            try await lookAfter(children, &state)
            let plan = CronJobPlanner(state: state, now: environment.now()).plan()
            for event in plan.events { recorder.event(object, event.isWarning ? .warning : .normal, reason: event.reason, message: event.message) }
            if let seconds = plan.requeueAfter { queue.addAfter(key, .fromSeconds(seconds)) }
            if plan.start != nil { try await start(plan, &state) }
            for job in CronJobHistory.surplus(state, jobs: children) { try await delete(job.metadata.name, &state) }
        } catch {
            try await write(state, written)
            throw error
        }
        try await write(state, written)
    }

    private func write(_ state: CronJobState, _ written: CronJobStatus) async throws {
        guard state.status != written else { return }
        var value = state.object.value
        value["status"] = state.status.value
        try await client.updateStatus(.cronJobs, value)
    }

    /// Brings the list of active Jobs up to date.
    private func lookAfter(_ children: [Object], _ state: inout CronJobState) async throws {
        for job in children {
            let meta = job.metadata
            let end = JobState(job).finishedCondition
            if state.status.isActive(meta.uid) {
                guard let end else { continue }
                state.status.remove(meta.uid)
                recorder.event(
                    state.object, .normal, reason: "SawCompletedJob", message: "Saw completed job: \(meta.name), condition: \(end.type)")
            } else if end == nil {
                // The cache may be behind our own last write: the reference would be there.
                let fresh = try await client.get(.cronJobs, namespace: state.namespace, name: state.name)
                if CronJobStatus(fresh["status"]).isActive(meta.uid) {
                    throw StatusError.conflict(GroupVersionResource.cronJobs.groupResource, state.name, "it was started just now")
                }
                recorder.event(
                    state.object, .warning, reason: "UnexpectedJob",
                    message: "Saw a job that the controller did not create or forgot: \(meta.name)")
            }
            if end?.type == "Complete", let time = job["status"]["completionTime"].string.flatMap(Timestamp.init(rfc3339:)) {
                state.status.lastSuccessfulTime = max(state.status.lastSuccessfulTime ?? time, time)
            }
        }
        let known = Set(children.map(\.metadata.uid))
        for reference in state.status.active {
            guard let uid = reference["uid"]?.string, !known.contains(uid), let name = reference["name"]?.string else { continue }
            do {
                _ = try await client.get(.jobs, namespace: state.namespace, name: name)
            } catch let error as StatusError where error.isNotFound {
                recorder.event(state.object, .normal, reason: "MissingJob", message: "Active job went missing: \(name)")
                state.status.remove(uid)
            }
        }
    }

    private func start(_ plan: CronJobPlan, _ state: inout CronJobState) async throws {
        guard let due = plan.start else { return }
        for name in plan.replaces { try await delete(name, &state) }
        let job: Object
        do {
            job = try await client.create(.jobs, state.job(at: due, offset: plan.offset))
            recorder.event(state.object, .normal, reason: "SuccessfulCreate", message: "Created job \(job.metadata.name)")
        } catch let error as StatusError where error.isAlreadyExists {
            // Started before, and the note of it was lost; or somebody else's.
            job = try await client.get(.jobs, namespace: state.namespace, name: state.jobName(at: due))
            guard job.metadata.controller?.uid == state.uid, !state.status.isActive(job.metadata.uid) else { return }
        } catch let error as StatusError {
            if !error.isNamespaceTerminating {
                recorder.event(state.object, .warning, reason: "FailedCreate", message: "Error creating job: \(error.message)")
            }
            throw error
        }
        state.status.add(job)
        state.status.lastScheduleTime = due
    }

    private func delete(_ name: String, _ state: inout CronJobState) async throws {
        do {
            try await client.delete(.jobs, namespace: state.namespace, name: name, options: DeleteOptions(propagationPolicy: .background))
            recorder.event(state.object, .normal, reason: "SuccessfulDelete", message: "Deleted job \(name)")
        } catch let error as StatusError where error.isNotFound {
        } catch let error as StatusError {
            recorder.event(state.object, .warning, reason: "FailedDelete", message: "Deleted job: \(error.message)")
            throw error
        }
        state.status.active.removeAll { $0["name"]?.string == name }
    }
}
