package import KubeAPI
package import Logging

/// Keeps a copy of a resource: lists it, then watches it from the list's revision, and so on for ever. Upstream: client-go/tools/cache.Reflector.
package struct Reflector: Sendable {
    /// What a reflector tells its keeper, from one task, in order.
    package enum Change: Sendable {
        /// The whole content, after a list.
        case replaced([Object])
        case added(Object)
        case modified(Object)
        case deleted(Object)
    }

    /// The first pause after a failure, doubled with each further one. Upstream begins at 800 ms; an API server of this process is back much sooner.
    static let firstPause = Duration.milliseconds(50)
    /// The longest pause. Upstream: 30 s.
    static let longestPause = Duration.seconds(30)
    /// A watch that lasted this long was a good one: its end is no failure.
    static let goodWatch = Duration.seconds(1)
    /// A watch is asked to end after 5 to 10 minutes, at random, so that a server's clients do not all come back at once.
    static let watchSeconds = 300...600

    package let client: KubeClient
    package let resource: GroupVersionResource
    package var namespace: String?
    package var selecting: ListOptions
    private let time: TimeSource
    private let logger: Logger

    package init(
        client: KubeClient, resource: GroupVersionResource, namespace: String? = nil, selecting: ListOptions = ListOptions(),
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "reflector")
    ) {
        self.client = client
        self.resource = resource
        self.namespace = namespace
        self.selecting = selecting
        self.logger = logger
        time = TimeSource(clock)
    }

    /// Runs until the task is cancelled.
    package func run(_ change: @Sendable (Change) -> Void) async {
        var pause = Self.firstPause
        /// Where to watch on from; nil asks for a list first.
        var resourceVersion: String?
        while !Task.isCancelled {
            let began = time.now()
            do {
                if resourceVersion == nil {
                    let list = try await client.list(resource, namespace: namespace, options: selecting)
                    change(.replaced(list.items))
                    resourceVersion = list.resourceVersion
                    pause = Self.firstPause
                }
                try await watch(from: &resourceVersion, change)
                if time.now() - began >= Self.goodWatch {
                    pause = Self.firstPause
                    continue
                }
            } catch is CancellationError {
                return
            } catch let error as StatusError where error.isExpired {
                logger.debug("relisting", metadata: ["resource": "\(resource)", "why": "\(error.message)"])
                resourceVersion = nil
                if time.now() - began >= Self.goodWatch { pause = Self.firstPause }
            } catch {
                if time.now() - began >= Self.goodWatch { pause = Self.firstPause }
                logger.debug("will retry", metadata: ["resource": "\(resource)", "error": "\(error)", "pause": "\(pause)"])
            }
            do { try await time.sleep(pause * Double.random(in: 0.5...1)) } catch { return }
            pause = min(Self.longestPause, pause * 2)
        }
    }

    private func watch(from resourceVersion: inout String?, _ change: @Sendable (Change) -> Void) async throws {
        var options = selecting
        options.resourceVersion = resourceVersion
        let seconds = Int.random(in: Self.watchSeconds)
        for try await event in try await client.watch(resource, namespace: namespace, options: options, timeoutSeconds: seconds) {
            switch event.kind {
            case .added: change(.added(event.object))
            case .modified: change(.modified(event.object))
            case .deleted: change(.deleted(event.object))
            case .bookmark: break
            case .error: throw StatusError(status: event.object) ?? StatusError.internalError("a watch's error event holds no Status")
            }
            let seen = event.object.metadata.resourceVersion
            if !seen.isEmpty { resourceVersion = seen }
        }
        try Task.checkCancellation()
    }
}
