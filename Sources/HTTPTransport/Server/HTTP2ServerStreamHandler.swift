import NIOCore
import NIOHPACK
import NIOHTTP2

/// The server's end of one HTTP/2 stream: one request, one response. Belongs to its event loop.
final class HTTP2ServerStreamHandler: ChannelDuplexHandler, ResponseSink, @unchecked Sendable {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let channel: any Channel
    private let responder: any HTTPResponder
    private let connection: ConnectionInfo
    private var context: ChannelHandlerContext?

    private var exchange: ServerExchange?
    private var hasHead = false
    private var isReceiving = true
    private var awaitsContinue = false
    private var isBodyPaused = false
    private var hasWithheldRead = false
    private var isInReadLoop = false
    private var needsFlush = false
    /// What the response has announced and not yet sent; nil when it announced nothing.
    private var bodyBytesLeft: Int?
    /// Of a streamed response.
    private var trailers: HTTPFields = [:]
    private var isOver = false

    init(channel: any Channel, responder: any HTTPResponder, connection: ConnectionInfo) {
        self.channel = channel
        self.responder = responder
        self.connection = connection
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelInactive(context: ChannelHandlerContext) {
        isOver = true
        exchange?.disconnect()
        exchange = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        exchange?.disconnect()
        exchange = nil
        context.close(promise: nil)
    }

    // MARK: The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isInReadLoop = true
        switch unwrapInboundIn(data) {
        case .headers(let frame):
            if hasHead { trailersArrived() } else { receive(frame.headers, isWhole: frame.endStream) }
        case .data(let frame):
            guard case .byteBuffer(let buffer) = frame.data else { return }
            awaitsContinue = false
            if buffer.readableBytes > 0, exchange?.body?.append(buffer, cost: buffer.readableBytes) == false { isBodyPaused = true }
            if frame.endStream { bodyIsOver() }
        default: break
        }
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
        if isBodyPaused { hasWithheldRead = true } else { context.read() }
    }

    private func trailersArrived() { bodyIsOver() }

    private func bodyIsOver() {
        isReceiving = false
        exchange?.body?.finish()
    }

    private func receive(_ headers: HPACKHeaders, isWhole: Bool) {
        hasHead = true
        isReceiving = !isWhole
        var method = ""
        var target = ""
        var authority: String?
        var fields: [(String, String)] = []
        fields.reserveCapacity(headers.count)
        for (name, value, _) in headers {
            switch name {
            case ":method": method = value
            case ":path": target = value
            case ":authority": authority = value
            case ":scheme", ":protocol": break
            default: fields.append((name, value))
            }
        }
        let allFields = HTTPFields(fields)
        let head = HTTPRequestHead(
            method: method, target: target, fields: allFields, authority: authority ?? allFields["host"] ?? "", connection: connection)
        let exchange = ServerExchange(head: head, responder: responder, eventLoop: channel.eventLoop, sink: self)
        self.exchange = exchange
        if isWhole {
            exchange.respondNow()
        } else {
            awaitsContinue = allFields.contains("expect", token: "100-continue")
            exchange.startWithBody(isPaused: awaitsContinue)
        }
    }

    func wantBody() {
        if awaitsContinue {
            awaitsContinue = false
            write(.headers(.init(headers: [":status": "100"])))
            context?.flush()
        }
        isBodyPaused = false
        guard hasWithheldRead else { return }
        hasWithheldRead = false
        context?.read()
    }

    // MARK: The response

    func sendWhole(_ response: HTTPResponse, body: [UInt8]) {
        guard !isOver, let context else { return }
        let mayHaveBody = HTTP1ResponseEncoding.hasBody(status: response.status)
        let isHead = exchange?.head.method == "HEAD"
        var headers = Self.headers(response, withLength: isHead && mayHaveBody)
        if mayHaveBody, headers.first(name: "content-length") == nil || !isHead {
            headers.replaceOrAdd(name: "content-length", value: String(body.count))
        }
        let withBody = mayHaveBody && !isHead && !body.isEmpty
        write(.headers(.init(headers: headers, endStream: !withBody)))
        if withBody {
            var buffer = context.channel.allocator.buffer(capacity: body.count)
            buffer.writeBytes(body)
            write(.data(.init(data: .byteBuffer(buffer), endStream: response.trailers.fields.isEmpty)))
            writeTrailers(response.trailers)
        }
        responseIsOver()
    }

    func sendHead(_ response: HTTPResponse) {
        guard !isOver else { return }
        bodyBytesLeft = response.fields["Content-Length"].flatMap { Int($0) }
        trailers = response.trailers
        write(.headers(.init(headers: Self.headers(response, withLength: true), endStream: false)))
        context?.flush()
    }

    func sendBody(_ bytes: [UInt8]) throws -> Bool { try sendBody(ByteBuffer(bytes: bytes)) }

    func sendBody(_ buffer: ByteBuffer) throws -> Bool {
        guard !isOver, let context else { throw HTTPError.connectionClosed }
        if let left = bodyBytesLeft {
            guard buffer.readableBytes <= left else { throw HTTPError.protocolViolation("the body is longer than its Content-Length") }
            bodyBytesLeft = left - buffer.readableBytes
        }
        write(.data(.init(data: .byteBuffer(buffer))))
        context.flush()
        return context.channel.isWritable
    }

    func sendEnd() {
        guard !isOver else { return }
        if let left = bodyBytesLeft, left > 0, exchange?.head.method != "HEAD" { return abort() }
        if trailers.fields.isEmpty { write(.data(.init(data: .byteBuffer(ByteBuffer()), endStream: true))) } else { writeTrailers(trailers) }
        responseIsOver()
    }

    private func writeTrailers(_ trailers: HTTPFields) {
        guard !trailers.fields.isEmpty else { return }
        write(.headers(.init(headers: HPACKHeaders(trailers.fields.map { ($0.name.lowercased(), $0.value) }), endStream: true)))
    }

    func abort() {
        reset(.internalError)
    }

    /// RFC 9113 has no 101; clients that want to leave HTTP speak HTTP/1.1.
    func openTunnel(_ response: HTTPResponse) -> ByteTunnel? { nil }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { exchange?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    private func responseIsOver() {
        exchange?.complete()
        exchange = nil
        isOver = true
        isBodyPaused = false
        // The client may stop sending: it has its answer. Upstream: net/http2 resets with NO_ERROR after the handler returned early.
        if isReceiving { write(.rstStream(.noError)) }
        if isInReadLoop { needsFlush = true } else { context?.flush() }
    }

    private func reset(_ code: HTTP2ErrorCode) {
        exchange?.complete()
        exchange = nil
        guard !isOver else { return }
        isOver = true
        write(.rstStream(code))
        context?.flush()
    }

    private func write(_ payload: HTTP2Frame.FramePayload) {
        context?.write(wrapOutboundOut(payload), promise: nil)
    }

    /// Names in lower case; fields about the connection have no place in HTTP/2.
    private static func headers(_ response: HTTPResponse, withLength: Bool) -> HPACKHeaders {
        var headers = HPACKHeaders()
        headers.reserveCapacity(response.fields.fields.count + 3)
        headers.add(name: ":status", value: String(response.status))
        var hasDate = false
        for (name, value) in response.fields.fields {
            let name = name.lowercased()
            switch name {
            case "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection": continue
            case "content-length" where !withLength: continue
            case "date": hasDate = true
            default: break
            }
            headers.add(name: name, value: value)
        }
        if !hasDate { headers.add(name: "date", value: HTTPDate.now()) }
        return headers
    }
}
