package import HTTPTransport
package import KubeAPI

/// Why a webhook gave no answer.
package struct WebhookCallError: Error, Sendable, CustomStringConvertible {
    package enum Cause: Sendable, Equatable {
        /// No answer within the time allowed.
        case deadline
        /// No connection, or none that could be trusted.
        case unreachable
        /// An answer with this status, which is no success.
        case status(Int)
        /// An answer that cannot be read.
        case malformed
    }

    package var cause: Cause
    /// In upstream's words, which name the URL: `Post "https://a.b.svc:443/x?timeout=10s": context deadline exceeded`.
    package var description: String

    package init(_ cause: Cause, _ description: String) {
        self.cause = cause
        self.description = description
    }
}

/// Posts JSON to webhooks: admission, conversion, token and access reviews. One for each API server; connections are kept. Redirects are not
/// followed (CVE-2020-8561), servers are always verified, and what they answer stands in no log. Upstream: webhook.ClientManager.
package final class WebhookClient: Sendable {
    /// Bytes of an answer. Upstream: the 3 MiB of a request's body.
    static let maximumResponseBytes = 3 * 1024 * 1024
    /// Bytes of a refusal's text that errors repeat. Upstream: rest.Request's maxUnstructuredResponseTextBytes.
    static let maximumErrorBytes = 2048
    /// Servers whose connections are kept: far more than clusters have webhooks.
    private static let maximumClients = 256

    private struct Key: Hashable {
        var address: HTTPAddress
        var serverName: String?
        var rootsPEM: String?
        var identity: TLSIdentity?
    }

    private let resolver: ServiceResolver
    private let clients = HTTPClientPool<Key>(limit: maximumClients)

    package init(resolver: ServiceResolver) { self.resolver = resolver }

    /// Posts a JSON text and returns the JSON of a successful answer. `fields` are added to the request (credentials, say). The answer must be
    /// complete within `timeout`. Throws `WebhookCallError`, or `CancellationError`.
    package func post(
        _ body: [UInt8], to configuration: WebhookClientConfiguration, timeout: Duration, fields: HTTPFields = [:]
    ) async throws -> JSONDocument {
        let url = Self.withTimeout(configuration.shownURL, timeout)
        func failure(_ cause: WebhookCallError.Cause, _ why: String) -> WebhookCallError {
            WebhookCallError(cause, "Post \(url.goQuoted): \(why)")
        }
        guard let parsed = AbsoluteURL(url) else { throw failure(.unreachable, "unsupported protocol scheme") }
        var all = fields
        all["Host"] = parsed.authority
        all["Content-Type"] = "application/json"
        all["Accept"] = "application/json, */*"
        if all["User-Agent"] == nil { all["User-Agent"] = "kube-apiserver-admission" }
        let request = all
        let answer: HTTPAnswer
        do {
            // Webhooks may be called more than once.
            answer = try await client(for: configuration, parsed).post(
                body, to: parsed.target, fields: request, timeout: timeout, limit: Self.maximumResponseBytes, repeats: true)
        } catch let error as HTTPError {
            let cause: WebhookCallError.Cause =
                switch error {
                case .timeout: .deadline
                case .bodyTooLarge, .protocolViolation: .malformed
                default: .unreachable
                }
            throw failure(cause, error.goText(parsed))
        } catch let error as StatusError {
            throw failure(.unreachable, error.message)
        }
        guard (200...206).contains(answer.status) else {
            throw WebhookCallError(.status(answer.status), Self.refusal(answer.status, type: answer.fields["Content-Type"] ?? "", answer.body))
        }
        do { return try JSONDocument(answer.body) } catch {
            throw WebhookCallError(.malformed, "couldn't get version/kind; json parse error: \(error)")
        }
    }

    /// Closes all connections.
    package func close() async { await clients.close() }

    private func client(for configuration: WebhookClientConfiguration, _ url: AbsoluteURL) throws -> HTTPClient {
        var key = Key(
            address: .tcp(host: url.host, port: url.port), serverName: url.host, rootsPEM: configuration.rootsPEM, identity: configuration.identity)
        if case .service(let namespace, let name, let port, _) = configuration.target {
            key.address = try resolver.resolve(namespace: namespace, name: name, port: port)
            key.serverName = "\(name).\(namespace).svc"
        }
        if url.scheme == "http" { key.serverName = nil }
        return try clients.client(for: key) { [key] in
            var http = HTTPClient.Configuration(address: key.address)
            if let serverName = key.serverName {
                http.tls = HTTPClient.TLS(rootsPEM: key.rootsPEM, identity: key.identity, serverName: serverName)
            }
            return http
        }
    }

    /// Upstream: rest.Request.Timeout, which tells the server how long its caller will wait.
    private static func withTimeout(_ url: String, _ timeout: Duration) -> String {
        let seconds = max(1, timeout.components.seconds + (timeout.components.attoseconds > 0 ? 1 : 0))
        let text = seconds >= 60 ? "\(seconds / 60)m\(seconds % 60)s" : "\(seconds)s"
        return "\(url)\(url.contains("?") ? "&" : "?")timeout=\(text)"
    }

    private static func withoutOuterSpace(_ bytes: ArraySlice<UInt8>) -> String {
        func isSpace(_ c: UInt8) -> Bool { c == 0x20 || (c >= 0x09 && c <= 0x0D) }
        var bytes = bytes.drop(while: isSpace)
        while let last = bytes.last, isSpace(last) { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Upstream: errors.NewGenericServerResponse for an answer that is no Status.
    static func refusal(_ status: Int, type: String, _ body: [UInt8]) -> String {
        let isText = type.lowercased().hasPrefix("text/") || type.isEmpty
        let text = isText && !body.isEmpty ? withoutOuterSpace(body.prefix(maximumErrorBytes)) : "unknown"
        switch status {
        case 400: return "the server rejected our request for an unknown reason"
        case 401: return "the server has asked for the client to provide credentials"
        case 403, 406, 415: return text
        case 404: return "the server could not find the requested resource"
        case 405: return "the server does not allow this method on the requested resource"
        case 409: return "the server reported a conflict"
        case 422: return "the server rejected our request due to an error in our request"
        case 429: return "the server has received too many requests and has asked us to try again later"
        case 503: return "the server is currently unable to handle the request"
        case 504: return "the server was unable to return a response in the time allotted, but may still be processing the request"
        case 500...: return "an error on the server (\(text.goQuoted)) has prevented the request from succeeding"
        default: return "the server responded with the status code \(status) but did not return more information"
        }
    }
}
