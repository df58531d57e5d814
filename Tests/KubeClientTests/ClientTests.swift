import HTTPTransport
import KubeAPI
import Testing

@testable import KubeClient

struct ClientTests {
    @Test("lines are the same however the stream is cut into pieces", arguments: [1, 2, 3, 7, 1000])
    func framing(size: Int) throws {
        let text = Array("{\"a\":1}\n{\"b\":2}\r\n\n{\"c\":\"é\"}\n{\"unfinished\"".utf8)
        var framer = LineFramer(limit: 64)
        var lines: [String] = []
        var start = 0
        while start < text.count {
            let end = min(text.count, start + size)
            lines += try framer.add(Array(text[start..<end])).map { String(decoding: $0, as: UTF8.self) }
            start = end
        }
        #expect(lines == ["{\"a\":1}", "{\"b\":2}\r", "{\"c\":\"é\"}"])
    }

    @Test("a line longer than the limit is refused, whether it ends or not")
    func longLine() throws {
        var framer = LineFramer(limit: 10)
        #expect(throws: HTTPError.bodyTooLarge(limit: 10)) { try framer.add(Array(String(repeating: "x", count: 11).utf8)) }
        framer = LineFramer(limit: 10)
        _ = try framer.add(Array("123456".utf8))
        #expect(throws: HTTPError.bodyTooLarge(limit: 10)) { try framer.add(Array("12345\n".utf8)) }
    }

    @Test("path and query are percent-encoded")
    func target() {
        let request = KubeRequest(
            .list, .deployments, namespace: "default", query: [("labelSelector", "app in (a,b),x=y"), ("continue", "a+/=é")])
        #expect(
            NetworkTransport.target(request)
                == "/apis/apps/v1/namespaces/default/deployments?labelSelector=app%20in%20%28a%2Cb%29%2Cx%3Dy&continue=a%2B%2F%3D%C3%A9")
        #expect(
            NetworkTransport.target(KubeRequest(.get, .clusterRoles, name: "system:node/x?y"))
                == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node/x%3Fy")
    }

    @Test("a refusal is the Status of the body, or one made of the code")
    func refusals() {
        let status = StatusError.notFound(GroupResource(group: "", resource: "pods"), "web")
        #expect(NetworkTransport.refusal(status: 404, body: status.value.jsonBytes) == status)
        let other = NetworkTransport.refusal(status: 503, body: Array("overloaded".utf8))
        #expect(other.code == 503 && other.reason == "ServiceUnavailable" && other.message == "overloaded")
    }

    @Test("requests have the verbs, paths, bodies and media types of the API")
    func requests() async throws {
        let server = FakeServer()
        let client = KubeClient(transport: server, fieldManager: "test")
        try await client.create(.configMaps, ["metadata": ["name": "a", "namespace": "ns"]])
        try await client.create(.pods, namespace: "ns", ["target": ["name": "n1"]], name: "p", subresource: "binding")
        try await client.updateStatus(.nodes, ["metadata": ["name": "n1"]])
        try await client.patch(.deployments, namespace: "ns", name: "d", type: .strategicMerge, ["spec": ["replicas": 2]], subresource: "scale")
        try await client.delete(
            .pods, namespace: "ns", name: "p",
            options: DeleteOptions(gracePeriodSeconds: 0, propagationPolicy: .background, preconditionUID: "u"))
        try await client.deleteCollection(.pods, namespace: "ns", selecting: ListOptions(labelSelector: "a=b"))
        let requests = server.requests
        #expect(
            requests.map { "\($0.method) \(NetworkTransport.target($0))" } == [
                "POST /api/v1/namespaces/ns/configmaps?fieldManager=test",
                "POST /api/v1/namespaces/ns/pods/p/binding?fieldManager=test",
                "PUT /api/v1/nodes/n1/status?fieldManager=test",
                "PATCH /apis/apps/v1/namespaces/ns/deployments/d/scale?fieldManager=test",
                "DELETE /api/v1/namespaces/ns/pods/p",
                "DELETE /api/v1/namespaces/ns/pods?labelSelector=a%3Db",
            ])
        #expect(requests[3].contentType == "application/strategic-merge-patch+json")
        let options = try Value(json: try #require(requests[4].body))
        #expect(
            options == [
                "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Background",
                "preconditions": ["uid": "u"],
            ])
    }
}
