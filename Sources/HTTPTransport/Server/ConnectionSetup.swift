import Logging
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL
import NIOTLS

/// Builds the pipeline of an accepted connection: TLS by server name, the protocol by ALPN or by its first bytes, then HTTP.
struct ConnectionSetup: Sendable {
    let responder: any HTTPResponder
    let limits: HTTPServer.Limits
    let tls: ServerTLS?
    let localAddress: String

    /// PING and SETTINGS frames are counted in windows of this length.
    private static let rateWindow = TimeAmount.seconds(30)
    /// A silent HTTP/2 connection is probed after this, and closed when the probe stays without answer. Upstream: net/http2 clients probe after
    /// 30 s and wait 15 s.
    private static let pingInterval = TimeAmount.seconds(30)
    private static let pingTimeout = TimeAmount.seconds(15)

    private static let log = Logger(label: "http.server")

    /// On the channel's event loop, before it is active.
    func configure(_ channel: any Channel) throws {
        let guardian = channel.eventLoop.scheduleTask(in: TimeAmount(limits.headerReadTimeout)) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in guardian.cancel() }
        guard let tls else {
            try channel.pipeline.syncOperations.addHandler(
                PrefaceHandler { isHTTP2 in
                    guardian.cancel()
                    try configureHTTP(channel, isHTTP2: isHTTP2, info: connectionInfo(channel, isHTTP2: isHTTP2))
                })
            return
        }
        let sni = SNIHandler { result in
            do {
                try startTLS(channel, tls, result, guardian)
                return channel.eventLoop.makeSucceededVoidFuture()
            } catch {
                channel.close(promise: nil)
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
        try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(sni))
    }

    private func startTLS(_ channel: any Channel, _ tls: ServerTLS, _ sni: SNIResult, _ guardian: Scheduled<Void>) throws {
        var serverName: String?
        if case .hostname(let name) = sni { serverName = name }
        let handler: NIOSSLServerHandler
        do {
            handler = try tls.makeHandler(serverName: serverName)
        } catch {
            Self.log.error(
                "cannot serve this name: its certificate or key is unusable", metadata: ["name": "\(serverName ?? "")", "error": "\(error)"])
            throw error
        }
        let bound = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        let alpn = ApplicationProtocolNegotiationHandler { [serverName] result, channel in
            guardian.cancel()
            do {
                let isHTTP2 = result == .negotiated("h2")
                var info = connectionInfo(channel, isHTTP2: isHTTP2)
                info.isTLS = true
                info.serverName = serverName
                info.peerCertificates = tls.peerCertificates(bound.value)
                try configureHTTP(channel, isHTTP2: isHTTP2, info: info)
                return channel.eventLoop.makeSucceededVoidFuture()
            } catch {
                channel.close(promise: nil)
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(handler)
        try pipeline.addHandler(alpn)
        try pipeline.addHandler(ConnectionErrorHandler())
    }

    private func connectionInfo(_ channel: any Channel, isHTTP2: Bool) -> ConnectionInfo {
        let remote = channel.remoteAddress.map(HTTPServer.describe) ?? ""
        return ConnectionInfo(remoteAddress: remote.isEmpty ? localAddress : remote, localAddress: localAddress, isHTTP2: isHTTP2)
    }

    private func configureHTTP(_ channel: any Channel, isHTTP2: Bool, info: ConnectionInfo) throws {
        if isHTTP2 { try configureHTTP2(channel, info) } else { try configureHTTP1(channel, info) }
    }

    private func configureHTTP1(_ channel: any Channel, _ info: ConnectionInfo) throws {
        var decoderLimits = NIOHTTPDecoderLimitConfiguration()
        decoderLimits.maxHeaderListSize = limits.maximumHeaderBytes
        decoderLimits.maxHeaderFieldSize = limits.maximumHeaderBytes
        let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoderLimits))
        let handler = HTTP1ServerHandler(channel: channel, responder: responder, limits: limits, connection: info, decoder: decoder)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(decoder)
        try pipeline.addHandler(handler)
    }

    private func configureHTTP2(_ channel: any Channel, _ info: ConnectionInfo) throws {
        let management = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(
                maxIdleTime: TimeAmount(limits.idleTimeout), maxAge: nil, maxGraceTime: nil,
                keepalive: .init(pingInterval: Self.pingInterval, ackTimeout: Self.pingTimeout)))
        let handler = NIOHTTP2Handler(
            mode: .server, eventLoop: channel.eventLoop, connectionConfiguration: http2Connection, streamConfiguration: http2Stream,
            streamDelegate: management.http2StreamDelegate
        ) { [responder] stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(HTTP2ServerStreamHandler(channel: stream, responder: responder, connection: info))
            }
        }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(WriteCoalescer(channel.eventLoop))
        try pipeline.addHandler(handler)
        try pipeline.addHandler(management)
        try pipeline.addHandler(ConnectionErrorHandler())
        // The connection was active before the handlers came: their timers start now.
        if channel.isActive { try pipeline.context(handler: handler).fireChannelActive() }
    }

    private var http2Connection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.maximumStreams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.maximumHeaderBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: limits.windowBytes),
        ]
        configuration.targetWindowSize = limits.windowBytes
        configuration.controlFrameRateLimit.maximumCount = limits.maximumControlFrames
        configuration.controlFrameRateLimit.windowLength = Self.rateWindow
        return configuration
    }

    private var http2Stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = limits.windowBytes
        configuration.outboundBufferSizeHighWatermark = limits.writeBufferBytes
        configuration.outboundBufferSizeLowWatermark = limits.writeBufferBytes / 2
        configuration.streamResetFrameRateLimit.maximumCount = limits.maximumStreamResets
        configuration.streamResetFrameRateLimit.windowLength = Self.rateWindow
        return configuration
    }
}

/// Tells HTTP/2 with prior knowledge (RFC 9113, 3.3) from HTTP/1.1 by a connection's first bytes, then leaves the pipeline.
private final class PrefaceHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private let onDecision: (Bool) throws -> Void
    private var received = ByteBuffer()

    init(onDecision: @escaping (Bool) throws -> Void) { self.onDecision = onDecision }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if received.readableBytes == 0 { received = buffer } else { received.writeBuffer(&buffer) }
        let seen = received.readableBytesView.prefix(Self.preface.count)
        let matches = seen.elementsEqual(Self.preface.prefix(seen.count))
        guard !matches || seen.count == Self.preface.count else { return }
        do {
            try onDecision(matches)
            context.fireChannelRead(wrapInboundOut(received))
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }
}

/// The end of a connection's pipeline: what nobody else has dealt with closes it. A failed handshake or a broken connection is the client's affair.
private final class ConnectionErrorHandler: ChannelInboundHandler {
    typealias InboundIn = Any

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TransportErrors.isUncleanShutdown(error) { return }
        // An error of one stream (a client's invalid header, say) is answered by resetting that stream.
        if error is NIOHTTP2Errors.StreamError { return }
        context.close(promise: nil)
    }
}
