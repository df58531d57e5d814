import ContainerRuntime
import KubeAPI
import KubeClient

/// Why a container's image is not there: the waiting reason and its message. Upstream: pkg/kubelet/images/types.go.
struct ImageFailure: Error, Sendable, Equatable {
    var reason: String
    var message: String
    /// Seconds after which another try makes sense.
    var retryAfter: Double?
}

/// Sees to it that images are present, by policy and with back-off. Pulls of one image at a time are one pull. Upstream: pkg/kubelet/images.
actor ImagePuller {
    private let runtime: any ContainerRuntime
    private let now: @Sendable () -> Timestamp
    private var backOff: BackOff
    /// What the last failed pull said, by back-off key.
    private var failures: [String: String] = [:]
    private var pulls: [String: Pull] = [:]

    private struct Pull {
        var task: Task<String, any Error>
        var waiters: Int
    }

    init(runtime: any ContainerRuntime, backOff: BackOff, now: @escaping @Sendable () -> Timestamp) {
        self.runtime = runtime
        self.backOff = backOff
        self.now = now
    }

    typealias Event = @Sendable (_ type: EventRecorder.EventType, _ reason: String, _ message: String) -> Void

    /// Returns the reference to create the container with, and the image. Throws `ImageFailure`.
    func ensure(
        _ image: String, policy: String, podUID: String, credentials: PullCredentials, sandbox: PodSandboxConfig?, event: Event
    ) async throws -> (reference: String, image: RuntimeImage?) {
        guard let reference = ImageReference(image) else {
            let message = "Failed to apply default image tag \"\(image)\": couldn't parse image name \"\(image)\": invalid reference format"
            event(.warning, "InspectFailed", message)
            throw ImageFailure(reason: "InvalidImageName", message: message)
        }
        let full = reference.description
        let present: RuntimeImage?
        do { present = try await runtime.imageStatus(full) } catch let error as RuntimeError {
            let message = "Failed to inspect image \"\(full)\": \(error)"
            event(.warning, "InspectFailed", message)
            throw ImageFailure(reason: "ImageInspectError", message: message, retryAfter: 10)
        }
        if let present, policy != "Always" {
            event(.normal, "Pulled", "Container image \"\(image)\" already present on machine")
            return (Self.handle(present), present)
        }
        if policy == "Never" {
            let message = "Container image \"\(image)\" is not present with pull policy of Never"
            event(.warning, "ErrImageNeverPull", message)
            throw ImageFailure(reason: "ErrImageNeverPull", message: message)
        }
        let key = "\(podUID)_\(full)"
        if let pause = backOff.remainingSinceUpdate(key, now: now()) {
            var message = "Back-off pulling image \"\(image)\""
            event(.normal, "BackOff", message)
            if let failure = failures[key] { message += ": \(failure)" }
            throw ImageFailure(reason: "ImagePullBackOff", message: message, retryAfter: pause.left)
        }
        event(.normal, "Pulling", "Pulling image \"\(image)\"")
        let began = now()
        do {
            let pulled = try await pull(reference, credentials: credentials, sandbox: sandbox)
            backOff.reset(key)
            failures[key] = nil
            let status = try await runtime.imageStatus(pulled)
            let took = Self.milliseconds(now().timeInterval(since: began))
            let size = status.map { " Image size: \($0.size) bytes." } ?? ""
            event(.normal, "Pulled", "Successfully pulled image \"\(image)\" in \(took) (\(took) including waiting).\(size)")
            return (status.map(Self.handle) ?? pulled, status)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            if Task.isCancelled { throw CancellationError() }
            let text = "\(error)"
            event(.warning, "Failed", "Failed to pull image \"\(image)\": \(text)")
            event(.warning, "Failed", "Error: ErrImagePull")
            backOff.next(key, event: now(), now: now())
            failures[key] = "ErrImagePull: \(text)"
            // Halfway through the pause the pod is looked at again, and then says ImagePullBackOff.
            throw ImageFailure(reason: "ErrImagePull", message: text, retryAfter: (backOff.remainingSinceUpdate(key, now: now())?.left ?? 0) / 2)
        }
    }

    private static func handle(_ image: RuntimeImage) -> String { image.id }

    private static func milliseconds(_ seconds: Double) -> String {
        let whole = max(0, Int64(seconds * 1000))
        return whole < 1000 ? "\(whole)ms" : "\(whole / 1000).\(String(1000 + whole % 1000).dropFirst())s"
    }

    /// Tries each of the credentials, none when there are none. A caller that is cancelled leaves the pull to the others; the last one to leave ends
    /// it.
    private func pull(_ reference: ImageReference, credentials: PullCredentials, sandbox: PodSandboxConfig?) async throws -> String {
        let full = reference.description
        let matching = credentials.matching(reference)
        // Pulls with credentials are not shared: another pod's credentials may not open the image.
        let key = matching.isEmpty ? full : "\(full) \(sandbox?.metadata.uid ?? "")"
        let task: Task<String, any Error>
        if let running = pulls[key] {
            task = running.task
            pulls[key]?.waiters += 1
        } else {
            let runtime = runtime
            task = Task {
                guard !matching.isEmpty else { return try await runtime.pullImage(full, credentials: nil, sandboxConfig: sandbox) }
                var failure: any Error = RuntimeError(.unknown, "no credentials")
                for candidate in matching {
                    do { return try await runtime.pullImage(full, credentials: candidate, sandboxConfig: sandbox) } catch { failure = error }
                }
                throw failure
            }
            pulls[key] = Pull(task: task, waiters: 1)
        }
        defer { leave(key, task) }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            Task { await self.abandon(key, task) }
        }
    }

    private func leave(_ key: String, _ task: Task<String, any Error>) {
        guard let pull = pulls[key], pull.task == task else { return }
        if pull.waiters <= 1 { pulls[key] = nil } else { pulls[key]?.waiters -= 1 }
    }

    private func abandon(_ key: String, _ task: Task<String, any Error>) {
        guard let pull = pulls[key], pull.task == task, pull.waiters <= 1 else { return }
        task.cancel()
    }

    /// Forgets what was remembered for a pod.
    func forget(podUID: String) {
        for key in backOff.entries.keys where key.hasPrefix(podUID + "_") { backOff.reset(key) }
        failures = failures.filter { !$0.key.hasPrefix(podUID + "_") }
    }
}
