package import ClusterLifecycle
package import HTTPTransport

/// The clusters' OIDC issuers: at `/oidc/id/ID` below the service's address their two public documents, for everybody; all else goes on to `next`.
/// Upstream: `https://oidc.eks.REGION.amazonaws.com/id/ID`.
package struct OIDCEndpoint: HTTPResponder {
    /// The path below which issuers are named.
    package static let path = "/oidc"
    private static let prefix = "\(path)/id/"

    private let service: EKSService
    private let next: any HTTPResponder

    package init(service: EKSService, next: any HTTPResponder) {
        self.service = service
        self.next = next
    }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard head.path.hasPrefix(Self.prefix) else { return await next.respond(to: head, body: body) }
        guard head.method == "GET" || head.method == "HEAD" else { return HTTPResponse(status: 405, fields: ["Allow": "GET, HEAD"]) }
        let parts = head.path.dropFirst(Self.prefix.count).split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let documents = await service.issuerDocuments(id: String(parts[0])) else { return HTTPResponse(status: 404) }
        let document: [UInt8]
        switch parts[1] {
        case ".well-known/openid-configuration": document = documents.configuration
        case "keys": document = documents.keys
        default: return HTTPResponse(status: 404)
        }
        return HTTPResponse(
            status: 200, fields: ["Content-Type": "application/json", "Cache-Control": "max-age=604800, stale-while-revalidate=86400"],
            body: .bytes(document))
    }
}
