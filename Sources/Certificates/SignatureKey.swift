internal import Crypto
internal import CryptoExtras

/// A public key that verifies the signatures of JSON web tokens, of the algorithms of RFC 7518 that OIDC providers use. Symmetric algorithms and
/// `none` verify nothing.
package struct SignatureKey: Sendable {
    private enum Key: Sendable {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
    }

    private let key: Key

    /// Every algorithm of which signatures can be verified.
    package static let algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

    /// An RSA key of big-endian numbers; nil for one that is unusable or too short to be safe.
    package init?(modulus: [UInt8], exponent: [UInt8]) {
        // What is no key is none: the caller has other keys.
        guard modulus.count >= 256, let key = try? _RSA.Signing.PublicKey(n: modulus, e: exponent) else { return nil }
        self.key = .rsa(key)
    }

    /// A point of `P-256`, `P-384` or `P-521`; an `Ed25519` key has no `y`. Nil for what is no point of the curve.
    package init?(curve: String, x: [UInt8], y: [UInt8]) {
        let key: Key?
        switch curve {
        case "P-256": key = (try? P256.Signing.PublicKey(rawRepresentation: x + y)).map { .p256($0) }
        case "P-384": key = (try? P384.Signing.PublicKey(rawRepresentation: x + y)).map { .p384($0) }
        case "P-521": key = (try? P521.Signing.PublicKey(rawRepresentation: x + y)).map { .p521($0) }
        case "Ed25519": key = (try? Curve25519.Signing.PublicKey(rawRepresentation: x)).map { .ed25519($0) }
        default: key = nil
        }
        guard let key else { return nil }
        self.key = key
    }

    /// Whether `signature` is this key's over `bytes` by `algorithm`. An algorithm of another kind of key is a wrong signature.
    package func verifies(_ signature: [UInt8], of bytes: [UInt8], algorithm: String) -> Bool {
        switch (key, algorithm) {
        case (.rsa(let key), "RS256"): return rsa(key, signature, SHA256.hash(data: bytes), .insecurePKCS1v1_5)
        case (.rsa(let key), "RS384"): return rsa(key, signature, SHA384.hash(data: bytes), .insecurePKCS1v1_5)
        case (.rsa(let key), "RS512"): return rsa(key, signature, SHA512.hash(data: bytes), .insecurePKCS1v1_5)
        case (.rsa(let key), "PS256"): return rsa(key, signature, SHA256.hash(data: bytes), .PSS)
        case (.rsa(let key), "PS384"): return rsa(key, signature, SHA384.hash(data: bytes), .PSS)
        case (.rsa(let key), "PS512"): return rsa(key, signature, SHA512.hash(data: bytes), .PSS)
        case (.p256(let key), "ES256"):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: bytes)
        case (.p384(let key), "ES384"):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: bytes)
        case (.p521(let key), "ES512"):
            guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: bytes)
        case (.ed25519(let key), "EdDSA"): return key.isValidSignature(signature, for: bytes)
        default: return false
        }
    }

    private func rsa(_ key: _RSA.Signing.PublicKey, _ signature: [UInt8], _ digest: some Digest, _ padding: _RSA.Signing.Padding) -> Bool {
        key.isValidSignature(_RSA.Signing.RSASignature(rawRepresentation: signature), for: digest, padding: padding)
    }
}
