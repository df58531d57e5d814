import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Bootstrap tokens and tokens of Secrets")
struct OtherTokenTests {
    private static let now = Timestamp(seconds: 1_800_000_000)

    private func bootstrap(_ changes: [String: String?] = [:], type: String = "bootstrap.kubernetes.io/token") async -> UserInfo? {
        var data: [String: String] = [
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
            "expiration": Self.now.adding(seconds: 60).rfc3339, "auth-extra-groups": "system:bootstrappers:eks:nodes",
        ]
        for (key, value) in changes { data[key] = value }
        let encoded = data.mapValues { Base64.encode(Array($0.utf8)) }
        let secret: Value = [
            "metadata": ["name": "bootstrap-token-abcdef", "namespace": "kube-system"], "type": .string(type), "data": Value(encoded),
        ]
        let reader = MemoryReader()
        // The same shape for all: it always parses.
        _ = try? reader.set(.secrets, secret.jsonString)
        let authenticator = BootstrapTokenAuthenticator(reader: reader, now: { Self.now })
        return try? await authenticator.authenticate(token: "abcdef.0123456789abcdef")
    }

    @Test("a bootstrap token is a bootstrapper of its groups, as long as its Secret says so")
    func bootstrapTokens() async throws {
        let user = try #require(await bootstrap())
        #expect(user == UserInfo(name: "system:bootstrap:abcdef", groups: ["system:bootstrappers", "system:bootstrappers:eks:nodes"]))
        #expect(await bootstrap(["expiration": nil]) != nil)
        #expect(await bootstrap(["auth-extra-groups": nil])?.groups == ["system:bootstrappers"])
        for (key, value) in [
            ("token-secret", "0123456789abcdeX"), ("token-id", "abcdeg"), ("expiration", Self.now.rfc3339), ("expiration", "tomorrow"),
            ("usage-bootstrap-authentication", "false"), ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:UPPER"), ("auth-extra-groups", "system:bootstrappers:a:"),
        ] { #expect(await bootstrap([key: value]) == nil, "\(key) = \(value)") }
        #expect(await bootstrap(type: "Opaque") == nil)
        #expect(try await BootstrapTokenAuthenticator(reader: MemoryReader()).authenticate(token: "not.mine") == nil)
    }

    @Test("a Secret's token is good as long as the Secret holds it and the account is the same")
    func legacy() async throws {
        let reader = MemoryReader()
        let issuer = try ServiceAccountTokenIssuer(issuer: "https://i", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        let token = try issuer.legacyToken(namespace: "web", account: "app", uid: "u1", secret: "app-token")
        let authenticator = ServiceAccountTokenAuthenticator(issuer: issuer, reader: reader)
        func secret(_ token: String) throws {
            try reader.set(
                .secrets, #"{"metadata":{"name":"app-token","namespace":"web"},"data":{"token":"\#(Base64.encode(Array(token.utf8)))"}}"#)
        }
        try reader.set(.serviceAccounts, #"{"metadata":{"name":"app","namespace":"web","uid":"u1"}}"#)
        await #expect(throws: StatusError.self) { _ = try await authenticator.authenticate(token: token) }
        try secret(token)
        #expect(try await authenticator.authenticate(token: token)?.name == "system:serviceaccount:web:app")
        try secret("another")
        await #expect(throws: StatusError.self) { _ = try await authenticator.authenticate(token: token) }
        try secret(token)
        try reader.set(.serviceAccounts, #"{"metadata":{"name":"app","namespace":"web","uid":"u2"}}"#)
        await #expect(throws: StatusError.self) { _ = try await authenticator.authenticate(token: token) }
    }

    @Test("the token kubelets ask for old volumes lives longer, and says when it should have been replaced")
    func extended() throws {
        let reader = MemoryReader()
        let issuer = try ServiceAccountTokenIssuer(
            issuer: "https://i", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM(), now: { Self.now })
        try reader.set(.serviceAccounts, #"{"metadata":{"name":"app","namespace":"web","uid":"u1"}}"#)
        try reader.set(.pods, #"{"metadata":{"name":"p","namespace":"web","uid":"p1"},"spec":{"serviceAccountName":"app"}}"#)
        func request(_ seconds: Int, audiences: String = "[]") throws -> (claims: Object, status: Value) {
            let body = try Object(
                json:
                    #"{"spec":{"expirationSeconds":\#(seconds),"audiences":\#(audiences),"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p"}}}"#
            )
            let answer = try TokenRequest.create(body, namespace: "web", name: "app", issuer: issuer, reader: reader)
            let token = answer[path: "status", "token"]?.string ?? ""
            return (try #require(JSONWebToken.read(token)).claims, answer["status"] ?? .null)
        }
        let long = try request(3607)
        #expect(long.claims["exp"].int == Self.now.seconds + 90 * 86400)
        #expect(long.claims["kubernetes.io"]["warnafter"].int == Self.now.seconds + 3607)
        #expect(long.status["expirationTimestamp"]?.string == Self.now.adding(seconds: 3607).rfc3339)
        #expect(try request(3600).claims["exp"].int == Self.now.seconds + 3600)
        #expect(try request(3607, audiences: #"["vault"]"#).claims["exp"].int == Self.now.seconds + 3607)
    }
}
