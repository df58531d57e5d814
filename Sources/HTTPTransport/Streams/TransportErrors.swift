import Glibc
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL

/// Turns the network library's errors into `HTTPError`s that say what happened.
enum TransportErrors {
    static func describe(_ error: any Error) -> HTTPError {
        switch error {
        case let error as HTTPError: error
        case let error as NIOSSLError: .tls(explain(error))
        case let error as BoringSSLError: .tls("\(error)")
        case let error as NIOSSLExtraError: .tls("\(error.description)")
        case HTTPParserError.invalidEOFState: .connectionClosed
        case let error as HTTPParserError: .protocolViolation("\(error)")
        case let error as any NIOHTTP2Error: .protocolViolation("HTTP/2: \(error)")
        default: .connectionClosed
        }
    }

    /// Whether a TLS peer closed its connection without a closing alert: most clients do.
    static func isUncleanShutdown(_ error: any Error) -> Bool {
        if case NIOSSLError.uncleanShutdown = error { return true }
        return false
    }

    /// Why a connection could not be made: `cannot connect to 127.0.0.1:1: connection refused`.
    static func connecting(_ address: HTTPAddress, _ error: any Error) -> HTTPError {
        switch error {
        case let error as HTTPError: error
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: .tls("TLS with \(address) failed: \(reason(error))")
        case ChannelError.connectTimeout(let after): .timeout("no connection to \(address) within \(after.nanoseconds / 1_000_000) ms")
        default: .connectFailed("cannot connect to \(address): \(reason(error))")
        }
    }

    /// Why an address could not be bound: `cannot listen on 127.0.0.1:443: address already in use: another process listens there`.
    static func listening(_ address: HTTPAddress, _ error: any Error) -> HTTPError {
        var text = "cannot listen on \(address): \(reason(error))"
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: text += ": another process listens there; stop it or choose another address"
        case EACCES: text += ": ports below 1024 and foreign folders need more rights"
        case EADDRNOTAVAIL: text += ": this machine has no such address"
        default: break
        }
        return .connectFailed(text)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: return errorText(error.errnoCode)
        case let error as NIOConnectionError:
            if let failure = error.connectionErrors.last { return reason(failure.error) }
            return "the name \(error.host) has no address"
        case let error as NIOSSLError: return explain(error)
        default: return "\(error)"
        }
    }

    private static func explain(_ error: NIOSSLError) -> String {
        switch error {
        case .handshakeFailed(let cause): "handshake failed: \(cause)"
        case .uncleanShutdown: "the peer closed the connection"
        default: "\(error)"
        }
    }

    /// The system's words for an error number, in lower case.
    private static func errorText(_ code: CInt) -> String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text).lowercased()
    }
}
