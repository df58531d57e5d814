import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

@Suite("Which requests webhooks see")
struct WebhookMatchingTests {
    private static func attributes(
        _ operation: AdmissionAttributes.Operation, _ resource: String, group: String = "", version: String = "v1", subresource: String = "",
        namespace: String = "default", name: String = "x", labels: [String: String] = [:], old: [String: String]? = nil
    ) -> AdmissionAttributes {
        let object: Value = ["metadata": ["name": .string(name), "labels": Value(labels)]]
        let oldObject = old.map { Object(tree: ["metadata": ["name": .string(name), "labels": Value($0)]]) }
        return AdmissionAttributes(
            operation: operation, user: UserInfo(name: "u"), resource: GroupVersionResource(group: group, version: version, resource: resource),
            kind: GroupVersionKind(group: group, version: version, kind: ""), subresource: subresource, namespace: namespace, name: name,
            object: operation == .delete ? .null : object, oldObject: oldObject, dryRun: false)
    }

    private static func matcher(_ webhook: Value) throws -> RuleMatcher { try RuleMatcher(webhook: Object(webhook).root) }

    private static func rule(_ operations: [String], _ groups: [String], _ versions: [String], _ resources: [String], scope: String = "*") -> Value {
        [
            "rules": [
                [
                    "operations": Value(operations), "apiGroups": Value(groups), "apiVersions": Value(versions), "resources": Value(resources),
                    "scope": .string(scope),
                ]
            ]
        ]
    }

    private static let catalog = AdmissionCatalog(reader: MemoryReader())

    @Test("a webhook whose selectors cannot be read refuses what its rules name, and nothing else")
    func brokenSelector() async throws {
        var webhook = Self.rule(["CREATE"], [""], ["v1"], ["pods"])
        webhook["name"] = "hook.example.com"
        webhook["failurePolicy"] = "Ignore"
        webhook["namespaceSelector"] = ["matchExpressions": [["key": "a", "operator": "Nonsense"]]]
        let hook = CompiledWebhook(try Object(webhook).root, configuration: "c", index: 0, seen: 0)
        let dispatcher = WebhookDispatcher(
            client: WebhookClient(resolver: ServiceResolver(reader: MemoryReader())), catalog: Self.catalog, authorizers: [])
        func matched(_ resource: String) async -> Result<MatchedResource?, StatusError> {
            let attributes = Self.attributes(.create, resource)
            var objects = WebhookDispatcher.VersionedObjects(attributes)
            do { return .success(try await dispatcher.matched(hook, attributes, &objects)) } catch { return .failure(Responses.statusError(error)) }
        }
        guard case .failure(let error) = await matched("pods") else { return #expect(Bool(false), "the pod was let through") }
        #expect(error.code == 500)
        guard case .success(nil) = await matched("secrets") else { return #expect(Bool(false), "the rules do not name secrets") }
    }

    @Test("rules match operations, groups, versions, resources, subresources and scope")
    func rules() throws {
        let pods = Self.attributes(.create, "pods")
        let podStatus = Self.attributes(.update, "pods", subresource: "status")
        let nodes = Self.attributes(.create, "nodes", namespace: "")
        let namespace = Self.attributes(.create, "namespaces", namespace: "x")
        let cases: [(Value, AdmissionAttributes, Bool)] = [
            (Self.rule(["CREATE"], [""], ["v1"], ["pods"]), pods, true),
            (Self.rule(["UPDATE"], [""], ["v1"], ["pods"]), pods, false),
            (Self.rule(["*"], ["*"], ["*"], ["*"]), pods, true),
            (Self.rule(["*"], ["*"], ["*"], ["*"]), podStatus, false),
            (Self.rule(["*"], ["*"], ["*"], ["*/*"]), podStatus, true),
            (Self.rule(["*"], ["*"], ["*"], ["*/*"]), pods, true),
            (Self.rule(["*"], [""], ["v1"], ["pods/*"]), podStatus, true),
            (Self.rule(["*"], [""], ["v1"], ["pods/*"]), pods, true),
            (Self.rule(["*"], [""], ["v1"], ["*/status"]), podStatus, true),
            (Self.rule(["*"], [""], ["v1"], ["*/scale"]), podStatus, false),
            (Self.rule(["*"], ["apps"], ["v1"], ["pods"]), pods, false),
            (Self.rule(["*"], [""], ["v2"], ["pods"]), pods, false),
            (Self.rule(["*"], [""], ["v1"], ["*"], scope: "Cluster"), pods, false),
            (Self.rule(["*"], [""], ["v1"], ["*"], scope: "Namespaced"), pods, true),
            (Self.rule(["*"], [""], ["v1"], ["*"], scope: "Cluster"), nodes, true),
            (Self.rule(["*"], [""], ["v1"], ["*"], scope: "Namespaced"), nodes, false),
            (Self.rule(["*"], [""], ["v1"], ["*"], scope: "Cluster"), namespace, true),
            (Self.rule(["*"], [""], ["v1"], ["*"], scope: "Namespaced"), namespace, false),
            ([:], pods, false),
        ]
        for (index, (webhook, attributes, expected)) in cases.enumerated() {
            #expect((try Self.matcher(webhook).match(attributes, catalog: Self.catalog) != nil) == expected, "case \(index)")
        }
    }

    @Test("with matchPolicy Equivalent a rule for another version of the resource counts, and names the version the webhook sees")
    func equivalent() throws {
        var hook = Self.rule(["*"], ["autoscaling"], ["v1"], ["horizontalpodautoscalers"])
        let attributes = Self.attributes(.create, "horizontalpodautoscalers", group: "autoscaling", version: "v2")
        #expect(
            try Self.matcher(hook).match(attributes, catalog: Self.catalog)
                == MatchedResource(
                    resource: GroupVersionResource(group: "autoscaling", version: "v1", resource: "horizontalpodautoscalers"),
                    kind: GroupVersionKind(group: "autoscaling", version: "v1", kind: "HorizontalPodAutoscaler")))
        hook["matchPolicy"] = "Exact"
        #expect(try Self.matcher(hook).match(attributes, catalog: Self.catalog) == nil)
        let events = try Self.matcher(Self.rule(["*"], ["events.k8s.io"], ["v1"], ["events"]))
        #expect(events.match(Self.attributes(.create, "events"), catalog: Self.catalog)?.kind.group == "events.k8s.io")
    }

    @Test("an object selector looks at the new and the old labels; objects without labels do not match it")
    func objectSelector() throws {
        var hook = Self.rule(["*"], ["*"], ["*"], ["*"])
        hook["objectSelector"] = ["matchLabels": ["a": "1"]]
        let matcher = try Self.matcher(hook)
        #expect(matcher.match(Self.attributes(.create, "pods", labels: ["a": "1"]), catalog: Self.catalog) != nil)
        #expect(matcher.match(Self.attributes(.create, "pods", labels: ["a": "2"]), catalog: Self.catalog) == nil)
        #expect(matcher.match(Self.attributes(.update, "pods", labels: [:], old: ["a": "1"]), catalog: Self.catalog) != nil)
        #expect(matcher.match(Self.attributes(.delete, "pods", old: ["a": "1"]), catalog: Self.catalog) != nil)
        #expect(matcher.match(Self.attributes(.delete, "pods"), catalog: Self.catalog) == nil)
    }

    @Test("a namespace selector looks at the namespace's labels, at a namespace's own, and lets requests of no namespace through")
    func namespaceSelector() throws {
        var hook = Self.rule(["*"], ["*"], ["*"], ["*"])
        hook["namespaceSelector"] = ["matchExpressions": [["key": "skip", "operator": "NotIn", "values": ["yes"]]]]
        let matcher = try Self.matcher(hook)
        let reader = MemoryReader()
        try reader.set(.namespaces, #"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"quiet","labels":{"skip":"yes"}}}"#)
        let catalog = AdmissionCatalog(reader: reader)
        #expect(matcher.match(Self.attributes(.create, "pods", namespace: "quiet"), catalog: catalog) == nil)
        #expect(matcher.match(Self.attributes(.create, "pods", namespace: "other"), catalog: catalog) != nil)
        #expect(matcher.match(Self.attributes(.create, "nodes", namespace: ""), catalog: catalog) != nil)
        #expect(matcher.match(Self.attributes(.create, "namespaces", namespace: "new", labels: ["skip": "yes"]), catalog: catalog) == nil)
        #expect(matcher.match(Self.attributes(.delete, "namespaces", namespace: "quiet"), catalog: catalog) == nil)
    }

    @Test("webhooks are called in the order of their configurations' names, and see what the ones before have done")
    func order() async throws {
        let hooks = try await WebhookServer.reviews { path, request in
            let stage = request["object"]["data"]["stage"].string ?? ""
            return patchResponse(["op": "add", "path": "/data/stage", "value": .string(stage + path.dropFirst())])
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        for name in ["c", "a", "b"] { try await test.configure("Mutating", hooks, path: "/\(name)", name: name) }
        let made = try await test.create("configmaps", configMap("m", ["stage": "-"]))
        #expect(made["data"]["stage"].string == "-abc")
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a webhook that asks for it is called once more when a later one has changed the object")
    func reinvocation() async throws {
        let hooks = try await WebhookServer.reviews { path, request in
            if path == "/count" {
                let count = request["object"]["metadata"]["labels"].stringMap.count
                return patchResponse(["op": "add", "path": "/data/count", "value": .string(String(count))])
            }
            return patchResponse(["op": "add", "path": "/metadata/labels", "value": ["late": "yes"]])
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.configure("Mutating", hooks, path: "/count", name: "a") { $0["reinvocationPolicy"] = "IfNeeded" }
        try await test.configure("Mutating", hooks, path: "/label", name: "b")
        let made = try await test.create("configmaps", configMap("m", ["x": "y"]))
        #expect(made["data"]["count"].string == "1")
        #expect(hooks.requests.map(\.path) == ["/count", "/label", "/count"])
        await test.server.stop()
        await hooks.stop()
    }

    @Test("webhooks with side effects refuse dry runs; others are told of them")
    func dryRun() async throws {
        let hooks = try await WebhookServer.reviews { _, request in ["allowed": .bool(request["dryRun"].bool == true)] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.configure("Validating", hooks, path: "/")
        try await test.create("configmaps", configMap("a"), query: [("dryRun", "All")])
        let refused = await failure { try await test.create("configmaps", configMap("a")) }
        #expect(refused?.code == 400)
        await test.server.stop()
        await hooks.stop()
    }

    @Test("match conditions decide by CEL; one that cannot be decided is the failure policy's affair")
    func matchConditions() async throws {
        let hooks = try await WebhookServer.reviews { _, _ in ["allowed": false] }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        func made(_ name: String, _ expressions: [String], policy: Value = "Fail") async throws -> StatusError? {
            try await test.configure("Validating", hooks, path: "/", name: "c") { hook in
                hook["failurePolicy"] = policy
                hook["matchConditions"] = .array(
                    expressions.enumerated().map { ["name": .string("c\($0.offset)"), "expression": .string($0.element)] })
            }
            let error = await failure { try await test.create("configmaps", configMap(name, ["k": "v"])) }
            try await test.delete("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "c", namespace: nil)
            return error
        }
        #expect(try await made("a", ["object.metadata.name == 'a'", "request.userInfo.username == 'tester'"])?.code == 400)
        #expect(try await made("b", ["object.metadata.name == 'a'"]) == nil)
        #expect(try await made("c", ["object.data.missing == 'x'", "false"]) == nil)
        let undecided = try await made("d", ["object.data.missing == 'x'"])
        #expect(undecided?.code == 403)
        #expect(
            undecided?.message == "configmaps \"d\" is forbidden: expression 'object.data.missing == 'x'' resulted in error: no such key: missing")
        #expect(try await made("e", ["object.data.missing == 'x'"], policy: "Ignore") == nil)
        #expect(try await made("f", ["authorizer.group('').resource('pods').check('create').allowed()", "oldObject == null"])?.code == 400)
        #expect(try await made("g", ["authorizer.requestResource.check('create').allowed()", "request.operation == 'CREATE'"])?.code == 400)
        await test.server.stop()
        await hooks.stop()
    }

    @Test("configurations of webhooks are checked in upstream's words")
    func validation() async throws {
        let test = try await TestServer.withWebhooks()
        let hook: Value = [
            "name": "a", "clientConfig": ["url": "http://u@x/p?q#f"], "sideEffects": "Some", "admissionReviewVersions": ["v2"],
            "rules": [["operations": ["*", "CREATE"], "apiGroups": ["*", "x"], "apiVersions": ["v1"], "resources": ["pods/*", "pods/status"]]],
            "timeoutSeconds": 31, "failurePolicy": "Maybe", "matchConditions": [["name": "x", "expression": "object."]],
        ]
        let configuration: Value = [
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": ["name": "v"], "webhooks": [hook],
        ]
        let error = await failure {
            try await test.create("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", configuration, namespace: nil)
        }
        let found = (error?.details?.causes ?? []).map { "\($0.field): \($0.message)" }
        let form = "; desired format: https://host[/path]"
        #expect(
            Array(found.prefix(9)) == [
                "webhooks[0].name: Invalid value: \"a\": should be a domain with at least three segments separated by dots",
                "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
                "webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"x\"]: if '*' is present, must not specify other API groups",
                "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status",
                "webhooks[0].failurePolicy: Unsupported value: \"Maybe\": supported values: \"Fail\", \"Ignore\"",
                "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
                "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme\(form)",
                "webhooks[0].clientConfig.url: Invalid value: \"u\": user information is not permitted in the URL",
            ])
        #expect(
            found.contains {
                $0.hasPrefix("webhooks[0].matchConditions[0].expression: Invalid value: \"object.\": compilation failed: ERROR: <input>:1:")
            })
        #expect(found.last == "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1")
        await test.server.stop()
    }
}
