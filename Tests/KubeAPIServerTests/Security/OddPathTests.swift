import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

/// Paths that try to reach by a detour what they may not reach straight (CVE-2019-11247, CVE-2022-3162).
@Suite("Odd paths")
struct OddPathTests {
    /// What stands where a segment should: dots, slashes and zero bytes in all their spellings, broken and doubled encodings.
    private static let oddSegments = [
        "..", ".", "", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%2e", "%2f", "%2F", "..%2f", "%2f..", "..%5c", "%5c..", "..;", "..;/", "%00", "x%00", "%",
        "%z", "%zz", "%2", "%252e%252e", "%252f", "%c0%ae%c0%ae", "%ff", "%e0%80%af", "*", "%20", "%0d%0a", "~", "$", "x",
    ]

    private static let bases = [
        "/api/v1/namespaces/kube-system/secrets/canary", "/apis/stable.example.com/v1/namespaces/kube-system/crontabs/canary",
        "/api/v1/namespaces/kube-system/serviceaccounts/canary/token", "/api/v1/secrets",
    ]

    /// Each odd segment between, before and behind all segments of each base; a single empty one behind is the slash that clients may write.
    private static let detours: [String] = bases.flatMap { base in
        let segments = base.split(separator: "/").map(String.init)
        return (0...segments.count).flatMap { place in
            oddSegments.compactMap { odd -> String? in
                if odd.isEmpty, place == segments.count { return nil }
                return "/" + (segments[..<place] + [odd] + segments[place...]).joined(separator: "/")
            }
        }
    }

    /// Right segments in wrong places.
    private static let confusions = [
        "/API/v1/secrets", "/api/V1/secrets", "/api/v1/Secrets", "/api/v1/SECRETS", "/api/v1/secret", "/apis/v1/secrets", "/api/core/v1/secrets",
        "/apis/core/v1/secrets", "/apis//v1/secrets", "/apis/apps/v1/secrets", "/api/v2/secrets", "/api/v1/namespaces/kube-system/Secrets/canary",
        "/api/v1/namespaces/kube-system/secrets/canary/status", "/api/v1/namespaces/kube-system/secrets/canary/token",
        "/api/v1/namespaces/kube-system/nodes/n", "/api/v1/namespaces/kube-system/namespaces/kube-system",
        "/api/v1/namespaces/kube-system/clusterroles/x", "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/clusterroles/admin",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/clusterroles", "/apis/storage.k8s.io/v1/namespaces/default/storageclasses",
        "/api/v1/namespaces/kube-system/persistentvolumes", "/api/v1/secrets/canary", "/api/v1/watch", "/api/v1/watch/", "/api/v1/watch/nothing",
        // A definition whose scope is Cluster, asked for inside a namespace, and the other way round.
        "/apis/stable.example.com/v1/namespaces/default/globals/g", "/apis/stable.example.com/v1/namespaces/default/globals",
        "/apis/stable.example.com/v1/crontabs/canary", "/apis/stable.example.com/v1/namespaces/kube-system/crontab/canary",
        "/apis/stable.example.com/v2/namespaces/kube-system/crontabs/canary", "/apis/stable.example/v1/namespaces/kube-system/crontabs/canary",
        "/apis/example.com/v1/namespaces/kube-system/crontabs/canary", "/apis/stable.example.com/v1/namespaces/kube-system/secrets/canary",
        "/apis/stable.example.com/v1/namespaces/kube-system/crontabs/canary/status", "/openapi/v2/..", "/openapi/v3/../../api/v1/secrets",
        "/healthz/..",
        "/healthz/%2e%2e/api/v1/secrets", "/metrics/../api/v1/secrets", "/version/x", "/readyz/../../etc/passwd", "/debug/pprof/",
        "/debug/pprof/profile", "/debug/flags/v", "/logs", "/logs/",
    ]

    private static let canary = "bm90IHRvIGJlIHNlZW4="

    private static func server() async throws -> TestServer {
        let test = try await CustomResourceFixtures.server()
        try await CustomResourceFixtures.define(test, CustomResourceFixtures.cronTab())
        var global = try CustomResourceFixtures.cronTab(scope: "Cluster")
        global[path: "metadata", "name"] = "globals.stable.example.com"
        global[path: "spec", "names"] = ["plural": "globals", "singular": "global", "kind": "Global"]
        try await CustomResourceFixtures.define(test, global)
        try await test.create(
            "secrets", ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "canary"], "data": ["k": .string(canary)]],
            namespace: "kube-system")
        try await test.create(
            CustomResourceFixtures.cronTabs, CustomResourceFixtures.cron("canary", ["cronSpec": .string(canary)]), namespace: "kube-system")
        return test
    }

    @Test("hundreds of odd paths lead nowhere, by any method, and change nothing")
    func nowhere() async throws {
        let test = try await Self.server()
        let before = try await test.get("secrets", "canary", namespace: "kube-system").metadata.resourceVersion
        let paths = Self.detours + Self.confusions
        #expect(paths.count > 200)
        for path in paths {
            for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
                let answer = await test.http(method, path, body: method == "GET" || method == "DELETE" ? "" : #"{"metadata":{"name":"canary"}}"#)
                #expect([400, 404, 405, 415].contains(answer.status), "\(method) \(path): \(answer.status)")
                #expect(!answer.text.contains(Self.canary), "\(method) \(path)")
            }
        }
        #expect(try await test.get("secrets", "canary", namespace: "kube-system").metadata.resourceVersion == before)
        let cron = try await test.get(CustomResourceFixtures.cronTabs, "canary", namespace: "kube-system")
        #expect(cron["spec"]["cronSpec"].string == Self.canary)
        await test.server.stop()
    }

    @Test("resources whose names begin alike do not show each other's objects, nor do namespaces (CVE-2022-3162)")
    func prefixes() async throws {
        let test = try await Self.server()
        var longer = try CustomResourceFixtures.cronTab()
        longer[path: "metadata", "name"] = "crontabsx.stable.example.com"
        longer[path: "spec", "names"] = ["plural": "crontabsx", "singular": "crontabx", "kind": "CronTabX"]
        try await CustomResourceFixtures.define(test, longer)
        let other: Value = ["apiVersion": "stable.example.com/v1", "kind": "CronTabX", "metadata": ["name": "hidden"]]
        try await test.create("stable.example.com/v1/crontabsx", other, namespace: "kube-system")
        try await test.create(CustomResourceFixtures.cronTabs, CustomResourceFixtures.cron("near", [:]), namespace: "kube-system-2")
        func names(_ resource: String, _ namespace: String?) async throws -> [String] {
            try await test.list(resource, namespace: namespace)["items"].elements.compactMap { $0["metadata"]["name"].string }.sorted()
        }
        #expect(try await names(CustomResourceFixtures.cronTabs, nil) == ["canary", "near"])
        #expect(try await names(CustomResourceFixtures.cronTabs, "kube-system") == ["canary"])
        #expect(try await names("stable.example.com/v1/crontabsx", nil) == ["hidden"])
        #expect(try await names(CustomResourceFixtures.cronTabs, "kube") == [])
        await test.server.stop()
    }

    @Test("what is asked is what is authorised: no spelling of a path names one thing to the authoriser and another to the verb")
    func authorisation() async throws {
        let test = try await TestServer(authorizers: [MastersOnly()])
        for path in Self.detours + Self.confusions {
            let answer = await test.http("GET", path, ["Authorization": "Test nobody"])
            #expect([400, 403, 404, 405].contains(answer.status), "\(path): \(answer.status)")
        }
        // Encoded names are their names.
        let encoded = await test.http("GET", "/api/v1/namespaces/kube%2Dsystem/secret%73/canary", ["Authorization": "Test nobody"])
        #expect(encoded.status == 403 && encoded.text.contains(#"secrets \"canary\" is forbidden"#))
        await test.server.stop()
    }
}
