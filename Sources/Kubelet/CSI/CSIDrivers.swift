import KubeAPI
import KubeClient
import Logging
import Processes

/// The drivers of a node with their volumes: who registers, and what the node's CSINode says.
struct CSIDrivers: Sendable {
    /// Before the CSINode is tried again: first and longest pause.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)

    let volumes: CSIVolumes
    private let watcher: PluginWatcher
    private let node: CSINodeWriter
    private let logger: Logger
    /// Yields when a driver has registered: what waited for one may go on.
    let arrivals: AsyncStream<Void>
    private let registered = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    /// - Parameter changed: volumes in use are others now.
    init(
        folder: String, configuration: KubeletConfiguration, client: KubeClient, tokens: any TokenSource, watcher: FileWatcher, logger: Logger,
        changed: @escaping @Sendable () -> Void
    ) {
        let volumes = CSIVolumes(
            files: CSIVolumeFiles(rootDirectory: configuration.rootDirectory), client: client, tokens: tokens, nodeName: configuration.nodeName,
            logger: logger, changed: changed)
        let node = CSINodeWriter(client: client, nodeName: configuration.nodeName)
        let (arrivals, arrived) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.arrivals = arrivals
        self.watcher = PluginWatcher(folder: folder, watcher: watcher, plugins: volumes.plugins, node: node, logger: logger) {
            arrived.yield()
            await volumes.registered($0)
        }
        (self.volumes, self.node, self.logger) = (volumes, node, logger)
    }

    /// The node's object exists: drivers can be written down.
    func nodeIsThere() { registered.continuation.yield() }

    /// Runs until cancelled.
    func run() async {
        for await _ in registered.stream { break }
        var pause = Self.firstPause
        while !Task.isCancelled {
            do {
                try await node.begin()
                break
            } catch {
                logger.info("cannot make the node's CSINode yet", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: pause) } catch { return }  // Cancelled.
            pause = min(pause * 2, Self.longestPause)
        }
        await watcher.run()
    }
}
