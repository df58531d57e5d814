import ContainerRuntime
import HTTPTransport
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import Kubelet

/// An API server that answers reviews, and nothing else.
final class ReviewingServer: KubeTransport {
    struct Unreachable: Error {}

    /// Users and their groups by token.
    let tokens: [String: (name: String, groups: [String])]
    /// What is allowed: `user verb subresource`.
    let rights: Set<String>
    private let state = Mutex<(asked: [String], isDown: Bool)>(([], false))

    init(tokens: [String: (name: String, groups: [String])] = [:], rights: Set<String> = []) {
        self.tokens = tokens
        self.rights = rights
    }

    /// The reviews so far: `token T`, and `user verb subresource`.
    var asked: [String] { state.withLock { $0.asked } }
    func setDown(_ isDown: Bool) { state.withLock { $0.isDown = isDown } }

    func perform(_ request: KubeRequest) async throws -> Object {
        if state.withLock({ $0.isDown }) { throw Unreachable() }
        let review = try Object(Value(json: request.body ?? []))
        let spec = review["spec"]
        var value = review.value
        switch request.resource {
        case .tokenReviews:
            let token = spec["token"].string ?? ""
            state.withLock { $0.asked.append("token \(token)") }
            if let user = tokens[token] {
                value["status"] = [
                    "authenticated": true,
                    "user": [
                        "username": .string(user.name), "uid": "1", "groups": Value(user.groups),
                        "extra": ["authentication.kubernetes.io/pod-name": ["p"]],
                    ],
                ]
            } else {
                value["status"] = ["authenticated": false, "error": "invalid bearer token"]
            }
        case .subjectAccessReviews:
            let attributes = spec["resourceAttributes"]
            #expect(attributes["resource"].string == "nodes" && attributes["name"].string == "n1" && (attributes["group"].string ?? "").isEmpty)
            let question = "\(spec["user"].string ?? "") \(attributes["verb"].string ?? "") \(attributes["subresource"].string ?? "")"
            state.withLock { $0.asked.append(question) }
            value["status"] = ["allowed": .bool(rights.contains(question))]
        default: throw StatusError.notImplemented("\(request.resource)")
        }
        return try Object(value)
    }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> { throw StatusError.notImplemented("watch") }
}

/// Who may use the kubelet's port.
struct KubeletAuthorityTests {
    private final class Time: Sendable {
        private let passed = Mutex(Duration.zero)
        private let start = ContinuousClock.now
        var now: ContinuousClock.Instant { start + passed.withLock { $0 } }
        func pass(_ duration: Duration) { passed.withLock { $0 += duration } }
    }

    @Test(
        "a request is about a part of the node, which its path names",
        arguments: [
            ("GET", "/stats/summary", "get", ["stats"]), ("GET", "/metrics", "get", ["metrics"]), ("GET", "/metrics/cadvisor", "get", ["metrics"]),
            ("GET", "/pods", "get", ["pods", "proxy"]), ("GET", "/runningpods/", "get", ["pods", "proxy"]),
            ("GET", "/configz", "get", ["configz", "proxy"]), ("GET", "/healthz/ping", "get", ["healthz", "proxy"]),
            ("GET", "/logs/x", "get", ["log"]), ("POST", "/run/a/b/c", "create", ["proxy"]), ("GET", "/containerLogs/a/b/c", "get", ["proxy"]),
            ("DELETE", "/x", "delete", ["proxy"]), ("HEAD", "/metrics", "", ["metrics"]), ("GET", "/metricsx", "get", ["proxy"]),
            ("GET", "/metrics%2Fx/exec", "get", ["proxy"]), ("GET", "//exec/metrics", "get", ["proxy"]), ("GET", "/%zz", "get", ["proxy"]),
        ])
    func attributes(method: String, path: String, verb: String, subresources: [String]) {
        let access = KubeletAccess(method: method, segments: Query.segments(path[...]) ?? [], isUpgrade: false)
        #expect(access.verb == verb && access.subresources == subresources)
    }

    @Test("a stream in a container takes the right to create, whatever its method")
    func upgrades() {
        #expect(KubeletAccess(method: "GET", segments: ["exec", "a", "b", "c"], isUpgrade: true).verb == "create")
    }

    @Test("tokens are asked about once in two minutes, answers are believed for five, refusals for half a minute")
    func caching() async throws {
        let server = ReviewingServer(tokens: ["t": ("scraper", ["system:authenticated"])], rights: ["scraper get metrics"])
        let time = Time()
        let authority = KubeletAuthority(client: KubeClient(transport: server), nodeName: "n1") { time.now }
        let caller = try #require(try await authority.caller(token: "t"))
        #expect(caller.name == "scraper" && caller.uid == "1" && caller.extra == ["authentication.kubernetes.io/pod-name": ["p"]])
        for _ in 0..<3 {
            #expect(try await authority.caller(token: "t") == caller)
            #expect(try await authority.caller(token: "u") == nil)
            #expect(try await authority.allows(caller, "get", "metrics"))
            #expect(try await !authority.allows(caller, "get", "proxy"))
        }
        let first = ["token t", "token u", "scraper get metrics", "scraper get proxy"]
        #expect(server.asked == first)
        time.pass(.seconds(31))
        _ = try await authority.allows(caller, "get", "proxy")
        _ = try await authority.allows(caller, "get", "metrics")
        _ = try await authority.caller(token: "t")
        #expect(server.asked == first + ["scraper get proxy"])
        time.pass(.seconds(120))
        _ = try await authority.caller(token: "t")
        _ = try await authority.allows(caller, "get", "metrics")
        #expect(server.asked == first + ["scraper get proxy", "token t"])
        time.pass(.seconds(300))
        _ = try await authority.allows(caller, "get", "metrics")
        #expect(server.asked.last == "scraper get metrics")
        // What could not be asked is not remembered.
        server.setDown(true)
        await #expect(throws: ReviewingServer.Unreachable.self) { try await authority.caller(token: "new") }
        server.setDown(false)
        #expect(try await authority.caller(token: "new") == nil)
    }

    @Test("tokens that somebody makes up do not push out a caller's")
    func strangers() async throws {
        let server = ReviewingServer(tokens: ["good": (name: "metrics", groups: [])])
        let authority = KubeletAuthority(client: KubeClient(transport: server), nodeName: "n1")
        #expect(try await authority.caller(token: "good")?.name == "metrics")
        for number in 0..<3000 { #expect(try await authority.caller(token: "made-up-\(number)") == nil) }
        #expect(try await authority.caller(token: "good")?.name == "metrics")
        #expect(server.asked.count { $0 == "token good" } == 1)
    }

    @Test("no more than a number of answers is remembered")
    func bounded() {
        let now = ContinuousClock.now
        var cache = ExpiringCache<Int, Int>(limit: 10)
        for number in 0..<100 { cache.keep(number, for: number, until: now + .seconds(1)) }
        #expect((0..<100).filter { cache.value($0, now: now) != nil }.count <= 10)
        #expect(cache.value(99, now: now) == 99 && cache.value(99, now: now + .seconds(1)) == nil)
    }

    @Test("a token is read as upstream reads it")
    func tokens() {
        #expect(KubeletAuthority.token(["Authorization": "Bearer abc"]) == "abc" && KubeletAuthority.token(["Authorization": "bearer abc"]) == "abc")
        for text in ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b"] { #expect(KubeletAuthority.token(["Authorization": text]) == nil) }
    }

    @Test("a pod with a token may do what its account may, and is told what it may not")
    func requests() async throws {
        let server = ReviewingServer(
            tokens: ["t": ("scraper", []), "fake": ("kube-apiserver-kubelet-client", ["system:masters"])],
            rights: ["scraper get metrics", "scraper get pods", "system:node:n2 get stats"])
        let kubelet = try KubeletServer.test(SimulatedRuntime(), pods: [], client: KubeClient(transport: server))
        func answer(_ target: String, token: String?, caller: String? = nil, fields: HTTPFields = [:]) async throws -> String {
            var fields = fields
            if let token { fields["Authorization"] = "Bearer \(token)" }
            let response = await kubelet.ask(target, caller: caller, fields: fields)
            return response.status == 200 ? "200" : "\(response.status) \(try await KubeletServer.text(of: response))"
        }
        #expect(try await answer("/metrics", token: "t") == "200")
        #expect(try await answer("/pods", token: "t") == "200")
        #expect(try await answer("/stats/summary", token: "t") == "403 Forbidden (user=scraper, verb=get, resource=nodes, subresource(s)=[stats])\n")
        #expect(
            try await answer("/configz", token: "t") == "403 Forbidden (user=scraper, verb=get, resource=nodes, subresource(s)=[configz proxy])\n")
        #expect(
            try await answer("/exec/a/b/c?command=x", token: "t", fields: ["Connection": "Upgrade", "Upgrade": "SPDY/3.1"])
                == "403 Forbidden (user=scraper, verb=create, resource=nodes, subresource(s)=[proxy])\n")
        #expect(try await answer("/pods", token: "unknown") == "401 Unauthorized")
        #expect(try await answer("/pods", token: nil) == "401 Unauthorized")
        // A name that a token gives is not a certificate.
        #expect(try await answer("/stats/summary", token: "fake").hasPrefix("403 "))
        #expect(try await answer("/stats/summary", token: nil, caller: "system:node:n2") == "200")
        // A certificate counts more than a token.
        #expect(try await answer("/metrics", token: "t", caller: "system:node:n2").hasPrefix("403 Forbidden (user=system:node:n2"))
        server.setDown(true)
        #expect(
            try await answer("/logs/x", token: "t") == "500 Authorization error (user=scraper, verb=get, resource=nodes, subresource=log)")
        #expect(try await answer("/metrics", token: "other") == "401 Unauthorized")
        #expect(try await answer("/metrics", token: "t") == "200", "what was answered is still believed")
        #expect(try await answer("/pods", token: nil, caller: "kube-apiserver-kubelet-client") == "200")
    }
}
