import Certificates
import Glibc
import HTTPTransport
import KubeAPI
import KubeAPIServer
import KubeStorage

/// An API server as a cluster has it (SQLite store, client certificates, Node and RBAC, all admission), without controllers: what the figures of the
/// API server are measured on.
struct BenchServer {
    static let serviceRange = "10.100.0.0/16"
    /// A day: longer than any measurement.
    private static let certificateSeconds: Int64 = 86_400

    let server: APIServer

    init(store: any Store) throws {
        let issuer = try ServiceAccountTokenIssuer(
            issuer: "https://bench.invalid", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        guard let range = ServiceCIDR(Self.serviceRange) else { throw BenchError("\(Self.serviceRange) is no range") }
        let settings = ClusterSettings(serviceCIDR: range, tokenIssuer: issuer)
        server = APIServer(
            .init(store: store, version: VersionInfo(minor: "36", gitVersion: "v1.36.0"), serverAddress: "127.0.0.1:6443") {
                APIServer.Components.standard(settings, reader: $0)
            })
    }

    func start() async throws {
        try await server.start()
        guard let range = ServiceCIDR(Self.serviceRange) else { throw BenchError("\(Self.serviceRange) is no range") }
        try await server.bootstrap(.init(serviceCIDR: range))
    }

    /// Listens with TLS on a free port of loopback and writes `client.pem` and `client.key` of an administrator into `directory`.
    func listen(directory: String) async throws -> HTTPServer {
        let now = Timestamp.now.seconds
        let validity = CertificateValidity(notBefore: now - 300, notAfter: now + Self.certificateSeconds)
        let authority = try CertificateAuthority(commonName: "bench", validity: validity)
        let serving = try authority.issue(
            LeafRequest(commonName: "kube-apiserver", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], usage: .server, validity: validity))
        let admin = try authority.issue(
            LeafRequest(commonName: "kubernetes-admin", organizations: ["system:masters"], usage: .client, validity: validity))
        try SecretFile.write("\(directory)/client.pem", Array(admin.certificatePEM.utf8))
        try SecretFile.write("\(directory)/client.key", Array(admin.privateKeyPEM.utf8))
        try SecretFile.write("\(directory)/ca.pem", Array(authority.certificatePEM.utf8))
        let verifier = try ClientCertificateVerifier(caPEM: authority.certificatePEM)
        let tls = HTTPServer.TLS(
            identity: TLSIdentity(certificateChainPEM: serving.certificatePEM, privateKeyPEM: serving.privateKeyPEM),
            clientCAPEM: authority.certificatePEM, verifyClientChain: { await verifier.validate($0) })
        return try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0), tls: tls), responder: server)
    }
}

/// Why a measurement could not be made.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
