package import AWSProtocol

/// Stands in for the service, of which error texts name the namespace.
enum STSService { static let namespace = "https://sts.amazonaws.com/doc/2011-06-15/" }

/// Nobody has a key.
private struct NoCredentials: AWSCredentialSource {
    func credential(accessKeyID: String) async -> AWSCredential? { nil }
}

/// What the verifier does before it looks for a key.
package struct TokenReading: Sendable {
    private let verifier: EKSTokenVerifier

    /// `now`: seconds since 1970, for the dates in tokens.
    package init(now: Double) {
        verifier = EKSTokenVerifier(
            configuration: .init(endpointURLs: ["https://127.0.0.1:7443"]), source: NoCredentials(), clock: AWSClock { now })
    }

    /// The canonical request of a token that keeps the rules of form; nil for others.
    package func canonicalRequest(of token: String, cluster: String) -> CanonicalRequest? {
        guard let request = try? verifier.parse(token) else { return nil }
        return CanonicalRequest(
            method: "GET", path: "/", query: request.query, headers: [("host", request.host), ("x-k8s-aws-id", cluster)],
            signedHeaders: request.signature.signedHeaders, payloadHash: "")
    }
}
