import KubeAPI
import KubeClient
import Logging
import Synchronization

/// Brings pods' statuses to the API server, the latest of each pod, and removes pods that have ended on the node. Upstream:
/// pkg/kubelet/status.Manager.
final class PodStatusWriter: Sendable {
    /// Patches at the same time. The API server answers in about a millisecond; more would only queue there.
    static let workers = 8

    private struct Entry {
        var pod: Pod
        var status: Value
        /// Everything of the pod is stopped and taken down: its object may go.
        var isFinished = false
        /// The object as the last patch returned it.
        var answer: Object?
        /// The API server has this status, or has no place for it.
        var isWritten = false
    }

    private let client: KubeClient
    private let pods: Lister
    private let logger: Logger
    private let entries = Mutex<[String: Entry]>([:])
    /// Who waits until all is written.
    private let progress = Mutex<AsyncStream<Void>.Continuation?>(nil)
    private let queue: WorkQueue<String>

    init(client: KubeClient, pods: Lister, logger: Logger) {
        self.client = client
        self.pods = pods
        self.logger = logger
        queue = WorkQueue(name: "pod-status", backoff: .init(first: .milliseconds(50), limit: .seconds(10)))
    }

    /// Notes the status to write.
    func set(_ pod: Pod, _ status: Value) {
        let changed = entries.withLock { entries in
            var entry = entries[pod.uid] ?? Entry(pod: pod, status: .null)
            let isSame = PodStatusPatch.same(entry.status, status)
            entry.pod = pod
            entry.status = status
            entry.isWritten = entry.isWritten && isSame
            entries[pod.uid] = entry
            return !isSame
        }
        if changed { queue.add(pod.uid) }
    }

    /// Notes that the pod has ended: once its status is written, its object is deleted, if it is being deleted.
    func finish(_ pod: Pod) {
        entries.withLock { entries in
            var entry = entries[pod.uid] ?? Entry(pod: pod, status: .null)
            entry.pod = pod
            entry.isFinished = true
            entries[pod.uid] = entry
        }
        queue.add(pod.uid)
    }

    /// The API server's object has changed: written again should it have lost what we wrote.
    func changedInAPI(uid: String) { if entries.withLock({ $0[uid] != nil }) { queue.add(uid) } }

    func forget(uid: String) { _ = entries.withLock { $0.removeValue(forKey: uid) } }

    func run() async {
        await queue.run(workers: Self.workers, logger: logger) { uid in
            let status = self.entries.withLock { $0[uid]?.status }
            try await self.write(uid)
            if let status { self.wrote(uid, status) }
        }
    }

    private func wrote(_ uid: String, _ status: Value) {
        entries.withLock { entries in
            guard let entry = entries[uid], PodStatusPatch.same(entry.status, status) else { return }
            entries[uid]?.isWritten = true
        }
        progress.withLock { _ = $0?.yield() }
    }

    /// Waits until the API server has all statuses as they are noted, no longer than `limit`.
    func flush(limit: Duration) async {
        let (steps, step) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        progress.withLock { $0 = step }
        step.yield()
        let timer = Task {
            do { try await Task.sleep(for: limit) } catch { return }  // All is written.
            step.finish()
        }
        for await _ in steps where entries.withLock({ $0.values.allSatisfy(\.isWritten) }) { break }
        timer.cancel()
        progress.withLock { $0 = nil }
    }

    private func write(_ uid: String) async throws {
        guard let entry = entries.withLock({ $0[uid] }) else { return }
        let shown = pods.get(namespace: entry.pod.namespace, name: entry.pod.name)
        // A static pod's status is its mirror's; until there is one, it waits.
        let mirror = entry.pod.isStatic ? shown?.staticUID == uid ? shown : nil : nil
        if entry.pod.isStatic, mirror == nil { return }
        let shownUID = mirror?.metadata.uid ?? uid
        guard let current = newest(shown, entry.answer, uid: shownUID) else { return forget(uid: uid) }
        do {
            var object = current
            if !entry.status.isNull, let patch = PodStatusPatch.patch(uid: shownUID, from: current["status"].value ?? [:], to: entry.status) {
                object = try await client.patch(
                    .pods, namespace: entry.pod.namespace, name: entry.pod.name, type: .strategicMerge, patch, subresource: "status")
                entries.withLock { $0[uid]?.answer = object }
            }
            if entry.isFinished, object.metadata.isBeingDeleted {
                try await client.delete(
                    .pods, namespace: entry.pod.namespace, name: entry.pod.name,
                    options: DeleteOptions(gracePeriodSeconds: 0, preconditionUID: uid))
            }
        } catch let error as StatusError where error.isNotFound || error.isConflict {
            // Gone, or another pod of that name: this status has no place any more.
            if error.isConflict, pods.get(namespace: entry.pod.namespace, name: entry.pod.name)?.metadata.uid == shownUID { throw error }
            if !entry.pod.isStatic { forget(uid: uid) }
        }
    }

    /// The newer of the informer's object and our last patch's answer. Nil when neither is this pod's.
    private func newest(_ cached: Object?, _ answer: Object?, uid: String) -> Object? {
        let candidates = [cached, answer].compactMap(\.self).filter { $0.metadata.uid == uid }
        return candidates.max { (Int64($0.metadata.resourceVersion) ?? 0) < (Int64($1.metadata.resourceVersion) ?? 0) }
    }
}
