package import HTTPTransport
import KubeAPI

/// Serves the keys of service-account tokens to those who verify them outside. Upstream: routes.OpenIDMetadataServer.
package struct OpenIDDocuments: PathResponder {
    private let configuration: [UInt8]
    private let keys: [UInt8]
    /// Verifiers keep the documents this long. Upstream: routes.cacheControl.
    private static let cacheControl = "public, max-age=3600"

    /// `jwksURI`: where the keys are served when that is not below the issuer's URL.
    package init(issuer: ServiceAccountTokenIssuer, jwksURI: String? = nil) {
        configuration = issuer.openIDConfiguration(jwksURI: jwksURI).jsonBytes
        keys = issuer.jwks.jsonBytes
    }

    package func respond(to head: HTTPRequestHead, path: String, user: UserInfo) -> HTTPResponse? {
        let (body, type): ([UInt8], String)
        switch path {
        case "/.well-known/openid-configuration": (body, type) = (configuration, "application/json")
        case "/openid/v1/jwks": (body, type) = (keys, "application/jwk-set+json")
        default: return nil
        }
        return HTTPResponse(status: 200, fields: ["Content-Type": type, "Cache-Control": Self.cacheControl], body: .bytes(body))
    }
}
