internal import Crypto
package import KubeAPI
internal import Synchronization

/// Signs tokens of service accounts and publishes the keys that verify them. One for each cluster. Upstream: pkg/serviceaccount.JWTTokenGenerator.
package final class ServiceAccountTokenIssuer: Sendable {
    /// The issuer's URL, the `iss` of every token.
    package let issuer: String
    /// The audiences of the API server itself; a token without any other is for it.
    package let audiences: [String]
    private let key: P256.Signing.PrivateKey
    private let keyID: String
    private let verificationKeys: [String: P256.Signing.PublicKey]
    private let now: @Sendable () -> Timestamp

    /// `privateKeyPEM`: a P-256 key. `formerPublicKeysPEM`: keys that signed before, whose tokens stay valid. Throws CryptoKit's error for a text
    /// that is no key.
    package init(
        issuer: String, audiences: [String] = ["https://kubernetes.default.svc"], privateKeyPEM: String, formerPublicKeysPEM: [String] = [],
        now: @escaping @Sendable () -> Timestamp = { .now }
    ) throws {
        self.issuer = issuer
        self.audiences = audiences.contains(issuer) ? audiences : [issuer] + audiences
        key = try P256.Signing.PrivateKey(pemRepresentation: privateKeyPEM)
        keyID = Self.keyID(key.publicKey)
        var keys = [keyID: key.publicKey]
        for pem in formerPublicKeysPEM {
            let former = try P256.Signing.PublicKey(pemRepresentation: pem)
            keys[Self.keyID(former)] = former
        }
        verificationKeys = keys
        self.now = now
    }

    /// A new signing key in PEM, to be kept in a file of mode 0600.
    package static func makePrivateKeyPEM() -> String { P256.Signing.PrivateKey().pemRepresentation }

    /// Upstream: serviceaccount.keyIDFromPublicKey: the SHA-256 of the key's DER in base 64.
    private static func keyID(_ key: P256.Signing.PublicKey) -> String { Base64.encodeURL(Array(SHA256.hash(data: Array(key.derRepresentation)))) }

    /// What a token is bound to: when that object goes, so does the token.
    package struct BoundObject: Sendable, Equatable {
        /// `Pod`, `Secret` or `Node`.
        package var kind: String
        package var name: String
        package var uid: String

        package init(kind: String, name: String, uid: String) {
            self.kind = kind
            self.name = name
            self.uid = uid
        }
    }

    /// Signs a token. `audiences` empty: the API server's. `node` of a pod is told beside it. `warnAfterSeconds`: it is meant to be replaced by
    /// then, though it lives longer. Throws CryptoKit's error when signing fails.
    /// Upstream: serviceaccount.Claims.
    package func token(
        namespace: String, name: String, uid: String, audiences: [String] = [], expirationSeconds: Int64, boundTo bound: BoundObject? = nil,
        node: BoundObject? = nil, warnAfterSeconds: Int64? = nil
    ) throws -> (token: String, expiration: Timestamp) {
        let issuedAt = now().seconds
        let (expiry, overflow) = issuedAt.addingReportingOverflow(expirationSeconds)
        let expiration = Timestamp(seconds: overflow ? issuedAt : expiry)
        var kubernetes: Value = ["namespace": .string(namespace)]
        if let node { kubernetes["node"] = ["name": .string(node.name), "uid": .string(node.uid)] }
        if let bound, bound.kind != "Node" || node == nil {
            kubernetes[bound.kind.lowercased()] = ["name": .string(bound.name), "uid": .string(bound.uid)]
        }
        if let warnAfterSeconds { kubernetes["warnafter"] = .int(issuedAt &+ warnAfterSeconds) }
        kubernetes["serviceaccount"] = ["name": .string(name), "uid": .string(uid)]
        let claims: Value = [
            "aud": Value(audiences.isEmpty ? self.audiences : audiences), "exp": .int(expiration.seconds), "iat": .int(issuedAt),
            "iss": .string(issuer),
            "jti": .string(RandomText.uuid()), "kubernetes.io": kubernetes, "nbf": .int(issuedAt),
            "sub": .string("system:serviceaccount:\(namespace):\(name)"),
        ]
        return (try JSONWebToken.sign(claims, with: key, keyID: keyID), expiration)
    }

    /// Signs the token of a Secret. Throws CryptoKit's error when signing fails.
    package func legacyToken(namespace: String, account: String, uid: String, secret: String) throws -> String {
        let names = LegacyServiceAccountToken(namespace: namespace, secret: secret, account: account, uid: uid)
        return try JSONWebToken.sign(names.claims, with: key, keyID: keyID)
    }

    /// Whether the token was signed by one of the keys. A token that names no key, or one that is unknown, is not.
    func isSignedByUs(_ token: JSONWebToken.Unverified) -> Bool {
        verificationKeys[token.keyID].map { JSONWebToken.verify(token, with: $0) } ?? false
    }

    /// Whether a token is one of ours and its time is over.
    package func isExpired(_ token: String) -> Bool {
        guard let read = JSONWebToken.read(token), isSignedByUs(read), let expiry = read.claims["exp"].int else { return false }
        return expiry <= now().seconds
    }

    /// The document of `/openid/v1/jwks`: the public keys. Upstream: serviceaccount.OpenIDMetadata.
    package var jwks: Value {
        let keys = verificationKeys.sorted { $0.key < $1.key }.map { id, key -> Value in
            let point = Array(key.rawRepresentation)
            return [
                "use": "sig", "kty": "EC", "kid": .string(id), "crv": "P-256", "alg": "ES256", "x": .string(Base64.encodeURL(point.prefix(32))),
                "y": .string(Base64.encodeURL(point.suffix(32))),
            ]
        }
        return ["keys": .array(keys)]
    }

    /// The document of `/.well-known/openid-configuration`. `jwksURI`: where `jwks` is served, nil for the issuer's own.
    package func openIDConfiguration(jwksURI: String? = nil) -> Value {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        return [
            "issuer": .string(issuer), "jwks_uri": .string(jwksURI ?? "\(base)/openid/v1/jwks"), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        ]
    }
}
