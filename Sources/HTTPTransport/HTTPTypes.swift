internal import Synchronization

/// Header fields in order, names compared without case.
package struct HTTPFields: Sendable, ExpressibleByDictionaryLiteral {
    package private(set) var fields: [(name: String, value: String)]

    package init(_ fields: [(String, String)] = []) { self.fields = fields.map { ($0.0, $0.1) } }
    package init(dictionaryLiteral pairs: (String, String)...) { self.init(pairs) }

    /// The first value of `name`. Setting replaces all values; setting nil removes them.
    package subscript(name: String) -> String? {
        get { fields.first { HTTPFields.same($0.name, name) }?.value }
        set {
            fields.removeAll { HTTPFields.same($0.name, name) }
            if let newValue { fields.append((name, newValue)) }
        }
    }
    package func all(_ name: String) -> [String] { fields.filter { HTTPFields.same($0.name, name) }.map(\.value) }
    package mutating func add(_ name: String, _ value: String) { fields.append((name, value)) }
    /// Whether a comma-separated field such as `Connection` holds `token`, without case.
    package func contains(_ name: String, token: String) -> Bool {
        all(name).contains { value in
            value.split(separator: ",").contains { item in
                HTTPFields.same(String(item.drop(while: { $0 == " " }).prefix(while: { $0 != " " && $0 != ";" })), token)
            }
        }
    }

    static func same(_ a: String, _ b: String) -> Bool {
        guard a.utf8.count == b.utf8.count else { return false }
        return zip(a.utf8, b.utf8).allSatisfy { x, y in x == y || ((x | 0x20) == (y | 0x20) && (x | 0x20) >= 0x61 && (x | 0x20) <= 0x7A) }
    }
}

/// Who is at the other end of a connection, as far as the transport knows.
package struct ConnectionInfo: Sendable {
    /// `127.0.0.1:50123`, or a unix socket's path.
    package var remoteAddress: String
    /// The address that accepted the connection: `127.0.0.1:7443`.
    package var localAddress: String
    /// The client's certificate chain in DER, leaf first, already verified against the listener's client CA; empty when none was shown.
    package var peerCertificates: [[UInt8]]
    /// The name the client asked for in TLS, if any.
    package var serverName: String?
    package var isHTTP2: Bool
    package var isTLS: Bool

    package init(
        remoteAddress: String, localAddress: String, peerCertificates: [[UInt8]] = [], serverName: String? = nil, isHTTP2: Bool = false,
        isTLS: Bool = false
    ) {
        self.remoteAddress = remoteAddress
        self.localAddress = localAddress
        self.peerCertificates = peerCertificates
        self.serverName = serverName
        self.isHTTP2 = isHTTP2
        self.isTLS = isTLS
    }
}

/// The head of a request. `target` is as the client sent it: path and query, still percent-encoded.
package struct HTTPRequestHead: Sendable {
    package var method: String
    package var target: String
    package var fields: HTTPFields
    /// `Host` or `:authority`.
    package var authority: String
    package var connection: ConnectionInfo

    package init(method: String, target: String, fields: HTTPFields, authority: String, connection: ConnectionInfo) {
        self.method = method
        self.target = target
        self.fields = fields
        self.authority = authority
        self.connection = connection
    }

    /// The path, still percent-encoded.
    package var path: Substring { target.prefix { $0 != "?" } }
    /// The query without its question mark, still percent-encoded; empty when there is none.
    package var query: Substring { target.firstIndex(of: "?").map { target[target.index(after: $0)...] } ?? "" }
    /// Whether the client asks to leave HTTP on this connection (`Connection: Upgrade`), as exec and port-forward do.
    package var isUpgrade: Bool { fields.contains("Connection", token: "upgrade") && fields["Upgrade"] != nil }
}

/// A body that arrives in pieces, with backpressure: the next piece is read from the network when the last was taken. One consumer.
package struct HTTPBodyStream: AsyncSequence, Sendable {
    package typealias Element = [UInt8]
    private let pull: @Sendable () async throws -> [UInt8]?

    /// `pull` returns the next piece, nil at the end, and throws `HTTPError` when the connection fails.
    package init(_ pull: @escaping @Sendable () async throws -> [UInt8]?) { self.pull = pull }

    package static var empty: HTTPBodyStream { HTTPBodyStream { nil } }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let pull: @Sendable () async throws -> [UInt8]?
        package mutating func next() async throws -> [UInt8]? { try await pull() }
    }
    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pull: pull) }

    /// The same body when it has at least a byte, nil when it has none: for whoever must know before passing it on.
    package var peeked: HTTPBodyStream? {
        get async throws {
            var piece = try await pull()
            while piece?.isEmpty == true { piece = try await pull() }
            guard let piece else { return nil }
            let first = Mutex<[UInt8]?>(piece)
            return HTTPBodyStream {
                if let piece = first.withLock({ $0.take() }) { return piece }
                return try await pull()
            }
        }
    }

    /// The whole body. Throws `HTTPError.bodyTooLarge` past `limit` bytes.
    package func collect(limit: Int) async throws -> [UInt8] {
        var body: [UInt8] = []
        while let piece = try await pull() {
            guard body.count + piece.count <= limit else { throw HTTPError.bodyTooLarge(limit: limit) }
            if body.isEmpty { body = piece } else { body.append(contentsOf: piece) }
        }
        return body
    }
}

/// Writes the pieces of a streamed response. `write` returns once the piece was accepted by the connection (backpressure) and throws when the
/// client is gone.
package struct HTTPBodyWriter: Sendable {
    private let send: @Sendable ([UInt8]) async throws -> Void

    package init(_ send: @escaping @Sendable ([UInt8]) async throws -> Void) { self.send = send }
    package func write(_ bytes: [UInt8]) async throws { try await send(bytes) }
}

/// A connection that has left HTTP (or a raw one): bytes both ways. `read` returns nil when the other side has finished writing.
package struct ByteTunnel: Sendable {
    private let pull: @Sendable () async throws -> [UInt8]?
    private let send: @Sendable ([UInt8]) async throws -> Void
    private let finish: @Sendable () async -> Void
    private let shut: @Sendable () async -> Void

    package init(
        read: @escaping @Sendable () async throws -> [UInt8]?, write: @escaping @Sendable ([UInt8]) async throws -> Void,
        finishWriting: @escaping @Sendable () async -> Void, close: @escaping @Sendable () async -> Void
    ) {
        pull = read
        send = write
        finish = finishWriting
        shut = close
    }

    package func read() async throws -> [UInt8]? { try await pull() }
    package func write(_ bytes: [UInt8]) async throws { try await send(bytes) }
    /// Half-closes: the other side reads an end, and may still write.
    package func finishWriting() async { await finish() }
    package func close() async { await shut() }

    /// Copies both ways until both sides have ended, then closes both.
    package static func splice(_ a: ByteTunnel, _ b: ByteTunnel) async {
        await withTaskGroup(of: Void.self) { group in
            for (from, to) in [(a, b), (b, a)] {
                group.addTask {
                    do { while let bytes = try await from.read() { try await to.write(bytes) } } catch { await to.close() }
                    await to.finishWriting()
                }
            }
        }
        await a.close()
        await b.close()
    }
}

/// A response as a responder makes it.
/// What a responder answers.
package struct HTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Called with a writer after the head was sent; the response ends when it returns, and is cut off when it throws. Its task is cancelled
        /// when the client goes away.
        case stream(@Sendable (HTTPBodyWriter) async throws -> Void)
        /// Status 101: after the head the connection is the tunnel's. HTTP/1.1 only.
        case upgrade(@Sendable (ByteTunnel) async -> Void)
    }

    package var status: Int
    package var fields: HTTPFields
    package var body: Body
    /// Fields after the body. Sent by HTTP/2 alone.
    package var trailers: HTTPFields = [:]
    /// A stream's pieces for a connection that takes them itself; it then does not run the `stream` of `body`.
    package var source: (any HTTPBodySource)?

    package init(status: Int, fields: HTTPFields = [:], body: Body = .bytes([])) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// Answers requests. One implementation serves a listener.
package protocol HTTPResponder: Sendable {
    /// The synchronous path: called on the event loop for a request whose whole body is at hand or absent. Must not block. Nil sends the request
    /// to `respond`.
    func respondNow(to head: HTTPRequestHead) -> HTTPResponse?
    /// Called in a task of its own, cancelled when the client goes away. Errors are the responder's to turn into responses.
    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse
}

extension HTTPResponder {
    package func respondNow(to head: HTTPRequestHead) -> HTTPResponse? { nil }
}

/// What can go wrong on the wire, for servers and clients.
/// Why a request, a response or a connection failed.
package enum HTTPError: Error, Sendable, Equatable {
    case bodyTooLarge(limit: Int)
    case connectionClosed
    case connectFailed(String)
    case timeout(String)
    case tls(String)
    case protocolViolation(String)
    /// The server answered an upgrade request with a plain response.
    case upgradeRefused(status: Int, body: [UInt8])
}
