import NIOCore
import Synchronization

/// The head of a response, and its body as it arrives.
package struct HTTPClientResponse: Sendable {
    package var status: Int
    package var fields: HTTPFields
    /// Read it to the end, or drop it: a body that is dropped, or whose reading task is cancelled, closes its connection.
    package var body: HTTPBodyStream

    package init(status: Int, fields: HTTPFields, body: HTTPBodyStream) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// A client of one server, by HTTP/1.1 with kept connections. Redirects are the caller's affair. Upstream: net/http.Transport.
package final class HTTPClient: Sendable {
    /// Which server, and how long to wait for it.
    package struct Configuration: Sendable {
        package var address: HTTPAddress
        /// Nil for plain HTTP.
        package var tls: TLS?
        /// For the connection, and again for its TLS handshake. Upstream: net/http's default dialer allows 30 s; our servers are near.
        package var connectTimeout = Duration.seconds(10)
        /// From the request to the response's head, unless a call says otherwise. Upstream: rest.Config's callers set 60 s at most for plain
        /// requests.
        package var headTimeout = Duration.seconds(60)
        /// Judges the IP address that a TCP connection goes to, after names were resolved and before anything is sent: the address that was judged is
        /// the one connected to, so that a name cannot mean something else a moment later. Nil: any.
        package var admitsAddress: (@Sendable (String) -> Bool)?
        /// Connections kept for later requests; more are closed after their response.
        package var maximumIdleConnections = 64
        /// An unused connection is closed after this: shorter than servers' 90 s, so that requests seldom meet a closing server.
        package var idleTimeout = Duration.seconds(60)

        package init(address: HTTPAddress, tls: TLS? = nil) {
            self.address = address
            self.tls = tls
        }
    }

    /// The client's TLS: TLS 1.2 or newer. The server is verified, unless its owner has asked for the opposite.
    package struct TLS: Sendable {
        /// CA certificates in PEM; nil trusts the system's.
        package var rootsPEM: String?
        /// Shown when the server asks for a client certificate.
        package var identity: TLSIdentity?
        /// The name to verify and to ask for (SNI), when it is not the address' host.
        package var serverName: String?
        /// False only where an API object says so. Upstream: tls.Config.InsecureSkipVerify.
        package var verifiesServer: Bool

        package init(rootsPEM: String? = nil, identity: TLSIdentity? = nil, serverName: String? = nil, verifiesServer: Bool = true) {
            self.rootsPEM = rootsPEM
            self.identity = identity
            self.serverName = serverName
            self.verifiesServer = verifiesServer
        }
    }

    private struct Pool {
        var idle: [HTTP1ClientHandler] = []
        var all: [ObjectIdentifier: HTTP1ClientHandler] = [:]
        var isClosed = false
    }

    /// Bytes of a refusal's body that `upgrade` hands on.
    private static let maximumRefusalBytes = 64 * 1024

    private let configuration: Configuration
    private let connector: ClientConnector
    private let authority: String
    private let pool = Mutex(Pool())

    /// Connects to nothing yet. Throws `HTTPError.tls` for PEM that cannot be used.
    package init(configuration: Configuration) throws {
        self.configuration = configuration
        let tls = try configuration.tls.map { try ClientTLS($0, address: configuration.address, applicationProtocols: ["http/1.1"]) }
        connector = ClientConnector(
            address: configuration.address, connectTimeout: configuration.connectTimeout, tls: tls, admitsAddress: configuration.admitsAddress)
        authority = Self.authority(configuration)
    }

    deinit {
        // Connections in use close when their response is complete.
        for connection in pool.withLock({ $0.idle }) { connection.channel.close(promise: nil) }
    }

    /// The `Host` to send: the server's name, with its port when it is not the scheme's.
    private static func authority(_ configuration: Configuration) -> String {
        switch configuration.address {
        case .unix: return configuration.tls?.serverName ?? "localhost"
        case .tcp(let host, let port):
            let name = configuration.tls?.serverName ?? host
            let shown = name.contains(":") ? "[\(name)]" : name
            return port == (configuration.tls == nil ? 80 : 443) ? shown : "\(shown):\(port)"
        }
    }

    /// Sends a request and returns the response's head, with its body still arriving.
    ///
    /// `target` is path and query, percent-encoded. `Host` and `Content-Length` are added. `timeout` bounds the time to the head (not the body,
    /// which may be a
    /// watch); nil means the configuration's. Cancelling the task closes the connection. A request that met a kept connection just closed by the
    /// server is
    /// sent once more when it cannot have been seen or may be repeated. Throws `HTTPError`, or `CancellationError`.
    package func execute(
        _ method: String, _ target: String, fields: HTTPFields = [:], body: [UInt8]? = nil, timeout: Duration? = nil
    ) async throws -> HTTPClientResponse {
        let call = makeCall(method, target, fields, body, wantsUpgrade: false, timeout)
        while let kept = takeIdle() {
            do {
                return try await response(kept.execute(call))
            } catch let stale as StaleConnection {
                guard !stale.wasSent || Self.isRepeatable(method) else { throw HTTPError.connectionClosed }
            }
        }
        do {
            return try await response(newConnection().execute(call))
        } catch is StaleConnection {
            throw HTTPError.connectionClosed
        }
    }

    /// The same with a body that is sent as it comes, with backpressure, on a connection of its own: it cannot be sent twice. Its length is that of the
    /// field `Content-Length`, else it goes in chunks. Returns when the response's head is there, which may be before the body's end.
    package func execute(
        _ method: String, _ target: String, fields: HTTPFields = [:], stream: HTTPBodyStream, timeout: Duration? = nil
    ) async throws -> HTTPClientResponse {
        var all = fields
        if all["Host"] == nil { all.add("Host", authority) }
        all["Transfer-Encoding"] = all["Content-Length"] == nil ? "chunked" : nil
        let call = ClientCall(
            method: method, target: target, fields: all, body: nil, stream: stream, wantsUpgrade: false,
            headTimeout: timeout ?? configuration.headTimeout)
        do {
            return try await response(newConnection().execute(call))
        } catch is StaleConnection {
            throw HTTPError.connectionClosed
        }
    }

    private func response(_ outcome: ClientOutcome) throws -> HTTPClientResponse {
        guard case .response(let response) = outcome else { throw HTTPError.protocolViolation("an unexpected upgrade") }
        return response
    }

    /// Asks to leave HTTP (the caller sets `Connection: Upgrade` and `Upgrade`) on a connection of its own. Returns the 101's fields and the
    /// connection's bytes.
    /// Throws `HTTPError.upgradeRefused` when the server answers anything else.
    package func upgrade(_ method: String, _ target: String, fields: HTTPFields) async throws -> (HTTPFields, ByteTunnel) {
        let call = makeCall(method, target, fields, nil, wantsUpgrade: true, nil)
        let outcome: ClientOutcome
        do {
            outcome = try await newConnection().execute(call)
        } catch is StaleConnection {
            throw HTTPError.connectionClosed
        }
        switch outcome {
        case .upgraded(let fields, let tunnel): return (fields, tunnel)
        case .response(let response):
            let body = try await response.body.collect(limit: Self.maximumRefusalBytes)
            throw HTTPError.upgradeRefused(status: response.status, body: body)
        }
    }

    /// A raw connection to the server (after TLS, if any), for protocols that are not HTTP.
    package func connect() async throws -> ByteTunnel {
        try await connector.connect { channel in try TunnelHandler.install(on: channel) }
    }

    /// Closes every connection, also those in use. Later requests throw.
    package func close() async {
        let connections = pool.withLock { pool in
            pool.isClosed = true
            pool.idle = []
            return Array(pool.all.values)
        }
        for connection in connections {
            do {
                try await connection.channel.close().get()
            } catch {
                // Closed already, or by a peer that did not say goodbye: closed it is.
            }
        }
    }

    private func makeCall(
        _ method: String, _ target: String, _ fields: HTTPFields, _ body: [UInt8]?, wantsUpgrade: Bool, _ timeout: Duration?
    ) -> ClientCall {
        var all = fields
        if all["Host"] == nil { all.add("Host", authority) }
        all["Transfer-Encoding"] = nil
        if let body { all["Content-Length"] = String(body.count) } else if Self.needsLength(method) { all["Content-Length"] = "0" }
        return ClientCall(
            method: method, target: target, fields: all, body: body, wantsUpgrade: wantsUpgrade, headTimeout: timeout ?? configuration.headTimeout)
    }

    private static func needsLength(_ method: String) -> Bool { method == "POST" || method == "PUT" || method == "PATCH" }
    private static func isRepeatable(_ method: String) -> Bool { method != "POST" && method != "PATCH" && method != "CONNECT" }

    /// The connection used last: the least likely to be closed.
    private func takeIdle() -> HTTP1ClientHandler? { pool.withLock { $0.idle.popLast() } }

    private func newConnection() async throws -> HTTP1ClientHandler {
        guard !pool.withLock({ $0.isClosed }) else { throw HTTPError.connectionClosed }
        try Task.checkCancellation()
        let address = configuration.address
        let handler = try await connector.connect { [weak self] channel in
            try HTTP1ClientHandler.install(
                on: channel, address: address,
                onIdle: { [weak self] handler in
                    if let self { keep(handler) } else { handler.channel.close(promise: nil) }
                },
                onInactive: { [weak self] handler in self?.forget(handler) })
        }
        let isClosed = pool.withLock { pool in
            if !pool.isClosed { pool.all[ObjectIdentifier(handler)] = handler }
            return pool.isClosed
        }
        guard !isClosed else {
            handler.channel.close(promise: nil)
            throw HTTPError.connectionClosed
        }
        // It may have been closed before it was entered.
        if !handler.channel.isActive { forget(handler) }
        return handler
    }

    private func keep(_ handler: HTTP1ClientHandler) {
        let isKept = pool.withLock { pool in
            guard !pool.isClosed, pool.idle.count < configuration.maximumIdleConnections else { return false }
            pool.idle.append(handler)
            return true
        }
        if isKept { handler.closeWhenIdle(for: configuration.idleTimeout) } else { handler.channel.close(promise: nil) }
    }

    private func forget(_ handler: HTTP1ClientHandler) {
        pool.withLock { pool in
            pool.all[ObjectIdentifier(handler)] = nil
            pool.idle.removeAll { $0 === handler }
        }
    }
}
