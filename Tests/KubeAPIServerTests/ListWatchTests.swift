import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Listing and watching")
struct ListWatchTests {
    @Test("a list in pages shows the revision of its first page, whatever happens meanwhile")
    func paging() async throws {
        let test = try await TestServer()
        for number in 0..<10 { try await test.create("configmaps", configMap("c\(number)")) }
        let first = try await test.list("configmaps", query: [("limit", "4")])
        #expect(first["items"].elements.count == 4)
        #expect(first["metadata"]["remainingItemCount"].int == 6)
        try await test.delete("configmaps", "c7")
        try await test.create("configmaps", configMap("c55"))
        let token = try #require(first["metadata"]["continue"].string)
        let second = try await test.list("configmaps", query: [("limit", "4"), ("continue", token)])
        #expect(second["items"].elements.compactMap { $0["metadata"]["name"].string } == ["c4", "c5", "c6", "c7"])
        #expect(second["metadata"]["resourceVersion"].string == first["metadata"]["resourceVersion"].string)
        let next = try #require(second["metadata"]["continue"].string)
        let third = try await test.list("configmaps", query: [("limit", "4"), ("continue", next)])
        #expect(third["items"].elements.count == 2)
        #expect(third["metadata"]["continue"].string == nil)
        #expect(await failure { try await test.list("configmaps", query: [("continue", "junk")]) }?.code == 400)
    }

    @Test("label and field selectors select, and an unknown field is refused")
    func selectors() async throws {
        let test = try await TestServer()
        try await test.create("pods", pod("a", node: "n1"))
        try await test.create("pods", pod("b", node: "n2"))
        let onNode = try await test.list("pods", namespace: nil, query: [("fieldSelector", "spec.nodeName=n2")])
        #expect(onNode["items"].elements.map { $0["metadata"]["name"].string } == ["b"])
        let named = try await test.list("pods", query: [("fieldSelector", "metadata.name=a")])
        #expect(named["items"].elements.map { $0["metadata"]["name"].string } == ["a"])
        #expect(await failure { try await test.list("pods", query: [("fieldSelector", "spec.foo=1")]) }?.code == 400)
        #expect(await failure { try await test.list("pods", query: [("labelSelector", "a in (")]) }?.code == 400)
    }

    @Test("services and endpoints share a part of the key space and are told apart")
    func services() async throws {
        let test = try await TestServer()
        try await test.create("services", ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"], "spec": ["ports": [["port": 80]]]])
        try await test.create("endpoints", ["apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": "s"]])
        #expect(try await test.list("services")["items"].elements.map { $0["kind"].string } == ["Service"])
        #expect(try await test.list("endpoints", namespace: nil)["items"].elements.map { $0["kind"].string } == ["Endpoints"])
        #expect(try await test.get("services", "s").kind == "Service")
    }

    @Test("a watch delivers what was there, then every change in order")
    func watch() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a", ["k": "0"]))
        let events = try await test.client.watch(KubeRequest(.watch, TestServer.resource("configmaps"), namespace: "default"))
        var iterator = events.makeAsyncIterator()
        let first = try #require(try await iterator.next())
        #expect(first.kind == .added && first.object.metadata.name == "a")
        try await test.patch("configmaps", "a", ["data": ["k": "1"]])
        try await test.create("configmaps", configMap("b"))
        try await test.delete("configmaps", "a")
        let kinds = [try await iterator.next(), try await iterator.next(), try await iterator.next()].compactMap { $0 }
        #expect(kinds.map(\.kind) == [.modified, .added, .deleted])
        let versions = kinds.compactMap { Int64($0.object.metadata.resourceVersion) }
        #expect(versions == versions.sorted() && Set(versions).count == 3)
    }

    @Test("a watch from a resourceVersion delivers only what came after it")
    func watchFrom() async throws {
        let test = try await TestServer()
        let a = try await test.create("configmaps", configMap("a"))
        try await test.create("configmaps", configMap("b"))
        let events = try await test.client.watch(
            KubeRequest(.watch, TestServer.resource("configmaps"), namespace: "default", query: [("resourceVersion", a.metadata.resourceVersion)]))
        var iterator = events.makeAsyncIterator()
        let event = try #require(try await iterator.next())
        #expect(event.kind == .added && event.object.metadata.name == "b")
    }

    @Test("what ceases to match a selector is deleted for that watcher, what comes to match is added")
    func selectorTransitions() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a", labels: ["on": "no"]))
        let events = try await test.client.watch(
            KubeRequest(.watch, TestServer.resource("configmaps"), namespace: "default", query: [("labelSelector", "on=yes")]))
        var iterator = events.makeAsyncIterator()
        try await test.patch("configmaps", "a", ["metadata": ["labels": ["on": "yes"]]])
        let change = try await test.patch("configmaps", "a", ["metadata": ["labels": ["on": "no"]]])
        let added = try #require(try await iterator.next())
        let deleted = try #require(try await iterator.next())
        #expect(added.kind == .added && deleted.kind == .deleted)
        #expect(deleted.object.metadata.resourceVersion == change.metadata.resourceVersion)
    }

    @Test("a streaming list ends with a bookmark that says so, and a watch with a time limit ends with one")
    func initialEvents() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a"))
        let answer = await test.http(
            "GET",
            "/api/v1/namespaces/default/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                + "&allowWatchBookmarks=true&timeoutSeconds=1"
        )
        #expect(answer.status == 200)
        let lines = try answer.text.split(separator: "\n").map { try Object(json: String($0)) }
        #expect(lines.map { $0["type"].string } == ["ADDED", "BOOKMARK", "BOOKMARK"])
        #expect(lines[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"].string == "true")
        let unmatched = await test.http("GET", "/api/v1/configmaps?watch=true&sendInitialEvents=true")
        #expect(unmatched.status == 422)
    }

    @Test("a resourceVersion of the future is refused with 504 and a cause")
    func future() async throws {
        let test = try await TestServer()
        let error = await failure { try await test.list("configmaps", query: [("resourceVersion", "999999")]) }
        #expect(error?.code == 504)
        #expect(error?.details?.causes.first?.reason == "ResourceVersionTooLarge")
    }

    @Test("tables and metadata alone are given when asked for, lists and watches alike")
    func forms() async throws {
        let test = try await TestServer()
        try await test.create("configmaps", configMap("a", ["k": "v"]))
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        let list = await test.http("GET", "/api/v1/namespaces/default/configmaps", ["Accept": table])
        #expect(list.json["kind"].string == "Table")
        #expect(list.json["rows"].elements.first?["cells"].elements.first?.string == "a")
        let watch = await test.http("GET", "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1", ["Accept": table])
        let line = try #require(watch.text.split(separator: "\n").first)
        #expect(try Object(json: String(line))["object"]["kind"].string == "Table")
        let partial = await test.http(
            "GET", "/api/v1/namespaces/default/configmaps/a", ["Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"])
        #expect(partial.json["kind"].string == "PartialObjectMetadata")
        #expect(partial.json["data"] == nil)
        let protobuf = await test.http("GET", "/api/v1/namespaces/default/configmaps", ["Accept": "application/vnd.kubernetes.protobuf"])
        #expect(protobuf.fields["Content-Type"] == "application/vnd.kubernetes.protobuf")
        let either = await test.http(
            "GET", "/api/v1/namespaces/default/configmaps", ["Accept": "application/vnd.kubernetes.protobuf,application/json"])
        #expect(either.status == 200)
    }
}
