import HTTPTransport

/// Header fields on their way through a proxy.
enum ProxyFields {
    /// Fields of one connection, not of the message. Upstream: httputil.ReverseProxy's hopHeaders.
    private static let hopByHop: Set<String> = [
        "connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    ]
    /// Who the client is towards the API server is not a backend's business.
    private static let credentials: Set<String> = ["authorization", "impersonate-user", "impersonate-group", "impersonate-uid"]
    private static let credentialPrefixes = ["impersonate-extra-", "x-remote-"]
    /// A bearer token as a WebSocket subprotocol. Upstream: authentication/request/websocket.
    private static let bearerProtocol = "base64url.bearer.authorization.k8s.io."
    /// Upstream: proxy.corsRemovingTransport: a page served through the API server must not open it to other origins.
    private static let crossOrigin: Set<String> = [
        "access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers", "access-control-allow-credentials",
        "access-control-expose-headers", "access-control-max-age",
    ]

    /// What of a client's request goes on to a backend.
    static func request(_ head: HTTPRequestHead, isUpgrade: Bool) -> HTTPFields {
        var named = named(in: head.fields)
        if isUpgrade { named.remove("upgrade") }
        var out = HTTPFields()
        for (name, value) in head.fields.fields {
            let lower = name.lowercased()
            if credentials.contains(lower) || credentialPrefixes.contains(where: lower.hasPrefix) || lower == "content-length" { continue }
            if lower == "host" || lower.hasPrefix("x-forwarded-") || lower == "forwarded" { continue }
            if isUpgrade, lower == "upgrade" {
                out.add(name, value)
                continue
            }
            if hopByHop.contains(lower) || named.contains(lower) { continue }
            if lower == "sec-websocket-protocol" {
                let kept = value.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.hasPrefix(bearerProtocol) }
                if !kept.isEmpty { out.add(name, kept.joined(separator: ", ")) }
                continue
            }
            out.add(name, value)
        }
        if isUpgrade { out["Connection"] = "Upgrade" }
        out["Host"] = head.authority
        let remote = head.connection.remoteAddress
        // Without its port; a unix socket's path is no address.
        if let colon = remote.lastIndex(of: ":") {
            let host = remote[..<colon].filter { $0 != "[" && $0 != "]" }
            out["X-Forwarded-For"] = (head.fields.all("X-Forwarded-For") + [String(host)]).joined(separator: ", ")
        }
        return out
    }

    /// What of a backend's response goes back to the client.
    static func response(_ fields: HTTPFields) -> HTTPFields {
        let named = named(in: fields)
        var out = HTTPFields()
        for (name, value) in fields.fields {
            let lower = name.lowercased()
            if hopByHop.contains(lower) || named.contains(lower) || crossOrigin.contains(lower) { continue }
            out.add(name, value)
        }
        return out
    }

    /// The length that a client has announced; nil for a body in chunks. Where both stand, the chunks count and the length is a lie (RFC 9112 6.3).
    static func length(of head: HTTPRequestHead) -> String? {
        guard head.fields["Transfer-Encoding"] == nil else { return nil }
        return head.fields["Content-Length"]
    }

    /// The fields that `Connection` names.
    private static func named(in fields: HTTPFields) -> Set<String> {
        Set(fields.all("Connection").flatMap { $0.split(separator: ",").map { String($0.filter { $0 != " " }).lowercased() } })
    }
}
