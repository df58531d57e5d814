import Crypto
import Glibc
import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

/// Tokens made by another implementation (joserfc), good and forged: `tools/generate-jwt-cases.py`.
@Suite("JSON web tokens, 500 cases")
struct JSONWebTokenCaseTests {
    private let file: Object
    private let now: Timestamp

    init() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let handle = try #require(fopen("/\(folder)/fixtures/jwt/cases.json", "r"))
        defer { fclose(handle) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&piece, 1, piece.count, handle), count > 0 { bytes += piece.prefix(count) }
        file = try Object(bytes: bytes)
        now = Timestamp(seconds: file["now"].int ?? 0)
    }

    private func reader() throws -> MemoryReader {
        let reader = MemoryReader()
        func set(_ resource: GroupResource, _ name: String, _ uid: String, namespace: String? = "web", deleted: Int64? = nil) throws {
            var metadata: Value = ["name": .string(name), "uid": .string(uid)]
            if let namespace { metadata["namespace"] = .string(namespace) }
            if let deleted { metadata["deletionTimestamp"] = .string(now.adding(seconds: -deleted).rfc3339) }
            try reader.set(resource, Value.object(Members([("metadata", metadata)])).jsonString)
        }
        try set(.serviceAccounts, "app", "sa-uid")
        try set(.serviceAccounts, "going", "going-uid", deleted: 3600)
        for (resource, name, uid) in [(GroupResource.pods, "app-1", "pod-uid"), (.secrets, "bound", "secret-uid")] {
            try set(resource, name, uid)
            try set(resource, "going", "going-uid", deleted: 3600)
            try set(resource, "leaving", "leaving-uid", deleted: 10)
        }
        try set(.nodes, "node-1", "node-uid", namespace: nil)
        try set(.nodes, "going", "going-uid", namespace: nil, deleted: 3600)
        try set(.nodes, "leaving", "leaving-uid", namespace: nil, deleted: 10)
        return reader
    }

    private func provider(_ change: (inout OIDCConfiguration) -> Void) -> OIDCAuthenticator {
        let issuer = file["provider"].string ?? ""
        var configuration = OIDCConfiguration(issuer: issuer, clientID: "eyrie", groupsClaim: "groups", groupsPrefix: "oidc:")
        configuration.requiredClaims = ["tenant": "acme"]
        change(&configuration)
        let keys = file["jwks"].value ?? .null
        let now = now
        return OIDCAuthenticator(configuration, now: { now }) { url in
            if url.hasSuffix("/.well-known/openid-configuration") {
                return Value.object(Members([("issuer", .string(issuer)), ("jwks_uri", .string("\(issuer)/keys"))])).jsonBytes
            }
            return keys.jsonBytes
        }
    }

    @Test("each is accepted as whom it names, or refused, as the table says")
    func table() async throws {
        let now = now
        let issuer = try ServiceAccountTokenIssuer(
            issuer: file["issuer"].string ?? "", privateKeyPEM: file["accountKeyPEM"].string ?? "", now: { now })
        let accounts = ServiceAccountTokenAuthenticator(issuer: issuer, reader: try reader(), now: { now })
        let kinds: [String: any BearerTokenAuthenticator] = [
            "account": accounts, "oidc": provider { _ in },
            "oidc-all": provider {
                $0.signingAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
            },
            "oidc-email": provider { $0.username = .init(claim: "email") },
        ]
        let cases = file["cases"].elements.map { $0 }
        #expect(cases.count >= 500)
        for entry in cases {
            let name = entry["name"].string ?? ""
            let authenticator = BearerTokenRequestAuthenticator([try #require(kinds[entry["kind"].string ?? ""])])
            let token = entry["token"].string ?? ""
            let expected = entry["user"].string
            // Twice: the second time what was found out the first is remembered.
            for _ in 0..<2 {
                // A refusal is what is expected of most.
                let user = try? await authenticator.authenticate(token: token)
                #expect(user?.name == expected, "\(name)")
            }
            if expected == nil {
                #expect(throws: StatusError.self, "\(name)") {
                    guard case .later = try authenticator.authenticateNow(TestServer.head("GET", "/", ["Authorization": "Bearer \(token)x"])) else {
                        return
                    }
                    throw StatusError.unauthorized
                }
            }
        }
    }

    @Test("keys are fetched once, again for a key that is not known, and not by every forged token")
    func rotation() async throws {
        let issuer = file["provider"].string ?? ""
        let clock = Mutex(now)
        let fetched = Mutex(0)
        let keys = file["jwks"].value ?? .null
        let only = Mutex(Value.object(Members([("keys", .array((keys["keys"]?.array ?? []).filter { $0["kid"] == "p256" }))])))
        var configuration = OIDCConfiguration(issuer: issuer, clientID: "eyrie")
        configuration.signingAlgorithms = ["RS256", "ES256"]
        let authenticator = OIDCAuthenticator(configuration, now: { clock.withLock { $0 } }) { url in
            guard !url.hasSuffix("/.well-known/openid-configuration") else {
                fetched.withLock { $0 += 1 }
                return Value.object(Members([("issuer", .string(issuer)), ("jwks_uri", .string("\(issuer)/keys"))])).jsonBytes
            }
            return only.withLock { $0 }.jsonBytes
        }
        func token(_ name: String) -> String { file["cases"].elements.first { $0["name"].string == name }?["token"]?.string ?? "" }
        #expect(try await authenticator.authenticate(token: token("OIDC ES256, allowed"))?.name == "\(issuer)#jane")
        guard case .user = try authenticator.authenticateNow(token: token("OIDC ES256, allowed")) else {
            Issue.record("a known key needs no waiting")
            return
        }
        #expect(fetched.withLock { $0 } == 1)
        for _ in 0..<5 {
            await #expect(throws: StatusError.self) { _ = try await authenticator.authenticate(token: token("OIDC RS256, allowed")) }
        }
        #expect(fetched.withLock { $0 } == 1, "not twice within ten seconds")
        only.withLock { $0 = keys }
        clock.withLock { $0 = $0.adding(seconds: 11) }
        let user = try await authenticator.authenticate(token: token("OIDC RS256, allowed"))
        #expect(user?.name == "\(issuer)#jane")
        #expect(fetched.withLock { $0 } == 2)
    }
}
