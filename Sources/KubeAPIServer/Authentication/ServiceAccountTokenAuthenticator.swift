internal import Crypto
package import KubeAPI
internal import Synchronization

/// Tells who holds a service account's token: signature, issuer, audience and times, then that the account and what the token is bound to still
/// exist, the same objects and not only the same names. Upstream: pkg/serviceaccount.JWTTokenAuthenticator with its validator.
package final class ServiceAccountTokenAuthenticator: BearerTokenAuthenticator {
    /// Tokens whose signature was found good, by their SHA-256: verifying costs about 100 µs, and clients send the same token with every request.
    private struct Verified {
        static let limit = 4096
        private var recent: [SHA256Digest: Object] = [:]
        private var former: [SHA256Digest: Object] = [:]

        mutating func claims(_ digest: SHA256Digest) -> Object? {
            if let claims = recent[digest] { return claims }
            guard let claims = former[digest] else { return nil }
            insert(digest, claims)
            return claims
        }

        /// Two generations: when the younger is full the older is forgotten.
        mutating func insert(_ digest: SHA256Digest, _ claims: Object) {
            if recent.count >= Self.limit / 2 {
                former = recent
                recent = [:]
            }
            recent[digest] = claims
        }
    }

    /// The time a deleted pod's or account's token stays good past the deletion timestamp. Upstream: jwt.DefaultLeeway and claims.go's sixty seconds.
    static let deletionLeeway: Int64 = 60

    private let issuer: ServiceAccountTokenIssuer
    private let reader: any ObjectReader
    private let now: @Sendable () -> Timestamp
    private let verified = Mutex(Verified())

    package init(issuer: ServiceAccountTokenIssuer, reader: any ObjectReader, now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.issuer = issuer
        self.reader = reader
        self.now = now
    }

    package func authenticate(token: String) async throws -> UserInfo? {
        try user(of: token, audiences: issuer.audiences)?.user
    }

    package func authenticateNow(token: String) throws -> ImmediateAuthentication {
        try user(of: token, audiences: issuer.audiences).map { .user($0.user) } ?? .notMine
    }

    /// The user and those of `audiences` the token is for. Nil: not a token of this issuer. Throws `StatusError.unauthorized` for one that is not
    /// valid.
    package func user(of token: String, audiences: [String]) throws -> (user: UserInfo, audiences: [String])? {
        guard let claims = try claims(of: token) else { return nil }
        let time = now().seconds
        if claims["iss"].string == LegacyServiceAccountToken.issuer { return (try legacyUser(claims, token, time), audiences) }
        guard let expiry = claims["exp"].int, let notBefore = claims["nbf"].int, time < expiry, time >= notBefore else {
            throw StatusError.unauthorized
        }
        let named = claims["aud"].string.map { [$0] } ?? claims["aud"].strings
        let accepted = named.filter(audiences.contains)
        guard !accepted.isEmpty else { throw StatusError.unauthorized }
        let user = try user(claims["kubernetes.io"], subject: claims["sub"].string, tokenID: claims["jti"].string, time: time)
        if let warnAfter = claims["kubernetes.io"]["warnafter"].int, warnAfter != 0, time > warnAfter {
            let seconds = time - (claims["iat"].int ?? warnAfter)
            AuditTrail.annotate("authentication.k8s.io/stale-token", "subject: \(user.name), seconds after warning threshold: \(seconds)")
        }
        return (user, accepted)
    }

    /// The claims of a token that one of the issuer's keys signed; nil when it is another issuer's.
    private func claims(of token: String) throws -> Object? {
        let digest = SHA256.hash(data: Array(token.utf8))
        if let claims = verified.withLock({ $0.claims(digest) }) { return claims }
        guard let unverified = JSONWebToken.read(token), let named = unverified.claims["iss"].string,
            named == issuer.issuer || named == LegacyServiceAccountToken.issuer
        else { return nil }
        guard issuer.isSignedByUs(unverified) else { throw StatusError.unauthorized }
        verified.withLock { $0.insert(digest, unverified.claims) }
        return unverified.claims
    }

    private func user(_ bound: JSONView?, subject: String?, tokenID: String?, time: Int64) throws -> UserInfo {
        guard let namespace = bound["namespace"].string, let name = bound["serviceaccount"]["name"].string,
            let uid = bound["serviceaccount"]["uid"].string,
            !namespace.isEmpty, !name.isEmpty, !uid.isEmpty, subject == "system:serviceaccount:\(namespace):\(name)"
        else { throw StatusError.unauthorized }
        try exists(.serviceAccounts, namespace, name, uid, time)
        var user = UserInfo(
            name: "system:serviceaccount:\(namespace):\(name)", uid: uid, groups: ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"])
        if let tokenID, !tokenID.isEmpty { user.extra["authentication.kubernetes.io/credential-id"] = ["JTI=\(tokenID)"] }
        if let secret = bound["secret"] { try exists(.secrets, namespace, secret["name"].string ?? "", secret["uid"].string ?? "", time) }
        if let pod = bound["pod"] {
            let podName = pod["name"].string ?? ""
            let podUID = pod["uid"].string ?? ""
            try exists(.pods, namespace, podName, podUID, time)
            user.extra["authentication.kubernetes.io/pod-name"] = [podName]
            user.extra["authentication.kubernetes.io/pod-uid"] = [podUID]
        }
        if let node = bound["node"] {
            let nodeName = node["name"].string ?? ""
            let nodeUID = node["uid"].string ?? ""
            // A pod's token tells of its node; only a token bound to the node itself goes with it.
            if bound["pod"] == nil { try exists(.nodes, "", nodeName, nodeUID, time) }
            user.extra["authentication.kubernetes.io/node-name"] = [nodeName]
            if !nodeUID.isEmpty { user.extra["authentication.kubernetes.io/node-uid"] = [nodeUID] }
        }
        return user
    }

    /// Upstream: legacyValidator.Validate: the token must be the one its Secret holds.
    private func legacyUser(_ claims: Object, _ token: String, _ time: Int64) throws -> UserInfo {
        guard let names = LegacyServiceAccountToken(claims), let secret = reader.get(.secrets, namespace: names.namespace, name: names.secret),
            !secret.metadata.isBeingDeleted, secret["data"]["token"].string.flatMap({ Base64.decode($0) }) == Array(token.utf8)
        else { throw StatusError.unauthorized }
        try exists(.serviceAccounts, names.namespace, names.account, names.uid, time)
        AuditTrail.annotate("authentication.k8s.io/legacy-token", "system:serviceaccount:\(names.namespace):\(names.account)")
        return UserInfo(
            name: "system:serviceaccount:\(names.namespace):\(names.account)", uid: names.uid,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(names.namespace)"])
    }

    private func exists(_ resource: GroupResource, _ namespace: String, _ name: String, _ uid: String, _ time: Int64) throws {
        guard !uid.isEmpty, let object = reader.get(resource, namespace: namespace, name: name), object.metadata.uid == uid else {
            throw StatusError.unauthorized
        }
        if let deletion = object.metadata.deletionTimestamp, deletion.seconds &+ Self.deletionLeeway < time { throw StatusError.unauthorized }
    }
}
