package import KubeAPI
package import KubeClient
package import Logging

/// EKS Auto Mode in one cluster: nodes come when pods need them and go when they do not. Upstream: EKS User Guide, "EKS Auto Mode"; karpenter.sh.
///
/// ```
///  pods without a node ──▶ Provisioner ──makes──▶ NodeClaim ──▶ ClaimController ──▶ NodeProvider (instances) ──▶ Node
///  NodePool, NodeClass ──▶ their controllers ──▶ status            ▲
///  nodes that can be done without ──▶ DisruptionController ──deletes┘
/// ```
package struct AutoMode: Sendable {
    /// Who it is in its cluster.
    package static let user = "eks:compute"
    /// Before something that failed at the start is tried again: first and longest pause.
    private static let firstPause = Duration.milliseconds(200)
    private static let longestPause = Duration.seconds(30)

    private let client: KubeClient
    private let reader: KubeClient
    private let shared: InformerFactory
    private let provider: any NodeProvider
    private let settings: AutoModeSettings
    private let clock: any Clock<Duration>
    private let now: @Sendable () -> Timestamp
    private let logger: Logger

    /// `client` writes; `reader` may list and watch the kinds of Auto Mode; `shared` are informers that the caller runs.
    package init(
        client: KubeClient, reader: KubeClient, shared: InformerFactory, provider: any NodeProvider, settings: AutoModeSettings,
        clock: any Clock<Duration> = ContinuousClock(), now: @escaping @Sendable () -> Timestamp = { .now }, logger: Logger
    ) {
        self.client = client
        self.reader = reader
        self.shared = shared
        self.provider = provider
        self.settings = settings
        self.clock = clock
        self.now = now
        self.logger = logger
    }

    /// Runs until the task is cancelled.
    package func run() async {
        guard await install() else { return }
        let own = InformerFactory(client: reader, clock: clock, logger: logger)
        let caches = Caches(shared: shared, own: own, provider: provider, now: now)
        let recorder = EventRecorder(client: client, component: "eks-auto-mode/compute", clock: clock, wallClock: now, logger: logger)
        let provisioner = Provisioner(client: client, caches: caches, recorder: recorder, clock: clock, now: now, logger: logger)
        let claims = ClaimController(
            client: client, caches: caches, provider: provider, recorder: recorder, clock: clock, now: now, logger: logger)
        let classes = NodeClassController(client: client, caches: caches, provider: provider, clock: clock, now: now, logger: logger)
        let pools = NodePoolController(client: client, caches: caches, settings: settings, clock: clock, now: now, logger: logger)
        let disruption = DisruptionController(
            client: client, caches: caches, provider: provider, provisioner: provisioner, recorder: recorder, clock: clock, now: now, logger: logger)
        await withDiscardingTaskGroup { group in
            group.addTask { await own.run() }
            group.addTask { await recorder.run() }
            group.addTask {
                // Only cancellation ends the wait early.
                do { try await caches.waitForSync() } catch { return }
                await withDiscardingTaskGroup { group in
                    group.addTask { await classes.run() }
                    group.addTask { await pools.run() }
                    group.addTask { await claims.run() }
                    group.addTask { await provisioner.run() }
                    group.addTask { await disruption.run() }
                }
            }
        }
    }

    /// False: cancelled.
    private func install() async -> Bool {
        let installer = Installer(client: KubeClient(transport: client.transport, fieldManager: Installer.fieldManager))
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                try await installer.installDefinitions()
                try await installer.apply(settings)
                return true
            } catch is CancellationError {
                return false
            } catch {
                logger.error("the kinds of EKS Auto Mode could not be installed; it is tried again", metadata: ["error": "\(error)"])
            }
            do { try await clock.sleep(for: pause) } catch { return false }
            pause = min(Self.longestPause, pause * 2)
        }
        return false
    }

    /// After Auto Mode was switched off: takes EKS's own pools and class away, and what waits for controllers that do not run any more. Throws what keeps
    /// the cluster from it.
    package static func remove(_ client: KubeClient) async throws {
        try await Installer(client: KubeClient(transport: client.transport, fieldManager: Installer.fieldManager)).release()
    }
}
