import AWSProtocol
import Certificates

/// The keys of the issuers of web identity tokens. The service answers for the clusters it runs.
package protocol WebIdentityKeySource: Sendable {
    /// The JSON Web Key Set (RFC 7517) of the issuer with this URL; nil for an issuer it does not know.
    func keySet(ofIssuer url: String) async -> [UInt8]?
}

/// Whom an identity provider's token stands for.
struct WebIdentity: Sendable {
    var provider: OIDCProviderRecord
    var subject: String
    /// The audiences that the provider has as client ids.
    var audiences: [String]

    /// Condition keys begin with the provider's URL. Upstream: IAM User Guide, "Available keys for AWS OIDC federation".
    var context: PolicyContext {
        let prefix = provider.url.lowercased()
        return [
            prefix + ":sub": [subject], prefix + ":aud": audiences, "aws:federatedprovider": [provider.arn],
            "aws:securetransport": ["true"],
        ]
    }
}

/// Verifies the tokens of AssumeRoleWithWebIdentity: the issuer is a provider of the account's, the audience one of its client ids, the signature
/// by one of the issuer's keys, and the time right. Upstream: sts AssumeRoleWithWebIdentity's errors.
struct WebIdentityVerifier: Sendable {
    let identities: IdentityStore
    let keys: (any WebIdentityKeySource)?

    /// Seconds by which clocks may differ.
    private static let leeway: Double = 60

    /// Throws InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError.
    func verify(_ text: String) async throws -> WebIdentity {
        guard let token = UnverifiedToken(text) else {
            throw Self.invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
        }
        guard let issuer = token.claims["iss"]?.stringValue, issuer.hasPrefix("https://") else { throw Self.invalid("Issuer must be a valid URL") }
        let url = String(issuer.dropFirst(8))
        let wanted = url.hasSuffix("/") ? String(url.dropLast()) : url
        let provider = await identities.state.read { tables in tables.oidcProviders.values.first { $0.url == wanted } }
        guard let provider else { throw Self.invalid("No OpenIDConnect provider found in your account for \(issuer.prefix(300))") }
        guard let document = await keys?.keySet(ofIssuer: issuer) else {
            throw AWSError(
                "IDPCommunicationError",
                "Couldn't retrieve verification key from your identity provider: \(issuer.prefix(300)) is no cluster of this service.")
        }
        guard token.isSigned(byOneOf: document) else {
            throw Self.invalid(
                "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
            )
        }
        try checkTimes(token.claims)
        let audiences =
            token.claims["azp"]?.stringValue.map { [$0] } ?? token.claims["aud"]?.stringValue.map { [$0] } ?? token.claims["aud"]?.stringArray ?? []
        let accepted = audiences.filter(provider.clientIDs.contains)
        guard !accepted.isEmpty else { throw Self.invalid("Incorrect token audience") }
        guard let subject = token.claims["sub"]?.stringValue, !subject.isEmpty else { throw Self.invalid("Missing a required claim: sub") }
        return WebIdentity(provider: provider, subject: subject, audiences: accepted)
    }

    private func checkTimes(_ claims: AWSJSON) throws(AWSError) {
        let now = identities.clock.now
        guard let expires = claims["exp"]?.seconds else { throw Self.invalid("Missing a required claim: exp") }
        guard claims["iat"]?.seconds != nil else { throw Self.invalid("Missing a required claim: iat") }
        guard now <= expires + Self.leeway else {
            throw AWSError(
                "ExpiredTokenException",
                "Token expired: current date/time \(Int(now)) must be before the expiration date/time \(Int(clamping: expires))")
        }
        if let notBefore = claims["nbf"]?.seconds ?? claims["iat"]?.seconds, now + Self.leeway < notBefore {
            throw Self.invalid("Token is not yet valid")
        }
    }

    private static func invalid(_ text: String) -> AWSError { AWSError("InvalidIdentityToken", text) }
}

extension Int {
    /// The number nearest to `value`.
    fileprivate init(clamping value: Double) { self = Int(Swift.min(Swift.max(value, -1e15), 1e15)) }
}

extension AWSJSON {
    /// A NumericDate (RFC 7519): seconds since 1970.
    fileprivate var seconds: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}

/// A JSON web token in its compact form (RFC 7515), not yet believed.
private struct UnverifiedToken {
    var header: AWSJSON
    var claims: AWSJSON
    private var signed: [UInt8]
    private var signature: [UInt8]

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64URL.decode(parts[0]), let body = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2]),
            let header = try? AWSJSON(parsing: head), let claims = try? AWSJSON(parsing: body), claims.objectValue != nil
        else { return nil }
        self.header = header
        self.claims = claims
        self.signature = signature
        signed = Array(parts[0].utf8) + [0x2E] + Array(parts[1].utf8)
    }

    /// Keys of a set beyond this many are not tried.
    private static let mostKeys = 100

    /// Whether the key that the header names, or any when it names none, made the signature.
    func isSigned(byOneOf document: [UInt8]) -> Bool {
        guard let algorithm = header["alg"]?.stringValue, SignatureKey.algorithms.contains(algorithm),
            let set = try? AWSJSON(parsing: document), let entries = set["keys"]?.arrayValue
        else { return false }
        let wanted = header["kid"]?.stringValue
        return entries.prefix(Self.mostKeys).contains { entry in
            guard entry["use"]?.stringValue ?? "sig" == "sig", wanted == nil || entry["kid"]?.stringValue == wanted else { return false }
            return Self.key(entry)?.verifies(signature, of: signed, algorithm: algorithm) ?? false
        }
    }

    private static func key(_ entry: AWSJSON) -> SignatureKey? {
        func bytes(_ name: String) -> [UInt8] { entry[name]?.stringValue.flatMap { Base64URL.decode($0) } ?? [] }
        switch entry["kty"]?.stringValue {
        case "RSA": return SignatureKey(modulus: bytes("n"), exponent: bytes("e"))
        case "EC": return SignatureKey(curve: entry["crv"]?.stringValue ?? "", x: bytes("x"), y: bytes("y"))
        case "OKP": return SignatureKey(curve: entry["crv"]?.stringValue ?? "", x: bytes("x"), y: [])
        default: return nil
        }
    }
}
