import KubeAPI

/// The token of a Secret of type kubernetes.io/service-account-token: without end or audience, good as long as its Secret holds it. Upstream:
/// serviceaccount.LegacyClaims.
struct LegacyServiceAccountToken: Equatable {
    /// Upstream: serviceaccount.LegacyIssuer.
    static let issuer = "kubernetes/serviceaccount"
    private static let prefix = "kubernetes.io/serviceaccount/"

    var namespace: String
    var secret: String
    var account: String
    var uid: String

    init(namespace: String, secret: String, account: String, uid: String) {
        self.namespace = namespace
        self.secret = secret
        self.account = account
        self.uid = uid
    }

    /// Nil when one of the names is missing or the subject is another.
    init?(_ claims: Object) {
        func text(_ name: String) -> String? { claims[Self.prefix + name].string.flatMap { $0.isEmpty ? nil : $0 } }
        guard let namespace = text("namespace"), let secret = text("secret.name"), let account = text("service-account.name"),
            let uid = text("service-account.uid"), claims["sub"].string == "system:serviceaccount:\(namespace):\(account)"
        else { return nil }
        self.init(namespace: namespace, secret: secret, account: account, uid: uid)
    }

    var claims: Value {
        [
            "iss": .string(Self.issuer), "\(Self.prefix)namespace": .string(namespace), "\(Self.prefix)secret.name": .string(secret),
            "\(Self.prefix)service-account.name": .string(account), "\(Self.prefix)service-account.uid": .string(uid),
            "sub": .string("system:serviceaccount:\(namespace):\(account)"),
        ]
    }
}
