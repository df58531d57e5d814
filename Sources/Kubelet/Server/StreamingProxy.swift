import HTTPTransport

/// Joins a client's upgraded connection to the runtime's streaming server. Bytes pass as they are, so both ends speak SPDY or WebSocket with each
/// other.
/// Upstream: the kubelet's proxyStream with UpgradeAwareProxy.
enum StreamingProxy {
    /// The subprotocol of containerd's WebSocket streams; clients that offer only newer ones fall back to SPDY when refused.
    static let webSocketProtocols: Set<String> = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"]

    /// Hop-by-hop fields and those that name the first connection's ends.
    private static let dropped: Set<String> = ["host", "content-length", "transfer-encoding", "authorization", "x-forwarded-for", "x-forwarded-uri"]

    static func splice(_ head: HTTPRequestHead, url: () async throws -> String) async throws -> HTTPResponse {
        guard head.isUpgrade else { return KubeletServer.text(400, "Upgrade request required") }
        if head.fields.contains("Upgrade", token: "websocket") {
            let offered = head.fields.all("Sec-WebSocket-Protocol").flatMap { $0.split(separator: ",") }.map { String($0.filter { $0 != " " }) }
            guard !Set(offered).isDisjoint(with: webSocketProtocols) else {
                return KubeletServer.text(400, "unable to upgrade: none of the subprotocols [\(offered.joined(separator: ", "))] is spoken here")
            }
        }
        let target = try await url()
        guard let (address, path) = parse(target) else {
            throw HTTPError.protocolViolation("the runtime gave a streaming URL that is none: \(target)")
        }
        var fields: HTTPFields = [:]
        for field in head.fields.fields where !dropped.contains(field.name.lowercased()) { fields.add(field.name, field.value) }
        let client = try HTTPClient(configuration: HTTPClient.Configuration(address: address))
        do {
            let (answer, tunnel) = try await client.upgrade(head.method, path, fields: fields)
            return HTTPResponse(
                status: 101, fields: answer,
                body: .upgrade { own in
                    await ByteTunnel.splice(own, tunnel)
                    await client.close()
                })
        } catch HTTPError.upgradeRefused(let status, let body) {
            await client.close()
            // A redirect is never followed: it would lead the caller's rights elsewhere.
            return KubeletServer.text((300..<400).contains(status) ? 502 : status, String(decoding: body, as: UTF8.self))
        } catch {
            await client.close()
            throw error
        }
    }

    /// `http://127.0.0.1:39741/exec/abc` as address and path.
    static func parse(_ url: String) -> (HTTPAddress, String)? {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst(7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let path = rest[authority.endIndex...]
        guard let colon = authority.lastIndex(of: ":"), let port = Int(authority[authority.index(after: colon)...]), (1...65535).contains(port) else {
            return nil
        }
        var host = authority[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (.tcp(host: String(host), port: port), path.isEmpty ? "/" : String(path))
    }
}
