import Certificates
import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

/// What a kubelet is to the API server: logs, an exec that echoes, refusals, redirects.
private struct FakeKubelet: HTTPResponder {
    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard !head.connection.peerCertificates.isEmpty else { return HTTPResponse(status: 401, body: .bytes(Array("Unauthorized".utf8))) }
        switch head.path {
        case "/containerLogs/default/p/main":
            return HTTPResponse(
                status: 200,
                body: .stream { writer in
                    try await writer.write(Array("\(head.query)\n".utf8))
                    try await writer.write(Array("two\n".utf8))
                })
        case "/exec/default/p/main":
            if head.fields["X-Refuse"] != nil || head.query.contains("refuse") {
                return HTTPResponse(status: 403, body: .bytes(Array("unable to upgrade: Forbidden".utf8)))
            }
            if head.query.contains("redirect") { return HTTPResponse(status: 302, fields: ["Location": "https://127.0.0.1:1/"], body: .bytes([])) }
            // Neither credentials nor impersonation may reach a kubelet.
            guard head.fields["Authorization"] == nil else { return HTTPResponse(status: 500) }
            return HTTPResponse(
                status: 101,
                fields: ["Connection": "Upgrade", "Upgrade": head.fields["Upgrade"] ?? "", "X-Stream-Protocol-Version": "v4.channel.k8s.io"],
                body: .upgrade { tunnel in
                    do {
                        while let bytes = try await tunnel.read() { try await tunnel.write(bytes) }
                    } catch {
                        // The client has gone: nothing is left to echo.
                    }
                    await tunnel.finishWriting()
                })
        default: return HTTPResponse(status: 404, body: .bytes(Array("no such pod".utf8)))
        }
    }
}

/// Lets `reader` get, and everyone else do everything.
private struct ReaderOnlyGets: Authorizer {
    func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        attributes.user.name != "reader" || attributes.verb == "get" ? .allow(reason: "") : .noOpinion(reason: "")
    }
}

@Suite("Streaming through to the kubelet")
struct StreamingTests {
    private static func withKubelet(_ body: (TestServer) async throws -> Void) async throws {
        let now = Timestamp.now.seconds
        let authority = try CertificateAuthority(commonName: "ca", validity: CertificateValidity(now: now, seconds: 3600))
        func identity(_ name: String, _ usage: LeafRequest.Usage) throws -> TLSIdentity {
            let leaf = try authority.issue(
                LeafRequest(
                    commonName: name, dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], usage: usage,
                    validity: CertificateValidity(now: now, seconds: 3600)))
            return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
        }
        let kubelet = try await HTTPServer.start(
            .init(
                address: .tcp(host: "127.0.0.1", port: 0), tls: .init(identity: try identity("node", .server), clientCAPEM: authority.certificatePEM)),
            responder: FakeKubelet())
        let test = try await TestServer(
            authorizers: [ReaderOnlyGets()],
            kubelets: KubeletClientConfiguration(identity: try identity("apiserver", .client), rootsPEM: authority.certificatePEM)
        ) { $0.proxyAddresses = ProxyAddressPolicy(allowsLoopback: true) }
        let node: Value = ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n1"]]
        try await test.create("nodes", node, namespace: nil)
        let status: Value = [
            "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
            "daemonEndpoints": ["kubeletEndpoint": ["Port": .int(Int64(kubelet.port))]],
        ]
        try await test.patch("nodes", "n1", ["status": status], namespace: nil, subresource: "status")
        try await test.create("pods", pod("p", node: "n1"))
        do {
            try await body(test)
        } catch {
            await test.server.stop()
            await kubelet.stop(grace: .zero)
            throw error
        }
        await test.server.stop()
        await kubelet.stop(grace: .zero)
    }

    @Test("logs are the kubelet's, with the options that were asked for")
    func logs() async throws {
        try await Self.withKubelet { test in
            let answer = await test.http("GET", "/api/v1/namespaces/default/pods/p/log?follow=true&tailLines=5&pretty=1")
            #expect(answer.status == 200)
            #expect(answer.text == "follow=true&tailLines=5\ntwo\n")
            let invalid = await test.http("GET", "/api/v1/namespaces/default/pods/p/log?tailLines=-1")
            #expect(invalid.status == 422)
        }
    }

    @Test("an exec is joined to the kubelet's, both ways")
    func exec() async throws {
        try await Self.withKubelet { test in
            let front = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: test.server)
            let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: front.port)))
            let fields: HTTPFields = [
                "Authorization": "Test admin", "Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io",
            ]
            let path = "/api/v1/namespaces/default/pods/p/exec?command=cat&stdin=true&stdout=true"
            let (answered, tunnel) = try await client.upgrade("POST", path, fields: fields)
            #expect(answered["Upgrade"] == "SPDY/3.1")
            #expect(answered["X-Stream-Protocol-Version"] == "v4.channel.k8s.io")
            try await tunnel.write(Array("hello".utf8))
            var got: [UInt8] = []
            while got.count < 5, let more = try await tunnel.read() { got += more }
            #expect(String(decoding: got, as: UTF8.self) == "hello")
            await tunnel.close()

            await #expect(throws: HTTPError.upgradeRefused(status: 403, body: Array("unable to upgrade: Forbidden".utf8))) {
                _ = try await client.upgrade("POST", path + "&command=refuse", fields: fields)
            }
            let redirected = await failedUpgrade(client, path + "&command=redirect", fields)
            #expect(redirected == 500)
            await client.close()
            await front.stop(grace: .zero)
        }
    }

    private func failedUpgrade(_ client: HTTPClient, _ path: String, _ fields: HTTPFields, method: String = "POST") async -> Int? {
        do {
            _ = try await client.upgrade(method, path, fields: fields)
            return nil
        } catch HTTPError.upgradeRefused(let status, _) { return status } catch { return -1 }
    }

    @Test("nodes/proxy asks the kubelet; an upgrade, which may run commands, takes the right to create whatever its method")
    func nodeProxy() async throws {
        try await Self.withKubelet { test in
            let answer = await test.http("GET", "/api/v1/nodes/n1/proxy/containerLogs/default/p/main?tailLines=1", ["Authorization": "Test reader"])
            #expect(answer.text == "tailLines=1\ntwo\n")
            #expect(await test.http("GET", "/api/v1/nodes/n1/proxy/none").status == 404)

            let front = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: test.server)
            let client = try HTTPClient(configuration: .init(address: .tcp(host: "127.0.0.1", port: front.port)))
            let path = "/api/v1/nodes/n1/proxy/exec/default/p/main?command=cat"
            var fields: HTTPFields = ["Authorization": "Test admin", "Connection": "Upgrade", "Upgrade": "SPDY/3.1"]
            let (_, tunnel) = try await client.upgrade("GET", path, fields: fields)
            try await tunnel.write(Array("hello".utf8))
            var got: [UInt8] = []
            while got.count < 5, let more = try await tunnel.read() { got += more }
            #expect(String(decoding: got, as: UTF8.self) == "hello")
            await tunnel.close()
            fields["Authorization"] = "Test reader"
            #expect(await failedUpgrade(client, path, fields, method: "GET") == 403)
            await client.close()
            await front.stop(grace: .zero)
        }
    }
}
