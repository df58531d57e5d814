import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("RBAC escalation")
struct RBACEscalationTests {
    private let reader = MemoryReader()
    private let check: RBACEscalationCheck
    private let eve = UserInfo(name: "eve", groups: ["dev"])

    init() throws {
        let reader = reader
        func bind(_ user: String, _ role: String) throws {
            try reader.set(
                .clusterRoleBindings,
                """
                {"kind":"ClusterRoleBinding","metadata":{"name":"\(user)-\(role)"},"roleRef":{"kind":"ClusterRole","name":"\(role)"},
                "subjects":[{"kind":"User","name":"\(user)"}]}
                """)
        }
        func role(_ name: String, _ rules: String) throws {
            try reader.set(.clusterRoles, #"{"kind":"ClusterRole","metadata":{"name":"\#(name)"},"rules":\#(rules)}"#)
        }
        try role("pods", #"[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}]"#)
        try role("secrets", #"[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]"#)
        try role("escalate", #"[{"verbs":["escalate"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","clusterroles"]}]"#)
        try role("bind", #"[{"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["secrets"]}]"#)
        try role("everything", #"[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]},{"verbs":["*"],"nonResourceURLs":["*"]}]"#)
        try bind("eve", "pods")
        try bind("escalator", "escalate")
        try bind("binder", "bind")
        try bind("boss", "everything")
        let rbac = RBACAuthorizer(reader: reader)
        check = RBACEscalationCheck(authorizer: rbac, rbac: rbac)
    }

    private func write(_ json: String, _ resource: GroupResource, as user: UserInfo, old: String? = nil) async throws {
        let object = try Object(json: json)
        let attributes = AdmissionAttributes(
            operation: old == nil ? .create : .update, user: user,
            resource: GroupVersionResource(group: resource.group, version: "v1", resource: resource.resource),
            kind: object.groupVersionKind, subresource: "", namespace: object.metadata.namespace, name: object.metadata.name, object: object.value,
            oldObject: try old.map { try Object(json: $0) }, dryRun: false)
        try await check.validate(attributes)
    }

    private func role(_ rules: String) -> String { #"{"kind":"Role","metadata":{"name":"r","namespace":"web"},"rules":\#(rules)}"# }

    @Test("rights one has may be granted, alone or split")
    func heldRights() async throws {
        try await write(role(#"[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]"#), .roles, as: eve)
        try await write(role(#"[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}]"#), .roles, as: eve)
    }

    @Test("a right one lacks is refused with upstream's text, rights of one resource put together")
    func missingRights() async throws {
        let error = await #expect(throws: StatusError.self) {
            try await write(role(#"[{"verbs":["get","watch","delete"],"apiGroups":[""],"resources":["pods"]}]"#), .roles, as: eve)
        }
        #expect(
            error?.message == """
                roles.rbac.authorization.k8s.io "r" is forbidden: user "eve" (groups=["dev"]) is attempting to grant RBAC permissions not currently held:
                {APIGroups:[""], Resources:["pods"], Verbs:["watch" "delete"]}
                """)
        #expect(error?.code == 403)
    }

    @Test(
        "wildcards, other groups, subresources and paths are more than what is held",
        arguments: [
            #"[{"verbs":["*"],"apiGroups":[""],"resources":["pods"]}]"#, #"[{"verbs":["get"],"apiGroups":["*"],"resources":["pods"]}]"#,
            #"[{"verbs":["get"],"apiGroups":[""],"resources":["*"]}]"#, #"[{"verbs":["get"],"apiGroups":[""],"resources":["pods/exec"]}]"#,
            #"[{"verbs":["get"],"nonResourceURLs":["/metrics"]}]"#, #"[{"verbs":["get"],"apiGroups":["","apps"],"resources":["pods"]}]"#,
        ])
    func broaderRights(rules: String) async throws {
        await #expect(throws: StatusError.self) { try await write(role(rules), .roles, as: eve) }
    }

    @Test("the verb escalate lets any role be written, and not bound")
    func escalate() async throws {
        let escalator = UserInfo(name: "escalator")
        try await write(role(#"[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]"#), .roles, as: escalator)
        await #expect(throws: StatusError.self) { try await write(binding("secrets"), .roleBindings, as: escalator) }
    }

    private func binding(_ role: String) -> String {
        """
        {"kind":"RoleBinding","metadata":{"name":"b","namespace":"web"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"\(role)"},
        "subjects":[{"kind":"User","name":"eve"}]}
        """
    }

    @Test("a binding needs the role's rights, or the verb bind on that role; a role that is missing is not found")
    func bindings() async throws {
        try await write(binding("pods"), .roleBindings, as: eve)
        await #expect(throws: StatusError.self) { try await write(binding("secrets"), .roleBindings, as: eve) }
        try await write(binding("secrets"), .roleBindings, as: UserInfo(name: "binder"))
        await #expect(throws: StatusError.self) { try await write(binding("everything"), .roleBindings, as: UserInfo(name: "binder")) }
        let error = await #expect(throws: StatusError.self) { try await write(binding("gone"), .roleBindings, as: eve) }
        #expect(error?.message == #"clusterroles.rbac.authorization.k8s.io "gone" not found"#)
    }

    @Test("an update is checked whole, but not when only owners and finalizers change")
    func updates() async throws {
        let old = #"{"kind":"Role","metadata":{"name":"r","namespace":"web"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]}"#
        let finalized =
            #"{"kind":"Role","metadata":{"name":"r","namespace":"web","finalizers":["a/b"]},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]}"#
        try await write(finalized, .roles, as: eve, old: old)
        let labelled =
            #"{"kind":"Role","metadata":{"name":"r","namespace":"web","labels":{"a":"b"}},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]}"#
        await #expect(throws: StatusError.self) { try await write(labelled, .roles, as: eve, old: old) }
    }

    @Test("an aggregation rule needs every right")
    func aggregation() async throws {
        let json =
            #"{"kind":"ClusterRole","metadata":{"name":"agg"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]},"rules":[]}"#
        let error = await #expect(throws: StatusError.self) { try await write(json, .clusterRoles, as: eve) }
        #expect(error?.message.contains("must have cluster-admin privileges to use the aggregationRule") == true)
        try await write(json, .clusterRoles, as: UserInfo(name: "boss"))
        try await write(json, .clusterRoles, as: UserInfo(name: "root", groups: ["system:masters"]))
    }
}
