import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Admission policies")
struct PolicyTests {
    static let validating = "admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    static let validatingBindings = "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    static let mutating = "admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
    static let mutatingBindings = "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"

    /// A server with the two policy plug-ins and the strategies of all kinds.
    static func server() async throws -> TestServer {
        let server = try await TestServer { configuration in
            configuration.components = { reader in
                let cidr = try #require(ServiceCIDR("10.100.0.0/16"))
                return APIServer.Components(
                    authenticators: [TestAuthenticator()], authorizers: [AllowEverything()],
                    admission: [
                        MutatingAdmissionPolicy(reader: reader, authorizers: [AllowEverything()]),
                        ValidatingAdmissionPolicy(reader: reader, authorizers: [MastersOnly()]),
                    ], strategies: StrategyTable.standard(serviceCIDR: cidr, reader: reader))
            }
        }
        try await server.create(
            "namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default", "labels": ["env": "test"]]], namespace: nil)
        return server
    }

    static let constraints: Value = [
        "resourceRules": [["apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]]]
    ]

    static func policy(_ name: String, kind: String = "ValidatingAdmissionPolicy", _ spec: Value) -> Value {
        var spec = spec
        if spec["matchConstraints"] == nil { spec["matchConstraints"] = constraints }
        return ["apiVersion": "admissionregistration.k8s.io/v1", "kind": .string(kind), "metadata": ["name": .string(name)], "spec": spec]
    }

    static func binding(_ name: String, kind: String = "ValidatingAdmissionPolicyBinding", _ spec: Value) -> Value {
        ["apiVersion": "admissionregistration.k8s.io/v1", "kind": .string(kind), "metadata": ["name": .string(name)], "spec": spec]
    }

    static func deployment(_ name: String, replicas: Int64 = 1, labels: Value = [:]) -> Value {
        [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name), "labels": labels],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": "a"]],
                "template": ["metadata": ["labels": ["app": "a"]], "spec": ["containers": [["name": "c", "image": "i"]]]],
            ],
        ]
    }

    @Test("a validation that is false refuses with 422 and upstream's message; status and unmatched requests pass")
    func denies() async throws {
        let server = try await Self.server()
        try await server.create(
            Self.validating, Self.policy("replicas", ["validations": [["expression": "object.spec.replicas <= 5"]]]), namespace: nil)
        try await server.create(Self.deployment_, Self.deployment("unbound", replicas: 9))
        try await server.create(
            Self.validatingBindings, Self.binding("bound", ["policyName": "replicas", "validationActions": ["Deny"]]), namespace: nil)
        try await server.create(Self.deployment_, Self.deployment("small", replicas: 5))
        let error = await #expect(throws: StatusError.self) { try await server.create(Self.deployment_, Self.deployment("big", replicas: 6)) }
        #expect(error?.code == 422 && error?.reason == "Invalid")
        let text = "ValidatingAdmissionPolicy 'replicas' with binding 'bound' denied request: failed expression: object.spec.replicas <= 5"
        #expect(error?.message == "deployments.apps \"big\" is forbidden: \(text)")
        #expect(error?.details?.causes.map(\.message) == [text])
        try await server.delete(Self.validatingBindings, "bound", namespace: nil)
        try await server.create(Self.deployment_, Self.deployment("big", replicas: 6))
    }

    private static let deployment_ = "apps/v1/deployments"

    @Test("variables, messageExpression, reason, conditions, namespaceObject and request are seen")
    func variables() async throws {
        let server = try await Self.server()
        let spec: Value = [
            "variables": [
                ["name": "limit", "expression": "namespaceObject.metadata.labels.env == 'test' ? 3 : 10"],
                ["name": "over", "expression": "object.spec.replicas > variables.limit"],
            ],
            "matchConditions": [["name": "not-exempt", "expression": "!has(object.metadata.labels) || !('exempt' in object.metadata.labels)"]],
            "validations": [
                [
                    "expression": "!variables.over || request.userInfo.username == 'root'",
                    "messageExpression": "'at most %d for %s in %s'.format([dyn(variables.limit), request.operation, request.namespace])",
                    "reason": "Forbidden",
                ]
            ],
        ]
        try await server.create(Self.validating, Self.policy("v", spec), namespace: nil)
        try await server.create(Self.validatingBindings, Self.binding("b", ["policyName": "v", "validationActions": ["Deny"]]), namespace: nil)
        let error = await #expect(throws: StatusError.self) { try await server.create(Self.deployment_, Self.deployment("x", replicas: 4)) }
        #expect(error?.code == 403 && error?.reason == "Forbidden")
        #expect(error?.message.hasSuffix("denied request: at most 3 for CREATE in default") == true)
        try await server.create(Self.deployment_, Self.deployment("y", replicas: 4, labels: ["exempt": ""]))
    }

    @Test("parameters are found by name or selector, and a missing one denies or is passed over as the binding says")
    func parameters() async throws {
        let server = try await Self.server()
        let spec: Value = [
            "paramKind": ["apiVersion": "v1", "kind": "ConfigMap"], "validations": [["expression": "object.spec.replicas <= int(params.data.max)"]],
        ]
        try await server.create(Self.validating, Self.policy("p", spec), namespace: nil)
        try await server.create(
            Self.validatingBindings,
            Self.binding(
                "b", ["policyName": "p", "validationActions": ["Deny"], "paramRef": ["name": "limits", "parameterNotFoundAction": "Deny"]]),
            namespace: nil)
        let missing = await #expect(throws: StatusError.self) { try await server.create(Self.deployment_, Self.deployment("a")) }
        #expect(
            missing?.message.hasSuffix("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction") == true)
        try await server.create("configmaps", ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "limits"], "data": ["max": "2"]])
        try await server.create(Self.deployment_, Self.deployment("a", replicas: 2))
        await #expect(throws: StatusError.self) { try await server.create(Self.deployment_, Self.deployment("b", replicas: 3)) }
    }

    @Test("an expression that fails denies under Fail and passes under Ignore")
    func failurePolicy() async throws {
        let server = try await Self.server()
        let spec: Value = ["validations": [["expression": "object.metadata.annotations['x'] == 'y'"]]]
        try await server.create(Self.validating, Self.policy("p", spec), namespace: nil)
        try await server.create(Self.validatingBindings, Self.binding("b", ["policyName": "p", "validationActions": ["Deny"]]), namespace: nil)
        let error = await #expect(throws: StatusError.self) { try await server.create(Self.deployment_, Self.deployment("a")) }
        #expect(error?.message.contains("expression 'object.metadata.annotations['x'] == 'y'' resulted in error: no such key: annotations") == true)
        var ignoring = spec
        ignoring["failurePolicy"] = "Ignore"
        try await server.patch(Self.validating, "p", ["spec": ["failurePolicy": "Ignore"]], namespace: nil)
        try await server.create(Self.deployment_, Self.deployment("a"))
    }

    @Test("policies whose expressions do not compile are refused with field paths, and types are checked in the status")
    func compiling() async throws {
        let server = try await Self.server()
        let wrong = Self.policy(
            "w", ["validations": [["expression": "object.x +"], ["expression": "1 + 1"]], "variables": [["name": "a-b", "expression": "1"]]])
        let error = await #expect(throws: StatusError.self) { try await server.create(Self.validating, wrong, namespace: nil) }
        let causes = error?.details?.causes ?? []
        #expect(causes.map(\.field) == ["spec.variables[0].name", "spec.validations[0].expression", "spec.validations[1].expression"])
        #expect(causes.last?.message == "Invalid value: \"1 + 1\": must evaluate to bool")
        #expect(
            causes.dropFirst().first?.message.hasPrefix("Invalid value: \"object.x +\": compilation failed: ERROR: <input>:1:11: Syntax error: ")
                == true)
        let made = try await server.create(
            Self.validating, Self.policy("t", ["validations": [["expression": "object.spec.replicas > 1 && object.spec.foo == 1"]]]), namespace: nil)
        let warning = made["status"]["typeChecking"]["expressionWarnings"].elements.first
        #expect(made["status"]["observedGeneration"].int == 1)
        #expect(warning["fieldRef"].string == "spec.validations[0].expression")
        #expect(
            warning["warning"].string
                == "apps/v1, Kind=Deployment: ERROR: <input>:1:40: undefined field 'foo'\n | object.spec.replicas > 1 && object.spec.foo == 1\n | "
                + "\(String(repeating: ".", count: 39))^\n")
    }

    @Test("mutations apply configurations and JSON patches, one after the other")
    func mutates() async throws {
        let server = try await Self.server()
        let spec: Value = [
            "reinvocationPolicy": "Never", "variables": [["name": "team", "expression": "'blue'"]],
            "mutations": [
                [
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": [
                        "expression":
                            "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{initContainers: [Object.spec.template.spec.initContainers{name: 'mesh', image: 'mesh:v1', restartPolicy: 'Always'}]}}}}"
                    ],
                ],
                [
                    "patchType": "JSONPatch",
                    "jsonPatch": [
                        "expression":
                            "[JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}, JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('example.com/team'), value: variables.team}]"
                    ],
                ],
            ],
        ]
        try await server.create(Self.mutating, Self.policy("m", kind: "MutatingAdmissionPolicy", spec), namespace: nil)
        try await server.create(Self.mutatingBindings, Self.binding("b", kind: "MutatingAdmissionPolicyBinding", ["policyName": "m"]), namespace: nil)
        let made = try await server.create(Self.deployment_, Self.deployment("a"))
        #expect(made["metadata"]["annotations"]["example.com/team"].string == "blue")
        let container = made["spec"]["template"]["spec"]["initContainers"].elements.first
        #expect(container["image"].string == "mesh:v1" && container["imagePullPolicy"].string == "IfNotPresent")
        #expect(made["spec"]["template"]["spec"]["containers"].elements.count == 1)
    }

    @Test("a mutation of an atomic list is refused with upstream's message")
    func atomic() async throws {
        let server = try await Self.server()
        let spec: Value = [
            "reinvocationPolicy": "Never",
            "mutations": [
                [
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": ["expression": "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'x': 'y'}}}}"],
                ]
            ],
        ]
        try await server.create(Self.mutating, Self.policy("m", kind: "MutatingAdmissionPolicy", spec), namespace: nil)
        try await server.create(Self.mutatingBindings, Self.binding("b", kind: "MutatingAdmissionPolicyBinding", ["policyName": "m"]), namespace: nil)
        let error = await #expect(throws: StatusError.self) { try await server.create(Self.deployment_, Self.deployment("a")) }
        #expect(error?.code == 403)
        #expect(
            error?.message
                == "policy 'm' with binding 'b' denied request: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"
        )
    }
}
