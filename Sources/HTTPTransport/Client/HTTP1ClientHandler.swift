import NIOCore
import NIOHTTP1

/// What a request brought: a response, or a connection that has left HTTP.
enum ClientOutcome: Sendable {
    case response(HTTPClientResponse)
    case upgraded(HTTPFields, ByteTunnel)
}

/// A kept connection turned out to be closed: the request may go to another. `wasSent`: whether the server may have seen it.
struct StaleConnection: Error {
    var wasSent: Bool
}

/// One request, as the connection sees it. Its identity tells late cancellations apart; `isCancelled` belongs to the event loop.
final class ClientCall: @unchecked Sendable {
    let method: String
    let target: String
    let fields: HTTPFields
    let body: [UInt8]?
    /// A body that is sent as it comes, in `body`'s place.
    let stream: HTTPBodyStream?
    let wantsUpgrade: Bool
    let headTimeout: Duration
    var isCancelled = false

    init(
        method: String, target: String, fields: HTTPFields, body: [UInt8]?, stream: HTTPBodyStream? = nil, wantsUpgrade: Bool, headTimeout: Duration
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.stream = stream
        self.wantsUpgrade = wantsUpgrade
        self.headTimeout = headTimeout
    }
}

/// The client's end of an HTTP/1.1 connection: one request at a time. Belongs to its event loop, except for `execute`.
///
///     idle ──send──▶ awaitingHead ──head──▶ receiving ──end──▶ idle (kept) or closed
///                        └──101──▶ switching ──end──▶ the tunnel's
final class HTTP1ClientHandler: ChannelDuplexHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private typealias Answer = CheckedContinuation<ClientOutcome, any Error>

    private enum State {
        case idle
        case awaitingHead(ClientCall, Answer)
        case receiving(ClientCall, InboundQueue<ByteBuffer>)
        case switching(ClientCall, HTTPFields, Answer)
        case closed
    }

    let channel: any Channel
    private let address: HTTPAddress
    private let decoder: ByteToMessageHandler<HTTPResponseDecoder>
    private let encoder: HTTPRequestEncoder
    private let onIdle: @Sendable (HTTP1ClientHandler) -> Void
    private let onInactive: @Sendable (HTTP1ClientHandler) -> Void

    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var served = 0
    private var keepAlive = true
    private var isPaused = false
    private var hasWithheldRead = false
    /// Sends a body that comes in pieces; nil when there is none or all of it is sent.
    private var sender: Task<Void, Never>?
    private var headTimer: Scheduled<Void>?
    private var idleTimer: Scheduled<Void>?

    private init(
        channel: any Channel, address: HTTPAddress, onIdle: @escaping @Sendable (HTTP1ClientHandler) -> Void,
        onInactive: @escaping @Sendable (HTTP1ClientHandler) -> Void
    ) {
        self.channel = channel
        self.address = address
        self.onIdle = onIdle
        self.onInactive = onInactive
        encoder = HTTPRequestEncoder()
        decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
    }

    /// `onIdle`: the connection can take another request. `onInactive`: it is gone, or has left HTTP. Both are called on the event loop.
    static func install(
        on channel: any Channel, address: HTTPAddress, onIdle: @escaping @Sendable (HTTP1ClientHandler) -> Void,
        onInactive: @escaping @Sendable (HTTP1ClientHandler) -> Void
    ) throws -> HTTP1ClientHandler {
        let handler = HTTP1ClientHandler(channel: channel, address: address, onIdle: onIdle, onInactive: onInactive)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(handler.encoder)
        try pipeline.addHandler(handler.decoder)
        try pipeline.addHandler(handler)
        return handler
    }

    // MARK: Calls

    /// Sends a request and waits for its head. Cancellation closes the connection. Throws `StaleConnection` when a kept connection was closed
    /// meanwhile.
    func execute(_ call: ClientCall) async throws -> ClientOutcome {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                channel.eventLoop.execute { self.send(call, continuation) }
            }
        } onCancel: {
            channel.eventLoop.execute { self.cancel(call) }
        }
    }

    private func send(_ call: ClientCall, _ answer: Answer) {
        idleTimer?.cancel()
        idleTimer = nil
        guard case .idle = state, let context, context.channel.isActive else { return answer.resume(throwing: StaleConnection(wasSent: false)) }
        guard !call.isCancelled else {
            state = .closed
            answer.resume(throwing: CancellationError())
            return context.close(promise: nil)
        }
        state = .awaitingHead(call, answer)
        var head = NIOHTTP1.HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: call.method), uri: call.target)
        head.headers.reserveCapacity(call.fields.fields.count)
        for (name, value) in call.fields.fields { head.headers.add(name: name, value: value) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if let stream = call.stream {
            context.flush()
            sender = Task { await self.send(stream, of: call) }
        } else {
            if let body = call.body, !body.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        headTimer = context.eventLoop.scheduleTask(in: TimeAmount(call.headTimeout)) { [weak self] in self?.headTimedOut() }
    }

    /// Sends a body as fast as the server takes it. One that breaks off closes the connection: the server must not take the part for the whole; nor
    /// what is beyond the announced length for another request.
    private func send(_ stream: HTTPBodyStream, of call: ClientCall) async {
        do {
            var rest = call.fields["Content-Length"].map { Int($0) ?? 0 }
            for try await piece in stream where !piece.isEmpty {
                if let left = rest {
                    guard piece.count <= left else { throw HTTPError.protocolViolation("a body is longer than was announced") }
                    rest = left - piece.count
                }
                try await channel.writeAndFlush(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: piece))))
            }
            guard rest ?? 0 == 0 else { throw HTTPError.protocolViolation("a body is shorter than was announced") }
            channel.eventLoop.execute { [self] in
                guard sender != nil, let context else { return }
                sender = nil
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        } catch {
            channel.eventLoop.execute { self.cancel(call) }
        }
    }

    private func headTimedOut() {
        guard case .awaitingHead(let call, let answer) = state else { return }
        state = .closed
        answer.resume(throwing: HTTPError.timeout("\(address) did not answer \(call.method) \(call.target) within \(call.headTimeout)"))
        context?.close(promise: nil)
    }

    /// The caller of `call` is no longer interested: what is left of the response cannot be skipped, so the connection closes.
    private func cancel(_ call: ClientCall) {
        call.isCancelled = true
        switch state {
        case .awaitingHead(let current, let answer) where current === call, .switching(let current, _, let answer) where current === call:
            state = .closed
            headTimer?.cancel()
            answer.resume(throwing: CancellationError())
            context?.close(promise: nil)
        case .receiving(let current, let queue) where current === call:
            state = .closed
            queue.fail(CancellationError())
            context?.close(promise: nil)
        default: break
        }
    }

    /// Closes the connection when it stays idle for `duration`. On the event loop.
    func closeWhenIdle(for duration: Duration) {
        guard case .idle = state else { return }
        idleTimer = channel.eventLoop.scheduleTask(in: TimeAmount(duration)) { [weak self] in
            guard let self, case .idle = state else { return }
            state = .closed
            context?.close(promise: nil)
        }
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) {
        idleTimer?.cancel()
        headTimer?.cancel()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head, context)
        case .body(let buffer):
            guard case .receiving(_, let queue) = state else { return }
            if !queue.append(buffer, cost: buffer.readableBytes) { isPaused = true }
        case .end: receiveEnd(context)
        }
    }

    private func receive(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) {
        guard case .awaitingHead(let call, let answer) = state else {
            // Nobody asked: a server that talks out of turn cannot be trusted with the next request.
            return fail(HTTPError.protocolViolation("\(address) sent a response without a request"), context)
        }
        headTimer?.cancel()
        headTimer = nil
        served &+= 1
        keepAlive = head.isKeepAlive
        let fields = HTTPFields(head.headers.map { ($0.name, $0.value) })
        if head.status.code == 101 {
            guard call.wantsUpgrade else { return fail(HTTPError.protocolViolation("\(address) upgraded without being asked"), context) }
            state = .switching(call, fields, answer)
            return
        }
        let queue = InboundQueue<ByteBuffer>(
            limit: InboundQueue.byteLimit,
            demand: { [weak self] in
                guard let self else { return }
                channel.eventLoop.execute { self.resumeReading() }
            },
            abandon: { [weak self] in
                guard let self else { return }
                channel.eventLoop.execute { self.cancel(call) }
            })
        state = .receiving(call, queue)
        let lease = Lease { [weak self] in
            guard let self else { return }
            channel.eventLoop.execute { self.cancel(call) }
        }
        let body = HTTPBodyStream {
            _ = lease
            return try await queue.nextBytes()
        }
        answer.resume(returning: .response(HTTPClientResponse(status: Int(head.status.code), fields: fields, body: body)))
    }

    private func receiveEnd(_ context: ChannelHandlerContext) {
        switch state {
        case .receiving(_, let queue):
            resumeReading()
            // A server that answers before it has the whole request leaves the connection in the middle of it.
            if keepAlive, sender == nil, context.channel.isActive {
                state = .idle
                onIdle(self)
            } else {
                state = .closed
                context.close(promise: nil)
            }
            // Last, so that who has read the whole body finds the connection free.
            queue.finish()
        case .switching(_, let fields, let answer):
            state = .closed
            onInactive(self)
            let pipeline = context.pipeline.syncOperations
            do {
                let tunnel = try TunnelHandler.install(on: channel)
                pipeline.removeHandler(self, promise: nil)
                // Hands the bytes that came with the 101 to the tunnel.
                try EndOfInputHold.remove(decoder, from: channel)
                pipeline.removeHandler(encoder, promise: nil)
                answer.resume(returning: .upgraded(fields, tunnel))
            } catch {
                answer.resume(throwing: TransportErrors.describe(error))
                context.close(promise: nil)
            }
        default: break
        }
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
        if TransportErrors.isUncleanShutdown(error) { return }
        fail(TransportErrors.describe(error), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        idleTimer?.cancel()
        sender?.cancel()
        switch state {
        case .awaitingHead(_, let answer):
            state = .closed
            headTimer?.cancel()
            answer.resume(throwing: served > 0 ? StaleConnection(wasSent: true) : HTTPError.connectionClosed)
        default: fail(HTTPError.connectionClosed, context)
        }
        state = .closed
        onInactive(self)
        context.fireChannelInactive()
    }

    private func fail(_ error: HTTPError, _ context: ChannelHandlerContext) {
        headTimer?.cancel()
        let failed = state
        state = .closed
        switch failed {
        case .awaitingHead(_, let answer):
            let isReset = error == .connectionClosed && served > 0
            if isReset { answer.resume(throwing: StaleConnection(wasSent: true)) } else { answer.resume(throwing: error) }
        case .switching(_, _, let answer): answer.resume(throwing: error)
        case .receiving(_, let queue): queue.fail(error)
        case .idle, .closed: break
        }
        context.close(promise: nil)
    }
}
