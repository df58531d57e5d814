#if canImport(Glibc)
    import Glibc
#endif

/// A runtime whose sandboxes and containers are records: no processes, no root, any number of nodes in one process. Life cycles follow a `Script` per
/// image, and tests drive containers by `exit(container:)`. Command streams are not offered.
package actor SimulatedRuntime: ContainerRuntime {
    /// How containers of one image behave.
    package struct Script: Sendable {
        /// Bytes of the image.
        package var imageSize: UInt64 = 10_000_000
        package var pullDelay: Duration = .zero
        /// Every pull fails with this message.
        package var pullError: String?
        package var createError: String?
        package var startError: String?
        package var startDelay: Duration = .zero
        /// Every change of a container's resources fails with this message.
        package var updateError: String?
        /// The process ends by itself this long after its start.
        package var exitsAfter: Duration?
        package var exitCode: Int32 = 0
        /// Answers commands; by default they succeed without output.
        package var exec: (@Sendable (_ container: String, _ command: [String]) -> ExecResult)?
        /// How long the process takes to end once asked; longer than a stop's grace means it is killed.
        package var stopDelay: Duration = .zero

        package init() {}
    }

    package struct Configuration: Sendable {
        /// Behaviour by image reference.
        package var scripts: [String: Script] = [:]
        /// Behaviour of images without a script.
        package var standard = Script()
        /// Images present from the start.
        package var images: [String] = []
        /// The network of the sandboxes' addresses: `10.200.0.0`-like prefix of two numbers.
        package var addressPrefix = "10.200"
        package var sandboxDelay: Duration = .zero
        package var networkReady = true

        package init() {}
    }

    private struct Sandbox {
        var info: PodSandbox
    }
    private struct Container {
        var status: RuntimeContainerStatus
        var sandboxID: String
        var script: Script
        var exitTask: Task<Void, Never>?
    }

    private var configuration: Configuration
    private var sandboxes: [String: Sandbox] = [:]
    private var containersByID: [String: Container] = [:]
    private var imagesByReference: [String: RuntimeImage] = [:]
    private var subscribers: [Int: AsyncStream<RuntimeEvent>.Continuation] = [:]
    private var sequence = 0
    private var nextAddress = 1
    /// The calls that changed something, in order, for tests: `runPodSandbox web-0`, `startContainer app`, ….
    package private(set) var journal: [String] = []

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        for (index, reference) in configuration.images.enumerated() {
            let script = configuration.scripts[reference] ?? configuration.standard
            imagesByReference[reference] = Self.image(reference, number: index, size: script.imageSize)
        }
    }

    private static func image(_ reference: String, number: Int, size: UInt64) -> RuntimeImage {
        let digest = identifier(number &+ 0x5eed)
        let name = reference.split(separator: "@").first.map(String.init) ?? reference
        return RuntimeImage(id: "sha256:\(digest)", tags: [reference], digests: ["\(name)@sha256:\(digest)"], size: size)
    }

    /// A 64-digit identifier that is a function of `number`.
    private static func identifier(_ number: Int) -> String {
        var state = UInt64(bitPattern: Int64(number)) &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
        var text = ""
        for _ in 0..<4 {
            state ^= state >> 30
            state = state &* 0xBF58_476D_1CE4_E5B9
            state ^= state >> 27
            let part = String(state, radix: 16)
            text += String(repeating: "0", count: 16 - part.count) + part
        }
        return text
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    private func newID() -> String {
        sequence += 1
        return Self.identifier(sequence)
    }

    private func emit(_ event: RuntimeEvent) {
        for continuation in subscribers.values { continuation.yield(event) }
    }

    private func pause(_ duration: Duration) async throws {
        guard duration > .zero else { return }
        do { try await Task.sleep(for: duration) } catch { throw RuntimeError(.cancelled, "context canceled") }
    }

    // MARK: control

    /// Changes how containers made from now on behave.
    package func configure(_ change: @Sendable (inout Configuration) -> Void) { change(&configuration) }

    /// Ends a running container's process, as a crash or a kill from outside does.
    package func exit(container id: String, code: Int32, reason: String? = nil) {
        guard var container = containersByID[id], container.status.state == .running else { return }
        container.exitTask?.cancel()
        container.exitTask = nil
        container.status.state = .exited
        container.status.finishedAt = Self.now
        container.status.exitCode = code
        container.status.reason = reason ?? (code == 0 ? "Completed" : "Error")
        containersByID[id] = container
        emit(.exited(id: id))
    }

    /// The IDs of running containers of a name, oldest first.
    package func running(name: String) -> [String] {
        containersByID.values.filter { $0.status.name == name && $0.status.state == .running }.sorted { $0.status.createdAt < $1.status.createdAt }
            .map(\.status.id)
    }

    /// A sandbox's own process ends, and its containers with it.
    package func failSandbox(_ id: String) {
        guard sandboxes[id] != nil else { return }
        for container in containersByID.values where container.sandboxID == id { exit(container: container.status.id, code: 137) }
        sandboxes[id]?.info.isReady = false
        emit(.exited(id: id))
    }

    // MARK: runtime

    package func version() async throws -> RuntimeVersion { RuntimeVersion(name: "simulated", version: "1.0.0", apiVersion: "v1") }

    package func status() async throws -> [RuntimeCondition] {
        [
            RuntimeCondition(type: "RuntimeReady", status: true),
            configuration.networkReady
                ? RuntimeCondition(type: "NetworkReady", status: true)
                : RuntimeCondition(
                    type: "NetworkReady", status: false, reason: "NetworkPluginNotReady",
                    message: "Network plugin returns error: cni plugin not initialized"),
        ]
    }

    package func runPodSandbox(_ config: PodSandboxConfig) async throws -> String {
        try await pause(configuration.sandboxDelay)
        let id = newID()
        var ips: [String] = []
        if config.namespaces.network == .pod {
            ips = ["\(configuration.addressPrefix).\(nextAddress / 254 % 256).\(nextAddress % 254 + 1)"]
            nextAddress += 1
        }
        journal.append("runPodSandbox \(config.metadata.name)" + (config.runtimeHandler.isEmpty ? "" : " \(config.runtimeHandler)"))
        sandboxes[id] = Sandbox(
            info: PodSandbox(
                id: id, metadata: config.metadata, isReady: true, createdAt: Self.now, labels: config.labels, annotations: config.annotations,
                ips: ips,
                networkMode: config.namespaces.network))
        emit(.started(id: id))
        return id
    }

    package func stopPodSandbox(_ id: String) async throws {
        guard let sandbox = sandboxes[id] else { return }
        for container in containersByID.values where container.sandboxID == id { exit(container: container.status.id, code: 137) }
        guard sandbox.info.isReady else { return }
        journal.append("stopPodSandbox \(sandbox.info.metadata.name)")
        sandboxes[id]?.info.isReady = false
        emit(.exited(id: id))
    }

    package func removePodSandbox(_ id: String) async throws {
        guard let sandbox = sandboxes[id] else { return }
        try await stopPodSandbox(id)
        for container in containersByID.values where container.sandboxID == id { containersByID[container.status.id] = nil }
        sandboxes[id] = nil
        journal.append("removePodSandbox \(sandbox.info.metadata.name)")
    }

    private static func matches(_ labels: [String: String], _ wanted: [String: String]) -> Bool { wanted.allSatisfy { labels[$0.key] == $0.value } }

    package func podSandboxes(_ filter: PodSandboxFilter) async throws -> [PodSandbox] {
        sandboxes.values.map(\.info).filter { (filter.id == nil || filter.id == $0.id) && Self.matches($0.labels, filter.labels) }
    }

    package func podSandboxStatus(_ id: String) async throws -> PodSandbox {
        guard let sandbox = sandboxes[id] else { throw RuntimeError(.notFound, "an error occurred when try to find sandbox: not found") }
        return sandbox.info
    }

    // MARK: containers

    package func createContainer(sandbox: String, config: ContainerConfig, sandboxConfig: PodSandboxConfig) async throws -> String {
        guard let owner = sandboxes[sandbox] else { throw RuntimeError(.notFound, "failed to find sandbox id \"\(sandbox)\": not found") }
        guard owner.info.isReady else { throw RuntimeError(.unknown, "sandbox container \"\(sandbox)\" is not running") }
        let image = imagesByReference[config.image] ?? imagesByReference.values.first { $0.id == config.image || $0.digests.contains(config.image) }
        guard let image else { throw RuntimeError(.notFound, "image \"\(config.image)\" not found") }
        let reference = image.tags.first ?? config.image
        let script = configuration.scripts[reference] ?? configuration.standard
        if let error = script.createError { throw RuntimeError(.unknown, error) }
        let id = newID()
        var status = RuntimeContainerStatus(id: id, name: config.name, attempt: config.attempt, state: .created)
        status.createdAt = Self.now
        status.image = config.userSpecifiedImage
        status.imageRef = image.digests.first ?? image.id
        status.labels = config.labels
        status.annotations = config.annotations
        status.mounts = config.mounts
        status.resources = config.resources
        status.logPath = sandboxConfig.logDirectory + "/" + config.logPath
        containersByID[id] = Container(status: status, sandboxID: sandbox, script: script)
        journal.append("createContainer \(config.name)")
        return id
    }

    package func startContainer(_ id: String) async throws {
        guard let waiting = containersByID[id] else { throw Self.missing(id) }
        try await pause(waiting.script.startDelay)
        guard var container = containersByID[id] else { throw Self.missing(id) }
        guard container.status.state == .created else {
            throw RuntimeError(.failedPrecondition, "container \"\(id)\" is not in created state")
        }
        if let error = container.script.startError {
            container.status.state = .exited
            container.status.finishedAt = Self.now
            container.status.exitCode = 128
            container.status.reason = "StartError"
            container.status.message = error
            containersByID[id] = container
            throw RuntimeError(.unknown, error)
        }
        container.status.state = .running
        container.status.startedAt = Self.now
        if let delay = container.script.exitsAfter {
            let code = container.script.exitCode
            container.exitTask = Task { [weak self] in
                do { try await Task.sleep(for: delay) } catch { return }  // Cancelled: it ended in another way.
                await self?.exit(container: id, code: code)
            }
        }
        containersByID[id] = container
        journal.append("startContainer \(container.status.name)")
        emit(.started(id: id))
    }

    private static func missing(_ id: String) -> RuntimeError {
        RuntimeError(.notFound, "an error occurred when try to find container \"\(id)\": not found")
    }

    package func stopContainer(_ id: String, timeout: Int64) async throws {
        guard let container = containersByID[id], container.status.state == .running else { return }
        journal.append("stopContainer \(container.status.name) \(timeout)")
        let grace = Duration.seconds(max(0, timeout))
        let obeys = container.script.stopDelay <= grace
        try await pause(min(container.script.stopDelay, grace))
        exit(container: id, code: obeys ? 143 : 137)
    }

    package func removeContainer(_ id: String) async throws {
        guard let container = containersByID[id] else { return }
        exit(container: id, code: 137)
        containersByID[id] = nil
        journal.append("removeContainer \(container.status.name)")
        emit(.deleted(id: id))
    }

    package func containers(_ filter: ContainerFilter) async throws -> [RuntimeContainer] {
        containersByID.values.filter {
            (filter.id == nil || filter.id == $0.status.id) && (filter.sandboxID == nil || filter.sandboxID == $0.sandboxID)
                && Self.matches($0.status.labels, filter.labels)
        }.map {
            RuntimeContainer(
                id: $0.status.id, sandboxID: $0.sandboxID, name: $0.status.name, attempt: $0.status.attempt, imageRef: $0.status.imageRef,
                state: $0.status.state, createdAt: $0.status.createdAt, labels: $0.status.labels, annotations: $0.status.annotations)
        }
    }

    package func containerStatus(_ id: String) async throws -> RuntimeContainerStatus {
        guard let container = containersByID[id] else { throw Self.missing(id) }
        return container.status
    }

    package func updateContainerResources(_ id: String, _ resources: LinuxResources) async throws {
        guard let container = containersByID[id] else { throw Self.missing(id) }
        if let error = container.script.updateError { throw RuntimeError(.unknown, error) }
        containersByID[id]?.status.resources = resources
        journal.append("updateContainerResources \(container.status.name) \(resources.cpuShares) \(resources.cpuQuota) \(resources.memoryLimit)")
    }

    package func reopenContainerLog(_ id: String) async throws {
        guard let container = containersByID[id] else { throw Self.missing(id) }
        journal.append("reopenContainerLog \(container.status.name)")
    }

    package func containerStats(_ filter: ContainerFilter) async throws -> [RuntimeContainerStats] {
        try await containers(filter).filter { $0.state == .running }.map {
            var stats = RuntimeContainerStats(id: $0.id, name: $0.name, labels: $0.labels, timestamp: Self.now)
            stats.cpuNanoseconds = 1_000_000
            stats.workingSetBytes = 1 << 20
            stats.memoryUsageBytes = 1 << 20
            return stats
        }
    }

    package func execSync(_ id: String, command: [String], timeout: Duration) async throws -> ExecResult {
        guard let container = containersByID[id] else { throw Self.missing(id) }
        guard container.status.state == .running else { throw RuntimeError(.unknown, "container is not running") }
        return container.script.exec?(container.status.name, command) ?? ExecResult(stdout: [], stderr: [], exitCode: 0)
    }

    private static let noStreams = RuntimeError(.unimplemented, "a simulated node runs no processes: exec, attach and port-forward need a real one")
    package func execURL(_ id: String, command: [String], options: StreamOptions) async throws -> String { throw Self.noStreams }
    package func attachURL(_ id: String, options: StreamOptions) async throws -> String { throw Self.noStreams }
    package func portForwardURL(sandbox: String, ports: [Int32]) async throws -> String { throw Self.noStreams }

    // MARK: images

    package func images() async throws -> [RuntimeImage] { imagesByReference.values.sorted { $0.id < $1.id } }

    package func imageStatus(_ reference: String) async throws -> RuntimeImage? {
        imagesByReference[reference] ?? imagesByReference.values.first { $0.id == reference || $0.digests.contains(reference) }
    }

    package func pullImage(_ reference: String, credentials: RegistryCredentials?, sandboxConfig: PodSandboxConfig?) async throws -> String {
        let script = configuration.scripts[reference] ?? configuration.standard
        journal.append("pullImage \(reference)")
        try await pause(script.pullDelay)
        if let error = script.pullError { throw RuntimeError(.unknown, error) }
        sequence += 1
        let image = imagesByReference[reference] ?? Self.image(reference, number: sequence, size: script.imageSize)
        imagesByReference[reference] = image
        return image.digests.first ?? image.id
    }

    package func removeImage(_ reference: String) async throws {
        imagesByReference = imagesByReference.filter { $0.key != reference && $0.value.id != reference }
    }

    package func imageFilesystem() async throws -> [RuntimeFilesystemUsage] {
        [RuntimeFilesystemUsage(mountpoint: "/", usedBytes: imagesByReference.values.reduce(0) { $0 &+ $1.size }, inodesUsed: 0)]
    }

    // MARK: events

    package nonisolated func events() -> AsyncStream<RuntimeEvent> {
        AsyncStream { continuation in
            Task { await self.subscribe(continuation) }
        }
    }

    private func subscribe(_ continuation: AsyncStream<RuntimeEvent>.Continuation) {
        sequence += 1
        let number = sequence
        subscribers[number] = continuation
        continuation.onTermination = { [weak self] _ in Task { await self?.unsubscribe(number) } }
        continuation.yield(.resynchronize)
    }

    private func unsubscribe(_ number: Int) { subscribers[number] = nil }
}
