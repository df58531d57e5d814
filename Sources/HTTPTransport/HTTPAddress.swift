/// Where a server listens or a client connects: a TCP host and port, or the path of a unix socket.
package enum HTTPAddress: Sendable, Hashable, CustomStringConvertible {
    /// `host` is a name, an IPv4 or an IPv6 address (without brackets). A server given port 0 gets a free one.
    case tcp(host: String, port: Int)
    /// A stream socket in the file system. Linux allows at most 107 bytes.
    case unix(path: String)

    /// `127.0.0.1:7443`, `[::1]:7443` or `unix:/run/x.sock`.
    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// A certificate and its key, as a TLS server or client shows it.
package struct TLSIdentity: Sendable, Hashable {
    /// The leaf first, then its issuers (a root may be left out), in PEM.
    package var certificateChainPEM: String
    /// The leaf's private key in PEM (PKCS#8, or SEC 1 for EC keys).
    package var privateKeyPEM: String

    package init(certificateChainPEM: String, privateKeyPEM: String) {
        self.certificateChainPEM = certificateChainPEM
        self.privateKeyPEM = privateKeyPEM
    }
}
