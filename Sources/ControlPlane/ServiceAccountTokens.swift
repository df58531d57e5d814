internal import KubeAPI
internal import KubeAPIServer

/// The subject of a service account's token. Upstream: authentication/v1 TokenReviewStatus.
package struct ServiceAccountSubject: Sendable, Equatable {
    package var namespace: String
    package var name: String
    /// Nil for a token that is bound to no pod.
    package var podName: String?
    package var podUID: String?
}

/// A service account's token that is not good.
package enum ServiceAccountTokenRefused: Error, Sendable {
    case invalid
    case expired
}

extension ControlPlane {
    /// Who holds a token of this cluster's issuer that was made for `audience`, its pod and account still there. Throws
    /// `ServiceAccountTokenRefused`, or `ControlPlaneError` when the control plane does not run.
    package func subject(ofToken token: String, audience: String) throws -> ServiceAccountSubject {
        let (issuer, reader) = try tokenVerification()
        let authenticator = ServiceAccountTokenAuthenticator(issuer: issuer, reader: reader)
        let user: UserInfo
        do {
            guard let found = try authenticator.user(of: token, audiences: [audience]) else { throw ServiceAccountTokenRefused.invalid }
            user = found.user
        } catch is StatusError {
            // The verdict does not say why; whoever holds a token that has only run out is told so.
            throw issuer.isExpired(token) ? ServiceAccountTokenRefused.expired : ServiceAccountTokenRefused.invalid
        }
        let parts = user.name.split(separator: ":").map(String.init)
        guard parts.count == 4 else { throw ServiceAccountTokenRefused.invalid }
        return ServiceAccountSubject(
            namespace: parts[2], name: parts[3], podName: user.extra["authentication.kubernetes.io/pod-name"]?.first,
            podUID: user.extra["authentication.kubernetes.io/pod-uid"]?.first)
    }

    /// The public documents of the cluster's issuer, with its keys at `keys` below it, as EKS has them. Nil when the control plane does not run.
    package func issuerDocuments() -> (configuration: [UInt8], keys: [UInt8])? {
        // Not running: there is nothing to tell.
        guard let issuer = try? tokenVerification().issuer else { return nil }
        let base = issuer.issuer.hasSuffix("/") ? String(issuer.issuer.dropLast()) : issuer.issuer
        var document = issuer.openIDConfiguration(jwksURI: "\(base)/keys")
        document["authorization_endpoint"] = "urn:kubernetes:programmatic_authorization"
        document["claims_supported"] = ["sub", "iss"]
        return (document.jsonBytes, issuer.jwks.jsonBytes)
    }
}
