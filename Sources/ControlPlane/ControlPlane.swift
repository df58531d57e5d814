internal import AutoMode
internal import Certificates
internal import CloudControllers
internal import HTTPTransport
internal import KubeAPI
internal import KubeAPIServer
internal import KubeClient
internal import KubeControllers
internal import KubeScheduler
internal import KubeStorage
internal import Logging
internal import SimulatedNodes

#if canImport(Glibc)
    internal import Glibc
#endif

/// One cluster's running control plane: store, API server with its listeners, controllers, scheduler.
///
///     stopped ──start──▶ running ──stop──▶ stopped
///
/// All its data is in its directory; starting again goes on with it.
package actor ControlPlane {
    /// What clients need to know of a running control plane.
    package struct Endpoint: Sendable, Equatable {
        /// `https://127.0.0.1:40123`.
        package var url: String
        /// The certificates of all CAs that are believed, the signer's first.
        package var certificateAuthorityPEM: String
    }

    package typealias Taint = (key: String, value: String, effect: String)

    /// What a node needs to join. Upstream: nodeadm's NodeConfig.
    package struct Node: Sendable {
        package var name: String
        package var address: String
        /// The address by which it is reached with IPv4, where `address` is one of IPv6.
        package var ipv4Address: String?
        package var instanceID: String
        package var zone: String
        package var vcpus: Int
        package var memoryMiB: Int
        package var maxPods: Int
        package var labels: [String: String]
        package var taints: [(key: String, value: String, effect: String)]
        /// The Kubernetes release of its kubelet: `1.36.2`; nil for the control plane's.
        package var version: String?
        /// How it answers for instance metadata.
        package var metadata = Metadata()
        /// What is kept back for Kubernetes and for the system, as quantities by resource; what is not named is EKS's.
        package var kubeReserved: [String: String] = [:]
        package var systemReserved: [String: String] = [:]
        /// The addresses of its pods' DNS; empty for the cluster's.
        package var clusterDNS: [String] = []
        package var kubelet = NodeKubelet()

        /// Upstream: ec2 InstanceMetadataOptionsRequest.
        package struct Metadata: Sendable {
            package var isEnabled = true
            package var requiresTokens = true
            package var hopLimit = 2

            package init() {}
        }
        /// A machine of Fargate's: for one pod, without an agent that answers for the cloud.
        package var isFargate = false
        /// Its agent makes everything ready and waits to join until it is given other files: a machine of a warm pool.
        package var isWarm = false

        package init(
            name: String, address: String, instanceID: String, zone: String, vcpus: Int, memoryMiB: Int, maxPods: Int, labels: [String: String],
            taints: [(key: String, value: String, effect: String)]
        ) {
            self.name = name
            self.address = address
            self.instanceID = instanceID
            self.zone = zone
            self.vcpus = vcpus
            self.memoryMiB = memoryMiB
            self.maxPods = maxPods
            self.labels = labels
            self.taints = taints
        }
    }

    private struct Running {
        var endpoint: Endpoint
        var server: APIServer
        var listeners: [HTTPServer]
        var client: KubeClient
        var loops: Task<Void, Never>
        var feeds: NodeFeeds
        var fargate: FargateDesk
        var issuer: ServiceAccountTokenIssuer
    }

    /// Time for requests in flight when a control plane stops.
    private static let stopGrace = Duration.seconds(2)
    /// The port of the control plane's interfaces in the VPC, as EKS's.
    private static let privatePort = 443

    private let configuration: ControlPlaneConfiguration
    private let logger: Logger
    private var running: Running?
    private var starting: Task<Running, any Error>?

    package init(_ configuration: ControlPlaneConfiguration) {
        self.configuration = configuration
        var logger = Logger(label: "eyrie.controlplane")
        logger[metadataKey: "cluster"] = "\(configuration.name)"
        self.logger = logger
    }

    /// Starts everything and returns when `/readyz` is ok. A second call waits for the first. Throws what failed.
    package func start() async throws -> Endpoint {
        if let running { return running.endpoint }
        if let starting { return try await starting.value.endpoint }
        let task = Task { try await Self.launch(configuration, logger) }
        starting = task
        defer { starting = nil }
        let running = try await task.value
        self.running = running
        return running.endpoint
    }

    /// Stops everything; data is kept.
    package func stop() async {
        guard let running else { return }
        self.running = nil
        running.server.beginShutdown()
        running.loops.cancel()
        running.feeds.finish()
        running.fargate.finish()
        await withTaskGroup(of: Void.self) { group in
            for listener in running.listeners { group.addTask { await listener.stop(grace: Self.stopGrace) } }
        }
        await running.loops.value
        await running.server.stop()
        configuration.access.log.deliver(to: nil)
        await configuration.logs?.close()
    }

    /// Cuts off clients that the configuration's `publicAccess` and `privateAccess` do not let in any more.
    package func enforceAccess() { for listener in running?.listeners ?? [] { listener.dismissUnwelcome() } }

    /// Files for the machine of a node, by name, with certificates of `authorities`; nil: those that the control plane runs by. Throws when the
    /// control plane does not run.
    package func nodeFiles(_ node: Node, authorities: ClusterAuthorities? = nil) throws -> [String: [UInt8]] {
        guard running != nil else { throw ControlPlaneError.notReady("it does not run") }
        guard let host = configuration.privateAddresses.first, let dns = ClusterAddresses.dns(serviceCIDR: configuration.serviceCIDR) else {
            throw ControlPlaneError.address("cluster \(configuration.name) has no network interface that nodes could reach")
        }
        let certificates = try nodeCertificates(node, authorities ?? configuration.authorities)
        var file = NodeSettings(
            name: node.name, address: node.address, apiServerHost: host, apiServerPort: Self.privatePort,
            providerID: "aws:///\(node.zone)/\(node.instanceID)", vcpus: node.vcpus, memoryMiB: node.memoryMiB, maxPods: node.maxPods,
            kubeletVersion: node.version.map(ControlPlaneConfiguration.gitVersion) ?? configuration.gitVersion,
            clusterDNS: node.clusterDNS.isEmpty ? [dns] : node.clusterDNS, labels: node.labels, taints: node.taints)
        file.ipv4Address = node.ipv4Address
        file.kubeReserved = node.kubeReserved
        file.systemReserved = node.systemReserved
        file.kubelet = node.kubelet
        var settings = file.value
        // One pod, sized for its node: there is nobody to evict for it.
        if node.isFargate { settings["hasEvictions"] = false }
        if node.isWarm { settings["isWarm"] = true }
        if !node.isFargate, let identity = configuration.workloadIdentity, let endpoint = identity.endpointURL {
            settings["cloud"] = [
                "endpoint": .string(endpoint), "region": .string(identity.region), "clusterName": .string(configuration.name),
                "metadata": [
                    "isEnabled": .bool(node.metadata.isEnabled), "requiresTokens": .bool(node.metadata.requiresTokens),
                    "hopLimit": .int(Int64(node.metadata.hopLimit)),
                ],
            ]
        }
        return [NodeSettings.file: settings.jsonBytes, ClusterAuthorities.nodeFile: certificates.jsonBytes]
    }

    /// Whom a node believes, and new identities of it: towards the API server, of its kubelet's server, of its service proxy.
    private func nodeCertificates(_ node: Node, _ authorities: ClusterAuthorities) throws -> Value {
        let pki = try ClusterPKI(directory: configuration.directory, authorities: authorities)
        let identities = try pki.node(name: node.name, addresses: [node.address], lifetime: configuration.signingDuration)
        return ClusterAuthorities.nodeCertificates(
            revision: authorities.revision, authorities: pki.bundlePEM, client: identities.client, server: identities.server, proxy: identities.proxy)
    }

    /// All nodes as they are, then each change. Ends when the control plane stops.
    package func nodeReadiness() -> AsyncStream<(name: String, value: NodeObservation)> {
        running?.feeds.readiness.subscribe() ?? AsyncStream { $0.finish() }
    }

    /// Whether a node says, within `patience`, that it goes by `authorities`.
    package func node(_ name: String, goesBy authorities: ClusterAuthorities, patience: Duration) async -> Bool {
        await running?.feeds.authorities.wait(for: authorities.revision, of: name, patience: patience) ?? false
    }

    /// What is looked into for `inspect`. Throws when the control plane does not run.
    func inspected() throws -> (client: KubeClient, server: APIServer) {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        // Who may look at everything.
        return (Self.client(running.server, "system:kube-controller-manager"), running.server)
    }

    /// Nil while the control plane does not run.
    func fargateDesk() -> FargateDesk? { running?.fargate }

    /// The client that removes pods of profiles that go. Throws when the control plane does not run.
    func fargateManager() throws -> KubeClient {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        return Self.client(running.server, "eks:fargate-manager")
    }

    /// What service accounts' tokens are verified with. Throws when the control plane does not run.
    func tokenVerification() throws -> (issuer: ServiceAccountTokenIssuer, reader: any ObjectReader) {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        return (running.issuer, try running.server.reader)
    }

    /// What puts add-ons into the cluster. Throws when the control plane does not run.
    func addonApplier() throws -> AddonApplier {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        return AddonApplier(server: running.server)
    }

    /// Cordons and evicts for `patience` at most; whether all pods that must go are gone. Throws when the control plane does not run.
    package func drain(node: String, patience: Duration) async throws -> Bool {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        return try await NodeDrain(client: running.client, nodeName: node, patience: patience).run()
    }

    /// Lets pods be put on a node again. Nothing to do when the node is gone. Throws when the control plane does not run.
    package func uncordon(node: String) async throws {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        try await NodeEdit(client: running.client, nodeName: node).uncordon()
    }

    /// Gives a node labels and taints, and takes some from it. Nothing to do when the node is gone. Throws when the control plane does not run.
    package func change(
        node: String, setLabels: [String: String], removeLabels: [String], setTaints: [Taint], removeTaints: [Taint]
    ) async throws {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        let edit = NodeEdit(client: running.client, nodeName: node)
        try await edit.change(labels: setLabels, without: removeLabels, taints: setTaints, without: removeTaints)
    }

    /// Deletes a Node object whose machine is gone. Nothing to do when the node is gone. Throws when the control plane does not run.
    package func delete(node: String) async throws {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        do { try await running.client.delete(.nodes, name: node) } catch let error as StatusError where error.isNotFound {}
    }

    /// The client that acts as EKS's node manager. Throws when the control plane does not run.
    func nodeManager() throws -> KubeClient {
        guard let running else { throw ControlPlaneError.notReady("it does not run") }
        return running.client
    }

    /// Turns an add-on of the nodes on or off. Throws when the control plane does not run, or refuses.
    package func set(_ addon: BuiltInAddon, isInstalled: Bool) async throws {
        guard let running, let cidr = ServiceCIDR(configuration.serviceCIDR) else { throw ControlPlaneError.notReady("it does not run") }
        let client = BuiltInAddon.client(running.server)
        if isInstalled { try await addon.install(client, cidr) } else { try await addon.remove(client, cidr) }
    }

    // MARK: - The way up

    private static func launch(_ configuration: ControlPlaneConfiguration, _ logger: Logger) async throws -> Running {
        guard let cidr = ServiceCIDR(configuration.serviceCIDR) else {
            throw ControlPlaneError.address("the service range \"\(configuration.serviceCIDR)\" is no CIDR")
        }
        guard mkdir(configuration.directory, 0o700) == 0 || errno == EEXIST else { throw ControlPlaneError.file(configuration.directory, errno) }
        let pki = try ClusterPKI(directory: configuration.directory, authorities: configuration.authorities)
        let store = try await store(configuration)
        let privateAddress = configuration.privateAddresses.first.map { "\($0):\(privatePort)" } ?? configuration.publicHost
        let server = try ClusterAPIServer.make(configuration, pki, store: store, cidr: cidr, address: privateAddress)
        do {
            try await server.start()
            // Those of EKS that cordon, drain and delete nodes.
            let client = client(server, "eks:node-manager")
            let listeners = try await listen(configuration, pki, cidr, server)
            // What pods reach: of the family that they have.
            let endpoints = configuration.privateAddresses.filter { $0.contains(":") == cidr.isIPv6 }
            try await server.bootstrap(.init(serviceCIDR: cidr, apiServerAddresses: endpoints, apiServerPort: privatePort))
            await installAddons(configuration, server, cidr, logger)
            let apiLogger = configuration.logs?.logger("eyrie.apiserver", .api)
            for listener in listeners { apiLogger?.debug("Serving securely", metadata: ["port": "\(listener.port)"]) }
            let feeds = NodeFeeds()
            let issuer = try ServiceAccountTokenIssuer(issuer: configuration.issuer, privateKeyPEM: pki.serviceAccountKeyPEM)
            let fargate = FargateDesk()
            let system = try server.reader.get(GroupResource(group: "", resource: "namespaces"), namespace: "", name: "kube-system")
            let identity = Leaders.identity(cluster: system?.metadata.uid ?? configuration.name, address: configuration.privateAddresses.first)
            let loops = Task { await run(configuration, pki, issuer, server, feeds, fargate, identity, logger) }
            let port = listeners.first?.port ?? 0
            return Running(
                endpoint: Endpoint(url: "https://\(configuration.publicHost):\(port)", certificateAuthorityPEM: pki.bundlePEM),
                server: server, listeners: listeners, client: client, loops: loops, feeds: feeds, fargate: fargate, issuer: issuer)
        } catch {
            await server.stop()
            throw error
        }
    }

    /// A cluster's first start makes its built-in add-ons; later ones leave them as the user has them.
    private static func installAddons(_ configuration: ControlPlaneConfiguration, _ server: APIServer, _ cidr: ServiceCIDR, _ logger: Logger) async {
        let marker = "\(configuration.directory)/addons"
        do {
            guard try PrivateFile.read(marker) == nil else { return }
            let client = BuiltInAddon.client(server)
            for addon in configuration.installsAddons ? BuiltInAddon.allCases : [] { try await addon.install(client, cidr) }
            try SecretFile.write(marker, [])
        } catch {
            // A cluster that has something else at the DNS's address is a cluster all the same.
            logger.warning("the built-in add-ons could not be installed", metadata: ["error": "\(error)"])
        }
    }

    private static func store(_ configuration: ControlPlaneConfiguration) async throws -> any Store {
        let store = try SQLiteStore(path: "\(configuration.directory)/store.db")
        guard let key = configuration.encryptionKeyName else { return store }
        do {
            return try await SecretEncryption.open(
                store, directory: configuration.directory, keyName: key, wrapping: configuration.keyWrapping)
        } catch {
            await store.close()
            throw error
        }
    }

    private static func client(_ server: APIServer, _ user: String) -> KubeClient {
        KubeClient(transport: InProcessTransport(server, user: UserInfo(name: user, groups: [])))
    }

    /// The client of all simulated nodes: no node by its name, but its requests are served like those of nodes.
    private static func simulatedNodes(_ server: APIServer) -> KubeClient {
        KubeClient(transport: InProcessTransport(server, user: UserInfo(name: "eyrie:simulated-nodes", groups: ["system:nodes"])))
    }

    /// The public listener first, then one on each interface in the VPC.
    private static func listen(
        _ configuration: ControlPlaneConfiguration, _ pki: ClusterPKI, _ cidr: ServiceCIDR, _ server: APIServer
    ) async throws -> [HTTPServer] {
        let addresses = ["127.0.0.1", configuration.publicHost, cidr.first] + configuration.privateAddresses
        let identity = try pki.apiServer(addresses: Array(Set(addresses)).sorted())
        let authority = pki.bundlePEM + "\n" + pki.frontProxyAuthority.certificatePEM
        let verifier = try ClientCertificateVerifier(caPEM: authority)
        let tls = HTTPServer.TLS(identity: identity, clientCAPEM: authority, verifyClientChain: { await verifier.validate($0) })
        var listeners: [HTTPServer] = []
        do {
            let portFile = "\(configuration.directory)/port"
            let port = try PrivateFile.read(portFile).flatMap { Int($0) } ?? 0
            let (access, privateAccess) = (configuration.publicAccess, configuration.privateAccess)
            let first = try await HTTPServer.start(
                .init(address: .tcp(host: configuration.publicHost, port: port), tls: tls, admits: { access.admits($0) }), responder: server)
            listeners.append(first)
            // Kubeconfigs name the port: it is kept for the cluster's life.
            if first.port != port { try SecretFile.write(portFile, Array(String(first.port).utf8)) }
            for address in configuration.privateAddresses {
                listeners.append(
                    try await HTTPServer.start(
                        .init(address: .tcp(host: address, port: privatePort), tls: tls, admits: { privateAccess.admits($0) }), responder: server))
            }
            return listeners
        } catch {
            for listener in listeners { await listener.stop(grace: .zero) }
            throw error
        }
    }

    /// Controllers, scheduler and feeds, until cancelled.
    private static func run(
        _ configuration: ControlPlaneConfiguration, _ pki: ClusterPKI, _ issuer: ServiceAccountTokenIssuer, _ server: APIServer,
        _ feeds: NodeFeeds, _ fargate: FargateDesk, _ identity: String, _ logger: Logger
    ) async {
        func component(_ type: ControlPlaneLogType, _ label: String) -> Logger {
            guard let logs = configuration.logs else { return logger }
            var logger = logs.logger(label, type)
            logger[metadataKey: "cluster"] = "\(configuration.name)"
            logger.debug("Starting", metadata: ["version": "\(configuration.gitVersion)"])
            return logger
        }
        // Once the server has stopped: what it served at the start.
        let resources: @Sendable () -> ResourceTable = { (try? server.registry.table) ?? ResourceTable.shared }
        var settings = ControllerConfiguration(rootCAPEM: pki.bundlePEM, resources: resources)
        settings.extensionResources = { (try? server.extensionResources) ?? DiscoveredResources() }
        settings.certificateAuthority = pki.authority
        settings.signingDuration = configuration.signingDuration
        settings.volumes = VolumeFolders(cluster: configuration.directory).store
        settings.serviceAccountToken = { try issuer.legacyToken(namespace: $0, account: $1, uid: $2, secret: $3) }
        let (managerLogger, schedulerLogger) = (component(.controllerManager, "eyrie.controllers"), component(.scheduler, "eyrie.scheduler"))
        // The informers are the manager's, which may list and watch everything; each controller writes as its own service account.
        let manager = client(server, "system:kube-controller-manager")
        let informers = InformerFactory(client: manager, logger: managerLogger)
        feeds.follow(informers.informer(for: .nodes))
        let leaders = Leaders(server: server, informers: informers, identity: identity)
        let managerSettings = settings
        let runManager = { @Sendable (informers: InformerFactory) async in
            let environment = ControllerEnvironment(
                client: manager, configuration: managerSettings, informers: informers, logger: managerLogger, metrics: server.workQueues,
                transport: { InProcessTransport(server, user: .controller($0)) })
            await ControllerRunner.run(environment, runInformers: false)
        }
        let runScheduler = { @Sendable (informers: InformerFactory) async in
            await Scheduler(
                client: self.client(server, "system:kube-scheduler"), informers: informers, configuration: configuration.scheduler,
                logger: schedulerLogger
            ).run()
        }
        let cloud = CloudNodeController(
            client: self.client(server, "eks:cloud-controller-manager"), provider: CloudInstanceProvider(cloud: configuration.cloud),
            informers: informers, logger: logger, metrics: server.workQueues)
        let certificates = NodeCertificateController(
            client: self.client(server, "eks:certificate-controller"), provider: CloudInstanceProvider(cloud: configuration.cloud),
            informers: informers, logger: logger, metrics: server.workQueues)
        let awsAuth = AWSAuthFollower(client: self.client(server, AWSAuthFollower.user), book: configuration.access, logger: logger)
        let fargateScheduler = FargateScheduler(
            client: self.client(server, "eks:fargate-scheduler"), informers: informers, logger: logger,
            publish: { fargate.publish($0) })
        fargate.open(fargateScheduler)
        let services = configuration.loadBalancers.map {
            ServiceController(
                client: self.client(server, "eks:cloud-controller-manager"), provider: $0, informers: informers, logger: logger)
        }
        let zones = ZonalShiftController(client: self.client(server, "eks:node-manager"), informers: informers, logger: logger)
        let ingress = configuration.ingress.map {
            IngressController(
                client: self.client(server, "eks:cloud-controller-manager"), provider: $0, informers: informers, logger: logger)
        }
        let autoMode = autoMode(configuration, server, informers, component(.controllerManager, "eyrie.automode"))
        await withDiscardingTaskGroup { group in
            if let autoMode { group.addTask { await autoMode.run(configuration.autoMode) } }
            if let services { group.addTask { await services.run() } }
            if let ingress { group.addTask { await ingress.run() } }
            group.addTask { await awsAuth.run() }
            group.addTask { await informers.run() }
            group.addTask { await leaders.run("kube-controller-manager", component: "kube-controller-manager", managerLogger, runManager) }
            group.addTask { await leaders.run("kube-scheduler", component: Scheduler.defaultName, schedulerLogger, runScheduler) }
            group.addTask { await cloud.run() }
            group.addTask { await fargateScheduler.run() }
            group.addTask {
                await configuration.simulatedNodes.run(client: Self.simulatedNodes(server), informers: informers, logger: logger)
            }
            group.addTask { await certificates.run() }
            group.addTask { await zones.run(configuration.shiftedZones.values()) }
        }
    }

    private static func autoMode(
        _ configuration: ControlPlaneConfiguration, _ server: APIServer, _ informers: InformerFactory, _ logger: Logger
    ) -> AutoModeRunner? {
        guard let provider = configuration.nodeProvider, let cidr = ServiceCIDR(configuration.serviceCIDR) else { return nil }
        return AutoModeRunner(
            provider: provider, client: client(server, AutoMode.user), reader: client(server, "system:kube-controller-manager"),
            informers: informers,
            addons: { for addon in BuiltInAddon.allCases { try await addon.install(BuiltInAddon.client(server), cidr) } }, logger: logger)
    }
}
