import Foundation
import Testing

@testable import HTTPTransport

private let echo = TestResponder(
    now: { head in
        switch head.path {
        case "/now": text(200, "\(head.method) \(head.query)")
        case "/close": HTTPResponse(status: 200, fields: ["Connection": "close"], body: .bytes(Array("bye".utf8)))
        case "/stream":
            HTTPResponse(
                status: 200,
                body: .stream { writer in
                    try await writer.write(Array("one".utf8))
                    try await writer.write(Array("two".utf8))
                })
        case "/short": HTTPResponse(status: 200, fields: ["Content-Length": "10"], body: .stream { try await $0.write([65]) })
        case "/inject": HTTPResponse(status: 200, fields: ["X-A": "b\r\nX-Evil: 1"])
        case "/big": HTTPResponse(status: 200, fields: ["Connection": "close"], body: .bytes([UInt8](repeating: 1, count: 16 << 20)))
        case "/empty": HTTPResponse(status: 204)
        default: nil
        }
    },
    later: { head, body in
        if head.path == "/unread" { return text(413, "too large") }
        do {
            return text(200, "\(head.method) \(head.path) " + String(decoding: try await body.collect(limit: 1 << 24), as: UTF8.self))
        } catch {
            return text(500, "\(error)")
        }
    })

@Suite("HTTP/1.1 server", .timeLimit(.minutes(1)))
struct HTTP1ServerTests {
    @Test("pipelined requests are answered in order on one connection")
    func pipelining() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let answer = try await exchange(
                server,
                "GET /now?1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                    + "GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /now?2 HTTP/1.1\r\nHost: a\r\n\r\nGET /close HTTP/1.1\r\nHost: a\r\n\r\n")
            let responses = answer.components(separatedBy: "HTTP/1.1 200 OK").dropFirst()
            let bodies = responses.map { $0.components(separatedBy: "\r\n\r\n").dropFirst().joined() }
            #expect(bodies == ["GET 1", "POST /p abc", "3\r\none\r\n3\r\ntwo\r\n0", "GET 2", "bye"])
        }
    }

    @Test("HEAD gets the head of GET, and 204 has no length")
    func head() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let answer = try await exchange(
                server,
                "HEAD /now?x HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"
                    + "GET /empty HTTP/1.1\r\nHost: a\r\n\r\nGET /close HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.components(separatedBy: "HTTP/1.1 ").count == 5)
            #expect(answer.contains("Content-Length: 6\r\n") && !answer.contains("HEAD x") && !answer.contains("one"))
            let empty = try #require(answer.components(separatedBy: "HTTP/1.1 204").last?.components(separatedBy: "\r\n\r\n").first)
            #expect(!empty.contains("Content-Length"))
        }
    }

    @Test("HTTP/1.0 clients get a body that ends with the connection")
    func http10() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let answer = try await exchange(server, "GET /stream HTTP/1.0\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nonetwo") && !answer.contains("chunked"))
        }
    }

    @Test("a client that closes its half after the request still gets the answer")
    func halfClosed() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let answer = try await exchange(server, "GET /now?z HTTP/1.1\r\nHost: a\r\n\r\n", finishWriting: true)
            #expect(answer.hasSuffix("GET z"))
        }
    }

    @Test("100 Continue is sent when the responder wants the body, and not when it answers without")
    func expectContinue() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let tunnel = try await makeClient(of: server).connect()
            try await tunnel.write(Array("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n".utf8))
            #expect(try await tunnel.read().map { String(decoding: $0, as: UTF8.self) } == "HTTP/1.1 100 Continue\r\n\r\n")
            try await tunnel.write(Array("ok".utf8))
            var got = ""
            while !got.hasSuffix("PUT /x ok"), let more = try await tunnel.read() { got += String(decoding: more, as: UTF8.self) }
            #expect(got.hasSuffix("PUT /x ok"))
            await tunnel.close()
            let refused = try await exchange(server, "PUT /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(refused.hasPrefix("HTTP/1.1 413") && refused.contains("Connection: close"))
        }
    }

    @Test("a small unread body is skipped and the connection kept; a large one ends it after the answer")
    func unreadBody() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let kept = try await exchange(
                server, "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /close HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(kept.contains("413") && kept.hasSuffix("bye"))
            let tunnel = try await makeClient(of: server).connect()
            try await tunnel.write(Array("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n".utf8))
            let answer = try #require(try await tunnel.read())
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 413"))
            await #expect(throws: (any Error).self) {
                for _ in 0..<1000 { try await tunnel.write([UInt8](repeating: 0, count: 100_000)) }
            }
            await tunnel.close()
        }
    }

    @Test("nonsense, missing Host and oversized heads are refused with a status and closed")
    func refusals() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            #expect(try await exchange(server, "nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400"))
            #expect(try await exchange(server, "GET / HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 400"))
            let huge = String(repeating: "a", count: 70_000)
            #expect(try await exchange(server, "GET / HTTP/1.1\r\nHost: a\r\nX-A: \(huge)\r\n\r\n").hasPrefix("HTTP/1.1 431"))
            #expect(try await exchange(server, "GET http://a/now?u HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").hasSuffix("GET u"))
        }
    }

    @Test("a field's value cannot add fields of its own")
    func injection() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let answer = try await exchange(server, "GET /inject HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("X-A: b  X-Evil: 1\r\n"))
        }
    }

    @Test("a body shorter than announced cuts the connection")
    func shortBody() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server)
            await #expect(throws: HTTPError.self) { try await client.execute("GET", "/short").body.collect(limit: 100) }
        }
    }

    @Test("a client that does not send its request in time, or nothing after one, is dropped")
    func timeouts() async throws {
        var limits = HTTPServer.Limits()
        limits.headerReadTimeout = .milliseconds(100)
        try await withServer(echo, limits: limits) { (server: HTTPServer) async throws -> Void in
            #expect(try await exchange(server, "") == "")
            #expect(try await exchange(server, "GET / HTT") == "")
        }
        limits = HTTPServer.Limits()
        limits.idleTimeout = .milliseconds(100)
        try await withServer(echo, limits: limits) { (server: HTTPServer) async throws -> Void in
            #expect(try await exchange(server, "GET /now?i HTTP/1.1\r\nHost: a\r\n\r\n").hasSuffix("GET i"))
        }
    }

    @Test("a client that stops taking its last response is cut off")
    func stalledClient() async throws {
        var limits = HTTPServer.Limits()
        limits.stallTimeout = .milliseconds(200)
        try await withServer(echo, limits: limits) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server)
            let stopped = try await client.execute("GET", "/big")
            try await eventually("the server has given up") { server.connections.count == 0 }
            await #expect(throws: HTTPError.connectionClosed) { _ = try await stopped.body.collect(limit: 16 << 20) }
        }
    }

    @Test("connections beyond the limit are closed, and there is room again when others end")
    func connectionLimit() async throws {
        var limits = HTTPServer.Limits()
        limits.maximumConnections = 2
        try await withServer(echo, limits: limits) { (server: HTTPServer) async throws -> Void in
            let client = try makeClient(of: server)
            let first = try await client.connect()
            let second = try await client.connect()
            try await eventually("both are accepted") { server.connections.count == 2 }
            let third = try await client.connect()
            do { #expect(try await third.read() == nil) } catch { #expect(error as? HTTPError == .connectionClosed) }
            await third.close()
            await first.close()
            await second.close()
            try await eventually("there is room again") {
                do { return try await client.execute("GET", "/now").status == 200 } catch { return false }
            }
        }
    }

    @Test("a taken port is named with its cause")
    func portInUse() async throws {
        try await withServer(echo) { (server: HTTPServer) async throws -> Void in
            let address = HTTPAddress.tcp(host: "127.0.0.1", port: server.port)
            #expect(server.boundAddress == address.description)
            await #expect(
                throws: HTTPError.connectFailed(
                    "cannot listen on \(address): address already in use: another process listens there; stop it or choose another address")
            ) {
                _ = try await HTTPServer.start(HTTPServer.Configuration(address: address), responder: echo)
            }
        }
    }

    @Test("a unix socket serves its owner only, replaces a dead one and spares a living one")
    func unixSocket() async throws {
        let path = NSTemporaryDirectory() + "eyrie-\(UInt32.random(in: 0 ... .max)).sock"
        let server = try await HTTPServer.start(HTTPServer.Configuration(address: .unix(path: path)), responder: echo)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let client = try HTTPClient(configuration: HTTPClient.Configuration(address: .unix(path: path)))
        #expect(try await client.execute("GET", "/now?s").body.collect(limit: 100) == Array("GET s".utf8))
        await #expect(throws: HTTPError.self) {
            _ = try await HTTPServer.start(HTTPServer.Configuration(address: .unix(path: path)), responder: echo)
        }
        await server.stop(grace: .zero)
        #expect(!FileManager.default.fileExists(atPath: path))
        _ = try await run(["python3", "-c", "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])", path])
        let second = try await HTTPServer.start(HTTPServer.Configuration(address: .unix(path: path)), responder: echo)
        #expect(try await client.execute("GET", "/now?s").status == 200)
        await second.stop(grace: .zero)
    }

    @Test("stop lets a request in flight finish, and refuses new connections")
    func gracefulStop() async throws {
        let log = Log()
        let slow = TestResponder(later: { _, _ in
            log.add("started")
            await log.wait(for: "finish")
            return text(200, "done")
        })
        let server = try await HTTPServer.start(HTTPServer.Configuration(address: .tcp(host: "127.0.0.1", port: 0)), responder: slow)
        let client = try makeClient(of: server)
        async let answer = client.execute("GET", "/").body.collect(limit: 100)
        try await eventually("the request arrived") { log.all == ["started"] }
        async let stopped: Void = server.stop(grace: .seconds(30))
        try await eventually("new connections are refused") {
            do {
                let tunnel = try await client.connect()
                await tunnel.close()
                return false
            } catch { return true }
        }
        log.add("finish")
        #expect(try await answer == Array("done".utf8))
        await stopped
    }

    @Test("stop cuts what is still running after the grace period, and cancels its responder")
    func stopAfterGrace() async throws {
        let log = Log()
        let endless = TestResponder(later: { _, _ in
            HTTPResponse(
                status: 200,
                body: .stream { writer in
                    do {
                        while true {
                            try await writer.write(Array("tick".utf8))
                            try await Task.sleep(for: .milliseconds(5))
                        }
                    } catch {
                        log.add("ended")
                        throw error
                    }
                })
        })
        let server = try await HTTPServer.start(HTTPServer.Configuration(address: .tcp(host: "127.0.0.1", port: 0)), responder: endless)
        let response = try await makeClient(of: server).execute("GET", "/")
        await server.stop(grace: .milliseconds(20))
        await #expect(throws: HTTPError.self) { for try await _ in response.body {} }
        try await eventually("the responder ended") { log.all == ["ended"] }
    }
}
