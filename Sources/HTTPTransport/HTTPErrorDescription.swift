extension HTTPError: CustomStringConvertible {
    /// A sentence for logs and messages.
    package var description: String {
        switch self {
        case .bodyTooLarge(let limit): "the body is larger than \(limit) bytes"
        case .connectionClosed: "the connection was closed"
        case .connectFailed(let text), .timeout(let text), .tls(let text), .protocolViolation(let text): text
        case .upgradeRefused(let status, _): "the server refused the upgrade with status \(status)"
        }
    }
}
