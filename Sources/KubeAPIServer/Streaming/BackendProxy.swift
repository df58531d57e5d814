import HTTPTransport
import KubeAPI

/// Passes one request on to a backend and its answer back: plain requests with their bodies as they come, upgrades by joining the connections.
/// Nothing is followed, retried or remembered. Upstream: k8s.io/apimachinery/pkg/util/proxy.UpgradeAwareHandler.
struct BackendProxy {
    /// A backend may take as long as its client waits: long-polling and watches pass through here. Beyond this nobody waits.
    static let headTimeout = Duration.seconds(3600)

    let client: HTTPClient
    let head: HTTPRequestHead
    /// Passed on as it comes; nil where the client sends none.
    let body: HTTPBodyStream?
    /// Path and query for the backend, percent-encoded.
    let target: String
    /// Added to the request after all that the client sent.
    var added = HTTPFields()
    /// What the backend's own paths are under for the client: `/api/v1/namespaces/x/pods/y/proxy`. Nil: addresses are left alone.
    var pathPrefix: String?
    /// The backend's own `host:port`: absolute addresses of it are rewritten too.
    var backendAuthority = ""
    /// A backend must not send clients, and their credentials, elsewhere (CVE-2020-8559, CVE-2022-3172).
    var rejectsRedirects = false

    static let redirectRefused = "the backend attempted to redirect this request, which is not permitted"

    /// Throws `StatusError` 503 when the backend cannot be reached.
    func respond() async throws -> HTTPResponse {
        var fields = ProxyFields.request(head, isUpgrade: head.isUpgrade)
        if pathPrefix != nil {
            fields["X-Forwarded-Uri"] = String(head.path)
            fields["X-Forwarded-Host"] = head.authority
            fields["X-Forwarded-Proto"] = head.connection.isTLS ? "https" : "http"
            // A page that is to be rewritten must be readable.
            fields["Accept-Encoding"] = nil
        }
        for (name, _) in added.fields { fields[name] = nil }
        for (name, value) in added.fields { fields.add(name, value) }
        return head.isUpgrade ? try await upgrade(fields) : try await pass(fields)
    }

    private func pass(_ fields: HTTPFields) async throws -> HTTPResponse {
        let response: HTTPClientResponse
        do {
            if let body = try await body?.peeked {
                var fields = fields
                // More or less than was announced would be taken for the next request.
                fields["Content-Length"] = ProxyFields.length(of: head)
                response = try await client.execute(head.method, target, fields: fields, stream: body, timeout: Self.headTimeout)
            } else {
                response = try await client.execute(head.method, target, fields: fields, timeout: Self.headTimeout)
            }
        } catch let error as HTTPError {
            throw StatusError.serviceUnavailable("error trying to reach service: \(describe(error))")
        }
        var answered = ProxyFields.response(response.fields)
        if let location = answered["Location"], (300...399).contains(response.status) || response.status == 201 {
            if rejectsRedirects, response.status != 201 { return Responses.text(Self.redirectRefused, status: 502) }
            if let rewritten = rewritten(location) { answered["Location"] = rewritten }
        }
        let isPage = pathPrefix != nil && (answered["Content-Type"] ?? "").lowercased().hasPrefix("text/html")
        guard isPage, answered["Content-Encoding"] == nil, head.method != "HEAD" else {
            return HTTPResponse(
                status: response.status, fields: answered,
                body: .stream { writer in for try await piece in response.body { try await writer.write(piece) } })
        }
        answered["Content-Length"] = nil
        let proxy = self
        return HTTPResponse(
            status: response.status, fields: answered,
            body: .stream { writer in
                var page = HTMLRewriter { proxy.rewritten($0) }
                for try await piece in response.body { try await writer.write(page.feed(piece)) }
                try await writer.write(page.finish())
            })
    }

    /// A refusal goes back as it is, and its connection is closed, never used again (CVE-2018-1002105).
    private func upgrade(_ fields: HTTPFields) async throws -> HTTPResponse {
        do {
            let (answer, tunnel) = try await client.upgrade(head.method, target, fields: fields)
            var answered = ProxyFields.response(answer)
            answered["Connection"] = "Upgrade"
            if let name = answer["Upgrade"] { answered["Upgrade"] = name }
            return HTTPResponse(status: 101, fields: answered, body: .upgrade { client in await ByteTunnel.splice(client, tunnel) })
        } catch HTTPError.upgradeRefused(let status, let body) {
            if (300...399).contains(status) { return Responses.text(Self.redirectRefused, status: 502) }
            return HTTPResponse(status: status, fields: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(body))
        } catch let error as HTTPError {
            throw StatusError.internalError("error dialing backend: \(describe(error))")
        }
    }

    /// An address of the backend's as the client must name it; nil when it stays as it is. Upstream: Transport.rewriteURL.
    func rewritten(_ address: String) -> String? {
        guard let pathPrefix else { return nil }
        var path = address
        if let separator = address.firstRange(of: "://") ?? (address.hasPrefix("//") ? address.firstRange(of: "//") : nil) {
            let rest = address[separator.upperBound...]
            let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            guard authority == backendAuthority || authority == head.authority else { return nil }
            path = String(rest.dropFirst(authority.count))
            if path.isEmpty { path = "/" }
        }
        guard path.hasPrefix("/"), path != pathPrefix, !path.hasPrefix(pathPrefix + "/") else { return nil }
        return pathPrefix + path
    }

    private func describe(_ error: HTTPError) -> String {
        AbsoluteURL("http://\(backendAuthority)/").map { error.goText($0) } ?? "\(error)"
    }
}
