import Glibc
import HTTPTransport
import Logging
import Processes
import Synchronization

/// Registers the drivers whose sockets stand in a folder, and lets those go whose sockets went. Upstream: pkg/kubelet/pluginmanager with the CSI
/// plug-in's RegistrationHandler.
final class PluginWatcher: Sendable {
    /// Between attempts with one socket: first and longest pause. Upstream: 500 ms to 2 min 2 s; a socket is there a moment before it is listened on.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(122)
    private static let callTimeout = Duration.seconds(30)

    /// A socket made anew at the same path is another one.
    private struct Socket: Hashable, Sendable {
        var path: String
        var inode: UInt64
        var seconds: Int
        var nanoseconds: Int
    }

    private let folder: String
    private let watcher: FileWatcher
    private let plugins: CSIPlugins
    private let node: CSINodeWriter
    private let logger: Logger
    /// A driver can be called from now on.
    private let registered: @Sendable (CSIPlugin) async -> Void
    /// The driver of each socket that is registered.
    private let names = Mutex<[Socket: String]>([:])

    init(
        folder: String, watcher: FileWatcher, plugins: CSIPlugins, node: CSINodeWriter, logger: Logger,
        registered: @escaping @Sendable (CSIPlugin) async -> Void
    ) {
        self.folder = folder
        self.watcher = watcher
        self.plugins = plugins
        self.node = node
        self.logger = logger
        self.registered = registered
    }

    /// Runs until cancelled.
    func run() async {
        let folder = folder
        do { try await FileWork.run { try FileTree.makeDirectories(folder, mode: 0o750) } } catch {
            return logger.warning("plug-ins cannot register", metadata: ["folder": "\(folder)", "error": "\(error)"])
        }
        let changes = watcher.changes(of: [folder])
        var tasks: [Socket: Task<Void, Never>] = [:]
        func look() async {
            let found = (try? await FileWork.run { Self.sockets(in: folder) }) ?? []  // The closure does not throw.
            for (socket, task) in tasks where !found.contains(socket) {
                tasks[socket] = nil
                task.cancel()
                await task.value
                await deregister(socket, isReplaced: found.contains { $0.path == socket.path })
            }
            for socket in found where tasks[socket] == nil { tasks[socket] = Task { await self.keepTrying(socket) } }
        }
        // What came before the folder was watched.
        await look()
        for await _ in changes { await look() }
        for task in tasks.values { task.cancel() }
    }

    private static func sockets(in folder: String) -> Set<Socket> {
        let names = (try? FileTree.list(folder)) ?? []  // No folder: no sockets.
        return Set(
            names.filter { !$0.hasPrefix(".") }.compactMap { name in
                let path = "\(folder)/\(name)"
                // One that goes meanwhile is none.
                guard let status = try? FileTree.status(path), status.st_mode & S_IFMT == S_IFSOCK else { return nil }
                return Socket(
                    path: path, inode: UInt64(status.st_ino), seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
            })
    }

    private func keepTrying(_ socket: Socket) async {
        var pause = Self.firstPause
        while !Task.isCancelled {
            do { return try await register(socket) } catch {
                logger.info("a plug-in is not registered yet", metadata: ["socket": "\(socket.path)", "error": "\(error)"])
            }
            do { try await Task.sleep(for: pause) } catch { return }  // The socket went.
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func register(_ socket: Socket) async throws {
        let channel = GRPCChannel(address: .unix(path: socket.path))
        do {
            try await register(socket, channel)
            await channel.close()
        } catch {
            await channel.close()
            throw error
        }
    }

    private func register(_ socket: Socket, _ channel: GRPCChannel) async throws {
        let registration = try PluginRegistration(try await channel.unary(PluginRegistration.getInfo, [], timeout: Self.callTimeout))
        var failure: String?
        if let problem = registration.problem(socket: socket.path) {
            failure = problem
        } else {
            do { try await install(registration, socket) } catch { failure = "\(error)" }
        }
        _ = try await channel.unary(PluginRegistration.notifyStatus, PluginRegistration.status(error: failure), timeout: Self.callTimeout)
        if let failure { throw VolumeError(failure) }
    }

    /// Asks the driver what it is, and writes it down. Upstream: RegistrationHandler.RegisterPlugin.
    private func install(_ registration: PluginRegistration, _ socket: Socket) async throws {
        let endpoint = registration.endpoint.isEmpty ? socket.path : registration.endpoint
        let channel = GRPCChannel(address: .unix(path: endpoint))
        do {
            func ask(_ method: String) async throws -> [UInt8] {
                try await channel.unary(CSIMessages.service + method, [], timeout: CSIPlugin.callTimeout)
            }
            let info = try CSINodeInfo(try await ask("NodeGetInfo"))
            let capabilities = try CSICapability.set(try await ask("NodeGetCapabilities"))
            try await node.set(registration.name, info)
            let plugin = CSIPlugin(name: registration.name, channel: channel, capabilities: capabilities)
            names.withLock { $0[socket] = registration.name }
            if let before = plugins.set(plugin) { await before.channel.close() }
            logger.info("a CSI driver has registered", metadata: ["driver": "\(registration.name)", "endpoint": "\(endpoint)"])
            await registered(plugin)
        } catch {
            await channel.close()
            throw error
        }
    }

    /// - Parameter isReplaced: another socket stands in its place, and will be the same driver's: the node keeps saying that it has it.
    private func deregister(_ socket: Socket, isReplaced: Bool) async {
        guard let name = names.withLock({ $0.removeValue(forKey: socket) }) else { return }
        // Registered again by another socket.
        guard !names.withLock({ $0.values.contains(name) }), !isReplaced else { return }
        if let plugin = plugins.remove(name) { await plugin.channel.close() }
        logger.info("a CSI driver has gone", metadata: ["driver": "\(name)"])
        do { try await node.set(name, nil) } catch {
            logger.warning("cannot strike out a CSI driver", metadata: ["driver": "\(name)", "error": "\(error)"])
        }
    }
}
