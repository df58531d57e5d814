import Certificates
import Foundation
import Testing

@testable import HTTPTransport

@Suite("TLS", .timeLimit(.minutes(1)))
struct TLSTests {
    /// A Python client with the strictest verification; prints the body.
    private static let python = """
        import ssl, sys, http.client
        port, ca, cert, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
        c = ssl.create_default_context(cafile=ca)
        c.verify_flags |= ssl.VERIFY_X509_STRICT
        if cert: c.load_cert_chain(cert, key)
        h = http.client.HTTPSConnection('127.0.0.1', port, context=c)
        for _ in range(2):
            h.request('GET', '/')
            r = h.getresponse(); print(r.status, r.read().decode())
        """

    @Test("a strict Python client trusts the server, and its certificate is seen by the responder")
    func strictPython() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let folder = certificates.folder
        try await withServer(whoAmI, tls: try certificates.tls()) { (server: HTTPServer) async throws -> Void in
            let known = try await run([
                "python3", "-c", Self.python, "\(server.port)", "\(folder)/ca.pem", "\(folder)/client.pem", "\(folder)/client.key",
            ])
            #expect(known.output == "200 alice/dev,ops h2=false tls=true sni=-\n200 alice/dev,ops h2=false tls=true sni=-\n")
            let anonymous = try await run(["python3", "-c", Self.python, "\(server.port)", "\(folder)/ca.pem", "", ""])
            #expect(anonymous.output.hasPrefix("200 anonymous h2=false"))
        }
    }

    @Test("curl speaks HTTP/2 and HTTP/1.1 by ALPN, and shows its certificate in both")
    func curl() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let folder = certificates.folder
        try await withServer(whoAmI, tls: try certificates.tls()) { (server: HTTPServer) async throws -> Void in
            let common = ["curl", "-sS", "--cacert", "\(folder)/ca.pem", "--cert", "\(folder)/client.pem", "--key", "\(folder)/client.key"]
            let url = "https://localhost:\(server.port)/a"
            let twice = String(repeating: "alice/dev,ops h2=true tls=true sni=localhost", count: 2)
            #expect(try await run(common + ["--http2", url, url]).output == twice)
            #expect(try await run(common + ["--http1.1", url]).output == "alice/dev,ops h2=false tls=true sni=localhost")
            #expect(try await run(common + ["--http2", "-X", "POST", "-d", "abc", "-w", "%{http_version}", url]).output.hasSuffix("localhost2"))
            #expect(try await run(common + ["--http2", "-I", url]).output.hasPrefix("HTTP/2 200"))
        }
    }

    @Test("a foreign certificate does not end the handshake but counts for nothing; without a judge it fails")
    func foreignCertificate() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let other = try CertificateAuthority(commonName: "test-ca", validity: CertificateValidity(now: Int64(time(nil)), seconds: 1000))
        let foreign = try TestCertificates.identity(other, "mallory", usage: .client)
        let serverOnly = try TestCertificates.identity(certificates.authority, "carol", usage: .server)
        for (identity, expected) in [(foreign, "anonymous"), (serverOnly, "anonymous"), (certificates.client, "alice/dev,ops")] {
            try await withServer(whoAmI, tls: try certificates.tls()) { (server: HTTPServer) async throws -> Void in
                let tls = HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM, identity: identity)
                let answer = try await makeClient(of: server, tls: tls).execute("GET", "/").body.collect(limit: 1000)
                #expect(String(decoding: answer, as: UTF8.self).hasPrefix(expected + " "))
            }
        }
        try await withServer(whoAmI, tls: try certificates.tls(verify: false)) { (server: HTTPServer) async throws -> Void in
            let good = HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM, identity: certificates.client)
            let answer = try await makeClient(of: server, tls: good).execute("GET", "/").body.collect(limit: 1000)
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix("alice/dev,ops "))
            let bad = HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM, identity: foreign)
            await #expect(throws: HTTPError.self) { _ = try await makeClient(of: server, tls: bad).execute("GET", "/") }
        }
    }

    /// Connects twice, the second time resuming the first session; prints whether it was resumed and whom the server saw.
    private static let resuming = """
        import ssl, sys, socket
        port, ca, cert, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
        c = ssl.create_default_context(cafile=ca)
        c.load_cert_chain(cert, key)
        session = None
        for _ in range(2):
            s = c.wrap_socket(socket.create_connection(('127.0.0.1', port)), server_hostname='localhost', session=session)
            s.sendall(b'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')
            d = b''
            while True:
                p = s.recv(4096)
                if not p: break
                d += p
            session = s.session
            print(s.session_reused, d.split(b'\\r\\n\\r\\n')[1].decode().split(' ')[0])
        """

    @Test("a resumed session is who it was: a known client stays known, a foreign certificate stays nothing")
    func resumption() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let other = try CertificateAuthority(commonName: "test-ca", validity: CertificateValidity(now: Int64(time(nil)), seconds: 1000))
        let foreign = try TestCertificates.identity(other, "mallory", usage: .client)
        let folder = certificates.folder
        try SecretFile.write("\(folder)/foreign.pem", Array(foreign.certificateChainPEM.utf8))
        try SecretFile.write("\(folder)/foreign.key", Array(foreign.privateKeyPEM.utf8))
        try await withServer(whoAmI, tls: try certificates.tls()) { (server: HTTPServer) async throws -> Void in
            for (name, expected) in [("client", "alice/dev,ops"), ("foreign", "anonymous")] {
                let result = try await run([
                    "python3", "-c", Self.resuming, "\(server.port)", "\(folder)/ca.pem", "\(folder)/\(name).pem", "\(folder)/\(name).key",
                ])
                #expect(result.output == "False \(expected)\nTrue \(expected)\n")
            }
        }
    }

    @Test("a server's certificates are replaced while it listens: known clients are cut off and judged anew, unusable ones change nothing")
    func renewal() async throws {
        let (old, new) = (try TestCertificates(), try TestCertificates())
        defer { for certificates in [old, new] { certificates.remove() } }
        let both = old.authority.certificatePEM + new.authority.certificatePEM
        try await withServer(whoAmI, tls: try old.tls()) { (server: HTTPServer) async throws -> Void in
            func who(_ client: HTTPClient) async throws -> String {
                let answer = try await client.execute("GET", "/").body.collect(limit: 1000)
                return String(String(decoding: answer, as: UTF8.self).prefix { $0 != " " })
            }
            let known = try makeClient(of: server, tls: HTTPClient.TLS(rootsPEM: both, identity: old.client))
            let unknown = try makeClient(of: server, tls: HTTPClient.TLS(rootsPEM: old.authority.certificatePEM))
            #expect(try await who(known) == "alice/dev,ops")
            #expect(try await who(unknown) == "anonymous")
            #expect(throws: HTTPError.self) { try server.renew(HTTPServer.TLS(identity: TLSIdentity(certificateChainPEM: "", privateKeyPEM: ""))) }
            #expect(try await who(known) == "alice/dev,ops")
            // Another identity, the same clients: nobody is cut off.
            let identity = try TestCertificates.identity(new.authority, "server", usage: .server)
            try server.renew(HTTPServer.TLS(identity: identity, clientCAPEM: both, verifyClientChain: try old.tls().verifyClientChain))
            #expect(try await who(unknown) == "anonymous")
            try server.renew(try new.tls())
            // The kept connection is gone; on a new one the old certificate is nothing, the new one somebody.
            try await eventually("the old client is nobody") { try await who(known) == "anonymous" }
            #expect(try await who(makeClient(of: server, tls: HTTPClient.TLS(rootsPEM: both, identity: new.client))) == "alice/dev,ops")
            // Who showed nothing keeps the connection that stands.
            #expect(try await who(unknown) == "anonymous")
            let strict = try makeClient(of: server, tls: HTTPClient.TLS(rootsPEM: old.authority.certificatePEM))
            await #expect(throws: HTTPError.self) { _ = try await strict.execute("GET", "/") }
        }
    }

    @Test("a server name chooses the identity")
    func serverNames() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let special = try TestCertificates.identity(certificates.authority, "special", usage: .server, dnsNames: ["a.example"], ipAddresses: [])
        let tls = try certificates.tls(names: { $0.hasSuffix(".example") ? special : nil })
        try await withServer(whoAmI, tls: tls) { (server: HTTPServer) async throws -> Void in
            let named = HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM, serverName: "a.example")
            let answer = try await makeClient(of: server, tls: named).execute("GET", "/").body.collect(limit: 1000)
            #expect(String(decoding: answer, as: UTF8.self).hasSuffix("sni=a.example"))
            let wrong = HTTPClient.TLS(rootsPEM: certificates.authority.certificatePEM, serverName: "b.example")
            await #expect(throws: HTTPError.self) { _ = try await makeClient(of: server, tls: wrong).execute("GET", "/") }
        }
    }

    @Test("a server of an unknown authority, or of another address, is refused by the client")
    func clientVerifies() async throws {
        let certificates = try TestCertificates()
        defer { certificates.remove() }
        let other = try CertificateAuthority(commonName: "other", validity: CertificateValidity(now: Int64(time(nil)), seconds: 1000))
        try await withServer(whoAmI, tls: try certificates.tls()) { (server: HTTPServer) async throws -> Void in
            do {
                _ = try await makeClient(of: server, tls: HTTPClient.TLS(rootsPEM: other.certificatePEM)).execute("GET", "/")
                Issue.record("an unknown authority was trusted")
            } catch HTTPError.tls(let text) {
                #expect(text.contains("127.0.0.1:\(server.port)"))
            }
        }
        #expect(throws: HTTPError.self) {
            _ = try HTTPClient(configuration: .init(address: .tcp(host: "a", port: 1), tls: HTTPClient.TLS(rootsPEM: "no PEM at all")))
        }
    }
}
