package import KubeAPI

/// Tokens by which nodes join: `ID.SECRET` of a Secret of type bootstrap.kubernetes.io/token in kube-system. Upstream:
/// plugin/pkg/auth/authenticator/token/bootstrap.TokenAuthenticator.
package struct BootstrapTokenAuthenticator: BearerTokenAuthenticator {
    static let secretType = "bootstrap.kubernetes.io/token"
    /// Upstream: bootstrapapi.BootstrapDefaultGroup.
    static let group = "system:bootstrappers"
    private static let idLength = 6
    private static let secretLength = 16

    private let reader: any ObjectReader
    private let now: @Sendable () -> Timestamp

    package init(reader: any ObjectReader, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.reader = reader
        self.now = now
    }

    package func authenticate(token: String) async throws -> UserInfo? { try user(of: token) }

    package func authenticateNow(token: String) throws -> ImmediateAuthentication { try user(of: token).map { .user($0) } ?? .notMine }

    private func user(of token: String) throws -> UserInfo? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, Self.isWord(parts[0], Self.idLength), Self.isWord(parts[1], Self.secretLength) else { return nil }
        let id = String(parts[0])
        guard let secret = reader.get(.secrets, namespace: "kube-system", name: "bootstrap-token-\(id)"), !secret.metadata.isBeingDeleted,
            secret["type"].string == Self.secretType
        else { throw StatusError.unauthorized }
        let data = secret["data"]
        func text(_ key: String) -> String? {
            data[key].string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        guard text("token-id") == id, let stored = text("token-secret"), Self.isEqual(stored, parts[1]) else { throw StatusError.unauthorized }
        if let expiration = text("expiration"), !expiration.isEmpty {
            // An expiration that cannot be read is one that has passed.
            guard let time = Timestamp(rfc3339: expiration), time > now() else { throw StatusError.unauthorized }
        }
        guard text("usage-bootstrap-authentication") == "true" else { throw StatusError.unauthorized }
        var groups = [Self.group]
        for group in Set((text("auth-extra-groups") ?? "").split(separator: ",")).sorted() {
            guard Self.isExtraGroup(group) else { throw StatusError.unauthorized }
            groups.append(String(group))
        }
        return UserInfo(name: "system:bootstrap:\(id)", groups: groups)
    }

    private static func isWord(_ text: Substring, _ length: Int) -> Bool {
        text.utf8.count == length && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
    }

    /// Upstream: bootstrapapi.BootstrapGroupPattern, `\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`.
    static func isExtraGroup(_ group: Substring) -> Bool {
        let prefix = "system:bootstrappers:"
        guard group.hasPrefix(prefix) else { return false }
        let rest = group.utf8.dropFirst(prefix.utf8.count)
        func isAlphanumeric(_ c: UInt8) -> Bool { (0x61...0x7A).contains(c) || (0x30...0x39).contains(c) }
        guard let last = rest.last, isAlphanumeric(last), rest.count <= 256 else { return false }
        return rest.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "-") }
    }

    /// In a time that tells nothing of where the texts differ.
    private static func isEqual(_ a: String, _ b: Substring) -> Bool {
        guard a.utf8.count == b.utf8.count else { return false }
        return zip(a.utf8, b.utf8).reduce(into: UInt8(0)) { $0 |= $1.0 ^ $1.1 } == 0
    }
}
