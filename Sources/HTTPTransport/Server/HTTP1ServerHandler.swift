import NIOCore
import NIOHTTP1

/// The server's end of an HTTP/1.1 connection: one response at a time, in order; pipelined requests wait. Belongs to its event loop.
///
///     idle ──head──▶ receiving ──end──▶ answering ──response complete──▶ idle
///                        └──response complete first──▶ discarding ──end──▶ idle (or closed, when the rest is long)
final class HTTP1ServerHandler: ChannelDuplexHandler, RemovableChannelHandler, ResponseSink, @unchecked Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Parts of pipelined requests that may wait before reading stops.
    private static let maximumPendingParts = 64
    /// Bytes of an unwanted body that are read so that the connection can be kept. Upstream: net/http.maxPostHandlerReadBytes.
    private static let maximumDiscardedBytes = 256 * 1024
    /// How long a connection that closes on a client which is still sending stays half open, for the response to be read. Upstream:
    /// net/http.rstAvoidanceDelay.
    private static let lingerDelay = TimeAmount.milliseconds(500)

    private let channel: any Channel
    private let responder: any HTTPResponder
    private let limits: HTTPServer.Limits
    private let connection: ConnectionInfo
    private let decoder: ByteToMessageHandler<HTTPRequestDecoder>
    private var context: ChannelHandlerContext?

    private var exchange: ServerExchange?
    /// The head of a request without body, until its end comes.
    private var bodylessHead: HTTPRequestHead?
    private var isReceiving = false
    private var isDiscarding = false
    private var discardedBytes = 0
    /// The client waits for `100 Continue` before it sends its body.
    private var awaitsContinue = false
    private var isHTTP10 = false
    private var keepAlive = true
    private var framing = HTTP1ResponseEncoding.Framing.none
    private var bodyBytesLeft = 0

    private var pendingParts = CircularBuffer<HTTPServerRequestPart>(initialCapacity: 2)
    private var isWorking = false
    private var isBodyPaused = false
    private var hasWithheldRead = false
    private var isInReadLoop = false
    private var needsFlush = false
    private var isClosing = false
    private var isInputClosed = false

    /// When to close the connection unless something happens; nil while a request is in progress.
    private var deadline: NIODeadline?
    private var timer: Scheduled<Void>?
    private var armedFor = NIODeadline.distantFuture
    private let stallGuard: StallGuard

    init(
        channel: any Channel, responder: any HTTPResponder, limits: HTTPServer.Limits, connection: ConnectionInfo,
        decoder: ByteToMessageHandler<HTTPRequestDecoder>
    ) {
        self.channel = channel
        self.responder = responder
        self.limits = limits
        self.connection = connection
        self.decoder = decoder
        stallGuard = StallGuard(channel: channel, interval: TimeAmount(limits.stallTimeout))
    }

    var eventLoop: any EventLoop { channel.eventLoop }

    // MARK: Connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        do {
            // A client may close its half after its request and still wait for the response.
            try context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        } catch {
            context.close(promise: nil)
        }
        setDeadline(limits.headerReadTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        stallGuard.cancel()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        stallGuard.cancel()
        isClosing = true
        exchange?.disconnect()
        exchange = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            keepAlive = false
            if let exchange { exchange.cancel() } else { close() }
        case is ChannelShouldQuiesceEvent:
            keepAlive = false
            if exchange == nil, bodylessHead == nil, !isReceiving { close() }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TransportErrors.isUncleanShutdown(error) { return }
        guard let parserError = error as? HTTPParserError, exchange == nil, !isClosing else {
            exchange?.disconnect()
            exchange = nil
            context.close(promise: nil)
            return
        }
        switch parserError {
        case .headerOverflow: refuse(431, "the request's header is larger than \(limits.maximumHeaderBytes) bytes")
        case .invalidVersion: refuse(505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here")
        default: refuse(400, "the request is not HTTP: \(parserError)")
        }
    }

    private func setDeadline(_ duration: Duration) {
        let next = NIODeadline.now() + TimeAmount(duration)
        deadline = next
        // A timer that fires earlier looks again: requests in a row need no timers of their own.
        if timer != nil, armedFor <= next { return }
        timer?.cancel()
        arm(next)
    }

    private func arm(_ deadline: NIODeadline) {
        armedFor = deadline
        timer = eventLoop.scheduleTask(deadline: deadline) { [weak self] in self?.timerFired() }
    }

    private func timerFired() {
        timer = nil
        guard let deadline else { return }
        guard deadline <= .now() else { return arm(deadline) }
        // A client that is still taking its last response is not idle.
        if StallGuard.waitingBytes(channel) > 0 { setDeadline(limits.idleTimeout) } else { close() }
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isInReadLoop = true
        pendingParts.append(unwrapInboundIn(data))
        work()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isInReadLoop = false
        if needsFlush {
            needsFlush = false
            context.flush()
        }
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if isBodyPaused || pendingParts.count > Self.maximumPendingParts { hasWithheldRead = true } else { context.read() }
    }

    private func resumeReading() {
        guard hasWithheldRead, !isBodyPaused, pendingParts.count <= Self.maximumPendingParts else { return }
        hasWithheldRead = false
        context?.read()
    }

    /// Takes parts until a request is complete and not yet answered. Not re-entrant: a response made on the spot continues the loop of its caller.
    private func work() {
        guard !isWorking else { return }
        isWorking = true
        while !isClosing, exchange == nil || isReceiving, let part = pendingParts.popFirst() {
            switch part {
            case .head(let head): receive(head)
            case .body(let buffer): receive(buffer)
            case .end: receiveEnd()
            }
        }
        isWorking = false
        resumeReading()
    }

    private func receive(_ head: NIOHTTP1.HTTPRequestHead) {
        isHTTP10 = head.version == .http1_0
        keepAlive = keepAlive && head.isKeepAlive && !isInputClosed
        deadline = nil
        let fields = HTTPFields(head.headers.map { ($0.name, $0.value) })
        guard let authority = fields["Host"] ?? (isHTTP10 ? "" : nil) else { return refuse(400, "the request has no Host field") }
        guard let target = Self.originForm(head.uri) else { return refuse(400, "the request's target is not a path") }
        let request = HTTPRequestHead(method: head.method.rawValue, target: target, fields: fields, authority: authority, connection: connection)
        // The parser stops at a request that asks to leave HTTP, so this connection carries no other.
        if request.isUpgrade || request.method == "CONNECT" { keepAlive = false }
        isReceiving = true
        guard fields["Transfer-Encoding"] != nil || fields["Content-Length"].map({ $0 != "0" }) == true else {
            bodylessHead = request
            return
        }
        awaitsContinue = !isHTTP10 && fields.contains("Expect", token: "100-continue")
        let exchange = ServerExchange(head: request, responder: responder, eventLoop: eventLoop, sink: self)
        self.exchange = exchange
        exchange.startWithBody(isPaused: awaitsContinue)
    }

    /// A path as it is; the path of an absolute URL, which proxies' clients send.
    private static func originForm(_ uri: String) -> String? {
        if uri.utf8.first == UInt8(ascii: "/") || uri == "*" { return uri }
        guard let scheme = uri.firstRange(of: "://") else { return nil }
        guard let slash = uri[scheme.upperBound...].firstIndex(where: { $0 == "/" || $0 == "?" }) else { return "/" }
        return uri[slash] == "/" ? String(uri[slash...]) : "/" + uri[slash...]
    }

    private func receive(_ buffer: ByteBuffer) {
        awaitsContinue = false
        if isDiscarding {
            discardedBytes &+= buffer.readableBytes
            if discardedBytes > Self.maximumDiscardedBytes { closeLingering() }
            return
        }
        if exchange?.body?.append(buffer, cost: buffer.readableBytes) == false { isBodyPaused = true }
    }

    private func receiveEnd() {
        isReceiving = false
        awaitsContinue = false
        if let head = bodylessHead {
            bodylessHead = nil
            let exchange = ServerExchange(head: head, responder: responder, eventLoop: eventLoop, sink: self)
            self.exchange = exchange
            exchange.respondNow()
        } else if isDiscarding {
            isDiscarding = false
            requestIsOver()
        } else {
            exchange?.body?.finish()
        }
    }

    func wantBody() {
        if awaitsContinue {
            awaitsContinue = false
            context?.writeAndFlush(wrapOutboundOut(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        }
        isBodyPaused = false
        resumeReading()
    }

    // MARK: Responses

    func sendWhole(_ response: HTTPResponse, body: [UInt8]) {
        guard let context else { return }
        let status = HTTP1ResponseEncoding.hasBody(status: response.status)
        let isHead = exchange?.head.method == "HEAD"
        settleKeepAlive(response)
        let withBody = status && !isHead
        var buffer = context.channel.allocator.buffer(capacity: 512 &+ (withBody ? body.count : 0))
        let announced = isHead && status ? response.fields["Content-Length"].flatMap { Int($0) } ?? body.count : nil
        HTTP1ResponseEncoding.writeHead(
            response, framing: withBody ? .length(body.count) : .none, announced: announced, keepAlive: keepAlive, isHTTP10: isHTTP10, into: &buffer)
        if withBody { buffer.writeBytes(body) }
        context.write(wrapOutboundOut(buffer), promise: nil)
        flush()
        responseIsOver()
    }

    func sendHead(_ response: HTTPResponse) {
        guard let context else { return }
        settleKeepAlive(response)
        let announced = response.fields["Content-Length"].flatMap { Int($0) }
        if !HTTP1ResponseEncoding.hasBody(status: response.status) || exchange?.head.method == "HEAD" {
            framing = .none
        } else if let announced {
            framing = .length(announced)
            bodyBytesLeft = announced
        } else if isHTTP10 {
            framing = .untilClose
            keepAlive = false
        } else {
            framing = .chunked
        }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        HTTP1ResponseEncoding.writeHead(
            response, framing: framing, announced: announced, keepAlive: keepAlive, isHTTP10: isHTTP10, into: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func sendBody(_ bytes: [UInt8]) throws -> Bool {
        guard let context else { throw HTTPError.connectionClosed }
        var buffer: ByteBuffer
        switch framing {
        case .none: return true
        case .length:
            guard bytes.count <= bodyBytesLeft else { throw HTTPError.protocolViolation("the body is longer than its Content-Length") }
            bodyBytesLeft -= bytes.count
            buffer = ByteBuffer(bytes: bytes)
        case .untilClose: buffer = ByteBuffer(bytes: bytes)
        case .chunked:
            buffer = context.channel.allocator.buffer(capacity: bytes.count &+ 16)
            HTTP1ResponseEncoding.writeChunk(bytes, into: &buffer)
        }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        return context.channel.isWritable
    }

    func sendBody(_ buffer: ByteBuffer) throws -> Bool {
        guard let context else { throw HTTPError.connectionClosed }
        switch framing {
        case .none: return true
        case .length: return try sendBody(Array(buffer.readableBytesView))
        case .untilClose: context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        case .chunked:
            var size = context.channel.allocator.buffer(capacity: 16)
            size.writeString(String(buffer.readableBytes, radix: 16))
            size.writeStaticString("\r\n")
            context.write(wrapOutboundOut(size), promise: nil)
            context.write(wrapOutboundOut(buffer), promise: nil)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(staticString: "\r\n")), promise: nil)
        }
        return context.channel.isWritable
    }

    func sendEnd() {
        guard let context else { return }
        switch framing {
        case .chunked: context.writeAndFlush(wrapOutboundOut(ByteBuffer(staticString: "0\r\n\r\n")), promise: nil)
        case .length where bodyBytesLeft > 0: return abort()
        case .length, .none, .untilClose: break
        }
        responseIsOver()
    }

    func abort() {
        exchange?.complete()
        exchange = nil
        isClosing = true
        // Without a closing chunk or the whole length the client knows that the body is incomplete.
        context?.close(promise: nil)
    }

    func openTunnel(_ response: HTTPResponse) -> ByteTunnel? {
        guard let context, let exchange, exchange.head.isUpgrade, !isReceiving, pendingParts.isEmpty, !isInputClosed else { return nil }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        HTTP1ResponseEncoding.writeUpgradeHead(response, upgrade: exchange.head.fields["Upgrade"], into: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        self.exchange = nil
        let pipeline = context.pipeline.syncOperations
        do {
            let tunnel = try TunnelHandler.install(on: channel) { exchange.disconnect() }
            pipeline.removeHandler(self, promise: nil)
            // Hands what it has buffered beyond the request to the tunnel.
            try EndOfInputHold.remove(decoder, from: channel)
            return tunnel
        } catch {
            exchange.disconnect()
            context.close(promise: nil)
            return nil
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { exchange?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    private func settleKeepAlive(_ response: HTTPResponse) {
        // A body that was never called for will not come, or may: the next request's start is unknown.
        if awaitsContinue || response.fields.contains("Connection", token: "close") { keepAlive = false }
    }

    private func flush() {
        if isInReadLoop { needsFlush = true } else { context?.flush() }
    }

    private func responseIsOver() {
        exchange?.complete()
        exchange = nil
        isBodyPaused = false
        guard isReceiving else { return requestIsOver() }
        guard keepAlive else { return closeLingering() }
        isDiscarding = true
        discardedBytes = 0
        setDeadline(limits.headerReadTimeout)
        resumeReading()
    }

    /// Request and response are complete.
    private func requestIsOver() {
        guard keepAlive else { return close() }
        setDeadline(limits.idleTimeout)
        work()
    }

    /// Answers something that is not a request, and closes.
    private func refuse(_ status: Int, _ reason: String) {
        keepAlive = false
        // Whatever the client is sending goes on: the connection must linger for the answer to be read.
        isReceiving = true
        sendWhole(HTTPResponse(status: status, fields: ["Content-Type": "text/plain; charset=utf-8"]), body: Array((reason + "\n").utf8))
    }

    // MARK: Closing

    /// Closes once everything written has left.
    private func close() {
        guard !isClosing, let context else { return }
        isClosing = true
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.whenComplete { [channel] _ in channel.close(promise: nil) }
        needsFlush = false
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
        timer?.cancel()
        timer = nil
        stallGuard.start()
    }

    /// Closes our half, and the rest a moment later: closing at once with unread input would reset the connection and lose the response.
    private func closeLingering() {
        guard !isClosing, let context else { return }
        isClosing = true
        isBodyPaused = false
        pendingParts.removeAll()
        needsFlush = false
        context.flush()
        context.close(mode: .output, promise: nil)
        timer?.cancel()
        timer = eventLoop.scheduleTask(in: Self.lingerDelay) { [channel] in channel.close(promise: nil) }
        resumeReading()
    }
}
