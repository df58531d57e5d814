import Certificates
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import KubeAPIServer

/// A site as pods have them: an echo, a page with links, redirects, an upgrade.
private struct Site: HTTPResponder {
    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        if head.path == "/count" {
            var count = 0
            do { for try await piece in body { count += piece.count } } catch { return HTTPResponse(status: 500) }
            return HTTPResponse(status: 200, body: .bytes(Array("\(count)".utf8)))
        }
        let bytes = (try? await body.collect(limit: 1 << 20)) ?? []
        switch head.path {
        case "/page":
            return HTTPResponse(
                status: 200, fields: ["Content-Type": "text/html; charset=utf-8", "Access-Control-Allow-Origin": "*"],
                body: .bytes(
                    Array("<a href=\"/rewriteme\">test</a> <img src='/i.png'/><a href=\"rel\">r</a><script>\"</a href='/x'>\"</script>".utf8)))
        case "/here": return HTTPResponse(status: 302, fields: ["Location": "/there?x=1"])
        case "/away": return HTTPResponse(status: 302, fields: ["Location": "https://elsewhere.example.com/x"])
        case "/refuse": return HTTPResponse(status: 403, body: .bytes(Array("no".utf8)))
        case "/up":
            return HTTPResponse(
                status: 101, fields: ["Connection": "Upgrade", "Upgrade": head.fields["Upgrade"] ?? ""],
                body: .upgrade { tunnel in
                    do { while let piece = try await tunnel.read() { try await tunnel.write(piece) } } catch {
                        // The client has gone.
                    }
                    await tunnel.finishWriting()
                })
        default:
            let fields = head.fields.fields.map { "\($0.name.lowercased())=\($0.value)" }.sorted().joined(separator: "\n")
            return HTTPResponse(
                status: 200, fields: ["Content-Type": "text/plain", "X-Site": "yes", "Keep-Alive": "timeout=5"],
                body: .bytes(Array("\(head.method) \(head.target)\n\(fields)\n\n".utf8) + bytes))
        }
    }
}

@Suite("The proxy subresources")
struct ProxyTests {
    /// A server on loopback, with the pod `p` whose containers declare the site's port, and the service `s` over it.
    private static func withSite(
        tls: HTTPServer.TLS? = nil, policy: ProxyAddressPolicy = ProxyAddressPolicy(allowsLoopback: true), podIP: String = "127.0.0.1",
        _ body: (TestServer, Int) async throws -> Void
    ) async throws {
        let site = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0), tls: tls), responder: Site())
        let test = try await TestServer { $0.proxyAddresses = policy }
        let port = Value.int(Int64(site.port))
        var pod = pod("p")
        pod[path: "spec", "containers"] = [["name": "main", "image": "x", "ports": [["containerPort": port]]]]
        try await test.create("pods", pod)
        try await test.patch("pods", "p", ["status": ["podIP": .string(podIP), "podIPs": [["ip": .string(podIP)]]]], subresource: "status")
        try await test.create(
            "services",
            ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"], "spec": ["ports": [["name": "web", "port": 80]]]])
        let target: Value = ["kind": "Pod", "namespace": "default", "name": "p"]
        let slice: Value = [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": ["name": "s-1", "labels": ["kubernetes.io/service-name": "s"]], "ports": [["name": "web", "port": port]],
            "endpoints": [
                ["addresses": [.string(podIP)], "conditions": ["ready": true], "targetRef": target],
                // Nobody's address: never gone to.
                ["addresses": ["127.0.0.77"], "conditions": ["ready": true]],
            ],
        ]
        try await test.create("discovery.k8s.io/v1/endpointslices", slice)
        do { try await body(test, site.port) } catch {
            await test.server.stop()
            await site.stop(grace: .zero)
            throw error
        }
        await test.server.stop()
        await site.stop(grace: .zero)
    }

    private static let podPath = "/api/v1/namespaces/default/pods"
    private static let servicePath = "/api/v1/namespaces/default/services"

    @Test("every method, the path as it was sent, the query and the body reach the pod")
    func methods() async throws {
        try await Self.withSite { test, port in
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                for path in ["\(Self.podPath)/p/proxy", "\(Self.podPath)/http:p:\(port)/proxy", "\(Self.servicePath)/s:web/proxy"] {
                    let body = ["POST", "PUT", "PATCH"].contains(method) ? "some text" : ""
                    let answer = await test.http(method, "\(path)/a%20b/c%25/?q=1&r=%2F", ["Accept": "text/html"], body: body)
                    #expect(answer.status == 200)
                    #expect(answer.text.hasPrefix("\(method) /a%20b/c%25/?q=1&r=%2F\n"))
                    #expect(answer.text.hasSuffix("\n\n\(body)"))
                }
            }
            let head = await test.http("HEAD", "\(Self.podPath)/p/proxy/x")
            #expect(head.status == 200 && head.fields["X-Site"] == "yes")
        }
    }

    @Test("bodies larger than any object pass as they come")
    func largeBodies() async throws {
        try await Self.withSite { test, _ in
            let front = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: test.server)
            let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: front.port)))
            let fields: HTTPFields = ["Authorization": "Test admin,system:masters"]
            for isChunked in [false, true] {
                let left = Mutex(160)
                let body = HTTPBodyStream {
                    let isMore = left.withLock { left in
                        left -= 1
                        return left >= 0
                    }
                    return isMore ? [UInt8](repeating: 7, count: 1 << 16) : nil
                }
                var all = fields
                if !isChunked { all["Content-Length"] = "\(160 << 16)" }
                let response = try await client.execute("POST", "\(Self.podPath)/p/proxy/count", fields: all, stream: body)
                let answer = String(decoding: try await response.body.collect(limit: 1 << 20), as: UTF8.self)
                #expect(response.status == 200 && answer == "\(160 << 16)", "\(answer)")
            }
            await client.close()
            await front.stop(grace: .zero)
        }
    }

    @Test("credentials, impersonation and hop-by-hop fields stay behind; the backend is told where the request came from")
    func fields() async throws {
        try await Self.withSite { test, _ in
            let fields: HTTPFields = [
                "Authorization": "Test admin,system:masters", "X-Remote-User": "root", "Connection": "keep-alive, x-secret", "X-Secret": "1",
                "Proxy-Authorization": "b", "Cookie": "c=1", "X-Forwarded-Host": "spoofed", "Te": "trailers",
            ]
            let answer = await test.http("GET", "\(Self.podPath)/p/proxy/x", fields)
            for name in ["authorization", "x-remote-user", "x-secret", "proxy-authorization", "te", "connection"] {
                #expect(!answer.text.contains("\n\(name)="), "\(name)")
            }
            #expect(answer.text.contains("\ncookie=c=1\n"))
            #expect(answer.text.contains("\nx-forwarded-host=localhost\n") && answer.text.contains("\nx-forwarded-for=127.0.0.1\n"))
            #expect(answer.text.contains("\nx-forwarded-uri=\(Self.podPath)/p/proxy/x\n"))
            #expect(answer.fields["Keep-Alive"] == nil)
        }
    }

    @Test("a path without a slash after proxy is sent to the one with")
    func slash() async throws {
        try await Self.withSite { test, _ in
            let answer = await test.http("GET", "\(Self.podPath)/p/proxy?method=GET")
            #expect(answer.status == 301 && answer.fields["Location"] == "\(Self.podPath)/p/proxy/?method=GET")
            #expect(await test.http("DELETE", "\(Self.podPath)/p/proxy?method=DELETE").status == 200, "only what is read has links")
        }
    }

    @Test("links of pages and redirects lead through the proxy; redirects are not followed")
    func rewriting() async throws {
        try await Self.withSite { test, _ in
            let page = await test.http("GET", "\(Self.servicePath)/s:80/proxy/page")
            let base = "\(Self.servicePath)/s:80/proxy"
            #expect(
                page.text == "<a href=\"\(base)/rewriteme\">test</a> <img src='\(base)/i.png'/><a href=\"rel\">r</a>"
                    + "<script>\"</a href='/x'>\"</script>")
            #expect(page.fields["Access-Control-Allow-Origin"] == nil)
            let here = await test.http("GET", "\(base)/here")
            #expect(here.status == 302 && here.fields["Location"] == "\(base)/there?x=1")
            let away = await test.http("GET", "\(base)/away")
            #expect(away.status == 302 && away.fields["Location"] == "https://elsewhere.example.com/x")
        }
    }

    @Test("an upgrade joins the connections")
    func upgrade() async throws {
        try await Self.withSite { test, _ in
            let front = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: test.server)
            let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: front.port)))
            let fields: HTTPFields = ["Authorization": "Test admin", "Connection": "Upgrade", "Upgrade": "websocket"]
            let (answered, tunnel) = try await client.upgrade("GET", "\(Self.podPath)/p/proxy/up", fields: fields)
            #expect(answered["Upgrade"] == "websocket")
            try await tunnel.write(Array("ping".utf8))
            var got: [UInt8] = []
            while got.count < 4, let more = try await tunnel.read() { got += more }
            #expect(String(decoding: got, as: UTF8.self) == "ping")
            await tunnel.close()
            await client.close()
            await front.stop(grace: .zero)
        }
    }

    @Test("after a refused upgrade nothing more of the client's reaches the backend (CVE-2018-1002105)")
    func failedUpgrade() async throws {
        try await Self.withSite { test, _ in
            let front = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: test.server)
            let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: front.port)))
            let tunnel = try await client.connect()
            let smuggled =
                "GET \(Self.podPath)/p/proxy/refuse HTTP/1.1\r\nHost: x\r\nAuthorization: Test admin\r\nConnection: Upgrade\r\n"
                + "Upgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
            try await tunnel.write(Array(smuggled.utf8))
            var got: [UInt8] = []
            while let more = try await tunnel.read() {
                got += more
                // The second request is the API server's to answer: it has no credentials.
                if String(decoding: got, as: UTF8.self).contains("HTTP/1.1 40", after: "HTTP/1.1 403") { break }
            }
            let text = String(decoding: got, as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.1 403") && !text.contains("GET /smuggled\n"))
            await tunnel.close()
            await client.close()
            await front.stop(grace: .zero)
        }
    }

    @Test("addresses of the host and of the control plane are not gone to (CVE-2020-8555, CVE-2020-8562, CVE-2022-3294)")
    func addresses() async throws {
        for address in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "224.0.0.1", "::ffff:127.0.0.1", "10.0.0.9"] {
            try await Self.withSite(policy: ProxyAddressPolicy(refused: ["10.0.0.9"]), podIP: address) { test, port in
                let pod = await test.http("GET", "\(Self.podPath)/p/proxy/")
                #expect(pod.status == 400 && pod.json["message"].string == "address not allowed", "\(address)")
                let service = await test.http("GET", "\(Self.servicePath)/s:web/proxy/")
                #expect(service.status == 503, "\(address)")
                #expect(service.json["message"].string == "no endpoints available for service \"s:web\"")
                try await test.create("nodes", ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n"]], namespace: nil)
                let status: Value = ["addresses": [["type": "InternalIP", "address": .string(address)]]]
                try await test.patch("nodes", "n", ["status": status], namespace: nil, subresource: "status")
                let node = await test.http("GET", "/api/v1/nodes/n:\(port)/proxy/")
                #expect([400, 501, 503].contains(node.status), "\(address)")
            }
        }
    }

    @Test("names are read as scheme, name and port; what is missing is told in upstream's words")
    func names() async throws {
        #expect(ProxyName("a")?.port == "" && ProxyName("https:a:")?.scheme == "https" && ProxyName("a:b")?.port == "b")
        #expect(ProxyName("ftp:a:1") == nil && ProxyName("a:b:c:d") == nil && ProxyName(":1") == nil)
        try await Self.withSite { test, _ in
            let cases = [
                ("\(Self.podPath)/ftp:p:1/proxy/", 400, "invalid pod request \"ftp:p:1\""),
                ("\(Self.podPath)/q/proxy/", 404, "pods \"q\" not found"),
                ("\(Self.podPath)/p:1/proxy/", 503, "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused"),
                ("\(Self.servicePath)/s:81/proxy/", 503, "no service port 81 found for service \"s\""),
                ("\(Self.servicePath)/s:other/proxy/", 503, "no endpoints available for service \"s:other\""),
                ("\(Self.servicePath)/t/proxy/", 404, "endpoints \"t\" not found"),
            ]
            for (path, code, message) in cases {
                let answer = await test.http("GET", path)
                #expect(answer.status == code && answer.json["message"].string == message, "\(path)")
            }
        }
    }

    @Test("https: speaks TLS to whatever certificate the pod has")
    func tls() async throws {
        let validity = CertificateValidity(now: Timestamp.now.seconds, seconds: 3600)
        let authority = try CertificateAuthority(commonName: "own", validity: validity)
        let leaf = try authority.issue(LeafRequest(commonName: "pod", dnsNames: ["pod.example.com"], usage: .server, validity: validity))
        let identity = TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
        try await Self.withSite(tls: .init(identity: identity)) { test, port in
            #expect(await test.http("GET", "\(Self.podPath)/https:p:/proxy/x").text.hasPrefix("GET /x\n"))
            #expect(await test.http("GET", "\(Self.servicePath)/https:s:web/proxy/x").text.hasPrefix("GET /x\n"))
        }
    }

    @Test("a page is rewritten alike in whatever pieces it comes")
    func pieces() {
        let page = "<!-- <a href=\"/no\"> --><p>1 < 2</p><A HREF=\"/one\" class=x>é</A><link rel=icon href=/two><form action='/three'></form>"
        let expected =
            "<!-- <a href=\"/no\"> --><p>1 < 2</p><A HREF=\"/P/one\" class=x>é</A><link rel=icon href=/P/two><form action='/P/three'></form>"
        let bytes = Array(page.utf8)
        for size in 1...bytes.count {
            var rewriter = HTMLRewriter { $0.hasPrefix("/") ? "/P\($0)" : nil }
            var out: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: size) { out += rewriter.feed(Array(bytes[start..<min(start + size, bytes.count)])) }
            out += rewriter.finish()
            #expect(String(decoding: out, as: UTF8.self) == expected, "pieces of \(size)")
        }
    }
}

extension String {
    /// Whether `text` stands behind the first `mark`.
    fileprivate func contains(_ text: String, after mark: String) -> Bool {
        guard let place = firstRange(of: mark) else { return false }
        return self[place.upperBound...].contains(text)
    }
}
