import ContainerRuntime
import KubeAPI
import KubeClient

/// Starts one container: image, configuration, create, start, postStart. Upstream: kuberuntime's startContainer.
struct ContainerStarter: Sendable {
    let services: PodServices
    let pod: Pod
    let sandboxID: String
    let sandboxConfig: PodSandboxConfig
    let ips: [String]
    let volumes: [String: String]
    let credentials: PullCredentials
    /// IDs of the running containers by name: an ephemeral one may share the processes of another.
    var running: [String: String] = [:]

    /// Why it does not run, and in how many seconds to try again.
    struct Failure: Error, Sendable {
        var failure: StartFailure
        var retryAfter: Double
        /// The container was made and must be ended.
        var containerID: String?
    }

    /// Upstream: the kubelet's backOffPeriod for pods whose sync failed.
    static let retryPeriod = 10.0

    private func fail(_ reason: String, _ message: String, retryAfter: Double = retryPeriod, id: String? = nil) -> Failure {
        Failure(failure: StartFailure(reason: reason, message: message), retryAfter: retryAfter, containerID: id)
    }

    private func event(_ container: ContainerSpec, _ type: EventRecorder.EventType, _ reason: String, _ message: String) {
        services.event(pod, container, type, reason, message)
    }

    /// Returns the container's ID. Throws `Failure` and `CancellationError`.
    func start(_ container: ContainerSpec, restartCount: Int64) async throws -> String {
        let (reference, image) = try await image(container)
        let attempt = UInt32(clamping: restartCount)
        let config: ContainerConfig
        do {
            config = try await configuration(container, attempt: attempt, reference: reference, image: image)
        } catch let error as CancellationError {
            throw error
        } catch {
            event(container, .warning, "Failed", "Error: \(error)")
            throw fail("CreateContainerConfigError", "\(error)")
        }
        let id: String
        do {
            id = try await services.starts.pass(.container) {
                try await services.runtime.createContainer(sandbox: sandboxID, config: config, sandboxConfig: sandboxConfig)
            }
        } catch {
            try Task.checkCancellation()
            event(container, .warning, "Failed", "Error: \(Self.text(error))")
            throw fail("CreateContainerError", Self.text(error))
        }
        await services.pleg.note(id, podUID: pod.uid)
        event(container, .normal, "Created", "Container created")
        do { try await services.starts.pass(.container) { try await services.runtime.startContainer(id) } } catch {
            try Task.checkCancellation()
            event(container, .warning, "Failed", "Error: \(Self.text(error))")
            throw fail("RunContainerError", Self.text(error))
        }
        event(container, .normal, "Started", "Container started")
        if let handler = container.postStart { try await postStart(handler, container, id) }
        return id
    }

    private static func text(_ error: any Error) -> String { (error as? RuntimeError)?.message ?? "\(error)" }

    private func image(_ container: ContainerSpec) async throws -> (String, RuntimeImage?) {
        do {
            return try await services.images.ensure(
                container.image, policy: container.imagePullPolicy, podUID: pod.uid, credentials: credentials, sandbox: sandboxConfig
            ) { event(container, $0, $1, $2) }
        } catch let failure as ImageFailure {
            if failure.reason == "ImagePullBackOff" || failure.reason == "InvalidImageName" || failure.reason == "ErrImageNeverPull" {
                event(container, .warning, "Failed", "Error: \(failure.reason)")
            }
            throw fail(failure.reason, failure.message, retryAfter: failure.retryAfter ?? Self.retryPeriod)
        }
    }

    /// Upstream: generateContainerConfig.
    private func configuration(_ container: ContainerSpec, attempt: UInt32, reference: String, image: RuntimeImage?) async throws -> ContainerConfig {
        let mounts = PodMounts(services: services, pod: pod)
        let environment = try await mounts.environment(of: container, ips: ips, volumes: volumes)
        var config = ContainerConfig(name: container.name, attempt: attempt, image: reference)
        config.userSpecifiedImage = container.image
        config.security = try SecuritySettings(pod: pod, container: container).containerSecurity(image: image)
        config.security.seccomp = SecuritySettings.seccomp(config.security.seccomp, rootDirectory: services.configuration.rootDirectory)
        if let target = container.view["targetContainerName"].string, !target.isEmpty {
            guard let id = running[target] else { throw ContainerConfigError("unable to find target container \(target.goQuoted)") }
            config.security.namespaces.pid = .target
            config.security.namespaces.targetID = id
        }
        config.command = container.command.map { text in Expansion.expand(text) { environment[$0] } }
        config.args = container.args.map { text in Expansion.expand(text) { environment[$0] } }
        config.workingDirectory = container.workingDirectory
        config.environment = environment.variables
        config.mounts = try await mounts.mounts(of: container, attempt: attempt, volumes: volumes, ips: ips, environment: environment)
        config.labels = [
            ContainerLabels.podName: pod.name, ContainerLabels.podNamespace: pod.namespace, ContainerLabels.podUID: pod.uid,
            ContainerLabels.containerName: container.name,
        ]
        config.annotations = [
            ContainerLabels.hash: container.hash, ContainerLabels.restartCount: String(attempt),
            ContainerLabels.terminationMessagePath: container.terminationMessagePath,
            ContainerLabels.terminationMessagePolicy: container.terminationMessagePolicy,
            ContainerLabels.terminationGracePeriod: String(pod.terminationGracePeriodSeconds),
        ]
        if !container.ports.isEmpty { config.annotations[ContainerLabels.ports] = Value.array(container.ports.map(\.value)).jsonString }
        config.logPath = "\(container.name)/\(attempt).log"
        if services.configuration.managesPodFiles {
            let directory = "\(sandboxConfig.logDirectory)/\(container.name)"
            try await FileWork.run { try FileTree.makeDirectories(directory) }
        }
        config.stdin = container.view["stdin"].bool ?? false
        config.stdinOnce = container.view["stdinOnce"].bool ?? false
        config.tty = container.view["tty"].bool ?? false
        let resources = container.linuxResources(pod: pod, nodeMemory: services.configuration.capacity["memory"]?.value ?? 0)
        config.resources = services.memory.limit(resources, container, pod: pod)
        if let given = try await services.devices?.starting(pod, container) {
            config.environment += given.environment.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            config.mounts += given.mounts
            config.devices = given.devices
            config.annotations.merge(given.annotations) { _, new in new }
        }
        if config.security.privileged {
            config.devices = []  // The runtime gives a privileged container all devices.
        }
        config.devices += try mounts.devices(of: container, volumes: volumes)
        return config
    }

    private func postStart(_ handler: JSONView, _ container: ContainerSpec, _ id: String) async throws {
        do {
            try await LifecycleHooks(services: services, pod: pod).run(handler, container: container, id: id, podIP: ips.first ?? "", limit: nil)
        } catch {
            try Task.checkCancellation()
            event(container, .warning, "FailedPostStartHook", "PostStartHook failed")
            throw fail("PostStartHookError", "PostStartHook failed", id: id)
        }
    }
}

/// preStop and postStart handlers. Upstream: pkg/kubelet/lifecycle.handlerRunner.
struct LifecycleHooks: Sendable {
    let services: PodServices
    let pod: Pod

    /// Seconds a handler sleeps at most: clocks cannot sleep for as long as a pod may say.
    private static let longestSleep: Int64 = 1 << 31

    /// Throws when the handler fails or takes longer than `limit`.
    func run(_ handler: JSONView, container: ContainerSpec, id: String, podIP: String, limit: Duration?) async throws {
        let target = ProbeActions.Target(containerID: id, podIP: pod.hostNetwork ? services.configuration.nodeIP : podIP, container: container)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                if let exec = handler["exec"] {
                    let result = try await services.runtime.execSync(id, command: exec["command"].strings, timeout: limit ?? .zero)
                    if result.exitCode != 0 {
                        let output = String(decoding: (result.stdout + result.stderr).prefix(ProbeActions.answerLimit), as: UTF8.self)
                        throw ContainerConfigError(
                            "command '\(exec["command"].strings.joined(separator: " "))' exited with \(result.exitCode): \(output)")
                    }
                } else if let http = handler["httpGet"] {
                    try await services.probeActions.httpHook(http, target)
                } else if let sleep = handler["sleep"] {
                    try await Task.sleep(for: .seconds(min(Self.longestSleep, max(0, sleep["seconds"].int ?? 0))))
                } else {
                    throw ContainerConfigError("cannot run handler: no action")
                }
            }
            if let limit {
                group.addTask {
                    try await Task.sleep(for: min(limit, .seconds(Self.longestSleep)))
                    throw ContainerConfigError("handler took longer than the grace period")
                }
            }
            _ = try await group.next()
            group.cancelAll()
        }
    }
}
