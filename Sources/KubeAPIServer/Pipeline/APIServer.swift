package import HTTPTransport
package import KubeAPI
package import KubeStorage
import Logging
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
        package var version: VersionInfo
        /// The `host:port` that discovery tells clients.
        package var serverAddress: String
        /// Told of every finished request. Must not block. Nil: no audit.
        package var audit: (@Sendable (AuditEvent) -> Void)?
        package var now: @Sendable () -> Timestamp
        package var readOnlyInFlight: Int
        package var mutatingInFlight: Int

        package init(
            store: any Store, table: ResourceTable = .shared, schema: SchemaTable = .shared, kubelets: KubeletClientConfiguration? = nil,
            version: VersionInfo, serverAddress: String = "", audit: (@Sendable (AuditEvent) -> Void)? = nil,
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
            readOnlyInFlight = InFlightLimit.readOnlyDefault
            mutatingInFlight = InFlightLimit.mutatingDefault
        }
    }

    /// The parts that read objects.
    package struct Components: Sendable {
        /// Asked in order; the first that knows a request's credentials decides.
        package var authenticators: [any RequestAuthenticator]
        /// Asked in order; the first that allows or denies decides.
        package var authorizers: [any Authorizer]
        package var admission: [any AdmissionPlugin]
        package var strategies: [GroupResource: any ResourceStrategy]
        package var reviews: [GroupResource: ReviewHandler]
        /// Nil: `serviceaccounts/token` is not implemented.
        package var tokenIssuer: ServiceAccountTokenIssuer?
        /// Beyond discovery and OpenAPI: OIDC documents.
        package var paths: [any PathResponder]
        /// Beyond the server's own; `/readyz` fails while one of these does.
        package var readiness: [HealthCheck]

        package init(
            authenticators: [any RequestAuthenticator] = [], authorizers: [any Authorizer] = [], admission: [any AdmissionPlugin] = [],
            strategies: [GroupResource: any ResourceStrategy] = [:], reviews: [GroupResource: ReviewHandler] = [:],
            tokenIssuer: ServiceAccountTokenIssuer? = nil, paths: [any PathResponder] = [], readiness: [HealthCheck] = []
        ) {
            self.authenticators = authenticators
            self.authorizers = authorizers
            self.admission = admission
            self.strategies = strategies
            self.reviews = reviews
            self.tokenIssuer = tokenIssuer
            self.paths = paths
            self.readiness = readiness
        }
    }

    /// What serves once the caches are loaded.
    struct Running: Sendable {
        let store: CachedStore
        let environment: VerbEnvironment
        let components: Components
        let health: HealthEndpoints
        let discovery: DiscoveryDocuments
    }

    private enum Phase {
        case new
        case running(Running)
        case stopped
    }

    let configuration: Configuration
    let metrics = ServerMetrics()
    let inFlight: InFlightLimit
    private let phase = Mutex(Phase.new)
    private let bootstrapped = Atomic(false)
    private let logger = Logger(label: "eyrie.apiserver")

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        inFlight = InFlightLimit(readOnly: configuration.readOnlyInFlight, mutating: configuration.mutatingInFlight)
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
            tokenIssuer: components.tokenIssuer, kubelets: configuration.kubelets.map(KubeletConnections.init), authorizers: components.authorizers,
            now: configuration.now)
        let ready = [
            HealthCheck(name: "informer-sync") { nil },
            HealthCheck(name: "poststarthook/bootstrap-objects") { [weak self] in
                self?.bootstrapped.load(ordering: .acquiring) == true ? nil : "the cluster's default objects are not written yet"
            },
        ]
        let health = HealthEndpoints(
            live: [HealthCheck(name: "ping") { nil }, HealthCheck(name: "storage") { nil }], ready: ready + components.readiness)
        let discovery = DiscoveryDocuments(
            resources: configuration.table, schema: configuration.schema, version: configuration.version, serverAddress: configuration.serverAddress)
        phase.withLock {
            $0 = .running(Running(store: store, environment: environment, components: components, health: health, discovery: discovery))
        }
        logger.debug("API server serves", metadata: ["resources": "\(configuration.table.rows.count)", "revision": "\(store.revision)"])
    }

    /// The default objects are there: from now on `/readyz` is `ok`.
    package func markReady() { bootstrapped.store(true, ordering: .releasing) }

    /// Ends all watches, finishes queued writes and closes the store.
    package func stop() async {
        let running = phase.withLock { phase -> Running? in
            defer { phase = .stopped }
            if case .running(let running) = phase { return running }
            return nil
        }
        guard let running else { return }
        await running.environment.kubelets?.close()
        await running.store.close()
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

    /// Reads objects as of the last acknowledged write. Throws 503 before `start`.
    package var reader: any ObjectReader { get throws { try running().environment.registry } }
    /// The resources served. Throws 503 before `start`.
    package var registry: ResourceRegistry { get throws { try running().environment.registry } }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        await RequestPipeline(server: self, head: head).respond(body)
    }
}

/// One finished request, for an audit log. Upstream: audit.Event at level Metadata.
package struct AuditEvent: Sendable {
    package var time: Timestamp
    package var method: String
    /// Path and query as they were sent.
    package var target: String
    package var verb: String
    /// Empty when the request was refused before its user was known.
    package var user: String
    /// The user that acted as `user`, if it was another.
    package var impersonator: String?
    package var sourceAddress: String
    package var userAgent: String
    package var code: Int
}
