import Certificates
import Glibc
import HTTPTransport
import KubeAPI
import KubeAPIServer
import KubeClient
import Testing

@testable import ControlPlane

/// Two clusters in one process: what is good at one is nothing at the other. The class of faults that only a service of many clusters can have.
@Suite struct CrossClusterTests {
    /// A way to show who one is, and the cluster where it counts.
    private struct Credential {
        var name: String
        var home: Int
        var fields: HTTPFields = [:]
        var identity: TLSIdentity?
        /// What its own cluster answers to a look at the canary.
        var status: Int
    }

    private static let canaryPath = "/api/v1/namespaces/default/configmaps/canary"

    private static func certificate(_ fixture: ControlPlaneTests.Fixture, _ name: String, _ groups: [String]) throws -> TLSIdentity {
        func text(_ file: String) throws -> String { try #require(try PrivateFile.read("\(fixture.directory)/cluster/\(file)")) }
        let authority = try CertificateAuthority(certificatePEM: try text("ca.pem"), privateKeyPEM: try text("ca.key"))
        let validity = CertificateValidity(now: Timestamp.now.seconds, seconds: 3600)
        let leaf = try authority.issue(LeafRequest(commonName: name, organizations: groups, usage: .client, validity: validity))
        return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }

    /// Tokens and certificates of each cluster, from those that may do everything to those that may do nothing.
    private static func credentials(_ fixture: ControlPlaneTests.Fixture, home: Int) async throws -> [Credential] {
        let client = fixture.client
        try await fixture.eventually("the default service account") { try await !client.list(.serviceAccounts, namespace: "default").items.isEmpty }
        let wanted: Value = ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": ["expirationSeconds": 3600]]
        let request = try await client.create(.serviceAccounts, namespace: "default", wanted, name: "default", subresource: "token")
        let token = try #require(request["status"]["token"].string)
        return [
            Credential(name: "service account", home: home, fields: ["Authorization": "Bearer \(token)"], status: 403),
            Credential(name: "administrator", home: home, identity: try certificate(fixture, "root", ["system:masters"]), status: 200),
            Credential(name: "node", home: home, identity: try certificate(fixture, "system:node:n1", ["system:nodes"]), status: 403),
        ]
    }

    @Test("no token and no certificate of one cluster is anything at another, in any order, on any connection")
    func mixed() async throws {
        let fixtures = [try await ControlPlaneTests.Fixture.start(), try await ControlPlaneTests.Fixture.start()]
        var all: [Credential] = []
        for (home, fixture) in fixtures.enumerated() {
            try await fixture.client.create(
                .configMaps,
                [
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "canary", "namespace": "default"],
                    "data": ["home": .string("\(home)")],
                ])
            all += try await Self.credentials(fixture, home: home)
        }
        // A client for each credential at each cluster: its connections are kept, so sessions and caches of who was seen are tried, too.
        var clients: [[HTTPClient]] = []
        for credential in all {
            clients.append(
                try fixtures.map { fixture in
                    let port = Int(fixture.endpoint.url.split(separator: ":").last ?? "") ?? 0
                    return try HTTPClient(
                        configuration: .init(
                            address: .tcp(host: "127.0.0.1", port: port),
                            tls: .init(rootsPEM: fixture.endpoint.certificateAuthorityPEM, identity: credential.identity)))
                })
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let who = Int.random(in: 0..<all.count, using: &random)
            let place = Int.random(in: 0..<fixtures.count, using: &random)
            let credential = all[who]
            let response = try await clients[who][place].execute("GET", Self.canaryPath, fields: credential.fields)
            let body = String(decoding: try await response.body.collect(limit: 1 << 20), as: UTF8.self)
            #expect(response.status == (credential.home == place ? credential.status : 401), "\(credential.name) of \(credential.home) at \(place)")
            #expect(response.status != 200 || body.contains("\"home\":\"\(place)\""), "an object of another cluster: \(body)")
        }
        for client in clients.flatMap({ $0 }) { await client.close() }
        for fixture in fixtures { await fixture.controlPlane.stop() }
    }
}
