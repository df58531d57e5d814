import HTTPTransport
import KubeAPI
import KubeClient
import KubeStorage
import Synchronization
import Testing

@testable import KubeAPIServer

/// As `TestAuthenticator`, and at once.
private struct ImmediateAuthenticator: RequestAuthenticator {
    func authenticate(_ head: HTTPRequestHead) async throws -> UserInfo? { try await TestAuthenticator().authenticate(head) }
    func authenticateNow(_ head: HTTPRequestHead) throws -> ImmediateAuthentication {
        guard let header = head.fields["Authorization"] else { return .notMine }
        guard header.hasPrefix("Test ") else { throw StatusError.unauthorized }
        let parts = header.dropFirst(5).split(separator: ",").map(String.init)
        return .user(UserInfo(name: parts.first ?? "", groups: Array(parts.dropFirst())))
    }
}

@Suite("Reads on the event loop", .timeLimit(.minutes(1)))
struct HotReadTests {
    private func server() async throws -> TestServer {
        try await TestServer { configuration in
            configuration.components = { _ in APIServer.Components(authenticators: [ImmediateAuthenticator()], authorizers: [MastersOnly()]) }
        }
    }

    @Test("a get that can be answered at once is answered as the usual way answers it")
    func same() async throws {
        let test = try await server()
        try await test.create("configmaps", configMap("a", ["k": "v"]))
        try await test.create("namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "n"]], namespace: nil)
        let accepts = [
            "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            "application/vnd.kubernetes.protobuf", "application/yaml",
        ]
        for target in ["/api/v1/namespaces/default/configmaps/a", "/api/v1/namespaces/n"] {
            for accept in accepts {
                var (now, later) = (HTTPResponse?.none, TestServer.Answer?.none)
                // Tables tell ages in seconds: both answers have to be of one.
                var second: Int64
                repeat {
                    second = Timestamp.now.seconds
                    now = test.server.respondNow(to: TestServer.head("GET", target, ["Accept": accept]))
                    later = await test.http("GET", target, ["Accept": accept])
                } while Timestamp.now.seconds != second
                guard let now, let later else {
                    Issue.record("\(target) is not answered at once")
                    continue
                }
                guard case .bytes(let bytes) = now.body else {
                    Issue.record("\(target) answers a stream")
                    continue
                }
                #expect(bytes == later.body && now.status == later.status)
                func shown(_ fields: HTTPFields) -> [String] { fields.fields.filter { $0.name != "Audit-Id" }.map { "\($0.name): \($0.value)" } }
                #expect(shown(now.fields) == shown(later.fields))
            }
        }
    }

    @Test("whatever is not a plain yes goes the usual way")
    func others() async throws {
        let test = try await server()
        try await test.create("configmaps", configMap("a"))
        let target = "/api/v1/namespaces/default/configmaps/a"
        func now(_ method: String, _ target: String, _ fields: HTTPFields = [:]) -> Bool {
            test.server.respondNow(to: TestServer.head(method, target, fields)) != nil
        }
        #expect(now("GET", target))
        #expect(!now("GET", "/api/v1/namespaces/default/configmaps/b"))
        #expect(!now("GET", "/api/v1/namespaces/default/junk/a"))
        #expect(!now("GET", "/api/v1/namespaces/default/configmaps/../a"))
        #expect(!now("GET", target, ["Authorization": "Test nobody"]))
        #expect(!now("GET", target, ["Authorization": "Bearer x"]))
        #expect(!now("GET", target, ["Authorization": "none"]))
        #expect(!now("GET", target, ["Impersonate-User": "x"]))
        #expect(!now("GET", target, ["Accept": "image/png"]))
        #expect(!now("DELETE", target))
        #expect(!now("GET", "/api/v1/namespaces/default/pods/a/log"))
        #expect(!now("GET", "/healthz"))
    }

    /// What a source has until it waits or ends.
    private func drain(_ source: any HTTPBodySource) -> (text: [String], isOver: Bool) {
        var text = ""
        while true {
            switch source.next() {
            case .bytes(let bytes): text += String(decoding: bytes.bytes, as: UTF8.self)
            case .wait: return (text.split(separator: "\n").map(String.init), false)
            case .end, .abort: return (text.split(separator: "\n").map(String.init), true)
            }
        }
    }

    private func watch(_ test: TestServer, _ query: String) throws -> any HTTPBodySource {
        let head = TestServer.head("GET", "/api/v1/namespaces/default/configmaps?watch=1&\(query)")
        let response = try #require(test.server.respondNow(to: head))
        return try #require(response.source)
    }

    @Test("watchers share their frames, each from where it stands; selectors and namespaces keep them apart")
    func frames() async throws {
        let test = try await server()
        try await test.create("configmaps", configMap("old", labels: ["a": "1"]))
        let watches = try (0..<3).map { _ in try watch(test, "labelSelector=a%3D1") }
        let other = try watch(test, "labelSelector=a%3D2")
        for watch in watches { #expect(drain(watch).text.count == 1) }
        #expect(drain(other).text.isEmpty)
        try await test.create("configmaps", configMap("x", labels: ["a": "1"]))
        #expect(drain(watches[0]).text.count == 1)
        try await test.create("configmaps", configMap("y", labels: ["a": "2"]))
        try await test.create("configmaps", configMap("z", labels: ["a": "1"]))
        try await test.create("configmaps", configMap("far", labels: ["a": "1"]), namespace: "other")
        #expect(drain(watches[0]).text.map { $0.contains("\"name\":\"z\"") } == [true])
        for watch in watches[1...] {
            let lines = drain(watch).text
            #expect(lines.count == 2 && lines.allSatisfy { $0.hasPrefix("{\"type\":\"ADDED\",\"object\":{") })
        }
        #expect(drain(other).text.map { $0.contains("\"name\":\"y\"") } == [true])
        for watch in watches + [other] { watch.cancel() }
    }

    @Test("a source wakes when there is something, and ends with a bookmark when its time is over")
    func wakes() async throws {
        let test = try await server()
        let source = try watch(test, "allowWatchBookmarks=true&timeoutSeconds=7")
        #expect(source.lifetime == .seconds(7))
        #expect(drain(source).text.isEmpty)
        let woken = Atomic(false)
        source.whenReady { woken.store(true, ordering: .releasing) }
        let isEarly = woken.load(ordering: .acquiring)
        #expect(!isEarly)
        try await test.create("configmaps", configMap("x"))
        let isWoken = woken.load(ordering: .acquiring)
        #expect(isWoken)
        #expect(drain(source).text.count == 1)
        source.expire()
        let end = drain(source)
        #expect(end.isOver && end.text.count == 1 && end.text[0].contains("BOOKMARK"))
        source.cancel()
    }
}

@Suite("Revisions of lists")
struct ListRevisionTests {
    @Test("a list with limit and resourceVersion 0 is given whole; an exact one shows the past")
    func exact() async throws {
        let test = try await TestServer()
        for number in 0..<5 { try await test.create("configmaps", configMap("c\(number)")) }
        let before = try await test.list("configmaps")
        let revision = try #require(before["metadata"]["resourceVersion"].string)
        try await test.delete("configmaps", "c0")
        let whole = try await test.list("configmaps", query: [("limit", "2"), ("resourceVersion", "0")])
        #expect(whole["items"].elements.count == 4 && whole["metadata"]["continue"] == nil)
        let past = try await test.list("configmaps", query: [("resourceVersion", revision), ("resourceVersionMatch", "Exact")])
        #expect(past["items"].elements.count == 5 && past["metadata"]["resourceVersion"].string == revision)
        let page = try await test.list("configmaps", query: [("resourceVersion", revision), ("resourceVersionMatch", "Exact"), ("limit", "2")])
        #expect(page["metadata"]["remainingItemCount"].int == 3)
        let newer = try await test.list("configmaps", query: [("resourceVersion", revision), ("resourceVersionMatch", "NotOlderThan")])
        #expect(newer["items"].elements.count == 4)
    }

    @Test("a page of a compacted list is 410 with a token that goes on with the newest state")
    func compacted() async throws {
        let test = try await TestServer()
        for number in 0..<6 { try await test.create("configmaps", configMap("c\(number)")) }
        let first = try await test.list("configmaps", query: [("limit", "2")])
        let token = try #require(first["metadata"]["continue"].string)
        try await test.delete("configmaps", "c3")
        try test.server.running().store.forget(before: test.server.running().store.revision)
        let answer = await test.http("GET", "/api/v1/namespaces/default/configmaps?limit=2&continue=\(token)")
        #expect(answer.status == 410 && answer.json?["reason"].string == "Expired")
        #expect(answer.json?["message"].string?.hasPrefix("The provided continue parameter is too old to display a consistent list result.") == true)
        let next = try #require(answer.json?["metadata"]["continue"].string)
        let rest = try await test.list("configmaps", query: [("limit", "2"), ("continue", next)])
        #expect(rest["items"].elements.compactMap { $0["metadata"]["name"].string } == ["c2", "c4"])
        // From there on the list is consistent again.
        try await test.delete("configmaps", "c5")
        let last = try await test.list("configmaps", query: [("continue", try #require(rest["metadata"]["continue"].string))])
        #expect(last["items"].elements.compactMap { $0["metadata"]["name"].string } == ["c5"])
    }

    @Test(
        "combinations of resourceVersionMatch, resourceVersion and continue that mean nothing are refused in upstream's words",
        arguments: [
            ("resourceVersionMatch=Exact", "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
            (
                "resourceVersionMatch=Exact&resourceVersion=0",
                "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
            ),
            (
                "resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x",
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
            ),
            (
                "resourceVersionMatch=Foo&resourceVersion=1",
                "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\""
            ),
            ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
            (
                "watch=1&resourceVersionMatch=NotOlderThan",
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            ),
            (
                "watch=1&sendInitialEvents=true",
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            ),
        ])
    func refused(query: String, why: String) async throws {
        let test = try await TestServer()
        let answer = await test.http("GET", "/api/v1/namespaces/default/configmaps?\(query)")
        #expect(answer.status == 422)
        #expect(answer.json?["message"].string == "ListOptions.meta.k8s.io \"\" is invalid: \(why)")
    }
}
