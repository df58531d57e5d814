import Crypto
import Synchronization

/// What a signature is for: the parts of `Credential=` after the access key id.
package struct CredentialScope: Sendable, Hashable {
    /// `20060102`
    package var date: String
    package var region: String
    package var service: String

    package init(date: String, region: String, service: String) {
        self.date = date
        self.region = region
        self.service = service
    }

    static let terminator = "aws4_request"
    var text: String { "\(date)/\(region)/\(service)/\(CredentialScope.terminator)" }
}

/// The algorithm's arithmetic. Upstream: botocore.auth.SigV4Auth.signature.
enum SigV4 {
    static let algorithm = "AWS4-HMAC-SHA256"
    static let unsignedPayload = "UNSIGNED-PAYLOAD"

    static func stringToSign(date: String, scope: CredentialScope, canonicalHash: String) -> String {
        algorithm + "\n" + date + "\n" + scope.text + "\n" + canonicalHash
    }

    static func derivedKey(secret: String, scope: CredentialScope) -> SymmetricKey {
        var key = SymmetricKey(data: Array(("AWS4" + secret).utf8))
        for part in [scope.date, scope.region, scope.service, CredentialScope.terminator] {
            key = SymmetricKey(data: Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key)))
        }
        return key
    }

    static func signature(of text: String, key: SymmetricKey) -> [UInt8] { Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)) }

    /// Compares without leaking where the first difference is.
    static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for (x, y) in zip(a, b) { difference |= x ^ y }
        return difference == 0
    }
}

/// Derived signing keys by access key id and scope: four HMACs saved on every request of a day. An access key id never changes its secret, so
/// entries cannot go stale; whether the key still exists is asked before.
final class SigningKeyCache: Sendable {
    private struct Key: Hashable {
        var accessKeyID: String
        var scope: CredentialScope
    }
    /// A scope is a day, a region and a service: a handful per caller. The bound keeps a caller with made-up dates from growing it.
    private static let capacity = 1_024
    private let keys = Mutex<[Key: SymmetricKey]>([:])

    func key(accessKeyID: String, secret: String, scope: CredentialScope) -> SymmetricKey {
        let id = Key(accessKeyID: accessKeyID, scope: scope)
        if let known = keys.withLock({ $0[id] }) { return known }
        let derived = SigV4.derivedKey(secret: secret, scope: scope)
        keys.withLock { keys in
            if keys.count >= SigningKeyCache.capacity { keys.removeAll(keepingCapacity: true) }
            keys[id] = derived
        }
        return derived
    }
}
