import NIOCore

/// Between HTTP/2 and TLS: puts small writes together, so that the frames of many streams make few TLS records and one system call. A flush is put
/// off behind what the event loop has to do already, or to the end of what a `PumpQueue` serves: other streams' answers join it. Belongs to its
/// event loop.
final class WriteCoalescer: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What fits into one TLS record.
    private static let recordBytes = 16 * 1024
    /// Larger writes go on as they are: copying them would cost more than a record saves.
    private static let smallWrite = 8 * 1024

    private var gathered = ByteBuffer()
    private var promise: EventLoopPromise<Void>?
    private var isFlushPostponed = false
    /// What a flush does to the connection's writability is told once, after it.
    private var isFlushing = false
    private let pumps: PumpQueue

    init(_ eventLoop: any EventLoop) { pumps = PumpQueue.of(eventLoop) }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var buffer = unwrapOutboundIn(data)
        guard buffer.readableBytes <= Self.smallWrite else {
            passOn(context)
            context.write(wrapOutboundOut(buffer), promise: promise)
            return
        }
        if gathered.readableBytes + buffer.readableBytes > Self.recordBytes { passOn(context) }
        if gathered.capacity == 0 { gathered = context.channel.allocator.buffer(capacity: Self.recordBytes) }
        gathered.writeBuffer(&buffer)
        guard let promise else { return }
        if let first = self.promise { first.futureResult.cascade(to: promise) } else { self.promise = promise }
    }

    func flush(context: ChannelHandlerContext) {
        guard !isFlushPostponed else { return }
        isFlushPostponed = true
        let flush = { [weak self] in
            guard let self, isFlushPostponed else { return }
            flushNow(context)
        }
        if !pumps.postpone(flush) { context.eventLoop.assumeIsolated().execute(flush) }
    }

    private func flushNow(_ context: ChannelHandlerContext) {
        isFlushPostponed = false
        passOn(context)
        isFlushing = true
        let wasWritable = context.channel.isWritable
        context.flush()
        isFlushing = false
        if context.channel.isWritable != wasWritable { context.fireChannelWritabilityChanged() }
    }

    /// A flush of more than the connection's buffer holds makes the channel unwritable and, when the socket took it all, writable again: each of the
    /// connection's streams would be told twice of what is over before it can act.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !isFlushing { context.fireChannelWritabilityChanged() }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // What was flushed before is sent before.
        if isFlushPostponed { flushNow(context) } else { passOn(context) }
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        isFlushPostponed = false
        promise?.fail(ChannelError.ioOnClosedChannel)
        promise = nil
    }

    private func passOn(_ context: ChannelHandlerContext) {
        guard gathered.readableBytes > 0 else { return }
        let buffer = gathered
        let promise = promise
        gathered = ByteBuffer()
        self.promise = nil
        context.write(wrapOutboundOut(buffer), promise: promise)
    }
}
