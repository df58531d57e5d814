/// Why a runtime call failed, in the runtime's own words.
package struct RuntimeError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case notFound, alreadyExists, invalidArgument, failedPrecondition, unimplemented, unavailable, deadlineExceeded, cancelled, unknown
    }
    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// As kubelet writes runtime errors into events and statuses: `rpc error: code = NotFound desc = …`.
    package var description: String {
        let name =
            switch code {
            case .notFound: "NotFound"
            case .alreadyExists: "AlreadyExists"
            case .invalidArgument: "InvalidArgument"
            case .failedPrecondition: "FailedPrecondition"
            case .unimplemented: "Unimplemented"
            case .unavailable: "Unavailable"
            case .deadlineExceeded: "DeadlineExceeded"
            case .cancelled: "Canceled"
            case .unknown: "Unknown"
            }
        return "rpc error: code = \(name) desc = \(message)"
    }
}

/// Upstream: runtimeapi.VersionResponse.
package struct RuntimeVersion: Sendable {
    package var name: String
    package var version: String
    package var apiVersion: String

    package init(name: String, version: String, apiVersion: String) {
        self.name = name
        self.version = version
        self.apiVersion = apiVersion
    }
}

/// Upstream: runtimeapi.RuntimeCondition. The required ones are `RuntimeReady` and `NetworkReady`.
package struct RuntimeCondition: Sendable, Equatable {
    package var type: String
    package var status: Bool
    package var reason: String
    package var message: String

    package init(type: String, status: Bool, reason: String = "", message: String = "") {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
    }
}

/// What a command run in a container gave.
package struct ExecResult: Sendable, Equatable {
    package var stdout: [UInt8]
    package var stderr: [UInt8]
    package var exitCode: Int32

    package init(stdout: [UInt8], stderr: [UInt8], exitCode: Int32) {
        self.stdout = stdout
        self.stderr = stderr
        self.exitCode = exitCode
    }
}

/// Which streams of a process a session carries.
package struct StreamOptions: Sendable, Equatable {
    package var stdin: Bool
    package var stdout: Bool
    package var stderr: Bool
    package var tty: Bool

    package init(stdin: Bool, stdout: Bool, stderr: Bool, tty: Bool) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.tty = tty
    }
}

/// CPU and memory a container has used. Upstream: runtimeapi.ContainerStats.
package struct RuntimeContainerStats: Sendable {
    package var id: String
    package var name: String
    package var labels: [String: String]
    /// Nanoseconds since 1970 at which the figures were taken.
    package var timestamp: Int64
    package var cpuNanoseconds: UInt64?
    package var workingSetBytes: UInt64?
    package var memoryUsageBytes: UInt64?
    package var rssBytes: UInt64?
    package var writableLayerBytes: UInt64?

    package init(id: String, name: String, labels: [String: String], timestamp: Int64) {
        self.id = id
        self.name = name
        self.labels = labels
        self.timestamp = timestamp
    }
}

/// How full the runtime's image filesystem is. Upstream: runtimeapi.FilesystemUsage.
package struct RuntimeFilesystemUsage: Sendable {
    package var mountpoint: String
    package var usedBytes: UInt64
    package var inodesUsed: UInt64

    package init(mountpoint: String, usedBytes: UInt64, inodesUsed: UInt64) {
        self.mountpoint = mountpoint
        self.usedBytes = usedBytes
        self.inodesUsed = inodesUsed
    }
}

/// Something that happened in the runtime.
package enum RuntimeEvent: Sendable, Equatable {
    /// A container's or a sandbox's process has started, exited, or run out of memory.
    case started(id: String)
    case exited(id: String)
    case outOfMemory(id: String)
    case deleted(id: String)
    /// The stream was (re)opened: what happened before is unknown, so everything must be listed again.
    case resynchronize
}

/// The container runtime of a node. Two implementations: `CRIRuntime` (containerd) and `SimulatedRuntime`. All calls throw `RuntimeError`.
/// Upstream: k8s.io/cri-api's RuntimeService and ImageService.
package protocol ContainerRuntime: Sendable {
    func version() async throws -> RuntimeVersion
    func status() async throws -> [RuntimeCondition]

    /// Makes and starts a sandbox with its network; returns its ID.
    func runPodSandbox(_ config: PodSandboxConfig) async throws -> String
    /// Stops everything in the sandbox and gives its network back. Idempotent.
    func stopPodSandbox(_ id: String) async throws
    /// Removes the sandbox and its containers. Idempotent.
    func removePodSandbox(_ id: String) async throws
    func podSandboxes(_ filter: PodSandboxFilter) async throws -> [PodSandbox]
    func podSandboxStatus(_ id: String) async throws -> PodSandbox

    func createContainer(sandbox: String, config: ContainerConfig, sandboxConfig: PodSandboxConfig) async throws -> String
    func startContainer(_ id: String) async throws
    /// Asks the process to end (SIGTERM or the image's stop signal) and kills it after `timeout` seconds. Returns when it has ended. Idempotent.
    func stopContainer(_ id: String, timeout: Int64) async throws
    /// Idempotent.
    func removeContainer(_ id: String) async throws
    func containers(_ filter: ContainerFilter) async throws -> [RuntimeContainer]
    func containerStatus(_ id: String) async throws -> RuntimeContainerStatus
    func updateContainerResources(_ id: String, _ resources: LinuxResources) async throws
    func reopenContainerLog(_ id: String) async throws
    func containerStats(_ filter: ContainerFilter) async throws -> [RuntimeContainerStats]

    /// Runs a command to its end. `timeout` zero means none.
    func execSync(_ id: String, command: [String], timeout: Duration) async throws -> ExecResult
    /// The URLs to which a client's connection is to be spliced.
    func execURL(_ id: String, command: [String], options: StreamOptions) async throws -> String
    func attachURL(_ id: String, options: StreamOptions) async throws -> String
    func portForwardURL(sandbox: String, ports: [Int32]) async throws -> String

    func images() async throws -> [RuntimeImage]
    /// Nil when the image is not present.
    func imageStatus(_ reference: String) async throws -> RuntimeImage?
    /// Returns a reference that stays good for `createContainer`.
    func pullImage(_ reference: String, credentials: RegistryCredentials?, sandboxConfig: PodSandboxConfig?) async throws -> String
    func removeImage(_ reference: String) async throws
    func imageFilesystem() async throws -> [RuntimeFilesystemUsage]

    /// Events from now on. The stream begins with `.resynchronize` once it is open, reconnects by itself, and ends when its consumer goes away.
    func events() -> AsyncStream<RuntimeEvent>
}
