package import HTTPTransport
package import KubeAPI
package import KubeClient
package import KubeStorage
package import Logging
import Synchronization

/// A Kubernetes API server: filters, generic verbs over the rows of the resource table, streaming to kubelets. One for each cluster.
/// Upstream: cmd/kube-apiserver with k8s.io/apiserver/pkg/server.
package final class APIServer: HTTPResponder {
    /// What a server is made of.
    package struct Configuration: Sendable {
        /// Where objects are kept; the server's own from `start` on.
        package var store: any Store
        package var table: ResourceTable
        package var schema: SchemaTable
        /// Makes what stands on the objects themselves, once the caches are loaded: authorisers, admission, strategies, ….
        package var components: @Sendable (any ObjectReader) throws -> Components
        /// Nil: logs, exec, attach and port-forward are not implemented.
        package var kubelets: KubeletClientConfiguration?
        /// Where requests to nodes, pods and services may go.
        package var proxyAddresses = ProxyAddressPolicy()
        /// How extension API servers are spoken to.
        package var aggregation = AggregationConfiguration()
        package var version: VersionInfo
        /// The `host:port` that discovery tells clients.
        package var serverAddress: String
        /// What is written down of requests, and where to. Nil: nothing, at no cost.
        package var audit: AuditConfiguration?
        package var now: @Sendable () -> Timestamp
        package var logger = Logger(label: "eyrie.apiserver")
        /// Requests worked on at once, reads and writes: together the seats that priority levels share. Upstream: --max-requests-inflight and
        /// --max-mutating-requests-inflight.
        package var readOnlyInFlight = 400
        package var mutatingInFlight = 200

        package init(
            store: any Store, table: ResourceTable = .shared, schema: SchemaTable = .shared, kubelets: KubeletClientConfiguration? = nil,
            version: VersionInfo, serverAddress: String = "", audit: AuditConfiguration? = nil,
            now: @escaping @Sendable () -> Timestamp = { .now },
            components: @escaping @Sendable (any ObjectReader) throws -> Components
        ) {
            self.store = store
            self.table = table
            self.schema = schema
            self.components = components
            self.kubelets = kubelets
            self.version = version
            self.serverAddress = serverAddress
            self.audit = audit
            self.now = now
        }
    }

    /// The parts that read objects.
    package struct Components: Sendable {
        /// Asked in order; the first that knows a request's credentials decides.
        package var authenticators: [any RequestAuthenticator]
        /// Asked in order; the first that allows or denies decides.
        package var authorizers: [any Authorizer]
        /// Asked in order when none of `authorizers` has an opinion.
        package var remoteAuthorizers: [any RemoteAuthorizer] = []
        package var admission: [any AdmissionPlugin]
        package var strategies: [GroupResource: any ResourceStrategy]
        package var reviews: [GroupResource: ReviewHandler]
        /// Nil: `serviceaccounts/token` is not implemented.
        package var tokenIssuer: ServiceAccountTokenIssuer?
        /// Beyond discovery and OpenAPI: OIDC documents.
        package var paths: [any PathResponder]
        /// Beyond the server's own; `/readyz` fails while one of these does.
        package var readiness: [HealthCheck]
        /// What other parts of the process count, in Prometheus' text form, for `/metrics`.
        package var metrics: [@Sendable () -> String] = []

        package init(
            authenticators: [any RequestAuthenticator] = [], authorizers: [any Authorizer] = [], admission: [any AdmissionPlugin] = [],
            strategies: [GroupResource: any ResourceStrategy] = [:], reviews: [GroupResource: ReviewHandler] = [:],
            tokenIssuer: ServiceAccountTokenIssuer? = nil, paths: [any PathResponder] = [], readiness: [HealthCheck] = [],
            remoteAuthorizers: [any RemoteAuthorizer] = []
        ) {
            self.authenticators = authenticators
            self.authorizers = authorizers
            self.admission = admission
            self.strategies = strategies
            self.reviews = reviews
            self.tokenIssuer = tokenIssuer
            self.paths = paths
            self.readiness = readiness
            self.remoteAuthorizers = remoteAuthorizers
        }
    }

    /// What serves once the caches are loaded.
    struct Running: Sendable {
        let store: CachedStore
        let environment: VerbEnvironment
        let components: Components
        let health: HealthEndpoints
        let authentication: AuthenticationChain
        let flow: FlowController
        let discovery: LiveDiscovery
        let aggregator: Aggregator
        let documents: AggregatedDocuments
        /// Nil: kubelets cannot be asked.
        let usage: MetricsAPI?
    }

    private enum Phase {
        case new
        case running(Running)
        case stopped
    }

    let configuration: Configuration
    let metrics = ServerMetrics()
    let deprecated = DeprecatedRequests()
    let deadlines = Deadlines()
    /// Of the controllers that work on this server: with them in one process, `/metrics` is theirs, too.
    package let workQueues = WorkQueueMetrics()
    let auditor: Auditor?
    private let flowMaintenance = FlowControlMaintenance()
    private let maintenance = Mutex<Task<Void, Never>?>(nil)
    private let phase = Mutex(Phase.new)
    /// Looks after APIServices while the server runs.
    private let availability = Mutex<Task<Void, Never>?>(nil)
    private let definitions = Mutex<DefinitionController?>(nil)
    private let bootstrapped = Atomic(false)
    private let shuttingDown = Atomic(false)
    private var logger: Logger { configuration.logger }

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        auditor = configuration.audit.map { Auditor($0, now: configuration.now) }
    }

    /// Loads the caches and makes the components. After it returned the server answers; `/readyz` says so after `markReady`. Throws `StoreError` and
    /// what `components` throws.
    package func start() async throws {
        let store = try await CachedStore.open(configuration.store)
        let registry = ResourceRegistry(store: store, table: configuration.table)
        let components = try configuration.components(registry)
        registry.install(strategies: components.strategies)
        let environment = VerbEnvironment(
            registry: registry, schema: configuration.schema, admission: components.admission, reviews: components.reviews,
            tokenIssuer: components.tokenIssuer,
            kubelets: configuration.kubelets.map { KubeletConnections($0, policy: configuration.proxyAddresses) },
            proxies: ProxyConnections(policy: configuration.proxyAddresses), authorizers: components.authorizers,
            now: configuration.now)
        let health = HealthEndpoints.standard(
            stored: { [weak self] in self.map { $0.isServing } ?? false ? nil : "the store is closed" },
            bootstrapped: { [weak self] in self?.bootstrapped.load(ordering: .acquiring) == true },
            isShuttingDown: { [weak self] in self?.isShuttingDown ?? true }, more: components.readiness)
        let flow = FlowController(seats: configuration.readOnlyInFlight + configuration.mutatingInFlight)
        flow.follow(registry) { [flowMaintenance] in flowMaintenance.changed() }
        let discovery = LiveDiscovery(
            registry: registry, schema: configuration.schema, version: configuration.version, serverAddress: configuration.serverAddress)
        let usage = environment.kubelets.map {
            MetricsAPI(reader: registry, collector: UsageCollector(connections: $0, now: configuration.now))
        }
        let aggregator = Aggregator(
            reader: registry, configuration: configuration.aggregation, local: usage == nil ? [] : [(MetricsAPI.service, MetricsAPI.discovery)])
        phase.withLock {
            $0 = .running(
                Running(
                    store: store, environment: environment, components: components, health: health,
                    authentication: AuthenticationChain(authenticators: components.authenticators), flow: flow, discovery: discovery,
                    aggregator: aggregator, documents: AggregatedDocuments(aggregator: aggregator), usage: usage))
        }
        let availability = AvailabilityController(
            aggregator: aggregator, reader: registry, client: InProcessTransport(self, user: .apiServer), now: configuration.now)
        self.availability.withLock { $0 = Task { await availability.run() } }
        let definitions = DefinitionController(environment: environment, client: InProcessTransport(self, user: .apiServer))
        self.definitions.withLock { $0 = definitions }
        definitions.start()
        logger.debug("API server serves", metadata: ["resources": "\(configuration.table.rows.count)", "revision": "\(store.revision)"])
    }

    /// The default objects are there: from now on `/readyz` is `ok`.
    package func markReady() { bootstrapped.store(true, ordering: .releasing) }

    /// Keeps the objects of priority and fairness in order from now on.
    func beginMaintenance() {
        let transport = InProcessTransport(self, user: .apiServer)
        maintenance.withLock { task in
            guard task == nil, let reader = try? reader else { return }  // A server that has stopped has nothing to maintain.
            task = Task { [flowMaintenance] in await flowMaintenance.run(reader) { try await transport.perform($0) } }
        }
    }

    var isShuttingDown: Bool { shuttingDown.load(ordering: .acquiring) }
    private var isServing: Bool { phase.withLock { if case .running = $0 { true } else { false } } }

    /// From now on `/readyz` fails and new requests over the network are sent away with 429 and Retry-After; those under way go on. Upstream:
    /// ShutdownInitiated with --shutdown-send-retry-after.
    package func beginShutdown() { shuttingDown.store(true, ordering: .releasing) }

    /// Ends all watches, finishes queued writes and closes the store.
    package func stop() async {
        let running = phase.withLock { phase -> Running? in
            defer { phase = .stopped }
            if case .running(let running) = phase { return running }
            return nil
        }
        self.definitions.withLock { definitions in
            definitions?.stop()
            definitions = nil
        }
        maintenance.withLock { $0?.cancel() }
        guard let running else { return }
        let watching = self.availability.withLock { task -> Task<Void, Never>? in
            defer { task = nil }
            return task
        }
        watching?.cancel()
        await running.aggregator.close()
        await watching?.value
        await running.environment.kubelets?.close()
        await running.environment.proxies.close()
        await running.store.close()
        await auditor?.close()
    }

    /// Throws 503 before `start` and after `stop`.
    func running() throws -> Running {
        try phase.withLock { phase in
            switch phase {
            case .running(let running): return running
            case .new:
                var error = StatusError.serviceUnavailable("the API server is starting")
                error.details = .init(retryAfterSeconds: 1)
                throw error
            case .stopped: throw StatusError.serviceUnavailable("the API server has stopped")
            }
        }
    }

    /// Who asked for deprecated versions in the last 30 days, since the server's start.
    package var deprecatedUses: [DeprecatedUse] { deprecated.uses(now: configuration.now()) }

    /// Reads objects as of the last acknowledged write. Throws 503 before `start`.
    package var reader: any ObjectReader { get throws { try running().environment.registry } }
    /// The resources served. Throws 503 before `start`.
    package var registry: ResourceRegistry { get throws { try running().environment.registry } }
    /// What extension servers serve besides, as far as it is known. Throws 503 before `start`.
    package var extensionResources: DiscoveredResources { get throws { try running().aggregator.extensionResources } }

    package func respondNow(to head: HTTPRequestHead) -> HTTPResponse? { RequestPipeline(server: self, head: head).respondNow() }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        await RequestPipeline(server: self, head: head).respond(body)
    }
}
