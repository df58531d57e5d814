import Crypto
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Service account tokens")
struct ServiceAccountTokenTests {
    /// A clock the test moves.
    final class TestClock: Sendable {
        private let time = Mutex(Timestamp(seconds: 1_800_000_000))
        var now: Timestamp { time.withLock { $0 } }
        func advance(_ seconds: Int64) { time.withLock { $0 = $0.adding(seconds: seconds) } }
    }

    private let clock = TestClock()
    private let reader = MemoryReader()
    private let keyPEM = ServiceAccountTokenIssuer.makePrivateKeyPEM()
    private let issuer: ServiceAccountTokenIssuer
    private let authenticator: ServiceAccountTokenAuthenticator
    private let url = "https://oidc.example/id/1"

    init() throws {
        let clock = clock
        issuer = try ServiceAccountTokenIssuer(issuer: url, privateKeyPEM: keyPEM, now: { clock.now })
        authenticator = ServiceAccountTokenAuthenticator(issuer: issuer, reader: reader, now: { clock.now })
        try reader.set(.serviceAccounts, #"{"kind":"ServiceAccount","metadata":{"name":"runner","namespace":"default","uid":"sa-1"}}"#)
        try reader.set(.pods, podJSON("p1", node: "n1", uid: "pod-1"))
        try reader.set(.nodes, #"{"kind":"Node","metadata":{"name":"n1","uid":"node-1"}}"#)
    }

    private func token(audiences: [String] = [], seconds: Int64 = 3600, boundTo: ServiceAccountTokenIssuer.BoundObject? = nil) throws -> String {
        try issuer.token(
            namespace: "default", name: "runner", uid: "sa-1", audiences: audiences, expirationSeconds: seconds, boundTo: boundTo,
            node: boundTo?.kind == "Pod" ? .init(kind: "Node", name: "n1", uid: "node-1") : nil
        ).token
    }

    private let pod = ServiceAccountTokenIssuer.BoundObject(kind: "Pod", name: "p1", uid: "pod-1")

    @Test("a token tells its account, groups, pod and node")
    func user() async throws {
        let user = try #require(try await authenticator.authenticate(token: try token(boundTo: pod)))
        #expect(user.name == "system:serviceaccount:default:runner")
        #expect(user.uid == "sa-1")
        #expect(user.groups == ["system:serviceaccounts", "system:serviceaccounts:default"])
        #expect(user.extra["authentication.kubernetes.io/pod-name"] == ["p1"])
        #expect(user.extra["authentication.kubernetes.io/pod-uid"] == ["pod-1"])
        #expect(user.extra["authentication.kubernetes.io/node-name"] == ["n1"])
        #expect(user.extra["authentication.kubernetes.io/credential-id"]?.first?.hasPrefix("JTI=") == true)
    }

    private func refused(_ token: String) async -> Bool {
        do {
            _ = try await authenticator.authenticate(token: token)
            return false
        } catch {
            return (error as? StatusError) == .unauthorized
        }
    }

    @Test("the claims have the names and forms that others read")
    func claims() throws {
        let claims = try #require(JSONWebToken.read(try token(audiences: ["vault"], boundTo: pod))).claims
        #expect(claims["iss"].string == url)
        #expect(claims["aud"].strings == ["vault"])
        #expect(claims["sub"].string == "system:serviceaccount:default:runner")
        #expect(claims["exp"].int == 1_800_003_600)
        #expect(claims["kubernetes.io"]["namespace"].string == "default")
        #expect(claims["kubernetes.io"]["pod"]["uid"].string == "pod-1")
        #expect(claims["kubernetes.io"]["node"]["name"].string == "n1")
        #expect(claims["kubernetes.io"]["serviceaccount"]["uid"].string == "sa-1")
    }

    /// Signs any header and claims with the cluster's own key, or another.
    private func forge(header: String, claims: Value? = nil, key: P256.Signing.PrivateKey? = nil) throws -> String {
        let original = try token().split(separator: ".").map(String.init)
        let payload = try #require(Base64.decodeURL(original[1]))
        let signed = "\(Base64.encodeURL(Array(header.utf8))).\(Base64.encodeURL(claims?.jsonBytes ?? payload))"
        let key = try key ?? P256.Signing.PrivateKey(pemRepresentation: keyPEM)
        return "\(signed).\(Base64.encodeURL(Array(try key.signature(for: Array(signed.utf8)).rawRepresentation)))"
    }

    private var keyID: String { get throws { try #require(JSONWebToken.read(try token())).keyID } }

    @Test(
        "a header of another algorithm is refused even when the signature is good",
        arguments: ["none", "None", "HS256", "RS256", "ES384", "es256", ""])
    func algorithms(_ algorithm: String) async throws {
        #expect(await refused(try forge(header: #"{"alg":"\#(algorithm)","kid":"\#(try keyID)"}"#)))
    }

    @Test("unknown keys, foreign keys, no key, critical extensions and changed parts are refused")
    func signatures() async throws {
        #expect(await refused(try forge(header: #"{"alg":"ES256","kid":"other"}"#)))
        #expect(await refused(try forge(header: #"{"alg":"ES256"}"#)))
        #expect(await refused(try forge(header: #"{"alg":"ES256","kid":"\#(try keyID)"}"#, key: P256.Signing.PrivateKey())))
        let parts = try token().split(separator: ".").map(String.init)
        #expect(await refused("\(parts[0]).\(parts[1])."))
        let other = try token(seconds: 7200).split(separator: ".").map(String.init)
        #expect(await refused("\(parts[0]).\(other[1]).\(parts[2])"))
        // Not even a token of this server's making: none of its kind.
        #expect(try await authenticator.authenticate(token: try forge(header: #"{"alg":"ES256","kid":"\#(try keyID)","crit":["x"]}"#)) == nil)
        // The forging itself works.
        #expect(try await authenticator.authenticate(token: try forge(header: #"{"alg":"ES256","kid":"\#(try keyID)"}"#)) != nil)
    }

    @Test("tokens of other issuers and other texts are left to others", arguments: ["", "a.b.c", "k8s-aws-v1.aHR0cHM", "....", "e30.e30.e30"])
    func otherKinds(_ text: String) async throws { #expect(try await authenticator.authenticate(token: text) == nil) }

    @Test("a second writing of the same token with leftover bits is no token")
    func canonical() throws {
        #expect(Base64.decodeURL("QQ") == [0x41])
        #expect(Base64.decodeURL("QR") == nil)
        #expect(Base64.decodeURL("QQ==") == nil)
        #expect(Base64.decode("QQ==") == [0x41])
        #expect(Base64.encode(Array("any carnal pleas".utf8)) == "YW55IGNhcm5hbCBwbGVhcw==")
    }

    @Test("a token counts from its first to its last second, also when it was seen before")
    func times() async throws {
        let token = try token(seconds: 600)
        #expect(try await authenticator.authenticate(token: token) != nil)
        clock.advance(599)
        #expect(try await authenticator.authenticate(token: token) != nil)
        clock.advance(1)
        #expect(await refused(token))
        clock.advance(-601)
        #expect(await refused(token))
    }

    @Test("a token for another audience is refused here, and accepted where it is asked for")
    func audiences() async throws {
        let token = try token(audiences: ["vault"])
        #expect(await refused(token))
        #expect(try authenticator.user(of: token, audiences: ["vault", "x"])?.audiences == ["vault"])
        #expect(try await authenticator.authenticate(token: try self.token(audiences: ["https://kubernetes.default.svc"])) != nil)
    }

    @Test("a token dies with its account, also when one of the same name comes after it")
    func accountGone() async throws {
        let token = try token()
        reader.remove(.serviceAccounts, "default/runner")
        #expect(await refused(token))
        try reader.set(.serviceAccounts, #"{"kind":"ServiceAccount","metadata":{"name":"runner","namespace":"default","uid":"sa-2"}}"#)
        #expect(await refused(token))
    }

    @Test("a bound token dies with its pod")
    func podGone() async throws {
        let token = try token(boundTo: pod)
        try reader.set(.pods, podJSON("p1", node: "n1", uid: "pod-2"))
        #expect(await refused(token))
        reader.remove(.pods, "default/p1")
        #expect(await refused(token))
        #expect(try await authenticator.authenticate(token: try self.token()) != nil)
    }

    @Test("a former key still verifies, and is published beside the new one")
    func rotation() async throws {
        let token = try token()
        let former = try P256.Signing.PrivateKey(pemRepresentation: keyPEM).publicKey.pemRepresentation
        let clock = clock
        let rotated = try ServiceAccountTokenIssuer(
            issuer: url, privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM(), formerPublicKeysPEM: [former], now: { clock.now })
        let next = ServiceAccountTokenAuthenticator(issuer: rotated, reader: reader, now: { clock.now })
        #expect(try await next.authenticate(token: token) != nil)
        #expect(rotated.jwks["keys"]?.array?.count == 2)
        let key = try #require(issuer.jwks["keys"]?.array?.first)
        #expect(key["kty"] == "EC" && key["crv"] == "P-256" && key["alg"] == "ES256")
        #expect(Base64.decodeURL(key["x"]?.string ?? "")?.count == 32)
        #expect(issuer.openIDConfiguration()["jwks_uri"]?.string == "\(url)/openid/v1/jwks")
    }

    // MARK: TokenRequest

    private func request(_ spec: String) throws -> Value {
        try TokenRequest.create(try Object(json: #"{"spec":\#(spec)}"#), namespace: "default", name: "runner", issuer: issuer, reader: reader)
    }

    @Test("TokenRequest answers a token bound to the pod, with its expiry")
    func tokenRequest() async throws {
        let answer = try request(#"{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p1","uid":"pod-1"}}"#)
        let token = try #require(answer[path: "status", "token"]?.string)
        #expect(answer[path: "status", "expirationTimestamp"]?.string == Timestamp(seconds: 1_800_003_607).rfc3339)
        #expect(answer[path: "spec", "audiences"]?.array?.isEmpty == false)
        let user = try #require(try await authenticator.authenticate(token: token))
        #expect(user.extra["authentication.kubernetes.io/node-uid"] == ["node-1"])
    }

    @Test(
        "TokenRequest refuses short and endless lives, other pods and other kinds",
        arguments: [
            (#"{"expirationSeconds":599}"#, "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"),
            (#"{"expirationSeconds":4294967297}"#, "may not specify a duration larger than 2^32 seconds"),
            (#"{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"gone"}}"#, #"pods "gone" not found"#),
            (#"{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p1","uid":"x"}}"#, "does not match the UID in record"),
            (#"{"boundObjectRef":{"kind":"ConfigMap","apiVersion":"v1","name":"p1"}}"#, "cannot bind token to object of type"),
        ])
    func tokenRequestRefusals(spec: String, message: String) throws {
        let error = #expect(throws: StatusError.self) { try request(spec) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test("TokenRequest refuses a pod of another account")
    func tokenRequestOtherAccount() throws {
        try reader.set(.pods, podJSON("p1", node: "n1", uid: "pod-1", account: "someone"))
        let error = #expect(throws: StatusError.self) { try request(#"{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p1"}}"#) }
        #expect(error?.message == #"cannot bind token for serviceaccount "runner" to pod running with different serviceaccount name."#)
    }

    // MARK: TokenReview

    @Test("TokenReview tells a good token's user, and that a bad one is none")
    func tokenReview() async throws {
        func review(_ token: String, _ audiences: String = "[]") async throws -> Value {
            try await AuthenticationReviews.tokenReview(
                try Object(json: #"{"spec":{"token":"\#(token)","audiences":\#(audiences)}}"#), serviceAccounts: authenticator, issuer: issuer,
                others: [])
        }
        let good = try await review(try token())
        #expect(good[path: "status", "authenticated"] == true)
        #expect(good[path: "status", "user", "username"] == "system:serviceaccount:default:runner")
        let bad = try await review(try forge(header: #"{"alg":"none"}"#))
        #expect(bad[path: "status", "authenticated"] == false)
        #expect(try await review(try token(), #"["vault"]"#)[path: "status", "authenticated"] == false)
        await #expect(throws: StatusError.self) { try await review("") }
    }
}
