package import HTTPTransport
package import KubeAPI
internal import Synchronization

/// The way to an API server over HTTPS. Upstream: client-go/rest.
package final class NetworkTransport: KubeTransport {
    /// How the client shows who it is.
    package enum Credentials: Sendable {
        case none
        /// Asked before each request, so that a token that is rotated or made anew is used at once.
        case bearerToken(@Sendable () async throws -> String)
        case clientCertificate(TLSIdentity)
    }

    package struct Configuration: Sendable {
        package var address: HTTPAddress
        /// The cluster's CA in PEM. Nil trusts the system's roots.
        package var certificateAuthorityPEM: String?
        /// The name the server's certificate must carry, when it is not the address' host.
        package var serverName: String?
        package var credentials: Credentials
        package var userAgent: String
        /// Clear text, for tests against a server on a unix socket or the loop-back.
        package var usesTLS: Bool

        package init(
            address: HTTPAddress, certificateAuthorityPEM: String? = nil, serverName: String? = nil, credentials: Credentials = .none,
            userAgent: String = "eyrie", usesTLS: Bool = true
        ) {
            self.address = address
            self.certificateAuthorityPEM = certificateAuthorityPEM
            self.serverName = serverName
            self.credentials = credentials
            self.userAgent = userAgent
            self.usesTLS = usesTLS
        }
    }

    /// The largest answer that is read. A list of 150,000 pods has about 350 MB; lists are asked for in pages, so this is far above what comes.
    static let largestAnswer = 512 << 20
    /// The largest single watch event. The server refuses objects above 3 MiB; with managed fields and escapes an event stays below this.
    static let largestEvent = 16 << 20

    /// How often a request is sent again to a server that asks to come back later. Upstream: rest.Request's maxRetries.
    private static let maximumRetries = 10
    /// Seconds waited at most, whatever a server asks for: priority and fairness asks for 32 at most.
    private static let maximumWait: Int64 = 60
    /// Bytes of a refusal that are read so that its connection can be kept.
    private static let largestRefusal = 1 << 20

    private let configuration: Configuration
    private let client: Mutex<HTTPClient>

    /// Throws when the TLS material is not usable.
    package init(_ configuration: Configuration) throws {
        self.configuration = configuration
        client = Mutex(try Self.client(configuration))
    }

    private static func client(_ configuration: Configuration) throws -> HTTPClient {
        var tls: HTTPClient.TLS?
        if configuration.usesTLS {
            var identity: TLSIdentity?
            if case .clientCertificate(let certificate) = configuration.credentials { identity = certificate }
            tls = HTTPClient.TLS(rootsPEM: configuration.certificateAuthorityPEM, identity: identity, serverName: configuration.serverName)
        }
        return try HTTPClient(configuration: HTTPClient.Configuration(address: configuration.address, tls: tls))
    }

    /// Goes on with other certificates: new connections are made with them, what is under way ends on those it began with. Throws when they are not
    /// usable, and goes on as before. Upstream: client-go/transport's certRotatingDialer.
    package func renew(certificateAuthorityPEM: String, identity: TLSIdentity) throws {
        var renewed = configuration
        renewed.certificateAuthorityPEM = certificateAuthorityPEM
        renewed.credentials = .clientCertificate(identity)
        let client = try Self.client(renewed)
        self.client.withLock { $0 = client }
    }

    /// Closes all connections.
    package func close() async { await client.withLock { $0 }.close() }

    package func perform(_ request: KubeRequest) async throws -> Object {
        let response = try await send(request)
        let bytes = try await response.body.collect(limit: Self.largestAnswer)
        guard (200..<300).contains(response.status) else { throw Self.refusal(status: response.status, body: bytes) }
        do { return try Object(bytes: bytes) } catch {
            throw StatusError.internalError("the answer to \(request.method) \(request.path) is not a JSON object: \(error)")
        }
    }

    package func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        let response = try await send(request)
        guard (200..<300).contains(response.status) else {
            throw Self.refusal(status: response.status, body: try await response.body.collect(limit: Self.largestEvent))
        }
        let reader = WatchReader(body: response.body, largestEvent: Self.largestEvent)
        // Pulled, not pushed: a consumer that is slow stops the reading, and a consumer that goes away drops the body, which closes the connection.
        return AsyncThrowingStream { try await reader.next() }
    }

    private func send(_ request: KubeRequest) async throws -> HTTPClientResponse {
        var fields: HTTPFields = ["Accept": "application/json", "User-Agent": configuration.userAgent]
        if request.body != nil { fields["Content-Type"] = request.contentType }
        if case .bearerToken(let token) = configuration.credentials { fields["Authorization"] = "Bearer " + (try await token()) }
        var retries = 0
        while true {
            let client = self.client.withLock { $0 }
            let response = try await client.execute(request.method, Self.target(request), fields: fields, body: request.body)
            guard retries < Self.maximumRetries, let seconds = Self.retryAfter(response) else { return response }
            retries += 1
            _ = try await response.body.collect(limit: Self.largestRefusal)
            try await Task.sleep(for: .seconds(min(seconds, Self.maximumWait)))
        }
    }

    /// The seconds after which an overloaded server, or one that is starting or ending, wants to be asked again; nil: the answer stands. Upstream:
    /// rest.checkWait.
    private static func retryAfter(_ response: HTTPClientResponse) -> Int64? {
        guard response.status == 429 || response.status >= 500 else { return nil }
        return response.fields["Retry-After"].flatMap { Int64($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// Path and query, percent-encoded.
    static func target(_ request: KubeRequest) -> String {
        var target = percentEncoded(request.path, keepSlashes: true)
        var separator = "?"
        for (name, value) in request.query {
            target += separator + percentEncoded(name) + "=" + percentEncoded(value)
            separator = "&"
        }
        return target
    }

    static func percentEncoded(_ text: String, keepSlashes: Bool = false) -> String {
        var out: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for c in text.utf8 {
            switch c {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                out.append(c)
            case UInt8(ascii: "/") where keepSlashes, UInt8(ascii: ":") where keepSlashes: out.append(c)
            default: out += [UInt8(ascii: "%"), digits[Int(c >> 4)], digits[Int(c & 0xF)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The error of an answer that is no success: the Status in its body, or one made of its code.
    static func refusal(status: Int, body: [UInt8]) -> StatusError {
        if let object = try? Object(bytes: body), let error = StatusError(status: object) { return error }  // No Status: made below.
        let text = String(decoding: body.prefix(512), as: UTF8.self)
        let reason =
            switch status {
            case 400: "BadRequest"
            case 401: "Unauthorized"
            case 403: "Forbidden"
            case 404: "NotFound"
            case 405: "MethodNotAllowed"
            case 409: "Conflict"
            case 410: "Gone"
            case 413: "RequestEntityTooLarge"
            case 415: "UnsupportedMediaType"
            case 422: "Invalid"
            case 429: "TooManyRequests"
            case 503: "ServiceUnavailable"
            case 504: "Timeout"
            default: status >= 500 ? "InternalError" : "Unknown"
            }
        return StatusError(code: status, reason: reason, message: text.isEmpty ? "the server answered with status \(status)" : text)
    }
}

/// Reads a watch's events one after the other off its body.
private actor WatchReader {
    private var iterator: HTTPBodyStream.AsyncIterator
    private var framer: LineFramer
    private var ready: [WatchEvent] = []
    private var taken = 0

    init(body: HTTPBodyStream, largestEvent: Int) {
        iterator = body.makeAsyncIterator()
        framer = LineFramer(limit: largestEvent)
    }

    /// The next event; nil at the end of the stream.
    func next() async throws -> WatchEvent? {
        while taken == ready.count {
            ready.removeAll(keepingCapacity: true)
            taken = 0
            var pulling = iterator
            guard let piece = try await pulling.next() else { return nil }
            for line in try framer.add(piece) { ready.append(try Self.event(line)) }
        }
        taken += 1
        return ready[taken - 1]
    }

    static func event(_ line: [UInt8]) throws -> WatchEvent {
        let document = try JSONDocument(line)
        guard let type = document.root["type"].string, let kind = WatchEvent.Kind(rawValue: type), let object = document.root["object"] else {
            throw HTTPError.protocolViolation("a watch event has no type or object")
        }
        return WatchEvent(kind: kind, object: try Object(bytes: Array(object.rawBytes)))
    }
}

/// Cuts a byte stream into lines, whatever pieces it arrives in.
struct LineFramer {
    /// The longest line, in bytes.
    let limit: Int
    private var rest: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    /// The lines that `piece` completes, without their ends; empty lines are left out. Throws `HTTPError.bodyTooLarge` when a line is longer than
    /// the limit.
    mutating func add(_ piece: [UInt8]) throws -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        while let end = piece[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard rest.count + (end - start) <= limit else { throw HTTPError.bodyTooLarge(limit: limit) }
            rest.append(contentsOf: piece[start..<end])
            if rest.contains(where: { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: " ") }) { lines.append(rest) }
            rest = []
            start = end + 1
        }
        guard rest.count + (piece.count - start) <= limit else { throw HTTPError.bodyTooLarge(limit: limit) }
        rest.append(contentsOf: piece[start...])
        return lines
    }
}
