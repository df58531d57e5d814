package import Certificates
package import KubeAPI
package import KubeClient
package import Logging
import Synchronization

/// One control loop: it compares what is wanted with what is, for one kind, and writes the difference. All are level-triggered: they decide from
/// their caches
/// alone, so that a missed or doubled event does no harm.
package protocol Controller: Sendable {
    /// Upstream's name: `deployment-controller`.
    var name: String { get }
    /// Runs until the task is cancelled. Handlers on informers are added by the initializer, so that it may be called again after it threw.
    func run() async throws
}

/// Settings of the controllers that differ between clusters. Upstream: the flags of kube-controller-manager.
package struct ControllerConfiguration: Sendable {
    /// The cluster's CA certificates, published to every namespace as `kube-root-ca.crt`.
    package var rootCAPEM: String
    /// Signs approved CertificateSigningRequests of the cluster's own signers; nil: nobody does.
    package var certificateAuthority: CertificateAuthority?
    /// The longest that a signed certificate lasts, in seconds. Upstream: --cluster-signing-duration.
    package var signingDuration: Int64 = 365 * 86400
    /// Signs the token of a Secret of type kubernetes.io/service-account-token; nil: nobody fills them.
    package var serviceAccountToken: TokenSigner?
    /// Where volumes of the built-in provisioner live; nil: only drivers make volumes.
    package var volumes: VolumeStore?
    /// The resources served now; asked again whenever CustomResourceDefinitions change.
    package var resources: @Sendable () -> ResourceTable
    /// What extension servers serve besides, as far as it is known.
    package var extensionResources: @Sendable () -> DiscoveredResources = { DiscoveredResources() }
    /// How long a node may be silent before it counts as gone. Upstream: --node-monitor-grace-period.
    package var nodeMonitorGracePeriod: Duration = .seconds(50)
    /// The same for a node that has never reported. Upstream: --node-startup-grace-period.
    package var nodeStartupGracePeriod: Duration = .seconds(60)
    /// Nodes a second, per zone, that pods are evicted from. Upstream: --node-eviction-rate.
    package var nodeEvictionRate: Double = 0.1
    /// The same while most of a large zone is unhealthy. Upstream: --secondary-node-eviction-rate.
    package var secondaryNodeEvictionRate: Double = 0.01
    /// Zones up to this size stop evicting while most of their nodes are unhealthy. Upstream: --large-cluster-size-threshold.
    package var largeClusterThreshold = 50
    /// The part of a zone's nodes that makes it partially disrupted. Upstream: --unhealthy-zone-threshold.
    package var unhealthyZoneThreshold = 0.55
    /// Finished pods kept at most. Upstream: --terminated-pod-gc-threshold.
    package var terminatedPodThreshold = 12500
    /// How long after a node's disappearance its pods are collected. Upstream: podgc's quarantineTime.
    package var orphanedPodQuarantine: Duration = .seconds(40)

    /// Throws what the signing throws.
    package typealias TokenSigner = @Sendable (_ namespace: String, _ account: String, _ uid: String, _ secret: String) throws -> String

    package init(rootCAPEM: String, resources: @escaping @Sendable () -> ResourceTable) {
        self.rootCAPEM = rootCAPEM
        self.resources = resources
    }
}

/// What every controller is given: a client, shared informers, and time.
package final class ControllerEnvironment: Sendable {
    package let client: KubeClient
    package let informers: InformerFactory
    package let configuration: ControllerConfiguration
    /// Wall-clock time, as written into objects.
    package let now: @Sendable () -> Timestamp
    /// What delays are measured with.
    package let clock: any Clock<Duration>
    package let logger: Logger
    /// Where the controllers' queues are counted.
    private let metrics: WorkQueueMetrics?
    private let recorders: Recorders
    /// The way to the API server as one of kube-system's service accounts; nil: all controllers are the client's user.
    private let transport: (@Sendable (_ account: String) -> any KubeTransport)?

    private final class Recorders: Sendable {
        let all = Mutex<[EventRecorder]>([])
    }

    package init(
        client: KubeClient, configuration: ControllerConfiguration, informers: InformerFactory? = nil,
        now: @escaping @Sendable () -> Timestamp = { .now },
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "controllers"),
        metrics: WorkQueueMetrics? = nil, transport: (@Sendable (_ account: String) -> any KubeTransport)? = nil
    ) {
        self.client = client
        self.transport = transport
        recorders = Recorders()
        self.configuration = configuration
        self.informers = informers ?? InformerFactory(client: client, clock: clock, logger: logger)
        self.now = now
        self.clock = clock
        self.logger = logger
        self.metrics = metrics
    }

    /// The same environment with a client of its own, that `make`'s controller will be known by.
    private init(_ parent: ControllerEnvironment, client: KubeClient) {
        self.client = client
        informers = parent.informers
        configuration = parent.configuration
        now = parent.now
        clock = parent.clock
        logger = parent.logger
        metrics = parent.metrics
        recorders = parent.recorders
        transport = parent.transport
    }

    /// Makes a controller that acts as its own service account.
    func make(_ make: @Sendable (ControllerEnvironment) -> any Controller) -> any Controller {
        guard let transport else { return make(self) }
        let late = LateTransport()
        let controller = make(ControllerEnvironment(self, client: KubeClient(transport: late, fieldManager: client.fieldManager)))
        late.choose(ControllerIdentity.account(of: controller.name).map(transport) ?? client.transport)
        return controller
    }

    /// A recorder that writes events as `component`; the runner runs it.
    func recorder(_ component: String) -> EventRecorder {
        let recorder = EventRecorder(client: client, component: component, clock: clock, wallClock: now, logger: logger)
        recorders.all.withLock { $0.append(recorder) }
        return recorder
    }

    func queue<Key: Hashable & Sendable>(
        _ name: String, of key: Key.Type, backoff: WorkQueue<Key>.Backoff = WorkQueue<Key>.Backoff()
    ) -> WorkQueue<Key> {
        WorkQueue(name: name, backoff: backoff, clock: clock, metrics: metrics)
    }

    /// A queue of objects' keys (`namespace/name`).
    func queue(_ name: String, backoff: WorkQueue<String>.Backoff = WorkQueue<String>.Backoff()) -> WorkQueue<String> {
        queue(name, of: String.self, backoff: backoff)
    }

    var allRecorders: [EventRecorder] { recorders.all.withLock { $0 } }
}

/// Starts all controllers and keeps them running. Upstream: cmd/kube-controller-manager.
package enum ControllerRunner {
    /// Before a controller that threw is started again: first and longest pause.
    private static let firstPause = Duration.milliseconds(200)
    private static let longestPause = Duration.seconds(30)

    /// Runs the standard controllers until the task is cancelled. `runInformers`: false when the environment's factory is run by the caller.
    package static func run(_ environment: ControllerEnvironment, runInformers: Bool = true) async {
        await run(Controllers.standard.map { environment.make($0) }, environment, runInformers: runInformers)
    }

    /// As above with a client alone.
    package static func run(client: KubeClient, configuration: ControllerConfiguration, logger: Logger = Logger(label: "controllers")) async {
        await run(ControllerEnvironment(client: client, configuration: configuration, logger: logger))
    }

    /// Runs these controllers, and with them informers and event recorders.
    package static func run(_ controllers: [any Controller], _ environment: ControllerEnvironment, runInformers: Bool = true) async {
        await withDiscardingTaskGroup { group in
            if runInformers { group.addTask { await environment.informers.run() } }
            for recorder in environment.allRecorders { group.addTask { await recorder.run() } }
            for controller in controllers {
                group.addTask { await keepRunning(controller, environment) }
            }
        }
    }

    private static func keepRunning(_ controller: any Controller, _ environment: ControllerEnvironment) async {
        var pause = firstPause
        while !Task.isCancelled {
            do {
                try await controller.run()
                return
            } catch is CancellationError {
                return
            } catch {
                environment.logger.error(
                    "a controller failed and is started again", metadata: ["controller": "\(controller.name)", "error": "\(error)"])
            }
            do { try await environment.clock.sleep(for: pause) } catch { return }
            pause = min(longestPause, pause * 2)
        }
    }
}

extension Duration {
    /// From seconds as planners reckon them; NaN and absurd values are clamped.
    static func fromSeconds(_ seconds: Double) -> Duration {
        .milliseconds(Int64(max(0, min(seconds.isFinite ? seconds : 0, 1e9)) * 1000))
    }

    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

extension Object {
    /// Parses a tree that this module built from a parsed object or from literals.
    static func built(_ value: Value) throws -> Object { try Object(value) }
}
