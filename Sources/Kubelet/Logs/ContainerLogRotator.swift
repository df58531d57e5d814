import ContainerRuntime
import KubeAPI
import Logging
import Synchronization

/// Has containers that log much go on in new files, and removes the oldest. The paths are those that pod workers were last told by the runtime, so that
/// a look costs a stat for each running container and no call. Upstream: pkg/kubelet/logs.containerLogManager.
final class ContainerLogRotator: Sendable {
    private let policy: LogPolicy
    /// Only files below it are touched.
    private let directory: String
    private let runtime: any ContainerRuntime
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    /// The log's path by the container's ID, of the running containers by their pods' uids.
    private let running = Mutex<[String: [String: String]]>([:])

    init(
        policy: LogPolicy, directory: String, runtime: any ContainerRuntime, now: @escaping @Sendable () -> Timestamp = { .now }, logger: Logger
    ) {
        self.policy = policy
        self.directory = directory
        self.runtime = runtime
        self.now = now
        self.logger = logger
    }

    /// Takes over which containers of a pod run. Those that do not write nothing.
    func note(podUID: String, _ status: PodRuntimeStatus) {
        let logs = status.containers.filter { $0.state == .running && Self.isLog($0.logPath, below: directory) }.map { ($0.id, $0.logPath) }
        running.withLock { $0[podUID] = logs.isEmpty ? nil : Dictionary(logs) { $1 } }
    }

    /// Whether a path is of a log that the kubelet keeps.
    static func isLog(_ path: String, below directory: String) -> Bool { path.hasPrefix(directory + "/") && !path.contains("/../") }

    /// Looks at the logs until cancelled.
    func run() async {
        guard policy.maximumBytes >= 0 else { return }
        while !Task.isCancelled {
            do { try await Task.sleep(for: policy.period) } catch { return }  // Cancelled.
            await rotateLarge()
        }
    }

    /// Rotates what has grown too large.
    func rotateLarge() async {
        let logs = running.withLock { running in running.values.flatMap { $0.map { (id: $0.key, path: $0.value) } } }
        guard !logs.isEmpty else { return }
        let limit = policy.maximumBytes
        // One that cannot be looked at is as one that is gone: the runtime is asked to write it.
        let sizes = try? await FileWork.run { logs.map { log in (try? FileTree.status(log.path)).map { Int64($0.st_size) } } }
        for (log, size) in zip(logs, sizes ?? []) where size.map({ $0 >= limit }) ?? true {
            do {
                if size == nil { try await runtime.reopenContainerLog(log.id) } else { try await rotate(log.id, log.path) }
            } catch is CancellationError { return } catch {
                // It may have ended since.
                logger.info("cannot rotate a container's log", metadata: ["path": "\(log.path)", "error": "\(error)"])
            }
        }
    }

    /// Has a container go on in a new file. Throws `FileError` and `RuntimeError`; it goes on in the old one then.
    func rotate(_ id: String, _ path: String) async throws {
        let old = ContainerLogFiles.rotatedName(path, now())
        let files = policy.maximumFiles
        try await FileWork.run {
            try ContainerLogFiles.makeRoom(path, maximumFiles: files)
            try ContainerLogFiles.rename(path, old)
        }
        do { try await runtime.reopenContainerLog(id) } catch {
            try await FileWork.run { try ContainerLogFiles.rename(old, path) }
            throw error
        }
    }
}
