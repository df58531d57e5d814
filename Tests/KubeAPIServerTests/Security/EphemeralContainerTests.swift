import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import KubeAPIServer

/// Admission that judges containers must judge all of them, in every list and by every way they come (CVE-2023-2727, CVE-2023-2728, CVE-2024-3177).
@Suite("Admission sees every list of containers")
struct EphemeralContainerTests {
    private static let lists = ["containers", "initContainers", "ephemeralContainers"]
    private let reader = MemoryReader()
    private let ann = UserInfo(name: "ann")

    /// A harmless pod with `container` added to `list`, as JSON; ephemeral ones come by their subresource.
    private func check(_ plugin: any AdmissionPlugin, _ list: String, _ container: String, account: String = "default") async throws -> String? {
        func pod(_ extra: [String: String]) -> String {
            let lists = Self.lists.map { name in
                let plain = name == "containers" ? #"{"name":"main","image":"i"}"# : ""
                return "\"\(name)\":[\([plain, extra[name] ?? ""].filter { !$0.isEmpty }.joined(separator: ","))]"
            }
            return #"{"kind":"Pod","metadata":{"name":"p"},"spec":{"serviceAccountName":"\#(account)",\#(lists.joined(separator: ","))}}"#
        }
        let json = pod([list: container])
        guard list == "ephemeralContainers" else { return try await refusal(plugin, .create, .pods, json, user: ann) }
        return try await refusal(plugin, .update, .pods, json, old: pod([:]), subresource: "ephemeralcontainers", user: ann)
    }

    @Test("Pod Security judges each list", arguments: lists)
    func podSecurity(list: String) async throws {
        try reader.set(
            .namespaces, #"{"kind":"Namespace","metadata":{"name":"default","labels":{"pod-security.kubernetes.io/enforce":"baseline"}}}"#)
        let plugin = PodSecurityAdmission(reader: reader)
        for bad in [
            #""securityContext":{"privileged":true}"#, #""securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}"#,
            #""securityContext":{"procMount":"Unmasked"}"#, #""securityContext":{"seccompProfile":{"type":"Unconfined"}}"#,
            #""securityContext":{"seLinuxOptions":{"user":"root"}}"#,
        ] {
            let message = try await check(plugin, list, #"{"name":"x","image":"i",\#(bad)}"#)
            #expect(message?.contains("violates PodSecurity") == true, "\(list): \(bad)")
        }
        #expect(try await check(plugin, list, #"{"name":"x","image":"i"}"#) == nil)
    }

    @Test("an account that enforces mountable secrets does so for variables and whole environments of each list", arguments: lists)
    func mountableSecrets(list: String) async throws {
        try reader.set(
            .serviceAccounts,
            #"{"kind":"ServiceAccount","metadata":{"name":"strict","namespace":"default","annotations":{"kubernetes.io/enforce-mountable-secrets":"true"}},"secrets":[{"name":"mine"}]}"#
        )
        let plugin = ServiceAccountAdmission(reader: reader)
        func variable(_ secret: String) -> String {
            #"{"name":"x","image":"i","env":[{"name":"V","valueFrom":{"secretKeyRef":{"name":"\#(secret)","key":"k"}}}]}"#
        }
        func environment(_ secret: String) -> String { #"{"name":"x","image":"i","envFrom":[{"secretRef":{"name":"\#(secret)"}}]}"# }
        for container in [variable("mine"), environment("mine")] { #expect(try await check(plugin, list, container, account: "strict") == nil) }
        let kind = ["containers": "container", "initContainers": "init container", "ephemeralContainers": "ephemeral container"][list] ?? ""
        let tail = #"referencing secret.secretName="other" is not allowed because service account strict does not reference that secret"#
        #expect(try await check(plugin, list, variable("other"), account: "strict")?.hasSuffix(": \(kind) x with envVar V \(tail)") == true)
        #expect(try await check(plugin, list, environment("other"), account: "strict")?.hasSuffix(": \(kind) x with envFrom \(tail)") == true)
    }

    @Test("a node adds no ephemeral containers")
    func nodes() async throws {
        let plugin = NodeRestriction(reader: reader)
        let pod = podJSON("mine", node: "n1")
        let node = UserInfo(name: "system:node:n1", groups: ["system:nodes"])
        let message = try await refusal(plugin, .update, .pods, pod, old: pod, subresource: "ephemeralcontainers", user: node)
        #expect(message?.contains("unexpected pod subresource \"ephemeralcontainers\"") == true)
    }

    @Test("webhooks are asked of ephemeral containers, by update and by patch, and can deny them")
    func webhooks() async throws {
        let hooks = try await WebhookServer.reviews { path, request in
            let images = request["object"]["spec"]["ephemeralContainers"].elements.compactMap { $0["image"]?.string }
            return ["allowed": .bool(path == "/mutate" || !images.contains("bad"))]
        }
        let test = try await TestServer.withWebhooks()
        try await test.makeNamespace()
        try await test.create("pods", pod("p", node: "n"))
        for (kind, path) in [("Mutating", "/mutate"), ("Validating", "/validate")] {
            try await test.configure(kind, hooks, path: path, operations: ["UPDATE"], resources: ["pods/ephemeralcontainers"])
        }
        func patched(_ image: String) async -> StatusError? {
            let containers: Value = [["name": .string("d-\(image)"), "image": .string(image), "terminationMessagePolicy": "File"]]
            return await failure {
                try await test.patch(
                    "pods", "p", ["spec": ["ephemeralContainers": containers]], type: "application/strategic-merge-patch+json",
                    subresource: "ephemeralcontainers")
            }
        }
        #expect(await patched("good") == nil)
        #expect(hooks.requests.map(\.path) == ["/mutate", "/validate"])
        #expect(await patched("bad")?.code == 400)
        var whole = try await test.get("pods", "p").value
        let running = whole[path: "spec", "ephemeralContainers"]?.array ?? []
        whole[path: "spec", "ephemeralContainers"] = .array(running + [["name": "e", "image": "bad"]])
        let error = await failure { try await test.update("pods", whole, subresource: "ephemeralcontainers") }
        #expect(error?.message.contains("denied the request") == true)
        #expect(try await test.get("pods", "p")["spec"]["ephemeralContainers"].elements.count == 1)
        await test.server.stop()
        await hooks.stop()
    }

    @Test("a validating policy is asked of ephemeral containers")
    func policies() async throws {
        let test = try await PolicyTests.server()
        try await test.create("pods", pod("p", node: "n"))
        let rules: Value = [
            "resourceRules": [
                ["apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods", "pods/ephemeralcontainers"]]
            ]
        ]
        let expression =
            "!has(object.spec.ephemeralContainers) || object.spec.ephemeralContainers.all(c, !c.image.startsWith('bad'))"
        try await test.create(
            PolicyTests.validating, PolicyTests.policy("images", ["matchConstraints": rules, "validations": [["expression": .string(expression)]]]),
            namespace: nil)
        try await test.create(
            PolicyTests.validatingBindings, PolicyTests.binding("images", ["policyName": "images", "validationActions": ["Deny"]]), namespace: nil)
        for (image, code) in [("good", nil), ("bad/x", 422)] as [(String, Int?)] {
            let containers: Value = [["name": "d", "image": .string(image), "terminationMessagePolicy": "File"]]
            let error = await failure {
                try await test.patch(
                    "pods", "p", ["spec": ["ephemeralContainers": code == nil ? containers : [["name": "e", "image": .string(image)]]]],
                    type: "application/strategic-merge-patch+json", subresource: "ephemeralcontainers")
            }
            #expect(error?.code == code, "\(image): \(error?.message ?? "")")
        }
        await test.server.stop()
    }
}
