import NIOCore
import NIOHPACK
import NIOHTTP2

/// The client's end of one gRPC call. Belongs to its event loop; messages and outcome leave through `messages`.
/// Upstream: the gRPC-over-HTTP/2 protocol description (PROTOCOL-HTTP2).
final class GRPCStreamHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    /// The largest message taken. Upstream: CRI clients set 16 MiB (kubelet's remote runtime `maxMsgSize`).
    static let maximumMessageBytes = 16 * 1024 * 1024
    /// Message bytes that may wait for the reader.
    private static let queueLimit = 1024 * 1024
    private static let framePrefixBytes = 5

    private let channel: any Channel
    private var context: ChannelHandlerContext?
    private var queue: InboundQueue<[UInt8]>?
    private var received = ByteBuffer()
    private var hasHead = false
    private var isOver = false
    private var isPaused = false
    private var hasWithheldRead = false
    private var timer: Scheduled<Void>?

    init(channel: any Channel) { self.channel = channel }

    /// The messages of the answer; ends with the call, throws `GRPCError` for every status but OK. Called once, before `start`.
    func messages() -> InboundQueue<[UInt8]> {
        let queue = InboundQueue<[UInt8]>(
            limit: Self.queueLimit,
            demand: { [weak self] in
                guard let self else { return }
                channel.eventLoop.execute { self.resumeReading() }
            },
            abandon: { [weak self] in self?.cancel() })
        self.queue = queue
        return queue
    }

    /// Sends the request: headers, and one message. On the event loop, with the stream's channel active. `deadline` is local; the server is told
    /// what is left.
    func start(_ path: String, _ message: [UInt8], authority: String, deadline: NIODeadline?) {
        guard let context, !isOver else { return }
        var headers: HPACKHeaders = [
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": authority, "content-type": "application/grpc", "te": "trailers",
            "user-agent": "eyrie",
        ]
        if let deadline {
            let left = max(1, (deadline - .now()).nanoseconds / 1_000_000)
            headers.add(name: "grpc-timeout", value: Self.timeout(milliseconds: left))
            timer = context.eventLoop.scheduleTask(deadline: deadline) { [weak self] in
                self?.abort(GRPCError(code: GRPCError.deadlineExceeded, message: "context deadline exceeded"))
            }
        }
        context.write(wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
        var frame = context.channel.allocator.buffer(capacity: message.count &+ Self.framePrefixBytes)
        frame.writeInteger(UInt8(0))
        frame.writeInteger(UInt32(truncatingIfNeeded: message.count))
        frame.writeBytes(message)
        context.writeAndFlush(wrapOutboundOut(.data(.init(data: .byteBuffer(frame), endStream: true))), promise: nil)
    }

    /// At most eight digits and a unit.
    static func timeout(milliseconds: Int64) -> String {
        milliseconds < 100_000_000 ? "\(milliseconds)m" : "\(min(milliseconds / 1000, 99_999_999))S"
    }

    /// From any thread: nobody wants the answer any more.
    func cancel() {
        channel.eventLoop.execute { self.abort(GRPCError(code: GRPCError.cancelled, message: "context canceled")) }
    }

    private func abort(_ error: GRPCError) {
        guard !isOver else { return }
        finish(error)
        context?.writeAndFlush(wrapOutboundOut(.rstStream(.cancel)), promise: nil)
    }

    /// Ends the call once, with nil for OK.
    private func finish(_ error: GRPCError?) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        if let error { queue?.fail(error) } else { queue?.finish() }
        queue = nil
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        switch unwrapInboundIn(data) {
        case .headers(let frame):
            if frame.endStream { return receiveTrailers(frame.headers) }
            receiveHead(frame.headers)
        case .data(let frame):
            guard case .byteBuffer(var buffer) = frame.data else { return }
            if received.readableBytes == 0 { received = buffer } else { received.writeBuffer(&buffer) }
            takeMessages()
            if frame.endStream { finish(GRPCError(code: GRPCError.internalError, message: "server closed the stream without sending trailers")) }
        case .rstStream(let code): finish(Self.error(reset: code))
        default: break
        }
    }

    private func receiveHead(_ headers: HPACKHeaders) {
        guard !hasHead, let status = headers.first(name: ":status"), !status.hasPrefix("1") else { return }
        hasHead = true
        guard status == "200" else { return abort(Self.error(httpStatus: status)) }
        let type = headers.first(name: "content-type") ?? ""
        guard type.hasPrefix("application/grpc") else {
            return abort(GRPCError(code: GRPCError.unknown, message: "unexpected content-type \"\(type)\""))
        }
    }

    private func receiveTrailers(_ headers: HPACKHeaders) {
        guard let text = headers.first(name: "grpc-status"), let code = Int(text) else {
            let status = headers.first(name: ":status") ?? "200"
            return finish(
                status == "200" ? GRPCError(code: GRPCError.unknown, message: "the response has no grpc-status") : Self.error(httpStatus: status))
        }
        guard code != 0 else {
            guard received.readableBytes == 0 else { return finish(GRPCError(code: GRPCError.internalError, message: "unexpected EOF")) }
            return finish(nil)
        }
        finish(GRPCError(code: code, message: Self.decode(headers.first(name: "grpc-message") ?? "")))
    }

    private func takeMessages() {
        while received.readableBytes >= Self.framePrefixBytes {
            guard let compressed = received.getInteger(at: received.readerIndex, as: UInt8.self),
                let length = received.getInteger(at: received.readerIndex + 1, as: UInt32.self)
            else { return }
            guard compressed == 0 else {
                return abort(GRPCError(code: GRPCError.internalError, message: "a compressed message without asking for one"))
            }
            guard length <= Self.maximumMessageBytes else {
                let text = "received message larger than max (\(length) vs. \(Self.maximumMessageBytes))"
                return abort(GRPCError(code: GRPCError.resourceExhausted, message: text))
            }
            guard received.readableBytes >= Self.framePrefixBytes + Int(length) else { return }
            received.moveReaderIndex(forwardBy: Self.framePrefixBytes)
            let message = received.readBytes(length: Int(length)) ?? []
            if queue?.append(message, cost: message.count &+ Self.framePrefixBytes) == false { isPaused = true }
        }
        received.discardReadBytes()
    }

    func read(context: ChannelHandlerContext) {
        if isPaused { hasWithheldRead = true } else { context.read() }
    }

    private func resumeReading() {
        isPaused = false
        guard hasWithheldRead else { return }
        hasWithheldRead = false
        context?.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let closed = error as? NIOHTTP2Errors.StreamClosed {
            finish(Self.error(reset: closed.errorCode))
        } else {
            finish(GRPCError(code: GRPCError.unavailable, message: "transport: \(error)"))
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(GRPCError(code: GRPCError.unavailable, message: "error reading from server: EOF"))
        context.fireChannelInactive()
    }

    /// Upstream: internal/transport.http2ErrConvTab.
    private static func error(reset code: HTTP2ErrorCode) -> GRPCError {
        let status =
            switch code {
            case .refusedStream: GRPCError.unavailable
            case .cancel: GRPCError.cancelled
            case .enhanceYourCalm: GRPCError.resourceExhausted
            case .inadequateSecurity: 7
            default: GRPCError.internalError
            }
        return GRPCError(code: status, message: "stream terminated by RST_STREAM with error code: \(code)")
    }

    /// Upstream: internal/transport.HTTPStatusConvTab.
    private static func error(httpStatus status: String) -> GRPCError {
        let code =
            switch status {
            case "400": GRPCError.internalError
            case "401": 16
            case "403": 7
            case "404": GRPCError.unimplemented
            case "429", "502", "503", "504": GRPCError.unavailable
            default: GRPCError.unknown
            }
        return GRPCError(code: code, message: "unexpected HTTP status code received from server: \(status)")
    }

    /// `grpc-message` is percent-encoded; what is not well encoded is taken as it is.
    static func decode(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                decoded.append(value)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
