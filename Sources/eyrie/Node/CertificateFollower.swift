import KubeAPI
import KubeClient
import Kubelet
import Logging
import Machines

/// Takes up the certificates that the service puts into the machine's directory while the agent runs, and says on the Node object that it has: pods,
/// proxy and DNS go on.
struct CertificateFollower: Sendable {
    /// Between attempts to write the Node object: first and longest pause.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(7)

    private let paths: MachinePaths
    private let nodeName: String
    private let kubelet: Kubelet
    private let transport: NetworkTransport
    private let proxyTransport: NetworkTransport?
    private let watcher: FileWatcher
    private let logger = Logger(label: "eyrie.node")

    /// `transport` is the kubelet's. Throws when the kernel gives no inotify instance.
    init(
        _ paths: MachinePaths, nodeName: String, kubelet: Kubelet, transport: NetworkTransport, proxyTransport: NetworkTransport?
    ) throws {
        self.paths = paths
        self.nodeName = nodeName
        self.kubelet = kubelet
        self.transport = transport
        self.proxyTransport = proxyTransport
        watcher = try FileWatcher()
    }

    /// Runs until the task is cancelled.
    func run() async {
        // Of what is in use: of files of an earlier version, which have no revision, nothing can be said.
        var revision = ""
        let changes = watcher.changes(of: [paths.bootstrap])
        // What the agent started with; it may have changed since.
        await follow(&revision)
        for await _ in changes { await follow(&revision) }
    }

    private func follow(_ revision: inout String) async {
        do {
            let certificates = try NodeCertificates(paths)
            guard certificates.revision != revision else { return }
            try apply(certificates)
            revision = certificates.revision
            await report(certificates)
        } catch {
            logger.error("the node's new certificates cannot be used: it goes on with the old ones", metadata: ["error": "\(error)"])
        }
    }

    /// Throws for certificates that cannot be used.
    private func apply(_ certificates: NodeCertificates) throws {
        try transport.renew(certificateAuthorityPEM: certificates.authorities, identity: certificates.client)
        if let proxy = certificates.proxy { try proxyTransport?.renew(certificateAuthorityPEM: certificates.authorities, identity: proxy) }
        try kubelet.renew(serving: certificates.server, clientCAPEM: certificates.authorities)
        logger.info("new certificates in use", metadata: ["authorities": "\(certificates.revision)"])
    }

    /// Writes the annotation, by the new certificates themselves. Until the node is registered, and while the API server is away, it is tried again.
    private func report(_ certificates: NodeCertificates) async {
        let client = KubeClient(transport: transport)
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                let change: Value = ["metadata": ["annotations": Value(certificates.annotations)]]
                try await client.patch(.nodes, name: nodeName, type: .merge, change)
                return
            } catch {
                logger.info("cannot say yet that the node has new certificates", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: pause) } catch { return }  // Cancelled.
            pause = min(pause * 2, Self.longestPause)
        }
    }
}
