import HTTPTransport
import KubeAPI
import KubeClient
import Kubelet
import Logging
import Machines
import Processes

/// Who the node is while its agent runs. It takes up the certificates that the service puts into the machine's directory when the cluster's authorities
/// change, and says on the Node object that it has; and it renews those it has before they end. Pods, proxy and DNS go on.
actor NodeCertificateKeeper {
    /// Between attempts to write the Node object: first and longest pause.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(7)

    private let paths: MachinePaths
    private let nodeName: String
    private let address: String
    private let rotated: RotatedCertificates
    private let kubelet: Kubelet
    private let transport: NetworkTransport
    private let proxyTransport: NetworkTransport?
    private let logger = Logger(label: "eyrie.node")
    /// What is in use.
    private var certificates: NodeCertificates

    /// `transport` is the kubelet's.
    init(
        _ paths: MachinePaths, _ bootstrap: NodeBootstrapFiles, kubelet: Kubelet, transport: NetworkTransport, proxyTransport: NetworkTransport?
    ) {
        self.paths = paths
        nodeName = bootstrap.nodeName
        address = bootstrap.root["nodeIP"].string ?? ""
        rotated = bootstrap.rotated
        certificates = bootstrap.certificates
        self.kubelet = kubelet
        self.transport = transport
        self.proxyTransport = proxyTransport
    }

    /// Runs until the task is cancelled. Throws when the kernel gives no inotify instance.
    nonisolated func run() async throws {
        let watcher = try FileWatcher()
        let managers = await managers()
        await withDiscardingTaskGroup { group in
            for manager in managers { group.addTask { await manager.run() } }
            group.addTask {
                let changes = watcher.changes(of: [self.paths.bootstrap])
                // What the agent started with; it may have changed since.
                await self.follow(isFirst: true)
                for await _ in changes { await self.follow(isFirst: false) }
            }
        }
    }

    // MARK: The service's certificates

    private func follow(isFirst: Bool) async {
        do {
            let given = try NodeCertificates(paths)
            // Of files of an earlier version, which have no revision, nothing can be said.
            guard !given.revision.isEmpty, isFirst || given.revision != certificates.revision else { return }
            try apply(rotated.merged(into: given))
            await report()
        } catch {
            logger.error("the node's new certificates cannot be used: it goes on with the old ones", metadata: ["error": "\(error)"])
        }
    }

    /// Throws for certificates that cannot be used.
    private func apply(_ new: NodeCertificates) throws {
        try transport.renew(certificateAuthorityPEM: new.authorities, identity: new.client)
        if let proxy = new.proxy { try proxyTransport?.renew(certificateAuthorityPEM: new.authorities, identity: proxy) }
        try kubelet.renew(serving: new.server, clientCAPEM: new.authorities)
        certificates = new
        logger.info("certificates in use", metadata: ["authorities": "\(new.revision)"])
    }

    /// Writes the annotation, by the new certificates themselves. Until the node is registered, and while the API server is away, it is tried again.
    private func report() async {
        let client = KubeClient(transport: transport)
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                let change: Value = ["metadata": ["annotations": Value(certificates.annotations)]]
                try await client.patch(.nodes, name: nodeName, type: .merge, change)
                return
            } catch {
                logger.debug("cannot say yet which certificates the node has", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: pause) } catch { return }  // Cancelled.
            pause = min(pause * 2, Self.longestPause)
        }
    }

    // MARK: Rotation

    /// One for each identity: it asks as the identity itself.
    private func managers() -> [CertificateManager] {
        let kubelet = KubeClient(transport: transport)
        var managers = [
            manager(.kubeletClient(nodeName), .client, kubelet), manager(.kubeletServing(nodeName, address: address), .server, kubelet),
        ]
        if let proxyTransport { managers.append(manager(.kubeProxy, .proxy, KubeClient(transport: proxyTransport))) }
        return managers
    }

    private func manager(_ template: CertificateTemplate, _ kind: RotatedCertificates.Kind, _ client: KubeClient) -> CertificateManager {
        CertificateManager(
            template, client: client, current: { await self.certificates[kind] }, rotated: { try await self.rotate(kind, to: $0) }, logger: logger)
    }

    /// Throws for a certificate that cannot be used, or not be kept.
    private func rotate(_ kind: RotatedCertificates.Kind, to identity: TLSIdentity) throws {
        switch kind {
        case .client: try transport.renew(certificateAuthorityPEM: certificates.authorities, identity: identity)
        case .server: try kubelet.renew(serving: identity, clientCAPEM: certificates.authorities)
        case .proxy: try proxyTransport?.renew(certificateAuthorityPEM: certificates.authorities, identity: identity)
        }
        certificates[kind] = identity
        try rotated.store(identity, as: kind)
    }
}
