internal import Crypto
import KubeAPI

/// Signs and reads JSON web tokens of one algorithm, ES256. No other is ever accepted, whatever a token's header says.
enum JSONWebToken {
    static let algorithm = "ES256"

    /// A token taken apart, its signature not yet verified: nothing in it may be trusted.
    struct Unverified {
        var keyID: String
        var algorithm: String
        var claims: Object
        var signedPart: [UInt8]
        var signature: [UInt8]
    }

    static func sign(_ claims: Value, with key: P256.Signing.PrivateKey, keyID: String) throws -> String {
        let header: Value = ["alg": .string(algorithm), "kid": .string(keyID)]
        let signed = "\(Base64.encodeURL(header.jsonBytes)).\(Base64.encodeURL(claims.jsonBytes))"
        let signature = try key.signature(for: Array(signed.utf8))
        return "\(signed).\(Base64.encodeURL(Array(signature.rawRepresentation)))"
    }

    /// Nil when the text is no token of three parts with JSON objects in the first two.
    static func read(_ token: String) -> Unverified? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decodeURL(parts[0]), let payload = Base64.decodeURL(parts[1]),
            let signature = Base64.decodeURL(parts[2])
        else { return nil }
        // Any text that is no JSON object is no token.
        guard let head = try? Object(bytes: header), let claims = try? Object(bytes: payload) else { return nil }
        // A critical extension is one the reader must understand, and none is understood.
        guard head["crit"] == nil else { return nil }
        return Unverified(
            keyID: head["kid"].string ?? "", algorithm: head["alg"].string ?? "", claims: claims, signedPart: Array("\(parts[0]).\(parts[1])".utf8),
            signature: signature)
    }

    static func verify(_ token: Unverified, with key: P256.Signing.PublicKey) -> Bool {
        guard token.algorithm == algorithm, token.signature.count == 64 else { return false }
        // A signature of another form is no signature.
        guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: token.signature) else { return false }
        return key.isValidSignature(signature, for: token.signedPart)
    }
}
