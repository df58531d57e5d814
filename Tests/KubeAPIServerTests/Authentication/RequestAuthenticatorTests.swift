import Certificates
import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Request authentication")
struct RequestAuthenticatorTests {
    private struct OneToken: BearerTokenAuthenticator {
        func authenticate(token: String) async throws -> UserInfo? {
            if token == "good" { return UserInfo(name: "ann") }
            if token.hasPrefix("mine") { throw StatusError.unauthorized }
            return nil
        }
    }

    private func head(_ authorization: String?, certificates: [[UInt8]] = []) -> HTTPRequestHead {
        var fields = HTTPFields()
        fields["Authorization"] = authorization
        return HTTPRequestHead(
            method: "GET", target: "/api", fields: fields, authority: "x",
            connection: ConnectionInfo(remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2", peerCertificates: certificates))
    }

    @Test("a bearer token is asked of each kind; an unknown or bad one is 401, none at all is nobody's")
    func bearer() async throws {
        let authenticator = BearerTokenRequestAuthenticator([OneToken()])
        #expect(try await authenticator.authenticate(head("Bearer good"))?.name == "ann")
        #expect(try await authenticator.authenticate(head("bearer good"))?.name == "ann")
        #expect(try await authenticator.authenticate(head(nil)) == nil)
        #expect(try await authenticator.authenticate(head("Basic good")) == nil)
        #expect(try await authenticator.authenticate(head("Bearer ")) == nil)
        for bad in ["Bearer other", "Bearer mine-but-bad", "Bearer \(String(repeating: "x", count: 20000))"] {
            let error = await #expect(throws: StatusError.self) { try await authenticator.authenticate(head(bad)) }
            #expect(error?.code == 401)
        }
    }

    @Test("a client certificate's common name is the user and its organisations are the groups, within its validity")
    func certificate() async throws {
        let validity = CertificateValidity(notBefore: 1_700_000_000, notAfter: 1_900_000_000)
        let authority = try CertificateAuthority(commonName: "ca", validity: validity)
        let leaf = try authority.issue(
            LeafRequest(commonName: "system:node:n1", organizations: ["system:nodes"], usage: .client, validity: validity))
        let chain = try PEM.der(leaf.certificatePEM)
        let user = try await ClientCertificateAuthenticator(now: { Timestamp(seconds: 1_800_000_000) }).authenticate(head(nil, certificates: chain))
        #expect(user?.name == "system:node:n1")
        #expect(user?.groups == ["system:nodes"])
        for outside in [1_699_999_000, 1_900_001_000] as [Int64] {
            let late = ClientCertificateAuthenticator(now: { Timestamp(seconds: outside) })
            await #expect(throws: StatusError.self) { try await late.authenticate(head(nil, certificates: chain)) }
        }
        #expect(try await ClientCertificateAuthenticator().authenticate(head(nil)) == nil)
        await #expect(throws: StatusError.self) { try await ClientCertificateAuthenticator().authenticate(head(nil, certificates: [[1, 2, 3]])) }
    }

    @Test("a bad certificate does not spoil a good token, and is refused when nothing else is shown")
    func union() async throws {
        let union = UnionAuthenticator([ClientCertificateAuthenticator(), BearerTokenRequestAuthenticator([OneToken()])])
        #expect(try await union.authenticate(head("Bearer good", certificates: [[0]]))?.name == "ann")
        await #expect(throws: StatusError.self) { try await union.authenticate(head(nil, certificates: [[0]])) }
        #expect(try await union.authenticate(head(nil)) == nil)
    }
}
