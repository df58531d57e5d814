import KubeAPI
import KubeClient
import Logging
import Processes
import Synchronization

/// Runs the pods of a folder of manifests, and keeps a mirror of each in the API, through which users see them. Upstream: the file source,
/// pod.MirrorClient and the part of syncPod that makes mirrors.
final class StaticPods: Sendable {
    private let files: StaticPodFiles
    private let watcher: FileWatcher
    private let client: KubeClient
    /// The pods of this node as the API server has them, mirrors among them.
    private let mirrors: Lister
    private let workers: PodWorkers
    private let logger: Logger
    private let pods = Mutex<[String: Pod]>([:])
    /// Names of pods, `namespace/name`, whose mirrors are to be looked at.
    private let queue = WorkQueue<String>(name: "mirror-pods", backoff: .init(first: .milliseconds(100), limit: .seconds(10)))

    init(files: StaticPodFiles, watcher: FileWatcher, client: KubeClient, mirrors: Lister, workers: PodWorkers, logger: Logger) {
        self.files = files
        self.watcher = watcher
        self.client = client
        self.mirrors = mirrors
        self.workers = workers
        self.logger = logger
    }

    /// Runs until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.queue.run(workers: 1, logger: self.logger) { try await self.reconcile($0) } }
            let changes = watcher.changes(of: [files.folder])
            // What came before the folder was watched.
            await load()
            for await _ in changes { await load() }
        }
    }

    /// Reads the folder and starts and ends what has changed. A changed manifest is another pod: the old one ends first.
    func load() async {
        let files = files
        guard let found = try? await FileWork.run({ files.read(now: .now) }) else { return }  // The closure does not throw.
        let before = pods.withLock { pods in
            defer { pods = found }
            return pods
        }
        for (name, old) in before where found[name]?.uid != old.uid {
            await workers.remove(old.object)
            await workers.waitForEnd(old.uid, limit: .seconds(max(0, min(old.terminationGracePeriodSeconds, 3600)) + 30))
            queue.add(name)
        }
        for (name, pod) in found where before[name]?.uid != pod.uid {
            await workers.update(pod.object)
            queue.add(name)
        }
    }

    /// A mirror was added, changed or removed.
    func mirrorChanged(_ object: Object) { queue.add(object.metadata.key) }

    /// All mirrors that the API server has are known: those without a pod go.
    func mirrorsAreKnown() {
        for object in mirrors.list() where object.isMirrorPod { queue.add(object.metadata.key) }
        for name in pods.withLock({ Array($0.keys) }) { queue.add(name) }
    }

    private func reconcile(_ key: String) async throws {
        let parts = key.split(separator: "/").map(String.init)
        guard let namespace = parts.first, let name = parts.last else { return }
        let pod = pods.withLock { $0[key] }
        if let mirror = mirrors.get(namespace: namespace, name: name) {
            guard mirror.isMirrorPod else { return logger.error("a static pod's name is taken", metadata: ["pod": "\(key)"]) }
            if let pod, mirror.staticUID == pod.uid, !mirror.metadata.isBeingDeleted { return }
            do {
                try await client.delete(
                    .pods, namespace: namespace, name: name,
                    options: DeleteOptions(gracePeriodSeconds: 0, preconditionUID: mirror.metadata.uid))
            } catch let error as StatusError where error.isNotFound || error.isConflict {}  // Gone: its removal comes by the watch.
            return
        }
        guard let pod else { return }
        do { try await client.create(.pods, namespace: namespace, try await Self.mirror(of: pod, node: node())) } catch let error as StatusError
            where error.isAlreadyExists
        {
            return  // It comes by the watch, and is judged then.
        }
    }

    private func node() async throws -> Object { try await client.get(.nodes, name: files.nodeName) }

    private static func mirror(of pod: Pod, node: Object) -> Value {
        var value = pod.object.value
        value[path: "metadata", "uid"] = nil
        value["status"] = nil
        value[path: "metadata", "annotations", Object.mirrorAnnotation] = .string(pod.uid)
        value[path: "metadata", "ownerReferences"] = [
            ["apiVersion": "v1", "kind": "Node", "name": .string(node.metadata.name), "uid": .string(node.metadata.uid), "controller": true]
        ]
        return value
    }
}

extension Object {
    /// Upstream: corev1.MirrorPodAnnotationKey.
    fileprivate static let mirrorAnnotation = "kubernetes.io/config.mirror"

    /// Shows a static pod in the API. Upstream: kubetypes.IsMirrorPod.
    var isMirrorPod: Bool { staticUID != nil }
    /// The uid of the pod that this is the mirror of.
    var staticUID: String? { self["metadata"]["annotations"][Self.mirrorAnnotation].string }
}
