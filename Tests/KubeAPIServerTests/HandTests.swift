import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import KubeStorage
import Testing

@testable import KubeAPIServer

struct Anyone: RequestAuthenticator {
    func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? { UserInfo(name: "root", groups: ["system:masters"]) }
}

@Suite("Hand")
struct HandTests {
    @Test("serve by hand") func serve() async throws {
        guard let port = getenv("HAND_PORT").flatMap({ Int(String(cString: $0)) }) else { return }
        let cidr = try #require(ServiceCIDR("10.100.0.0/16"))
        let issuer = try ServiceAccountTokenIssuer(issuer: "https://kubernetes.default.svc", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        let settings = ClusterSettings(serviceCIDR: cidr, tokenIssuer: issuer)
        let server = APIServer(.init(store: MemoryStore(), version: VersionInfo(minor: "36", gitVersion: "v1.36.0-eyrie.1"), serverAddress: "127.0.0.1:\(port)") { reader in
            var parts = APIServer.Components.standard(settings, reader: reader)
            parts.authenticators.append(Anyone())
            return parts
        })
        try await server.start()
        let t = ContinuousClock.now
        try await server.bootstrap(.init(serviceCIDR: cidr, apiServerAddresses: ["127.0.0.1"], apiServerPort: port))
        print("bootstrap", ContinuousClock.now - t)
        let http = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: port)), responder: server)
        print("serving", http.boundAddress)
        try await Task.sleep(for: .seconds(3600))
    }
}
