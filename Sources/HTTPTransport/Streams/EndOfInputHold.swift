import NIOCore

/// Stands before a decoder while that is taken out of the pipeline, and holds the end of input back until it is gone: swift-nio's decoders drop what they
/// have buffered when they learn of the end (`HTTPDecoder.decodeLast`), and after an upgrade that is the tunnel's. Belongs to its event loop.
final class EndOfInputHold: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var context: ChannelHandlerContext?
    private var isInputClosed = false
    private var isInactive = false

    /// Removes the decoder, which then hands what it has buffered to the handlers behind it; the end of input follows. On the event loop.
    static func remove(_ decoder: some RemovableChannelHandler, from channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let hold = EndOfInputHold()
        try pipeline.addHandler(hold, position: .before(decoder))
        let removed = channel.eventLoop.makePromise(of: Void.self)
        removed.futureResult.whenComplete { _ in hold.release() }
        pipeline.removeHandler(decoder, promise: removed)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { isInputClosed = true } else { context.fireUserInboundEventTriggered(event) }
    }

    func channelInactive(context: ChannelHandlerContext) { isInactive = true }

    private func release() {
        guard let context else { return }
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        if isInactive { context.fireChannelInactive() }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
