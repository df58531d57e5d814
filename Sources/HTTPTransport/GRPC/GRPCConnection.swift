import NIOCore
import NIOHTTP2

/// One HTTP/2 connection (prior knowledge, no TLS) that carries gRPC calls.
struct GRPCConnection: Sendable {
    let channel: any Channel
    let multiplexer: NIOHTTP2Handler.StreamMultiplexer

    /// Bytes a server may send ahead on a stream and on the connection.
    private static let windowBytes = 1024 * 1024
    /// PING and SETTINGS frames taken in 30 s. grpc-go probes the bandwidth with a PING every few messages; the library's 200 would end a busy
    /// connection.
    private static let maximumControlFrames = 10_000_000

    /// Configures a new channel. `onRetire`: the connection takes no new calls (closed, or the server said GOAWAY).
    static func install(on channel: any Channel, onRetire: @escaping @Sendable () -> Void) throws -> GRPCConnection {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .initialWindowSize, value: windowBytes),
            HTTP2Setting(parameter: .maxHeaderListSize, value: 64 * 1024),
        ]
        connection.targetWindowSize = windowBytes
        connection.controlFrameRateLimit.maximumCount = maximumControlFrames
        // Errors of single calls say nothing about the connection.
        connection.maximumRecentlyResetStreams = 1000
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = windowBytes
        stream.outboundBufferSizeHighWatermark = 256 * 1024
        stream.outboundBufferSizeLowWatermark = 128 * 1024
        stream.streamResetFrameRateLimit.maximumCount = maximumControlFrames
        stream.streamErrorRateLimit.maximumCount = maximumControlFrames
        let multiplexer = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .client, connectionConfiguration: connection, streamConfiguration: stream
        ) { pushed in
            pushed.close()
        }
        try channel.pipeline.syncOperations.addHandler(RetirementHandler(onRetire: onRetire))
        return GRPCConnection(channel: channel, multiplexer: multiplexer)
    }
}

/// Notices when a connection ends or the server asks for no more calls on it.
private final class RetirementHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame

    private let onRetire: @Sendable () -> Void
    init(onRetire: @escaping @Sendable () -> Void) { self.onRetire = onRetire }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .goAway = unwrapInboundIn(data).payload { onRetire() }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        onRetire()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOHTTP2Errors.StreamError { return }
        onRetire()
        context.close(promise: nil)
    }
}
