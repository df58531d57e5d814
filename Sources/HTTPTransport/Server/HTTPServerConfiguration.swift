extension HTTPServer {
    /// What a listener is: its address, its TLS, its limits.
    package struct Configuration: Sendable {
        /// Where to listen. A server listens on one address; start several servers for several.
        package var address: HTTPAddress
        /// Nil serves plain HTTP/1.1 (and HTTP/2 with prior knowledge).
        package var tls: TLS?
        package var limits: Limits
        /// Whether a client at this address (`10.0.0.7`, no port) is let in; others are cut off before they are heard. Called on the event loop for
        /// every new connection: must be quick. Nil lets everybody in.
        package var admits: (@Sendable (_ address: String) -> Bool)?

        package init(address: HTTPAddress, tls: TLS? = nil, limits: Limits = Limits(), admits: (@Sendable (String) -> Bool)? = nil) {
            self.address = address
            self.tls = tls
            self.limits = limits
            self.admits = admits
        }
    }

    /// The TLS side of a listener: TLS 1.2 or newer, ALPN `h2` and `http/1.1`.
    package struct TLS: Sendable {
        /// Shown when the client names no server, or one that `identityForServerName` does not know.
        package var identity: TLSIdentity
        /// One or more CA certificates in PEM. When set, clients are asked for a certificate; they need not have one.
        package var clientCAPEM: String?
        /// Judges a client's chain (DER, leaf first): returns the validated chain, or nil for one that does not count, and then the request goes
        /// on with
        /// `peerCertificates` empty, so that the responder can answer 401. Without a judge a certificate that `clientCAPEM` does not vouch for
        /// fails
        /// the handshake. `Certificates.ClientCertificateVerifier.validate` fits.
        package var verifyClientChain: (@Sendable ([[UInt8]]) async -> [[UInt8]]?)?
        /// The identity for a server name (SNI), or nil for `identity`. Called on the event loop for every new connection: must be quick.
        package var identityForServerName: (@Sendable (String) -> TLSIdentity?)?

        package init(
            identity: TLSIdentity, clientCAPEM: String? = nil, verifyClientChain: (@Sendable ([[UInt8]]) async -> [[UInt8]]?)? = nil,
            identityForServerName: (@Sendable (String) -> TLSIdentity?)? = nil
        ) {
            self.identity = identity
            self.clientCAPEM = clientCAPEM
            self.verifyClientChain = verifyClientChain
            self.identityForServerName = identityForServerName
        }
    }

    /// What one client, and all clients together, may take. Bodies are limited by whoever reads them (`HTTPBodyStream.collect`).
    package struct Limits: Sendable {
        /// Bytes of request line and header fields. Upstream: net/http.DefaultMaxHeaderBytes is 1 MiB; nobody legitimate needs more than a few
        /// tokens.
        package var maximumHeaderBytes = 64 * 1024
        /// From the first byte of a request (or the connection's start) to the end of its head: defends against slow senders.
        /// Upstream: genericapiserver sets ReadHeaderTimeout to 32 s.
        package var headerReadTimeout = Duration.seconds(32)
        /// A kept-alive connection without a request is closed after this. Upstream: genericapiserver sets IdleTimeout to 90 s.
        package var idleTimeout = Duration.seconds(90)
        /// A closing connection whose client takes nothing of its last response for this long is cut.
        package var stallTimeout = Duration.seconds(32)
        /// Connections at once on this listener; more are closed as they are accepted, so that file descriptors remain for the store and others.
        package var maximumConnections = 16 * 1024
        /// HTTP/2 streams at once on one connection. Upstream: http2-max-streams-per-connection defaults to 250.
        package var maximumStreams = 250
        /// HTTP/2 flow-control window of a stream and of a connection: one round trip's worth of a large list.
        package var windowBytes = 1024 * 1024
        /// HTTP/2 PING and SETTINGS frames a connection may send in 30 s. Go's peers probe bandwidth with a PING every few messages.
        package var maximumControlFrames = 100_000
        /// HTTP/2 streams a client may reset in 30 s: closing watches is normal, a reset flood (CVE-2023-44487) is not.
        package var maximumStreamResets = 5_000
        /// Response bytes waiting in a connection before writers are made to wait.
        package var writeBufferBytes = 256 * 1024

        package init() {}
    }
}
