import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Large lists", .timeLimit(.minutes(1)))
struct StreamedListTests {
    @Test("a large list streams, plain or compressed, and is the same as a list that is sent whole")
    func same() async throws {
        let test = try await TestServer()
        for number in 0..<40 {
            let text = String((0..<30_000).map { _ in Character(UnicodeScalar(UInt8.random(in: 97...122))) })
            try await test.create("configmaps", configMap("n\(number)", ["data": text]))
        }
        let target = "/api/v1/namespaces/default/configmaps"
        let response = await test.server.respond(to: TestServer.head("GET", target, [:]), body: .empty)
        guard case .stream = response.body else {
            Issue.record("the list does not stream")
            return
        }
        let plain = await test.http("GET", target)
        let whole = try await test.list("configmaps")
        #expect(plain.status == 200 && plain.fields["Content-Encoding"] == nil && plain.fields["Content-Type"] == "application/json")
        #expect(plain.body == whole.bytes)
        let compressed = await test.http("GET", target, ["Accept-Encoding": "deflate, gzip"])
        #expect(compressed.fields["Content-Encoding"] == "gzip" && compressed.fields["Vary"] == "Accept-Encoding")
        #expect(compressed.body.count < plain.body.count)
        #expect(Gzip.decompress(compressed.body, limit: plain.body.count) == plain.body)
        // What is made of the whole is sent whole.
        let table = await test.http("GET", target, ["Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"])
        #expect(table.json?["rows"].elements.count == 40)
        let page = await test.http("GET", target + "?limit=2")
        #expect(page.json?["items"].elements.count == 2)
    }
}
