import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// Makes connections to one address, with TLS when asked.
struct ClientConnector: Sendable {
    let address: HTTPAddress
    let connectTimeout: Duration
    /// Nil for plain connections.
    let tls: ClientTLS?
    /// Judges the address that is connected to; nil: any.
    var admitsAddress: (@Sendable (String) -> Bool)?
    /// Bytes that may wait in a connection before writers wait.
    private static let writeBufferBytes = 256 * 1024

    /// Connects, runs `configure` on the new channel before anything arrives, and returns its result once the connection (and its TLS) stands.
    /// Throws `HTTPError.connectFailed`, `.timeout` or `.tls`, naming the address.
    func connect<Result: Sendable>(_ configure: @escaping @Sendable (any Channel) throws -> Result) async throws -> Result {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let ready = loop.makePromise(of: Void.self)
        let configured = loop.makePromise(of: Result.self)
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(connectTimeout))
            .channelOption(
                .writeBufferWaterMark, value: ChannelOptions.Types.WriteBufferWaterMark(low: Self.writeBufferBytes / 2, high: Self.writeBufferBytes)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(tls.makeHandler())
                        try pipeline.addHandler(HandshakeHandler(ready: ready))
                    } else {
                        ready.succeed(())
                    }
                    configured.succeed(try configure(channel))
                }
            }
        do {
            let channel: any Channel
            switch address {
            case .tcp(let host, let port):
                for (option, value) in TCPOptions.all { bootstrap = bootstrap.channelOption(option, value: value) }
                if admitsAddress == nil {
                    channel = try await bootstrap.connect(host: host, port: port).get()
                } else {
                    channel = try await bootstrap.connect(to: try await admitted(host: host, port: port)).get()
                }
            case .unix(let path):
                channel = try await bootstrap.connect(unixDomainSocketPath: path).get()
            }
            let timer = loop.scheduleTask(in: TimeAmount(connectTimeout)) {
                ready.fail(HTTPError.timeout("no TLS handshake with \(address) within \(connectTimeout)"))
                channel.close(promise: nil)
            }
            defer { timer.cancel() }
            try await ready.futureResult.get()
            return try await configured.futureResult.get()
        } catch {
            // Promises must be kept; a second answer is ignored.
            ready.fail(error)
            configured.fail(error)
            throw TransportErrors.connecting(address, error)
        }
    }

    /// Resolves once and judges. Throws `HTTPError.connectFailed` for an address that is not admitted.
    private func admitted(host: String, port: Int) async throws -> SocketAddress {
        let address: SocketAddress
        do {
            address = try SocketAddress(ipAddress: host, port: port)
        } catch {
            // A name: the system's resolver blocks.
            address = try await NIOThreadPool.singleton.runIfActive { try SocketAddress.makeAddressResolvingHost(host, port: port) }
        }
        guard let ip = address.ipAddress, admitsAddress?(ip) ?? true else {
            throw HTTPError.connectFailed("cannot connect to \(self.address): address not allowed")
        }
        return address
    }
}

/// The client's TLS: whom to trust, whom to expect, what to show.
struct ClientTLS: Sendable {
    private let context: NIOSSLContext
    private let serverName: String?

    /// Throws `HTTPError.tls` for PEM that cannot be used.
    init(_ tls: HTTPClient.TLS, address: HTTPAddress, applicationProtocols: [String]) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = applicationProtocols
        if !tls.verifiesServer { configuration.certificateVerification = .none }
        do {
            if let roots = tls.rootsPEM {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(roots.utf8)))
            }
            if let identity = tls.identity {
                let chain = try NIOSSLCertificate.fromPEMBytes(Array(identity.certificateChainPEM.utf8))
                configuration.certificateChain = chain.map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem))
            }
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw HTTPError.tls("the client's roots, certificate or key cannot be used: \(error)")
        }
        var name = tls.serverName
        if name == nil, case .tcp(let host, _) = address { name = host }
        // An IP address is no server name: the certificate is then checked against the address that was reached.
        serverName = name.flatMap { Self.isIPAddress($0) ? nil : $0 }
    }

    func makeHandler() throws -> NIOSSLClientHandler { try NIOSSLClientHandler(context: context, serverHostname: serverName) }

    private static func isIPAddress(_ text: String) -> Bool {
        do {
            _ = try SocketAddress(ipAddress: text, port: 0)
            return true
        } catch {
            return false
        }
    }
}

/// Tells when TLS stands or has failed, then leaves.
private final class HandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let ready: EventLoopPromise<Void>
    init(ready: EventLoopPromise<Void>) { self.ready = ready }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard case TLSUserEvent.handshakeCompleted = event else { return }
        ready.succeed(())
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ready.fail(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        ready.fail(HTTPError.connectFailed("the server closed the connection during the TLS handshake"))
        context.fireChannelInactive()
    }
}
