import Glibc
import HTTPTransport
import KubeAPI
import Testing

@testable import KubeClient

/// An API server's answers, as far as these tests ask.
private struct Answers: HTTPResponder {
    let journal: Journal

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        journal.add("\(head.method) \(head.target) \(head.fields["Authorization"] ?? "-")")
        switch String(head.path) {
        case "/api/v1/namespaces/default/pods/web":
            return HTTPResponse(status: 200, body: .bytes(Array(#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"}}"#.utf8)))
        case "/api/v1/pods":
            // Cut in the middle of lines, and of a character.
            let text =
                Array(#"{"type":"ADDED","object":{"metadata":{"name":"é"}}}"#.utf8) + [10] + Array(#"{"type":"BOOKMARK","object":{}}"#.utf8) + [10]
            return HTTPResponse(
                status: 200,
                body: .stream { writer in
                    for start in stride(from: 0, to: text.count, by: 43) { try await writer.write(Array(text[start..<min(text.count, start + 43)])) }
                })
        case "/api/v1/nodes":
            return HTTPResponse(
                status: 200,
                body: .stream { writer in
                    try await writer.write(Array("{\"type\":\"ADDED\",\"object\":{}}\n".utf8))
                    do {
                        while true { try await Task.sleep(for: .seconds(3600)) }
                    } catch {
                        journal.add("the watch was closed")
                    }
                })
        case "/api/v1/namespaces/default/pods/busy":
            // Twice too busy, then there; the wait is told in a header and the answer is no Status.
            guard journal.lines.filter({ $0.contains("/pods/busy") }).count > 2 else {
                return HTTPResponse(status: 429, fields: ["Retry-After": "0"], body: .bytes(Array("Too many requests\n".utf8)))
            }
            return HTTPResponse(status: 200, body: .bytes(Array(#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"busy"}}"#.utf8)))
        case "/api/v1/namespaces/default/pods/broken": return HTTPResponse(status: 503, body: .bytes([]))
        case "/api/v1/events":
            return HTTPResponse(status: 410, body: .bytes(StatusError.expired("too old resource version: 1 (5)").value.jsonBytes))
        default:
            return HTTPResponse(status: 404, body: .bytes(StatusError.notFound(GroupResource(group: "", resource: "pods"), "none").value.jsonBytes))
        }
    }
}

struct NetworkTransportTests {
    private func withServer(_ body: (NetworkTransport, Journal) async throws -> Void) async throws {
        let journal = Journal()
        let path = "/tmp/eyrie-client-\(getpid())-\(UInt64.random(in: 0 ... .max)).sock"
        let configuration = HTTPServer.Configuration(address: .unix(path: path))
        let server = try await HTTPServer.start(configuration, responder: Answers(journal: journal))
        let tokens = Counter()
        let transport = try NetworkTransport(
            NetworkTransport.Configuration(
                address: .unix(path: path), credentials: .bearerToken { "token-\(tokens.change(0, by: 1))" }, usesTLS: false))
        do { try await body(transport, journal) } catch { Issue.record(error) }
        await transport.close()
        await server.stop(grace: .zero)
    }

    @Test("an object is read, a Status becomes its error, and the token is asked for anew for each request")
    func requests() async throws {
        try await withServer { transport, journal in
            let client = KubeClient(transport: transport)
            let pod = try await client.get(.pods, namespace: "default", name: "web")
            #expect(pod.metadata.name == "web")
            let error = await #expect(throws: StatusError.self) { try await client.get(.pods, namespace: "default", name: "none") }
            #expect(error?.isNotFound == true)
            #expect(
                journal.lines == [
                    "GET /api/v1/namespaces/default/pods/web Bearer token-1", "GET /api/v1/namespaces/default/pods/none Bearer token-2",
                ])
        }
    }

    @Test("a server that asks to come back is asked again; one that only fails is not")
    func retries() async throws {
        try await withServer { transport, journal in
            let client = KubeClient(transport: transport)
            let pod = try await client.get(.pods, namespace: "default", name: "busy")
            #expect(pod.metadata.name == "busy")
            #expect(journal.lines.count == 3)
            let error = await #expect(throws: StatusError.self) { try await client.get(.pods, namespace: "default", name: "broken") }
            #expect(error?.code == 503)
            #expect(journal.lines.count == 4)
        }
    }

    @Test("a watch gives its events however they are cut, and ends with the stream; a refusal is thrown")
    func watches() async throws {
        try await withServer { transport, _ in
            let client = KubeClient(transport: transport)
            var events: [String] = []
            for try await event in try await client.watch(.pods) { events.append("\(event.kind.rawValue) \(event.object.metadata.name)") }
            #expect(events == ["ADDED é", "BOOKMARK "])
            let error = await #expect(throws: StatusError.self) { _ = try await client.watch(.events) }
            #expect(error?.isExpired == true)
        }
    }

    @Test("a watcher that is cancelled closes its watch at the server")
    func cancellation() async throws {
        try await withServer { transport, journal in
            let client = KubeClient(transport: transport)
            let watching = Task {
                for try await _ in try await client.watch(.nodes) { journal.add("event") }
            }
            _ = await journal.wait(for: 2)
            watching.cancel()
            #expect(await journal.wait(for: 3).last == "the watch was closed")
            _ = await watching.result
        }
    }
}
