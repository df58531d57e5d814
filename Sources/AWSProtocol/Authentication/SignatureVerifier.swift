/// A key someone signs with.
package struct AWSCredential: Sendable {
    package var accessKeyID: String
    package var secretAccessKey: String
    /// Given with temporary credentials: the request must carry the same.
    package var sessionToken: String?
    /// Seconds since 1970; nil for keys that do not expire.
    package var expiration: Double?
    package var caller: AWSCaller

    package init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, expiration: Double? = nil, caller: AWSCaller) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
        self.caller = caller
    }
}

/// Where access keys are found: IAM's users' keys and STS's sessions.
package protocol AWSCredentialSource: Sendable {
    /// The active key with this id; nil when there is none.
    func credential(accessKeyID: String) async -> AWSCredential?
}

/// Verifies Signature Version 4. The comparison takes the same time wherever the first difference is.
package final class SignatureVerifier: Sendable {
    /// How long after its date a signed request is taken. Upstream: Signature Version 4.
    package static let pastTolerance: Double = 900
    /// How far in the future its date may be.
    package static let futureTolerance: Double = 300

    private let source: any AWSCredentialSource
    private let clock: AWSClock
    private let keys = SigningKeyCache()

    package init(source: any AWSCredentialSource, clock: AWSClock = .system) {
        self.source = source
        self.clock = clock
    }

    /// Who signed `canonical` with `signature`. Dates are checked by `checkDate`. Throws `AuthenticationFailure`.
    package func verify(_ canonical: CanonicalRequest, _ signature: RequestSignature) async throws(AuthenticationFailure) -> AWSCaller {
        guard let credential = await source.credential(accessKeyID: signature.accessKeyID) else { throw .unknownCredentials }
        let given = Array((signature.sessionToken ?? "").utf8)
        guard SigV4.areEqual(given, Array((credential.sessionToken ?? "").utf8)) else { throw .unknownCredentials }
        let key = keys.key(accessKeyID: credential.accessKeyID, secret: credential.secretAccessKey, scope: signature.scope)
        let text = SigV4.stringToSign(date: signature.date, scope: signature.scope, canonicalHash: canonical.hash)
        guard SigV4.areEqual(SigV4.signature(of: text, key: key), signature.signature) else { throw .signatureMismatch(nil) }
        // Told only to whom the signature proved to be the key's holder.
        if let expiration = credential.expiration, clock.now >= expiration { throw .expiredCredentials }
        return credential.caller
    }

    /// Whether the signature's date is near enough to now. Throws `AuthenticationFailure.dateOutOfRange` in AWS's words.
    package func checkDate(_ signature: RequestSignature) throws(AuthenticationFailure) {
        let now = clock.now
        let current = AWSTimestamp.basic(now)
        if signature.time > now + SignatureVerifier.futureTolerance {
            let limit = AWSTimestamp.basic(now + SignatureVerifier.futureTolerance)
            throw .dateOutOfRange("Signature not yet current: \(signature.date) is still later than \(limit) (\(current) + 5 min.)")
        }
        if let expires = signature.expires {
            guard now > signature.time + Double(expires) else { return }
            let end = AWSTimestamp.basic(signature.time + Double(expires))
            throw .dateOutOfRange("Signature expired: \(end) is now earlier than \(current)")
        }
        if now > signature.time + SignatureVerifier.pastTolerance {
            let limit = AWSTimestamp.basic(now - SignatureVerifier.pastTolerance)
            throw .dateOutOfRange("Signature expired: \(signature.date) is now earlier than \(limit) (\(current) - 15 min.)")
        }
    }
}
