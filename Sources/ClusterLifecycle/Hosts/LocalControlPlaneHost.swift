internal import AWSProtocol
package import AWSServices
package import CloudControllers
package import AutoMode
package import ControlPlane
internal import FoundationEssentials
package import KubeScheduler
internal import Logging
package import Machines
internal import Processes
internal import SimulatedNodes

#if canImport(Glibc)
    internal import Glibc
#endif

/// Control planes of this process, one for each cluster, reached on loopback and on their network interfaces in the VPC.
package actor LocalControlPlaneHost: ControlPlaneHost {
    /// What a control plane cannot change while it runs.
    private struct Settings: Equatable {
        var version: String
        var privateAddresses: [String]
        /// The ARN of the key that seals Secrets.
        var keyARN: String?
        var authorities: ClusterAuthorities
        var tier: ControlPlaneTier
    }

    private struct Entry {
        var controlPlane: ControlPlane
        var settings: Settings
        var publicAccess: EndpointAccess
        var privateAccess: EndpointAccess
        var autoMode: LiveSetting<AutoModeSettings?>
        var remoteNodeNetworks: LiveSetting<[String]>
        var logs: ControlPlaneLogs?
        /// Tells the cloud controllers that instances came or went.
        var instancesChanged: AsyncStream<Void>.Continuation
    }

    private let directory: String
    private let network: EC2Network
    private let networks: VPCNetworks
    private let tokens: EKSTokenVerifier
    private let keys: KMSKeys
    private let publicHost: String
    private let issuerBase: String
    private let podEndpoint: String?
    private let identityProviderAuthorityPEM: String?
    private let webhooks: AccessWebhooks
    private let scheduler: SchedulerConfiguration
    private let signingDuration: Int64
    /// Whether EKS Pod Identity has a role for a service account of a cluster.
    private var associations: @Sendable (_ cluster: String, _ namespace: String, _ account: String) async -> Bool = { _, _, _ in false }
    /// Launches the nodes of a cluster's EKS Auto Mode; nil: there is none.
    private var nodeProvider: (@Sendable (_ cluster: String) -> any NodeProvider)?
    private let balancers = HostBalancers()
    /// What serves Ingresses, by cluster: it goes on when a control plane stops.
    private var proxies: [String: HostProxy] = [:]
    /// Writes log lines to a stream of a cluster's group; nil: there is nowhere to.
    private var logDelivery: LogDelivery?
    private var entries: [String: Entry] = [:]
    /// Who may enter, by cluster: known before a control plane starts and after it has stopped.
    private var books: [String: AccessBook] = [:]
    /// The Fargate profiles, by cluster, as long.
    private var fargateBooks: [String: FargateBook] = [:]
    /// The zones that are shifted away from, by cluster, as long.
    private var shiftedZones: [String: LiveSetting<Set<String>>] = [:]
    /// Nodes that are records, by cluster: known before a control plane starts and after it has stopped.
    private var fleets: [String: SimulatedFleet] = [:]
    /// Whether an instance of a cluster is a record only.
    private var isSimulated: @Sendable (_ instanceID: String) async -> Bool = { _ in false }
    private let logger = Logger(label: "eyrie.clusters")

    /// `directory` holds a directory for each cluster; `issuerBase` is the URL below which OIDC issuers are named; `podEndpoint` the one at which
    /// pods find AWS's services; `identityProviderAuthorityPEM` the CA certificates by which identity providers are known, nil: the system's;
    /// `webhooks` the services outside that all clusters ask about tokens and rights; `scheduler` how all clusters' pods are scheduled;
    /// `signingDuration` the seconds that certificates of nodes last.
    package init(
        directory: String, network: EC2Network, networks: VPCNetworks, tokens: EKSTokenVerifier, keys: KMSKeys, publicHost: String,
        issuerBase: String, podEndpoint: String? = nil, identityProviderAuthorityPEM: String? = nil, webhooks: AccessWebhooks = AccessWebhooks(),
        scheduler: SchedulerConfiguration = .standard,
        signingDuration: Int64 = ControlPlaneConfiguration.defaultSigningDuration
    ) {
        self.directory = directory
        self.network = network
        self.networks = networks
        self.tokens = tokens
        self.keys = keys
        self.publicHost = publicHost
        self.identityProviderAuthorityPEM = identityProviderAuthorityPEM
        self.webhooks = webhooks
        self.scheduler = scheduler
        self.signingDuration = signingDuration
        self.issuerBase = issuerBase
        self.podEndpoint = podEndpoint
    }

    /// Writes lines, each with its milliseconds since 1970, to a stream of a log group.
    package typealias LogDelivery =
        @Sendable (_ group: String, _ stream: String, _ lines: [(milliseconds: Int64, text: String)]) async throws -> Void

    /// Says where the clusters' logs go; before the first control plane starts.
    package func send(logs: @escaping LogDelivery) { logDelivery = logs }

    /// The logs of a control plane that is about to start, in streams of its own.
    private func logs(of cluster: ClusterRecord) -> ControlPlaneLogs? {
        guard let logDelivery else { return nil }
        let group = "/aws/eks/\(cluster.name)/cluster"
        let logs = ControlPlaneLogs(cluster: cluster.name, streamID: AWSIdentifier.hex(32)) { stream, lines in
            try await logDelivery(group, stream, lines.map { (milliseconds: $0.milliseconds, text: $0.text) })
        }
        logs.enable(cluster.enabledLogTypes)
        return logs
    }

    /// Says who knows the associations; before the first control plane starts.
    package func ask(associations: @escaping @Sendable (_ cluster: String, _ namespace: String, _ account: String) async -> Bool) {
        self.associations = associations
    }

    /// Says who launches the nodes of EKS Auto Mode; before the first control plane starts.
    package func launch(nodes: @escaping @Sendable (_ cluster: String) -> any NodeProvider) { nodeProvider = nodes }
    /// Says which instances are records only; before the first control plane starts.
    package func ask(simulatedInstances: @escaping @Sendable (_ instanceID: String) async -> Bool) { isSimulated = simulatedInstances }

    package func setSimulatedNodes(_ instances: [InstanceRecord], ofGroup group: String, in clusterName: String) async {
        fleet(clusterName).set(
            instances.map { instance in
                let release = instance.version.flatMap { KubernetesVersions.named($0)?.patch } ?? instance.version ?? ""
                return SimulatedNode(
                    name: instance.nodeName, address: instance.primaryAddress, providerID: "aws:///\(instance.zone)/\(instance.instanceID)",
                    vcpus: instance.vcpus, memoryMiB: instance.memoryMiB, maxPods: instance.maxPods, labels: instance.labels,
                    taints: instance.taints.map { (key: $0.key, value: $0.value ?? "", effect: $0.effect) },
                    kubeletVersion: ControlPlaneConfiguration.gitVersion(release))
            }, ofGroup: group)
    }

    private func fleet(_ clusterName: String) -> SimulatedFleet {
        if let fleet = fleets[clusterName] { return fleet }
        let fleet = SimulatedFleet()
        fleets[clusterName] = fleet
        return fleet
    }

    package func start(_ cluster: ClusterRecord) async throws -> ControlPlaneEndpoint {
        // Nodes come by IPv4, and so does whoever takes the first; pods of an IPv6 cluster by IPv6.
        var addresses = await network.primaryAddresses(ofInterfaces: cluster.network.networkInterfaceIDs)
        if cluster.network.isIPv6 { addresses += await network.ipv6Addresses(ofInterfaces: cluster.network.networkInterfaceIDs) }
        let vpc = cluster.network.hostNetwork
        try await networks.use(vpc, by: user(cluster.name))
        for address in addresses { try await vpc.add(ownAddress: address) }

        // The issuer stands in tokens that pods hold: it is the one of the cluster's first start, wherever the service listens now.
        let issuer = cluster.endpoint?.oidcIssuer ?? "\(issuerBase)/id/\(cluster.id)"
        let settings = Settings(
            version: cluster.version, privateAddresses: addresses, keyARN: cluster.encryption?.keyARN, authorities: cluster.clusterAuthorities,
            tier: cluster.tier)
        let admits = Self.publicAccess(cluster.network)
        let controlPlane: ControlPlane
        if let entry = entries[cluster.name], entry.settings == settings {
            controlPlane = entry.controlPlane
            entry.logs?.enable(cluster.enabledLogTypes)
            entry.publicAccess.set(admits)
            entry.privateAccess.set(await admitsPrivately(cluster))
            entry.autoMode.set(AutoModeSettings(cluster))
            entry.remoteNodeNetworks.set(cluster.remoteNetworks?.nodes ?? [])
            await controlPlane.enforceAccess()
        } else {
            if let old = entries[cluster.name] { try await retire(old, keeping: addresses, vpc) }
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw ControlPlaneError.file(directory, errno) }
            let (changes, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            let configuration = configuration(cluster, issuer: issuer, privateAddresses: addresses, changes: changes)
            configuration.publicAccess.set(admits)
            configuration.privateAccess.set(await admitsPrivately(cluster))
            controlPlane = ControlPlane(configuration)
            entries[cluster.name] = Entry(
                controlPlane: controlPlane, settings: settings, publicAccess: configuration.publicAccess, privateAccess: configuration.privateAccess,
                autoMode: configuration.autoMode, remoteNodeNetworks: configuration.cloud.remoteNodeNetworks,
                logs: configuration.logs,
                instancesChanged: changed)
        }
        let endpoint = try await controlPlane.start()
        return ControlPlaneEndpoint(
            url: Self.url(of: cluster.network, public: endpoint.url, privateAddresses: addresses),
            certificateAuthorityData: Data(endpoint.certificateAuthorityPEM.utf8).base64EncodedString(), oidcIssuer: issuer)
    }

    /// Ends a control plane that another one follows, with the addresses that the other does not have.
    private func retire(_ entry: Entry, keeping addresses: [String], _ vpc: VPCNetwork) async throws {
        await entry.controlPlane.stop()
        entry.instancesChanged.finish()
        for address in entry.settings.privateAddresses where !addresses.contains(address) { try await vpc.remove(ownAddress: address) }
    }

    /// Without a public endpoint clients are led to the private one, as its name is then resolved to its private addresses alone.
    private static func url(of network: ClusterNetwork, public url: String, privateAddresses: [String]) -> String {
        guard !network.endpointPublicAccess, let address = privateAddresses.first else { return url }
        return "https://\(address):443"
    }

    /// Who may reach the public endpoint: nobody when it is closed, else the clients in its ranges. Nobody comes by IPv6: the listener has no such
    /// address.
    static func publicAccess(_ network: ClusterNetwork) -> @Sendable (String) -> Bool {
        guard network.endpointPublicAccess else { return { _ in false } }
        let ranges = network.publicAccessCIDRs.compactMap { IPv4Block($0) }
        return { text in IPv4Address(text).map { address in ranges.contains { $0.contains(address) } } ?? false }
    }

    /// Who may reach the interfaces in the VPC: pods always, as on AWS, where the Service `kubernetes` leads to them. Nodes call the endpoint by its
    /// name: without a private endpoint that leads them out of the VPC and to the public one, which has to let them in.
    private func admitsPrivately(_ cluster: ClusterRecord) async -> @Sendable (String) -> Bool {
        guard !cluster.network.endpointPrivateAccess else { return { _ in true } }
        let egress = await network.egressAddresses(tagged: LaunchInstancesStep.clusterTag, value: cluster.name)
        let admitsPublicly = Self.publicAccess(cluster.network)
        return { address in egress[address].map(admitsPublicly) ?? true }
    }

    package func stop(_ clusterName: String) async {
        guard let entry = entries.removeValue(forKey: clusterName) else { return }
        await entry.controlPlane.stop()
    }

    package func delete(_ clusterName: String) async throws {
        await stop(clusterName)
        books[clusterName] = nil
        fargateBooks[clusterName] = nil
        shiftedZones[clusterName] = nil
        fleets[clusterName] = nil
        try await balancers.removeAll(prefix: HostLoadBalancers.prefix(clusterName))
        await proxy(clusterName).end()
        proxies[clusterName] = nil
        try await networks.release(by: user(clusterName))
        try VolumeFolders(cluster: path(clusterName)).detachAll()
        try await Command.run(["rm", "-rf", "--one-file-system", path(clusterName)])
    }

    package func nodeBootstrap(_ cluster: ClusterRecord, _ instance: InstanceRecord) async throws -> NodeBootstrap {
        let controlPlane = try running(cluster.name)
        // The one that is about to join is among those that are let in or not.
        entries[cluster.name]?.privateAccess.set(await admitsPrivately(cluster))
        var node = ControlPlane.Node(
            name: instance.nodeName, address: instance.primaryAddress, instanceID: instance.instanceID, zone: instance.zone, vcpus: instance.vcpus,
            memoryMiB: instance.memoryMiB, maxPods: instance.maxPods, labels: instance.labels,
            taints: instance.taints.map { (key: $0.key, value: $0.value ?? "", effect: $0.effect) } + [Self.uninitialized])
        if let ipv6 = instance.ipv6 { (node.address, node.ipv4Address) = (ipv6.address, instance.primaryAddress) }
        node.isFargate = instance.fargate != nil
        node.isWarm = instance.isInPool
        node.version = instance.version.flatMap { KubernetesVersions.named($0)?.patch }
        if let options = instance.metadataOptions {
            node.metadata.isEnabled = options.isEnabled
            node.metadata.requiresTokens = options.requiresTokens
            node.metadata.hopLimit = options.hopLimit
        }
        node.kubeReserved = instance.kubelet?.kubeReserved ?? [:]
        node.systemReserved = instance.kubelet?.systemReserved ?? [:]
        node.clusterDNS = instance.kubelet?.clusterDNS ?? []
        node.kubelet = instance.kubelet?.node ?? NodeKubelet()
        return NodeBootstrap(files: try await controlPlane.nodeFiles(node, authorities: cluster.clusterAuthorities))
    }

    package func nodeReadiness(_ clusterName: String) async -> AsyncStream<NodeReadiness> {
        let (stream, continuation) = AsyncStream.makeStream(of: NodeReadiness.self)
        guard let entry = entries[clusterName] else {
            continuation.finish()
            return stream
        }
        let source = await entry.controlPlane.nodeReadiness()
        let relay = Task {
            for await (name, node) in source {
                let problems = node.problems.map { NodeProblem(condition: $0.condition, reason: $0.reason, since: $0.since) }
                continuation.yield(NodeReadiness(clusterName: clusterName, nodeName: name, isReady: node.isReady, problems: problems))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in relay.cancel() }
        return stream
    }

    package func makeAuthority(_ id: String, of cluster: ClusterRecord) throws -> String {
        Data(try ClusterAuthorities.make(cluster.fileName(id), in: path(cluster.name)).utf8).base64EncodedString()
    }

    package func removeAuthority(_ id: String, of cluster: ClusterRecord) throws {
        try ClusterAuthorities.remove(cluster.fileName(id), in: path(cluster.name))
    }

    package func node(_ nodeName: String, of clusterName: String, goesBy authorities: ClusterAuthorities, patience: Duration) async -> Bool {
        await entries[clusterName]?.controlPlane.node(nodeName, goesBy: authorities, patience: patience) ?? false
    }

    package func setShiftedZones(_ zones: Set<String>, of clusterName: String) { shifted(clusterName).set(zones) }

    private func shifted(_ clusterName: String) -> LiveSetting<Set<String>> {
        if let zones = shiftedZones[clusterName] { return zones }
        let zones = LiveSetting<Set<String>>([])
        shiftedZones[clusterName] = zones
        return zones
    }

    package func setAccess(_ rules: ClusterAccessRules, of clusterName: String) { book(clusterName).set(rules) }

    package func mapNodeRole(_ arn: String, of kind: NodeRoleKind, isWanted: Bool, in clusterName: String) async throws {
        guard let entry = entries[clusterName] else { return }
        try await entry.controlPlane.mapNodeRole(arn, of: kind, isWanted: isWanted)
    }

    package func setFargateProfiles(_ profiles: FargateProfiles, of clusterName: String) { fargateBook(clusterName).set(profiles) }

    private func fargateBook(_ clusterName: String) -> FargateBook {
        if let book = fargateBooks[clusterName] { return book }
        let book = FargateBook()
        fargateBooks[clusterName] = book
        return book
    }

    package func fargatePods(_ clusterName: String) async -> AsyncStream<[FargatePod]> {
        await entries[clusterName]?.controlPlane.fargatePods() ?? AsyncStream { $0.finish() }
    }

    package func bindPod(_ pod: FargatePod, to nodeName: String, in clusterName: String) async throws {
        try await running(clusterName).bind(pod, to: nodeName)
    }

    package func reportPod(_ pod: FargatePod, _ message: String, in clusterName: String) async throws {
        try await running(clusterName).report(message, of: pod)
    }

    package func deletePods(ofFargateProfile profile: String, in clusterName: String) async throws {
        try await running(clusterName).deletePods(ofFargateProfile: profile)
    }

    private func running(_ clusterName: String) throws -> ControlPlane {
        guard let entry = entries[clusterName] else { throw ControlPlaneError.notReady("cluster \(clusterName) is not running") }
        return entry.controlPlane
    }

    private func proxy(_ clusterName: String) -> HostProxy {
        if let proxy = proxies[clusterName] { return proxy }
        let proxy = HostProxy(directory: HostProxy.directory(ofCluster: path(clusterName)))
        proxies[clusterName] = proxy
        return proxy
    }

    private func book(_ clusterName: String) -> AccessBook {
        if let book = books[clusterName] { return book }
        let book = AccessBook(providerAuthorityPEM: identityProviderAuthorityPEM)
        books[clusterName] = book
        return book
    }

    package func drainNode(_ clusterName: String, nodeName: String, patience: Duration) async throws -> Bool {
        guard let entry = entries[clusterName] else { return true }
        return try await entry.controlPlane.drain(node: nodeName, patience: patience)
    }

    package func inspect(_ clusterName: String) async throws -> ClusterInspection {
        guard let entry = entries[clusterName] else { throw ControlPlaneError.notReady("cluster \(clusterName) is not running") }
        let found = try await entry.controlPlane.inspect()
        var result = ClusterInspection()
        result.kubelets = found.kubelets
        result.kubeProxy = found.kubeProxy
        result.deprecated = found.deprecated.map {
            ClusterInspection.Deprecated(
                path: $0.path, userAgent: $0.userAgent, requests: $0.requests, lastRequest: $0.lastRequest, warning: $0.warning)
        }
        return result
    }

    package func uncordonNode(_ clusterName: String, nodeName: String) async throws {
        try await entries[clusterName]?.controlPlane.uncordon(node: nodeName)
    }

    package func changeNode(_ clusterName: String, nodeName: String, _ change: NodeChange) async throws {
        guard let entry = entries[clusterName] else { return }
        func taint(_ taint: NodeTaint) -> ControlPlane.Taint { (key: taint.key, value: taint.value ?? "", effect: taint.effect) }
        try await entry.controlPlane.change(
            node: nodeName, setLabels: change.setLabels, removeLabels: change.removeLabels, setTaints: change.setTaints.map(taint),
            removeTaints: change.removeTaints.map(taint))
    }

    package func deleteNode(_ clusterName: String, nodeName: String) async throws {
        guard let entry = entries[clusterName] else { return }
        try await entry.controlPlane.delete(node: nodeName)
        entry.instancesChanged.yield()
    }

    package func serviceAccount(ofToken token: String, audience: String, cluster name: String) async throws -> ServiceAccountIdentity {
        guard let entry = entries[name] else { throw ServiceUnavailable("cluster \(name) is not running") }
        do {
            let subject = try await entry.controlPlane.subject(ofToken: token, audience: audience)
            return ServiceAccountIdentity(
                namespace: subject.namespace, name: subject.name, podName: subject.podName, podUID: subject.podUID)
        } catch ServiceAccountTokenRefused.expired {
            throw ServiceAccountTokenFault.expired
        } catch ServiceAccountTokenRefused.invalid {
            throw ServiceAccountTokenFault.invalid
        }
    }

    package func applyAddon(_ addon: AddonObjects, to clusterName: String) async throws {
        guard let entry = entries[clusterName] else { throw ServiceUnavailable("cluster \(clusterName) is not running") }
        do { try await entry.controlPlane.apply(ControlPlaneAddon(addon)) } catch let conflict as AddonFieldConflict {
            throw AddonConflict(conflict.descriptions)
        }
    }

    package func removeAddon(_ addon: AddonObjects, from clusterName: String) async throws {
        guard let entry = entries[clusterName] else { throw ServiceUnavailable("cluster \(clusterName) is not running") }
        try await entry.controlPlane.remove(ControlPlaneAddon(addon))
    }

    package func issuerDocuments(_ clusterName: String) async -> IssuerDocuments? {
        guard let documents = await entries[clusterName]?.controlPlane.issuerDocuments() else { return nil }
        return IssuerDocuments(configuration: documents.configuration, keys: documents.keys)
    }

    /// Until the cloud controller has seen the node no pod is put there. Upstream: the kubelet's --cloud-provider=external.
    private static let uninitialized = (key: "node.cloudprovider.kubernetes.io/uninitialized", value: "true", effect: "NoSchedule")

    /// Cluster names are made of letters, digits, `-` and `_`, and are unique while their data stands: fit for files.
    private func path(_ clusterName: String) -> String { "\(directory)/\(clusterName)" }
    private func user(_ clusterName: String) -> String { "cluster-\(clusterName)" }

    // MARK: - The parts of a control plane's configuration

    private func configuration(
        _ cluster: ClusterRecord, issuer: String, privateAddresses: [String], changes: AsyncStream<Void>
    ) -> ControlPlaneConfiguration {
        let (network, isSimulated) = (network, isSimulated)
        let (region, isIPv6) = (cluster.region, cluster.network.isIPv6)
        let book = book(cluster.name)
        let mapper = IdentityMapper(book: book) { await network.privateDNSName(ofInstance: $0) }
        let authenticator = ClusterTokens(verifier: tokens, clusterName: cluster.name, mapper: mapper, logger: logger)
        var configuration = ControlPlaneConfiguration(
            name: cluster.name, directory: path(cluster.name), version: KubernetesVersions.named(cluster.version)?.patch ?? cluster.version,
            serviceCIDR: cluster.network.serviceCIDR, issuer: issuer,
            authenticate: { try await authenticator.identity(of: $0) },
            cloud: CloudInstances(
                instance: { name in
                    await network.instance(ofNode: name).map {
                        NodeInstance(
                            instanceID: $0.id, nodeName: name, instanceType: $0.instanceType, zone: $0.zone, region: region,
                            privateAddress: isIPv6 ? $0.ipv6Address ?? $0.privateAddress : $0.privateAddress)
                    }
                },
                exists: { id in
                    if await network.instanceExists(id) { return true }
                    return await isSimulated(id)
                }, remoteNodeNetworks: LiveSetting(cluster.remoteNetworks?.nodes ?? []), changes: changes))
        let (name, associations) = (cluster.name, associations)
        configuration.workloadIdentity = WorkloadIdentity(region: region, endpointURL: podEndpoint) { namespace, account in
            await associations(name, namespace, account)
        }
        configuration.workloadIdentity?.isIPv6 = isIPv6
        configuration.access = book
        configuration.webhooks = webhooks
        configuration.scheduler = scheduler
        configuration.signingDuration = signingDuration
        configuration.fargate = fargateBook(cluster.name)
        configuration.simulatedNodes = fleet(cluster.name)
        configuration.publicHost = publicHost
        configuration.seats = cluster.tier.seats
        configuration.encryptionKeyName = cluster.encryption?.keyARN
        if let use = cluster.keyUse {
            let keys = keys
            configuration.keyWrapping = KeyWrapping(wrap: { try await keys.wrap($0, use) }, unwrap: { try await keys.unwrap($0, use) })
        }
        configuration.privateAddresses = privateAddresses
        configuration.authorities = cluster.clusterAuthorities
        configuration.loadBalancers = HostLoadBalancers(cluster: cluster, network: network, balancers: balancers)
        configuration.ingress = HostIngress(cluster: cluster, network: network, proxy: proxy(cluster.name))
        configuration.installsAddons = cluster.bootstrapSelfManagedAddons
        configuration.nodeProvider = nodeProvider?(cluster.name)
        configuration.autoMode.set(AutoModeSettings(cluster))
        configuration.shiftedZones = shifted(cluster.name)
        configuration.logs = logs(of: cluster)
        configuration.logs.map { $0.follow(configuration.access.log) }
        return configuration
    }
}

/// Tokens of `aws eks get-token` at one cluster: STS's verdict, then who that is to the cluster. Upstream: aws-iam-authenticator's server.
struct ClusterTokens: Sendable {
    let verifier: EKSTokenVerifier
    let clusterName: String
    let mapper: IdentityMapper
    let logger: Logger

    /// Nil: not an EKS token. Throws for one that is refused, or whose principal has no access.
    func identity(of token: String) async throws -> TokenIdentity? {
        guard token.hasPrefix("k8s-aws-v1.") else { return nil }
        let caller: EKSIdentity
        do { caller = try await verifier.verify(token, clusterName: clusterName) } catch {
            logger.info("token refused", metadata: ["cluster": "\(clusterName)", "reason": "\(error)"])
            mapper.refused("\(error)")
            throw TokenRefused()
        }
        let identity = AWSIdentity(
            arn: caller.arn, canonicalARN: caller.canonicalARN, principalARN: caller.principalARN, accountID: caller.accountID,
            principalID: String(caller.userID.prefix { $0 != ":" }), sessionName: caller.sessionName, accessKeyID: caller.accessKeyID)
        do { return try await mapper.user(of: identity) } catch {
            logger.info("access denied: neither an access entry nor aws-auth", metadata: ["cluster": "\(clusterName)", "arn": "\(caller.arn)"])
            throw error
        }
    }
}

extension ControlPlaneAddon {
    fileprivate init(_ addon: AddonObjects) {
        let overwrites: Bool? =
            switch addon.resolveConflicts {
            case .overwrite: true
            case .preserve: false
            case .none: nil
            }
        self.init(
            name: addon.name, version: addon.version, namespace: addon.namespace, serviceAccounts: addon.serviceAccounts,
            configMaps: addon.configMaps, roleARN: addon.roleARN, overwrites: overwrites)
    }
}
