import ContainerRuntime
import KubeAPI
import Logging

/// The pods of this node, a worker each. Upstream: pkg/kubelet/pod_workers.go and HandlePodCleanups.
actor PodWorkers {
    private let services: PodServices
    private var workers: [String: PodWorker] = [:]
    /// Pods of the runtime that no worker has, being removed now.
    private var orphans: Set<String> = []
    private var endWaiters: [String: AsyncStream<Void>.Continuation] = [:]
    private let started: AsyncStream<PodWorker>
    private nonisolated let start: AsyncStream<PodWorker>.Continuation
    /// Whether the API server's pods are all known: before, none can be called an orphan.
    private var isComplete = false

    init(services: PodServices) {
        self.services = services
        (started, start) = AsyncStream.makeStream()
    }

    /// Runs the workers until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await worker in started {
                group.addTask {
                    await worker.run()
                    await self.ended(worker)
                }
            }
        }
    }

    private func ended(_ worker: PodWorker) async {
        guard await worker.stage == .finished else { return }
        workers[worker.uid] = nil
    }

    /// A pod of this node was added or changed.
    func update(_ object: Object) async {
        let uid = object.metadata.uid
        if let worker = workers[uid] { return await worker.update(object) }
        let worker = PodWorker(object, services: services)
        workers[uid] = worker
        start.yield(worker)
        // What it wished for while no agent ran.
        await worker.update(object)
    }

    /// A pod's object is gone.
    func remove(_ object: Object) async {
        guard let worker = workers[object.metadata.uid] else { return }
        await worker.removed(object)
    }

    /// Something of the node has become free: resizes that wait for it are looked at again, and who waits for a pod's end goes on.
    func roomChanged() async {
        for uid in services.allocations.grantPending() { await workers[uid]?.grantedLate() }
        for (uid, waiter) in endWaiters where await workers[uid]?.isActive != true { waiter.finish() }
    }

    /// The pods that run, or are about to.
    func activePods() async -> [Pod] {
        var pods: [Pod] = []
        for worker in workers.values where await worker.isActive { pods.append(await worker.pod) }
        return pods.sorted { $0.key < $1.key }
    }

    /// Ends a pod whatever the API server wishes, and waits for it, no longer than `limit`.
    func end(_ uid: String, _ ending: PodEnding, limit: Duration) async {
        guard let worker = workers[uid] else { return }
        await worker.end(ending)
        await waitForEnd(uid, limit: limit)
    }

    /// Waits until nothing of the pod runs any more, no longer than `limit`.
    func waitForEnd(_ uid: String, limit: Duration) async {
        let (ended, waiter) = AsyncStream<Void>.makeStream()
        endWaiters[uid] = waiter
        // Looked at once it is sure that the end will be told.
        if await workers[uid]?.isActive != true { waiter.finish() }
        let timer = Task {
            do { try await Task.sleep(for: limit) } catch { return }  // It has ended.
            waiter.finish()
        }
        for await _ in ended {}
        timer.cancel()
        endWaiters[uid] = nil
    }

    /// Removes the containers and logs of all pods that are over. Upstream: DeleteAllUnusedContainers.
    func removeRemains() async { for worker in workers.values { await worker.removeRemains() } }

    func wake(_ uid: String) { workers[uid]?.wake() }
    func probed(_ uid: String) async { await workers[uid]?.probed() }
    func wakeAll() { for worker in workers.values { worker.wake() } }
    var pods: [Object] {
        get async {
            var pods: [Object] = []
            for worker in workers.values { pods.append(await worker.pod.object) }
            return pods
        }
    }

    /// From now on what no worker has is an orphan.
    func sourcesAreReady() { isComplete = true }

    private func removeFolder(_ uid: String) async {
        let volumes = services.volumes
        do {
            // A driver that is not there keeps its volumes, and them alone.
            try await services.csi?.tearDown(uid)
            try await FileWork.run { try volumes.removePodDirectory(uid) }
        } catch {
            services.logger.warning("cannot remove the folder of an ended pod", metadata: ["uid": "\(uid)", "error": "\(error)"])
        }
    }

    /// Ends what the runtime has of pods that are gone, and removes their folders and cgroups. Upstream: HandlePodCleanups, cleanupOrphanedPodDirs.
    func cleanUp(present: Set<String>) async {
        guard isComplete else { return }
        let logger = services.logger
        for uid in present where workers[uid] == nil && orphans.insert(uid).inserted {
            logger.info("removing a pod that the API server does not have", metadata: ["uid": "\(uid)"])
            do {
                for container in try await services.runtime.containers(ContainerFilter(labels: [ContainerLabels.podUID: uid]))
                where container.state == .running {
                    let grace = Int64(container.annotations[ContainerLabels.terminationGracePeriod] ?? "") ?? 30
                    try await services.runtime.stopContainer(container.id, timeout: grace)
                }
                try await services.removeEverything(uid: uid, logDirectory: nil)
            } catch {
                logger.warning("cannot remove an orphaned pod", metadata: ["uid": "\(uid)", "error": "\(error)"])
            }
            orphans.remove(uid)
        }
        let (volumes, cgroups, configuration) = (services.volumes, services.cgroups, services.configuration)
        do {
            // What is there is listed first and judged after: a pod that comes meanwhile has its worker before it has a folder.
            let found = try await FileWork.run {
                (
                    folders: configuration.managesPodFiles ? try volumes.knownUIDs() : [],
                    logs: configuration.managesPodFiles ? try FileTree.list(configuration.podLogsDirectory) : [],
                    cgroups: configuration.managesCgroups ? cgroups.podGroups() : []
                )
            }
            let known = present.union(workers.keys)
            for uid in found.folders where !known.contains(uid) { await removeFolder(uid) }
            try await FileWork.run {
                for name in found.logs {
                    // namespace_name_uid
                    let parts = name.split(separator: "_")
                    guard parts.count == 3, let uid = parts.last, !known.contains(String(uid)) else { continue }
                    try FileTree.removeAll(configuration.podLogsDirectory + "/" + name)
                }
                cgroups.remove(found.cgroups.filter { !known.contains($0.uid) })
            }
        } catch {
            logger.warning("cannot remove what is left of ended pods", metadata: ["error": "\(error)"])
        }
    }
}
