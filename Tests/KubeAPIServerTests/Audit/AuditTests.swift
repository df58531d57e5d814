import Glibc
import HTTPTransport
import KubeAPI
import Synchronization
import Testing

@testable import KubeAPIServer

@Suite("Audit")
struct AuditTests {
    /// Events in memory.
    private final class Memory: AuditSink {
        let lines = Mutex<[[UInt8]]>([])
        func accept(_ line: [UInt8]) -> Bool {
            lines.withLock { $0.append(line) }
            return true
        }
        func close() async {}
        var events: [Object] { lines.withLock { $0 }.compactMap { try? Object(bytes: $0) } }
    }

    private func server(_ policy: AuditPolicy, authorizers: [any Authorizer] = [AllowEverything()]) async throws -> (TestServer, Memory) {
        let memory = Memory()
        let test = try await TestServer(authorizers: authorizers) { $0.audit = AuditConfiguration(policy: policy, sink: memory) }
        return (test, memory)
    }

    @Test("at RequestResponse an event has who, what, both bodies, and the decision; each stage its own event")
    func whole() async throws {
        let (test, memory) = try await server(AuditPolicy(rules: [.init(.requestResponse)]))
        let answer = await test.http(
            "POST", "/api/v1/namespaces/default/configmaps?fieldManager=x",
            ["Authorization": "Test jane,devs", "User-Agent": "kubectl/v1", "X-Forwarded-For": "10.1.2.3"],
            body: #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}"#)
        #expect(answer.status == 201)
        let events = memory.events
        #expect(events.map { $0["stage"].string } == ["RequestReceived", "ResponseComplete"])
        let event = try #require(events.last)
        #expect(event.kind == "Event" && event.apiVersion == "audit.k8s.io/v1")
        #expect(event["level"].string == "RequestResponse")
        #expect(event["auditID"].string == answer.fields["Audit-Id"])
        #expect(event["requestURI"].string == "/api/v1/namespaces/default/configmaps?fieldManager=x")
        #expect(event["verb"].string == "create")
        #expect(event["user"]["username"].string == "jane")
        #expect(event["sourceIPs"].strings == ["10.1.2.3", "127.0.0.1"])
        #expect(event["userAgent"].string == "kubectl/v1")
        #expect(event["objectRef"]["name"].string == "a" && event["objectRef"]["apiVersion"].string == "v1")
        #expect(event["responseStatus"]["code"].int == 201)
        #expect(event["requestObject"]["data"]["k"].string == "v")
        #expect(event["responseObject"]["metadata"]["uid"].string != nil)
        #expect(event["annotations"]["authorization.k8s.io/decision"].string == "allow")
        #expect(Timestamp(rfc3339: event["stageTimestamp"].string ?? "") != nil)
    }

    @Test("a policy's levels and stages: None leaves nothing, Metadata no bodies, omitted stages no event, managed fields are left out")
    func levels() async throws {
        let policy = AuditPolicy(
            rules: [
                .init(.none, resources: [.init(["secrets"])]),
                .init(.metadata, verbs: ["get"], omitStages: [.requestReceived]),
                .init(.requestResponse, omitManagedFields: true),
            ], omitStages: [.requestReceived])
        let (test, memory) = try await server(policy)
        _ = await test.http("GET", "/api/v1/namespaces/default/secrets/x")
        #expect(memory.events.isEmpty)
        _ = await test.http("GET", "/api/v1/namespaces/default/pods/x")
        #expect(memory.events.count == 1)
        #expect(memory.events.last?["responseStatus"]["reason"].string == "NotFound")
        #expect(memory.events.last?["responseObject"] == nil)
        _ = await test.http(
            "POST", "/api/v1/namespaces/default/configmaps", body: #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#)
        let event = try #require(memory.events.last)
        #expect(event["responseObject"]["metadata"]["uid"] != nil)
        #expect(event["responseObject"]["metadata"]["managedFields"] == nil)
    }

    @Test("refusals, impersonation, failed authentication and controllers in process are written down, too")
    func others() async throws {
        let (test, memory) = try await server(AuditPolicy(rules: [.init(.metadata, omitStages: [.requestReceived])]), authorizers: [MastersOnly()])
        _ = await test.http("GET", "/api/v1/pods", ["Authorization": "Test x"])
        #expect(memory.events.last?["annotations"]["authorization.k8s.io/decision"].string == "forbid")
        #expect(memory.events.last?["responseStatus"]["code"].int == 403)
        _ = await test.http("GET", "/api/v1/pods", ["Impersonate-User": "jane", "Impersonate-Group": "system:masters"])
        #expect(memory.events.last?["user"]["username"].string == "admin")
        #expect(memory.events.last?["impersonatedUser"]["username"].string == "jane")
        _ = await test.http("GET", "/api/v1/pods", ["Authorization": "Bearer junk"])
        let failed = try #require(memory.events.last)
        #expect(failed["responseStatus"]["code"].int == 401)
        #expect(failed["responseStatus"]["message"].string == "Authentication failed, attempted: bearer")
        _ = try await test.list("pods")
        #expect(memory.events.last?["user"]["username"].string == "tester")
        #expect(memory.events.last?["requestURI"].string == "/api/v1/namespaces/default/pods")
    }

    @Test("a watch has an event when it begins and one when it ends")
    func watches() async throws {
        let (test, memory) = try await server(AuditPolicy(rules: [.init(.metadata)]))
        _ = await test.http("GET", "/api/v1/pods?watch=true&timeoutSeconds=1")
        #expect(memory.events.map { $0["stage"].string } == ["RequestReceived", "ResponseStarted", "ResponseComplete"])
    }

    @Test("the first matching rule decides, as upstream's checker has it")
    func matching() {
        func info(_ verb: String, _ resource: String, _ sub: String = "", group: String = "", namespace: String = "ns", name: String = "n")
            -> RequestInfo
        {
            RequestInfo(
                verb: verb, resource: GroupVersionResource(group: group, version: "v1", resource: resource), namespace: namespace, name: name,
                subresource: sub)
        }
        func level(_ rule: AuditPolicy.Rule, _ info: RequestInfo, _ user: UserInfo? = UserInfo(name: "u", groups: ["g"])) -> AuditLevel {
            AuditPolicy(rules: [rule]).evaluate(user, info).level
        }
        #expect(level(.init(.metadata, users: ["u"]), info("get", "pods")) == .metadata)
        #expect(level(.init(.metadata, users: ["u"]), info("get", "pods"), nil) == .none)
        #expect(level(.init(.metadata, userGroups: ["g", "h"]), info("get", "pods")) == .metadata)
        #expect(level(.init(.metadata, verbs: ["list"]), info("get", "pods")) == .none)
        #expect(level(.init(.metadata, resources: [.init(["pods"])]), info("get", "pods", "log")) == .none)
        for pattern in ["pods/log", "*/log", "pods/*", "*"] {
            #expect(level(.init(.metadata, resources: [.init([pattern])]), info("get", "pods", "log")) == .metadata, "\(pattern)")
        }
        #expect(level(.init(.metadata, resources: [.init(group: "apps")]), info("get", "pods")) == .none)
        #expect(level(.init(.metadata, resources: [.init(["pods"], names: ["other"])]), info("get", "pods")) == .none)
        #expect(level(.init(.metadata, namespaces: [""]), info("get", "nodes", namespace: "")) == .metadata)
        #expect(level(.init(.metadata, namespaces: ["a"]), info("get", "pods")) == .none)
        let path = RequestInfo(nonResource: "/healthz/etcd", method: "GET")
        #expect(level(.init(.metadata, nonResourceURLs: ["/healthz*"]), path) == .metadata)
        #expect(level(.init(.metadata, nonResourceURLs: ["/healthz"]), path) == .none)
        #expect(level(.init(.metadata, nonResourceURLs: ["/healthz*"]), info("get", "pods")) == .none)
        #expect(AuditPolicy.eksDefault.evaluate(UserInfo(name: "u"), info("create", "secrets")).level == .metadata)
        #expect(AuditPolicy.eksDefault.evaluate(UserInfo(name: "u"), info("list", "events")).level == .none)
        #expect(AuditPolicy.eksDefault.evaluate(UserInfo(name: "u"), info("create", "deployments", group: "apps")).level == .requestResponse)
        #expect(AuditPolicy.eksDefault.evaluate(UserInfo(name: "u"), info("get", "deployments", group: "apps")).level == .request)
    }

    @Test("a policy is read from its object, and a broken one refused")
    func parsing() throws {
        let policy = try AuditPolicy(
            Object(
                json: #"""
                    {"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"omitManagedFields":true,"rules":[
                    {"level":"Request","users":["a"],"resources":[{"group":"","resources":["pods"],"resourceNames":["x"]}],"omitManagedFields":false}]}
                    """#))
        #expect(policy.omitStages == [.requestReceived] && policy.rules.count == 1 && policy.rules[0].omitManagedFields == false)
        for broken in [
            #"{"apiVersion":"v1","kind":"Policy"}"#, #"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"All"}]}"#,
            #"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"None","namespaces":["a"],"nonResourceURLs":["/x"]}]}"#,
            #"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["Never"]}"#,
        ] { #expect(throws: StatusError.self) { try AuditPolicy(Object(json: broken)) } }
    }

    @Test("the file is private, is replaced when full, keeps as many predecessors as told, and loses no line")
    func file() async throws {
        var template = Array("/tmp/eyrie-audit-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = system("rm -rf \(folder)") }
        var rotation = FileAuditSink.Rotation()
        rotation.maximumBytes = 1000
        rotation.maximumFiles = 3
        let clock = Mutex<Int64>(1_700_000_000)
        let sink = FileAuditSink(
            path: "\(folder)/audit.log", rotation: rotation,
            now: {
                Timestamp(
                    seconds: clock.withLock {
                        $0 += 1; return $0
                    })
            })
        for index in 0..<100 {
            let line = "{\"n\":\(index)}" + String(repeating: " ", count: 80) + "\n"
            #expect(sink.accept(Array(line.utf8)))
        }
        await sink.close()
        #expect(!sink.accept([1]), "a closed sink takes nothing")
        var status = stat()
        #expect(stat("\(folder)/audit.log", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(status.st_size <= 1000)
        var names: [String] = []
        let handle = try #require(opendir(folder))
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
            if name.hasPrefix("audit") { names.append(name) }
        }
        closedir(handle)
        #expect(names.count == 4, "\(names)")
    }
}
