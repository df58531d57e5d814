import CRIProtocol
internal import HTTPTransport
package import Logging
import SwiftProtobuf

/// A container runtime spoken to through the CRI (runtime.v1) on its unix socket: containerd.
package final class CRIRuntime: ContainerRuntime {
    private let channel: GRPCChannel
    let logger: Logger

    /// Time limits of calls. Upstream: the kubelet's `--runtime-request-timeout` is two minutes; pulls have none but progress.
    enum Timeout {
        static let request = Duration.seconds(120)
        /// Creating a sandbox waits for the network plugin. Upstream: twice the request timeout for RunPodSandbox.
        static let sandbox = Duration.seconds(240)
        /// A large image on a slow link.
        static let pull = Duration.seconds(3600)
        /// Added to a stop's grace period, and to the limit of a command, for the runtime's own work.
        static let margin = Duration.seconds(120)
        /// A command without a limit of its own may run this long.
        static let unlimited = Duration.seconds(86400)
        /// Reconnecting the event stream: first and longest pause.
        static let reconnect = Duration.milliseconds(250)
        static let reconnectLongest = Duration.seconds(5)
    }

    /// `socket` is a path such as `/run/containerd/containerd.sock`. Connects on first use and reconnects by itself.
    package init(socket: String, logger: Logger) {
        channel = GRPCChannel(address: .unix(path: socket))
        self.logger = logger
    }

    package func close() async { await channel.close() }

    // MARK: calls

    /// One call of `service/method`. Throws `RuntimeError`.
    func call<Request: Message, Response: Message>(
        _ method: String, _ request: Request, timeout: Duration = Timeout.request, returning: Response.Type = Response.self
    ) async throws -> Response {
        do {
            let answer = try await channel.unary(method, request.serializedBytes(), timeout: timeout)
            return try Response(serializedBytes: answer)
        } catch {
            throw Self.runtimeError(error)
        }
    }

    /// A call whose "not found" means that the work is done already.
    private func idempotent(_ work: () async throws -> Void) async throws {
        do { try await work() } catch let error as RuntimeError where error.code == .notFound {}
    }

    static func runtimeError(_ error: any Error) -> RuntimeError {
        switch error {
        case let error as RuntimeError: return error
        case let error as GRPCError:
            let code: RuntimeError.Code =
                switch error.code {
                case 1: .cancelled
                case 3: .invalidArgument
                case 4: .deadlineExceeded
                case 5: .notFound
                case 6: .alreadyExists
                case 9: .failedPrecondition
                case 12: .unimplemented
                case 14: .unavailable
                default: .unknown
                }
            return RuntimeError(code, error.message)
        case is CancellationError: return RuntimeError(.cancelled, "context canceled")
        case let error as HTTPError: return RuntimeError(.unavailable, "\(error)")
        default: return RuntimeError(.unknown, "\(error)")
        }
    }

    private static func runtime(_ method: String) -> String { "/runtime.v1.RuntimeService/\(method)" }
    private static func image(_ method: String) -> String { "/runtime.v1.ImageService/\(method)" }

    // MARK: runtime

    package func version() async throws -> RuntimeVersion {
        let answer: Runtime_V1_VersionResponse = try await call(Self.runtime("Version"), Runtime_V1_VersionRequest())
        return RuntimeVersion(name: answer.runtimeName, version: answer.runtimeVersion, apiVersion: answer.runtimeApiVersion)
    }

    package func status() async throws -> [RuntimeCondition] {
        let answer: Runtime_V1_StatusResponse = try await call(Self.runtime("Status"), Runtime_V1_StatusRequest())
        return answer.status.conditions.map { RuntimeCondition(type: $0.type, status: $0.status, reason: $0.reason, message: $0.message) }
    }

    // MARK: sandboxes

    package func runPodSandbox(_ config: PodSandboxConfig) async throws -> String {
        var request = Runtime_V1_RunPodSandboxRequest()
        request.config = config.message
        request.runtimeHandler = config.runtimeHandler
        let answer: Runtime_V1_RunPodSandboxResponse = try await call(Self.runtime("RunPodSandbox"), request, timeout: Timeout.sandbox)
        return answer.podSandboxID
    }

    package func stopPodSandbox(_ id: String) async throws {
        var request = Runtime_V1_StopPodSandboxRequest()
        request.podSandboxID = id
        try await idempotent { let _: Runtime_V1_StopPodSandboxResponse = try await call(Self.runtime("StopPodSandbox"), request) }
    }

    package func removePodSandbox(_ id: String) async throws {
        var request = Runtime_V1_RemovePodSandboxRequest()
        request.podSandboxID = id
        try await idempotent { let _: Runtime_V1_RemovePodSandboxResponse = try await call(Self.runtime("RemovePodSandbox"), request) }
    }

    package func podSandboxes(_ filter: PodSandboxFilter) async throws -> [PodSandbox] {
        var request = Runtime_V1_ListPodSandboxRequest()
        request.filter = filter.message
        let answer: Runtime_V1_ListPodSandboxResponse = try await call(Self.runtime("ListPodSandbox"), request)
        return answer.items.map { PodSandbox(listed: $0) }
    }

    package func podSandboxStatus(_ id: String) async throws -> PodSandbox {
        var request = Runtime_V1_PodSandboxStatusRequest()
        request.podSandboxID = id
        let answer: Runtime_V1_PodSandboxStatusResponse = try await call(Self.runtime("PodSandboxStatus"), request)
        return PodSandbox(status: answer.status)
    }

    // MARK: containers

    package func createContainer(sandbox: String, config: ContainerConfig, sandboxConfig: PodSandboxConfig) async throws -> String {
        var request = Runtime_V1_CreateContainerRequest()
        request.podSandboxID = sandbox
        request.config = config.message
        request.sandboxConfig = sandboxConfig.message
        let answer: Runtime_V1_CreateContainerResponse = try await call(Self.runtime("CreateContainer"), request)
        return answer.containerID
    }

    package func startContainer(_ id: String) async throws {
        var request = Runtime_V1_StartContainerRequest()
        request.containerID = id
        let _: Runtime_V1_StartContainerResponse = try await call(Self.runtime("StartContainer"), request)
    }

    package func stopContainer(_ id: String, timeout: Int64) async throws {
        var request = Runtime_V1_StopContainerRequest()
        request.containerID = id
        request.timeout = timeout
        try await idempotent {
            let _: Runtime_V1_StopContainerResponse = try await call(
                Self.runtime("StopContainer"), request, timeout: .seconds(max(0, min(timeout, 1 << 32))) + Timeout.margin)
        }
    }

    package func removeContainer(_ id: String) async throws {
        var request = Runtime_V1_RemoveContainerRequest()
        request.containerID = id
        try await idempotent { let _: Runtime_V1_RemoveContainerResponse = try await call(Self.runtime("RemoveContainer"), request) }
    }

    package func containers(_ filter: ContainerFilter) async throws -> [RuntimeContainer] {
        var request = Runtime_V1_ListContainersRequest()
        request.filter = filter.message
        let answer: Runtime_V1_ListContainersResponse = try await call(Self.runtime("ListContainers"), request)
        return answer.containers.map { RuntimeContainer(listed: $0) }
    }

    package func containerStatus(_ id: String) async throws -> RuntimeContainerStatus {
        var request = Runtime_V1_ContainerStatusRequest()
        request.containerID = id
        let answer: Runtime_V1_ContainerStatusResponse = try await call(Self.runtime("ContainerStatus"), request)
        return RuntimeContainerStatus(status: answer.status)
    }

    package func updateContainerResources(_ id: String, _ resources: LinuxResources) async throws {
        var request = Runtime_V1_UpdateContainerResourcesRequest()
        request.containerID = id
        request.linux = resources.message
        let _: Runtime_V1_UpdateContainerResourcesResponse = try await call(Self.runtime("UpdateContainerResources"), request)
    }

    package func reopenContainerLog(_ id: String) async throws {
        var request = Runtime_V1_ReopenContainerLogRequest()
        request.containerID = id
        let _: Runtime_V1_ReopenContainerLogResponse = try await call(Self.runtime("ReopenContainerLog"), request)
    }

    package func containerStats(_ filter: ContainerFilter) async throws -> [RuntimeContainerStats] {
        var request = Runtime_V1_ListContainerStatsRequest()
        request.filter.id = filter.id ?? ""
        request.filter.podSandboxID = filter.sandboxID ?? ""
        request.filter.labelSelector = filter.labels
        let answer: Runtime_V1_ListContainerStatsResponse = try await call(Self.runtime("ListContainerStats"), request)
        return answer.stats.map { stats in
            var figures = RuntimeContainerStats(
                id: stats.attributes.id, name: stats.attributes.metadata.name, labels: stats.attributes.labels, timestamp: stats.cpu.timestamp)
            if stats.cpu.hasUsageCoreNanoSeconds { figures.cpuNanoseconds = stats.cpu.usageCoreNanoSeconds.value }
            if stats.memory.hasWorkingSetBytes { figures.workingSetBytes = stats.memory.workingSetBytes.value }
            if stats.memory.hasUsageBytes { figures.memoryUsageBytes = stats.memory.usageBytes.value }
            if stats.memory.hasRssBytes { figures.rssBytes = stats.memory.rssBytes.value }
            if stats.writableLayer.hasUsedBytes { figures.writableLayerBytes = stats.writableLayer.usedBytes.value }
            return figures
        }
    }

    // MARK: commands and streams

    package func execSync(_ id: String, command: [String], timeout: Duration) async throws -> ExecResult {
        var request = Runtime_V1_ExecSyncRequest()
        request.containerID = id
        request.cmd = command
        // The CRI counts whole seconds; less than one would mean "no limit".
        let seconds = timeout == .zero ? 0 : max(1, timeout.components.seconds)
        request.timeout = seconds
        let limit = timeout == .zero ? Timeout.unlimited : .seconds(seconds) + Timeout.margin
        let answer: Runtime_V1_ExecSyncResponse = try await call(Self.runtime("ExecSync"), request, timeout: limit)
        return ExecResult(stdout: [UInt8](answer.stdout), stderr: [UInt8](answer.stderr), exitCode: answer.exitCode)
    }

    package func execURL(_ id: String, command: [String], options: StreamOptions) async throws -> String {
        var request = Runtime_V1_ExecRequest()
        request.containerID = id
        request.cmd = command
        request.stdin = options.stdin
        request.stdout = options.stdout
        request.stderr = options.stderr
        request.tty = options.tty
        let answer: Runtime_V1_ExecResponse = try await call(Self.runtime("Exec"), request)
        return answer.url
    }

    package func attachURL(_ id: String, options: StreamOptions) async throws -> String {
        var request = Runtime_V1_AttachRequest()
        request.containerID = id
        request.stdin = options.stdin
        request.stdout = options.stdout
        request.stderr = options.stderr
        request.tty = options.tty
        let answer: Runtime_V1_AttachResponse = try await call(Self.runtime("Attach"), request)
        return answer.url
    }

    package func portForwardURL(sandbox: String, ports: [Int32]) async throws -> String {
        var request = Runtime_V1_PortForwardRequest()
        request.podSandboxID = sandbox
        request.port = ports
        let answer: Runtime_V1_PortForwardResponse = try await call(Self.runtime("PortForward"), request)
        return answer.url
    }

    // MARK: images

    package func images() async throws -> [RuntimeImage] {
        let answer: Runtime_V1_ListImagesResponse = try await call(Self.image("ListImages"), Runtime_V1_ListImagesRequest())
        return answer.images.map { RuntimeImage(message: $0) }
    }

    package func imageStatus(_ reference: String) async throws -> RuntimeImage? {
        var request = Runtime_V1_ImageStatusRequest()
        request.image.image = reference
        let answer: Runtime_V1_ImageStatusResponse = try await call(Self.image("ImageStatus"), request)
        return answer.hasImage && !answer.image.id.isEmpty ? RuntimeImage(message: answer.image) : nil
    }

    package func pullImage(_ reference: String, credentials: RegistryCredentials?, sandboxConfig: PodSandboxConfig?) async throws -> String {
        var request = Runtime_V1_PullImageRequest()
        request.image.image = reference
        if let credentials { request.auth = credentials.message }
        if let sandboxConfig { request.sandboxConfig = sandboxConfig.message }
        let answer: Runtime_V1_PullImageResponse = try await call(Self.image("PullImage"), request, timeout: Timeout.pull)
        return answer.imageRef
    }

    package func removeImage(_ reference: String) async throws {
        var request = Runtime_V1_RemoveImageRequest()
        request.image.image = reference
        try await idempotent { let _: Runtime_V1_RemoveImageResponse = try await call(Self.image("RemoveImage"), request) }
    }

    package func imageFilesystem() async throws -> [RuntimeFilesystemUsage] {
        let answer: Runtime_V1_ImageFsInfoResponse = try await call(Self.image("ImageFsInfo"), Runtime_V1_ImageFsInfoRequest())
        return answer.imageFilesystems.map {
            RuntimeFilesystemUsage(mountpoint: $0.fsID.mountpoint, usedBytes: $0.usedBytes.value, inodesUsed: $0.inodesUsed.value)
        }
    }

    // MARK: events

    func stream(_ method: String, _ message: some Message) throws -> AsyncThrowingStream<[UInt8], any Error> {
        channel.serverStream(method, try message.serializedBytes())
    }
}
