import NIOCore

/// The connection's side of an exchange: puts a response on the wire. Every call is made on the event loop.
protocol ResponseSink: AnyObject, Sendable {
    /// Sends a response whose body is `.bytes`, and ends it.
    func sendWhole(_ response: HTTPResponse, body: [UInt8])
    func sendHead(_ response: HTTPResponse)
    /// Returns whether more may be written now. Throws when the body exceeds its announced length.
    func sendBody(_ bytes: [UInt8]) throws -> Bool
    /// The same for bytes that other responses send, too.
    func sendBody(_ buffer: ByteBuffer) throws -> Bool
    func sendEnd()
    /// Cuts the response off so that the client notices.
    func abort()
    /// Leaves HTTP after a 101 head; nil when this connection cannot.
    func openTunnel(_ response: HTTPResponse) -> ByteTunnel?
    /// The responder waits for (more of) the body.
    func wantBody()
}

/// One request and the making of its response. Runs the responder in a task and carries its answer to the sink on the event loop.
/// Mutable state belongs to the event loop.
final class ServerExchange: @unchecked Sendable {
    let head: HTTPRequestHead
    private let responder: any HTTPResponder
    private let eventLoop: any EventLoop
    private let gate: WriteGate
    /// Nil once the response is complete or the client gone: whatever comes late goes nowhere.
    private var sink: (any ResponseSink)?
    private var task: Task<Void, Never>?
    /// What the response is taken from, once its head was sent.
    private var source: (any HTTPBodySource)?
    private var lifetime: Scheduled<Void>?
    /// The source waits for the channel to take more.
    private var isGated = false
    /// The request's body; nil when it has none.
    private(set) var body: InboundQueue<ByteBuffer>?

    init(head: HTTPRequestHead, responder: any HTTPResponder, eventLoop: any EventLoop, sink: any ResponseSink) {
        self.head = head
        self.responder = responder
        self.eventLoop = eventLoop
        self.sink = sink
        gate = WriteGate(eventLoop: eventLoop)
    }

    /// The synchronous path, for a request that is complete without a body; falls back to a task.
    func respondNow() {
        guard let response = responder.respondNow(to: head) else { return start() }
        if case .bytes(let bytes) = response.body {
            sink?.sendWhole(response, body: bytes)
        } else if response.source != nil {
            begin(response)
        } else {
            task = Task { await self.deliver(response) }
        }
    }

    /// The asynchronous path for a request with a body that is still arriving. `isPaused`: the client waits for a `100 Continue`.
    func startWithBody(isPaused: Bool) {
        body = InboundQueue(
            limit: InboundQueue<ByteBuffer>.byteLimit, isPaused: isPaused,
            demand: { [weak self] in
                guard let self else { return }
                eventLoop.execute { self.sink?.wantBody() }
            },
            abandon: {})
        start()
    }

    private func start() {
        let stream = body.map { queue in HTTPBodyStream { try await queue.nextBytes() } } ?? .empty
        task = Task {
            let response = await self.responder.respond(to: self.head, body: stream)
            await self.deliver(response)
        }
    }

    private func deliver(_ response: HTTPResponse) async {
        switch response.body {
        case .bytes(let bytes):
            eventLoop.execute { self.sink?.sendWhole(response, body: bytes) }
        case .stream where response.source != nil: eventLoop.execute { self.begin(response) }
        case .stream(let produce):
            eventLoop.execute { self.sink?.sendHead(response) }
            if head.method == "HEAD" { return eventLoop.execute { self.sink?.sendEnd() } }
            do {
                try await produce(writer)
                eventLoop.execute { self.sink?.sendEnd() }
            } catch {
                // The responder has logged what it knows; the client sees a body cut short.
                eventLoop.execute { self.sink?.abort() }
            }
        case .upgrade(let run):
            guard let tunnel = await openTunnel(response) else { return }
            await run(tunnel)
            await tunnel.close()
        }
    }

    private var writer: HTTPBodyWriter {
        HTTPBodyWriter { [self] bytes in
            guard !bytes.isEmpty else { return }
            try await gate.write {
                guard let sink = self.sink else { throw HTTPError.connectionClosed }
                return try sink.sendBody(bytes)
            }
        }
    }

    private func openTunnel(_ response: HTTPResponse) async -> ByteTunnel? {
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                guard let sink = self.sink else { return continuation.resume(returning: nil) }
                if let tunnel = sink.openTunnel(response) { return continuation.resume(returning: tunnel) }
                let text = "this connection cannot be upgraded: use HTTP/1.1 and ask with Connection: Upgrade\n"
                sink.sendWhole(HTTPResponse(status: 400, fields: ["Content-Type": "text/plain"]), body: Array(text.utf8))
                continuation.resume(returning: nil)
            }
        }
    }

    // MARK: Sources

    /// On the event loop: the head, then what the source has.
    private func begin(_ response: HTTPResponse) {
        guard let source = response.source else { return }
        guard let sink else { return source.cancel() }
        sink.sendHead(response)
        guard head.method != "HEAD" else {
            source.cancel()
            return sink.sendEnd()
        }
        self.source = source
        if let time = source.lifetime {
            lifetime = eventLoop.scheduleTask(in: TimeAmount(time)) { [weak self] in
                self?.source?.expire()
                self?.pump()
            }
        }
        pump()
    }

    /// On the event loop: sends until the source waits, the channel takes no more, or all is sent.
    func pump() {
        guard !isGated else { return }
        while let source, let sink {
            switch source.next() {
            case .bytes(let bytes):
                do {
                    if try !sink.sendBody(bytes.buffer) {
                        // Writing may have closed the channel.
                        isGated = self.sink != nil
                        return
                    }
                } catch {
                    return sink.abort()
                }
            case .wait:
                let pumps = PumpQueue.of(eventLoop)
                source.whenReady { [weak self] in if let self { pumps.add(self) } }
                return
            case .end: return sink.sendEnd()
            case .abort: return sink.abort()
            }
        }
    }

    /// The channel takes more.
    func becameWritable() {
        gate.open()
        guard isGated else { return }
        isGated = false
        pump()
    }

    /// The response is complete: a body that is still arriving will not be read.
    func complete() {
        sink = nil
        lifetime?.cancel()
        lifetime = nil
        source?.cancel()
        source = nil
        gate.fail(HTTPError.connectionClosed)
        body?.fail(HTTPError.connectionClosed)
    }

    /// The client is gone: cancels the responder.
    func disconnect() {
        // First the task, so that whoever is woken by a failing write finds itself cancelled.
        task?.cancel()
        complete()
    }

    /// The client has closed its half; whether it still listens is unknown. Upstream: net/http cancels a request's context at the end of input.
    func cancel() {
        task?.cancel()
        if source != nil, let sink { return sink.sendEnd() }
        body?.fail(HTTPError.connectionClosed)
    }
}
