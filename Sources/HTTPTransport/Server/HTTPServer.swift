import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A listener on one address: HTTP/1.1 and HTTP/2, plain or TLS, TCP or a unix socket. `start` binds it, `stop` drains and closes it.
package final class HTTPServer: Sendable {
    /// The address that was bound, with the port the system chose: `127.0.0.1:40123`, `[::1]:40123` or `unix:/run/x.sock`.
    package let boundAddress: String
    /// The TCP port; 0 for a unix socket.
    package let port: Int

    private let listener: any Channel
    let connections: ConnectionRegistry
    private let socketPath: String?
    private let admits: (@Sendable (String) -> Bool)?
    private let tls: CurrentTLS?

    /// Connections that may wait to be accepted. Upstream: Go listens with the system's somaxconn, 4096 on Linux.
    private static let backlog: CInt = 4096

    private init(
        listener: any Channel, connections: ConnectionRegistry, address: HTTPAddress, admits: (@Sendable (String) -> Bool)?, tls: CurrentTLS?
    ) {
        self.admits = admits
        self.tls = tls
        self.listener = listener
        self.connections = connections
        boundAddress = listener.localAddress.map(Self.describe) ?? address.description
        port = listener.localAddress?.port ?? 0
        if case .unix(let path) = address { socketPath = path } else { socketPath = nil }
    }

    /// Binds the address and serves it until `stop`.
    ///
    /// Throws `HTTPError.connectFailed` naming the address and the cause when it cannot be bound, `HTTPError.tls` for unusable certificates.
    /// A unix socket is made with mode 0600; one left behind by a process that is gone is replaced.
    package static func start(_ configuration: Configuration, responder: any HTTPResponder) async throws -> HTTPServer {
        let address = configuration.address
        let limits = configuration.limits
        let tls = try configuration.tls.map { CurrentTLS(try ServerTLS($0)) }
        let connections = ConnectionRegistry(limit: limits.maximumConnections)
        if case .unix(let path) = address { try await removeStaleSocket(path, address) }
        let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: limits.writeBufferBytes / 2, high: limits.writeBufferBytes)
        var bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: backlog)
            .childChannelOption(.writeBufferWaterMark, value: waterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard Self.isAdmitted(channel, configuration.admits) else { throw HTTPError.connectFailed("not admitted") }
                    guard connections.add(channel) else { throw HTTPError.connectFailed("too many connections") }
                    let local = channel.localAddress.map(describe) ?? address.description
                    try ConnectionSetup(responder: responder, limits: limits, tls: tls?.value, localAddress: local).configure(channel)
                }
            }
        do {
            let listener: any Channel
            switch address {
            case .tcp(let host, let port):
                bootstrap = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                for (option, value) in TCPOptions.all { bootstrap = bootstrap.childChannelOption(option, value: value) }
                listener = try await bootstrap.bind(host: host, port: port).get()
            case .unix(let path):
                listener = try await bootstrap.bind(unixDomainSocketPath: path).get()
                guard chmod(path, 0o600) == 0 else { throw IOError(errnoCode: errno, reason: "chmod") }
            }
            return HTTPServer(listener: listener, connections: connections, address: address, admits: configuration.admits, tls: tls)
        } catch {
            throw TransportErrors.listening(address, error)
        }
    }

    /// Cuts off the clients that are not to be let in any more, after what `admits` goes by has changed.
    package func dismissUnwelcome() { connections.closeAll { !Self.isAdmitted($0, self.admits) } }

    /// Goes on with other certificates: new connections are made with them. When a CA of clients is believed no more, connections whose client showed a
    /// certificate are cut off, so that each client is judged anew. A server without TLS stays so. Throws `HTTPError.tls` for PEM that cannot be used,
    /// and goes on as before.
    package func renew(_ tls: TLS) throws {
        guard let current = self.tls else { return }
        let new = try ServerTLS(tls)
        let old = current.exchange(new)
        if !new.believes(allOf: old) { connections.closeIdentified() }
    }

    private static func isAdmitted(_ channel: any Channel, _ admits: (@Sendable (String) -> Bool)?) -> Bool {
        guard let admits else { return true }
        return channel.remoteAddress?.ipAddress.map(admits) ?? false
    }

    /// Stops accepting, tells HTTP/2 clients to go away, closes idle connections, and lets requests in flight finish for up to `grace`; then
    /// closes what is left.
    /// Returns when every connection is closed.
    package func stop(grace: Duration) async {
        do {
            try await listener.close().get()
        } catch {
            // Already closed: a second stop only waits.
        }
        if let socketPath { unlink(socketPath) }
        connections.quiesce()
        await connections.waitUntilEmpty(atMost: grace)
        connections.closeAll()
        await connections.waitUntilEmpty(atMost: .seconds(1))
    }

    /// A socket file that nobody listens on is removed; a living one is an error.
    private static func removeStaleSocket(_ path: String, _ address: HTTPAddress) async throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw HTTPError.connectFailed("cannot listen on \(address): a file is in the way")
        }
        do {
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(unixDomainSocketPath: path).get()
            channel.close(promise: nil)
        } catch {
            unlink(path)
            return
        }
        throw HTTPError.connectFailed("cannot listen on \(address): another process listens there; stop it or choose another path")
    }

    /// `127.0.0.1:80`, `[::1]:80`, `unix:/path`.
    static func describe(_ address: SocketAddress) -> String {
        switch address {
        case .v4, .v6: HTTPAddress.tcp(host: address.ipAddress ?? "", port: address.port ?? 0).description
        case .unixDomainSocket: address.pathname.map { $0.isEmpty ? "" : HTTPAddress.unix(path: $0).description } ?? ""
        }
    }
}

/// Socket options of every TCP connection, accepted or made.
enum TCPOptions {
    /// No delay for small writes; dead peers (a powered-off node, a vanished network) are noticed within two minutes.
    /// Upstream: Go's net package sets the same keep-alive of 15 s by 9 probes.
    static let all: [(ChannelOptions.Types.SocketOption, ChannelOptions.Types.SocketOption.Value)] = [
        (ChannelOptions.Types.SocketOption(level: .tcp, name: .tcp_nodelay), 1),
        (ChannelOptions.Types.SocketOption(level: .socket, name: .so_keepalive), 1),
        (ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE)), 15),
        (ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL)), 15),
        (ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_KEEPCNT)), 7),
    ]
}

/// The open connections of a listener.
final class ConnectionRegistry: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isQuiescing = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// False when there are too many, or when the listener is closing.
    func add(_ channel: any Channel) -> Bool {
        let key = ObjectIdentifier(channel)
        let isWelcome = state.withLock { state in
            guard state.channels.count < limit, !state.isQuiescing else { return false }
            state.channels[key] = channel
            return true
        }
        guard isWelcome else { return false }
        channel.closeFuture.whenComplete { _ in self.remove(key) }
        return true
    }

    private func remove(_ key: ObjectIdentifier) {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.channels[key] = nil
            guard state.channels.isEmpty else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    var count: Int { state.withLock { $0.channels.count } }

    func quiesce() {
        let channels = state.withLock { state in
            state.isQuiescing = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }

    func closeAll(where isChosen: (any Channel) -> Bool = { _ in true }) {
        for channel in state.withLock({ Array($0.channels.values) }) where isChosen(channel) { channel.close(promise: nil) }
    }

    /// Closes the connections whose client showed a certificate.
    func closeIdentified() {
        for channel in state.withLock({ Array($0.channels.values) }) {
            channel.eventLoop.execute {
                // A connection in its first moments has no TLS yet, and so nothing that was judged.
                let tls = try? channel.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
                if tls?.peerCertificate != nil { channel.close(promise: nil) }
            }
        }
    }

    func waitUntilEmpty(atMost limit: Duration) async {
        let timer = MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(limit)) { self.releaseWaiters() }
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.channels.isEmpty { state.waiters.append(continuation) }
                return state.channels.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
        timer.cancel()
    }

    private func releaseWaiters() {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
