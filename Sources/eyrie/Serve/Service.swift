import AWSProtocol
import AWSServices
import Certificates
import ClusterLifecycle
import ControlPlane
import EKSAPI
import Glibc
import HTTPTransport
import KubeScheduler
import Logging
import Machines
import Processes
import RecordStore

/// The whole service put together: records, AWS services, clusters, machines, and the AWS endpoint in front.
struct Service {
    /// What the service is told.
    struct Configuration {
        var directory: DataDirectory
        var host: String
        var port: Int
        var region: String
        /// Registry host to mirror URL.
        var mirrors: [String: String]
        /// CA certificates in PEM by which identity providers are known; nil: the system's.
        var identityProviderAuthorityPEM: String?
        /// Services outside that clusters ask about tokens and rights.
        var webhooks = AccessWebhooks()
        /// How the clusters' pods are scheduled.
        var scheduler = SchedulerConfiguration.standard
        /// Seconds that certificates of nodes last.
        var signingDuration = ControlPlaneConfiguration.defaultSigningDuration
    }

    /// Time for requests in flight when the service ends.
    private static let stopGrace = Duration.seconds(3)
    /// The first of the relays' ports on the service address.
    private static let firstRelayPort = 5000

    let configuration: Configuration
    private let logger = Logger(label: "eyrie.service")

    /// Runs until `stop` finishes. Throws `CLIError` for what its user can mend.
    func run(until stop: @escaping @Sendable () async -> Void) async throws {
        let directory = configuration.directory
        // Made with mode 0700. One that was there keeps its mode: it may be somebody's; what is secret in it has modes of its own.
        do throws(CommandError) { try SmallFile.makeDirectory(directory.path) } catch { throw Self.unusable(directory, error.code) }
        let lock = try lock(directory)
        defer { close(lock) }
        let store = try records(directory)
        let storage = RecordRowStorage(store)
        let logs = try logs(directory)
        let identities = try await IdentityStore(storage: storage)
        let network = try await EC2Network(storage: storage, account: identities.account, region: configuration.region)
        let keys = try await KMSKeys(
            storage: storage, account: identities.account, region: configuration.region, seal: try EnvelopeKey(path: directory.keyServiceKey))
        let credentials = try await identities.administratorCredentials()
        let written = DataDirectory.Credentials(accessKeyID: credentials.accessKeyID, secretAccessKey: credentials.secretAccessKey)
        // Written only when they are others: a start with a full disk need not write them again.
        if directory.credentials() != written { try writable(directory) { try directory.write(written) } }

        // The port is taken before anything else is started: whoever finds it in use has changed nothing.
        let endpointResponder = LateResponder()
        let tls = HTTPServer.TLS(identity: try ServiceTLS.identity(directory, host: configuration.host))
        let server: HTTPServer
        do {
            server = try await HTTPServer.start(
                .init(address: .tcp(host: configuration.host, port: configuration.port), tls: tls), responder: endpointResponder)
        } catch HTTPError.connectFailed(let why) {
            throw CLIError(
                what: "The service cannot listen on \(configuration.host):\(configuration.port).", why: why,
                fix: "end the program that is in the way, or choose another address of this machine with --listen HOST:PORT")
        }
        let endpoint = "https://\(configuration.host):\(server.port)"
        let podEndpoint = LinkLocalEndpoint.url(port: server.port)
        let networks = VPCNetworks(directory: directory.networks)
        let filter = SecurityGroupFilter(network: network, networks: networks)
        let machines = LinuxMachines(
            .init(directory: directory.machines, executable: Executable.path), networks: networks, filter: { try await filter.refresh() })
        await machines.recover()
        let relays = try await startRelays(networks)
        let tokens = EKSTokenVerifier(configuration: .init(partition: "aws", endpointURLs: [endpoint, podEndpoint]), source: identities)
        let controlPlanes = LocalControlPlaneHost(
            directory: directory.clusters, network: network, networks: networks, tokens: tokens, keys: keys, publicHost: configuration.host,
            issuerBase: "\(endpoint)\(OIDCEndpoint.path)", podEndpoint: podEndpoint,
            identityProviderAuthorityPEM: configuration.identityProviderAuthorityPEM,
            webhooks: configuration.webhooks, scheduler: configuration.scheduler, signingDuration: configuration.signingDuration)
        let eksSettings = EKSConfiguration(region: configuration.region, account: identities.account)
        let eks = try await EKSService(
            configuration: eksSettings, storage: storage, network: network,
            identities: identities, keys: keys, controlPlanes: controlPlanes,
            machines: LinuxMachineHost(machines: machines, registryMirrors: relays.mirrors), logger: logger)
        // Pages begun before a restart end with an error and are asked for again.
        let paginationKey = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
        endpointResponder.set(
            OIDCEndpoint(
                service: eks,
                next: AWSEndpoint(
                    services: [
                        EKSAPI(service: eks, authorizer: identities, configuration: eksSettings, paginationKey: paginationKey),
                        ZonalShiftAPI(service: eks, authorizer: identities, paginationKey: paginationKey),
                        EC2Service(network: network, authorizer: identities), IAMService(identities: identities),
                        STSService(identities: identities, keys: ClusterIssuers(service: eks)),
                        KMSService(keys: keys, identities: identities), SSMService(authorizer: identities, region: configuration.region),
                        LogsService(store: logs, authorizer: identities, account: identities.account, region: configuration.region),
                    ],
                    regions: [configuration.region], verifier: SignatureVerifier(source: identities), logger: logger)))
        let linkLocal = try await LinkLocalEndpoint.start(port: server.port, eks: eks, next: endpointResponder)
        await controlPlanes.send { group, stream, lines in
            try await logs.put(group: group, stream: stream, events: lines.map { AWSServices.LogEvent(timestamp: $0.milliseconds, message: $0.text) })
        }
        await controlPlanes.launch { eks.nodeProvider(cluster: $0) }
        await controlPlanes.ask(simulatedInstances: { await eks.isSimulated(instance: $0) })
        await controlPlanes.ask(associations: { await eks.hasPodIdentity($0, namespace: $1, serviceAccount: $2) })
        let settings = DataDirectory.Settings(listen: "\(configuration.host):\(server.port)", mirrors: configuration.mirrors)
        try writable(directory) {
            try SmallFile.write(directory.settingsFile, settings.value.jsonBytes)
            try announce(endpoint)
        }
        logger.info("Eyrie serves", metadata: ["endpoint": "\(endpoint)", "region": "\(configuration.region)", "data": "\(directory.path)"])

        let filtering = Task { await filter.run() }
        let reconciler = Task { await eks.run() }
        await stop()
        logger.info("Eyrie ends; machines go on")
        await server.stop(grace: Self.stopGrace)
        reconciler.cancel()
        await reconciler.value
        filtering.cancel()
        await filtering.value
        await linkLocal.stop(grace: .zero)
        for relay in relays.servers { await relay.stop(grace: .zero) }
        await logs.close()
        await store.close()
    }

    /// One service at a time works on a data directory. Returns the descriptor that holds the lock.
    private func lock(_ directory: DataDirectory) throws -> Int32 {
        let path = "\(directory.path)/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.unusable(directory, errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw CLIError(
                what: "Another Eyrie service works on \(directory.path).",
                why: directory.service().map { "It is process \($0.process.pid) at \($0.endpoint)." },
                fix: "use that one, or give this one another --data-dir")
        }
        return descriptor
    }

    private static func unusable(_ directory: DataDirectory, _ code: Int32) -> CLIError {
        CLIError(
            what: "The data directory \(directory.path) cannot be used.", why: String(cString: strerror(abs(code))),
            fix: "give a directory on a disk with space that can be written to: --data-dir DIRECTORY")
    }

    /// A file that cannot be written, as its user sees it.
    private func writable(_ directory: DataDirectory, _ write: () throws -> Void) throws {
        do { try write() } catch let error as CommandError where error.code < 0 { throw Self.unusable(directory, error.code) }
    }

    private func records(_ directory: DataDirectory) throws -> RecordStore {
        do { return try RecordStore(path: directory.records) } catch RecordStoreError.unavailable(let why) {
            throw CLIError(
                what: "The service's records \(directory.records) cannot be opened.", why: why,
                fix: "free some space if the disk is full; put back a copy if the file is damaged; or begin anew with another --data-dir")
        }
    }

    private func logs(_ directory: DataDirectory) throws -> LogStore {
        do { return try LogStore(path: directory.logs) } catch let unavailable as ServiceUnavailable {
            throw CLIError(
                what: "The log events in \(directory.logs) cannot be opened.", why: unavailable.reason,
                fix: "free some space if the disk is full; put back a copy if the file is damaged; or move it away to begin without log events")
        }
    }

    /// Tells the other commands where the service is.
    private func announce(_ endpoint: String) throws {
        guard let process = ProcessIdentity(pid: getpid()) else { return }
        let file = DataDirectory.ServiceFile(endpoint: endpoint, region: configuration.region, process: process)
        try SmallFile.write(configuration.directory.serviceFile, file.value.jsonBytes)
    }

    /// Mirrors on the host's loopback are passed on from the service address, which machines reach.
    private func startRelays(_ networks: VPCNetworks) async throws -> (servers: [HTTPServer], mirrors: [String: String]) {
        guard !configuration.mirrors.isEmpty else { return ([], [:]) }
        try await VPCNetwork.createServiceInterface()
        var servers: [HTTPServer] = []
        var mirrors: [String: String] = [:]
        for (index, (registry, mirror)) in configuration.mirrors.sorted(by: { $0.key < $1.key }).enumerated() {
            let address = HTTPAddress.tcp(host: VPCNetwork.serviceAddress, port: Self.firstRelayPort + index)
            do {
                servers.append(try await HTTPServer.start(.init(address: address), responder: RegistryRelay(mirror: mirror)))
            } catch HTTPError.connectFailed(let why) {
                throw CLIError(
                    what: "The relay for the registry mirror of \(registry) cannot listen on \(address).", why: why,
                    fix: "end the other Eyrie service that uses it")
            }
            mirrors[registry] = "http://\(address)"
        }
        return (servers, mirrors)
    }
}
