import NIOCore

/// The last handler of a channel that carries plain bytes: joins it to a `ByteTunnel`. Belongs to its event loop, except for the tunnel's closures.
final class TunnelHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A closing tunnel is cut when its last bytes do not move for this long.
    private static let stallLimit = TimeAmount.seconds(10)

    private let channel: any Channel
    private let gate: WriteGate
    private let onInactive: @Sendable () -> Void
    private var queue: InboundQueue<ByteBuffer>?
    private var context: ChannelHandlerContext?
    private var isPaused = false
    private var hasWithheldRead = false
    private var isOutputClosed = false
    private var isClosing = false

    /// `onInactive` is called once when the connection is gone for good.
    init(channel: any Channel, onInactive: @escaping @Sendable () -> Void = {}) {
        self.channel = channel
        self.onInactive = onInactive
        gate = WriteGate(eventLoop: channel.eventLoop)
    }

    /// Adds a tunnel at the end of the channel's pipeline. On the event loop.
    static func install(on channel: any Channel, onInactive: @escaping @Sendable () -> Void = {}) throws -> ByteTunnel {
        let handler = TunnelHandler(channel: channel, onInactive: onInactive)
        let queue = handler.makeQueue()
        // Without it a peer that has finished writing would lose what we still have to say.
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        try channel.pipeline.syncOperations.addHandler(handler)
        return handler.tunnel(queue)
    }

    private func makeQueue() -> InboundQueue<ByteBuffer> {
        let queue = InboundQueue<ByteBuffer>(
            limit: InboundQueue.byteLimit,
            demand: { [weak self] in
                guard let self else { return }
                channel.eventLoop.execute { self.resume() }
            },
            abandon: {})
        self.queue = queue
        return queue
    }

    private func tunnel(_ queue: InboundQueue<ByteBuffer>) -> ByteTunnel {
        // A tunnel that nobody holds any more closes its connection.
        let lease = Lease { [channel] in channel.eventLoop.execute { self.close() } }
        return ByteTunnel(
            read: { [queue] in
                _ = lease
                return try await queue.nextBytes()
            },
            write: { [self] bytes in
                try await gate.write {
                    guard let context = self.context, !self.isOutputClosed else { throw HTTPError.connectionClosed }
                    context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
                    return self.channel.isWritable
                }
            },
            finishWriting: { [self] in
                channel.eventLoop.execute { self.finishWriting() }
            },
            close: { [self] in
                channel.eventLoop.execute { self.close() }
            })
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if queue?.append(buffer, cost: buffer.readableBytes) == false { isPaused = true }
    }

    func read(context: ChannelHandlerContext) {
        if isPaused { hasWithheldRead = true } else { context.read() }
    }

    private func resume() {
        isPaused = false
        guard hasWithheldRead else { return }
        hasWithheldRead = false
        context?.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { gate.open() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { queue?.finish() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        onInactive()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A TLS peer that closes without saying so has closed all the same; half-closure follows as an event.
        if TransportErrors.isUncleanShutdown(error) { return }
        let failure = TransportErrors.describe(error)
        queue?.fail(failure)
        gate.fail(failure)
        context.close(promise: nil)
    }

    private func end() {
        queue?.finish()
        gate.fail(HTTPError.connectionClosed)
    }

    private func finishWriting() {
        guard !isOutputClosed, !isClosing else { return }
        isOutputClosed = true
        context?.close(mode: .output, promise: nil)
    }

    /// Closes once everything written has left.
    private func close() {
        guard !isClosing, let context else { return }
        isClosing = true
        guard !isOutputClosed else { return context.close(promise: nil) }
        isOutputClosed = true
        let cut = StallGuard(channel: channel, interval: Self.stallLimit)
        cut.start()
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.whenComplete { [channel] _ in
            cut.cancel()
            channel.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
    }
}
