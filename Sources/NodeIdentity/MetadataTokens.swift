import AWSProtocol
internal import Crypto

/// Session tokens of the instance metadata service: a moment and a tag over it, by a key that lives as long as the agent. Upstream: IMDSv2.
struct MetadataTokens: Sendable {
    /// Seconds a token may live.
    static let lifetimes = 1...21_600
    private static let tagLength = 32
    private let key = SymmetricKey(size: .bits256)

    func token(lifetime: Int, now: Double) -> String {
        let end = UInt64(max(0, now)) + UInt64(lifetime)
        let payload = (0..<8).map { UInt8(truncatingIfNeeded: end >> UInt64(56 - 8 * $0)) }
        return Base64URL.encodeStandard(payload + Array(HMAC<SHA256>.authenticationCode(for: payload, using: key)))
    }

    /// The seconds a token has left; nil for one that is over, or is none of these.
    func remaining(_ token: String, now: Double) -> Int? {
        // The standard alphabet with its padding, as EC2's are.
        let text = String(token.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }).prefix { $0 != "=" }
        guard let bytes = Base64URL.decode(text), bytes.count == 8 + Self.tagLength else { return nil }
        let payload = Array(bytes.prefix(8))
        guard HMAC<SHA256>.isValidAuthenticationCode(bytes.suffix(Self.tagLength), authenticating: payload, using: key) else { return nil }
        let end = payload.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let moment = UInt64(max(0, now))
        return end > moment ? Int(clamping: end - moment) : nil
    }
}
