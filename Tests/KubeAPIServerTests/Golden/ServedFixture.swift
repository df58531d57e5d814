import Glibc
import KubeAPI
import KubeStorage
import Testing

@testable import KubeAPIServer

/// What a stock API server of v1.36 serves, as `Tests/fixtures/served` holds it.
enum ServedFixture {
    /// The lines of a file, without comments.
    static func lines(_ name: String) throws -> [String] {
        let path = String(#filePath.dropLast("KubeAPIServerTests/Golden/ServedFixture.swift".count)) + "fixtures/served/\(name)"
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return bytes.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }.filter { !$0.hasPrefix("#") }
    }

    /// Where two trees differ, as `path: mine | theirs`. The order of members says nothing.
    static func differences(_ mine: Value?, _ theirs: Value?, at path: String = "") -> [String] {
        switch (mine, theirs) {
        case (.object(let a)?, .object(let b)?):
            return Set(a.keys + b.keys).sorted().flatMap { differences(a[$0], b[$0], at: "\(path).\($0)") }
        case (.array(let a)?, .array(let b)?) where a.count == b.count:
            return a.indices.flatMap { differences(a[$0], b[$0], at: "\(path)[\($0)]") }
        default: return mine == theirs ? [] : ["\(path): \(mine?.jsonString ?? "nothing") | \(theirs?.jsonString ?? "nothing")"]
        }
    }

    /// A whole API server over memory with its default objects, as clusters run it; `Authorization: Test NAME` says who asks.
    static func server() async throws -> APIServer {
        let cidr = try #require(ServiceCIDR("10.96.0.0/16"))
        let issuer = try ServiceAccountTokenIssuer(issuer: "https://issuer", privateKeyPEM: ServiceAccountTokenIssuer.makePrivateKeyPEM())
        let settings = ClusterSettings(serviceCIDR: cidr, tokenIssuer: issuer)
        let server = APIServer(
            .init(store: MemoryStore(), version: VersionInfo(minor: "36", gitVersion: "v1.36.0-test")) { reader in
                var components = APIServer.Components.standard(settings, reader: reader)
                components.authenticators.append(TestAuthenticator())
                return components
            })
        try await server.start()
        try await server.bootstrap(.init(serviceCIDR: cidr))
        return server
    }
}
