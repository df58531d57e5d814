import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("RBAC")
struct RBACAuthorizerTests {
    private let reader = MemoryReader()
    private let rbac: RBACAuthorizer

    init() throws {
        try reader.set(
            .clusterRoles,
            """
            {"kind":"ClusterRole","metadata":{"name":"reader"},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods","pods/log"]},
            {"verbs":["get"],"nonResourceURLs":["/healthz","/logs/*"]}]}
            """)
        try reader.set(
            .clusterRoles, #"{"kind":"ClusterRole","metadata":{"name":"scaler"},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*/scale"]}]}"#
        )
        try reader.set(
            .clusterRoles, #"{"kind":"ClusterRole","metadata":{"name":"all"},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]}"#)
        try reader.set(
            .roles,
            """
            {"kind":"Role","metadata":{"name":"one-secret","namespace":"web"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"],
            "resourceNames":["token"]}]}
            """)
        try reader.set(
            .clusterRoleBindings,
            """
            {"kind":"ClusterRoleBinding","metadata":{"name":"readers"},"roleRef":{"kind":"ClusterRole","name":"reader"},
            "subjects":[{"kind":"User","name":"ann"},{"kind":"Group","name":"ops"}]}
            """)
        rbac = RBACAuthorizer(reader: reader)
        // What comes after the start counts as well.
        try reader.set(
            .roleBindings,
            """
            {"kind":"RoleBinding","metadata":{"name":"app","namespace":"web"},"roleRef":{"kind":"Role","name":"one-secret"},
            "subjects":[{"kind":"ServiceAccount","name":"app"},{"kind":"ServiceAccount","name":"other","namespace":"jobs"}]}
            """)
        try reader.set(
            .roleBindings,
            """
            {"kind":"RoleBinding","metadata":{"name":"admin","namespace":"web"},"roleRef":{"kind":"ClusterRole","name":"all"},
            "subjects":[{"kind":"User","name":"wendy"}]}
            """)
        try reader.set(
            .clusterRoleBindings,
            """
            {"kind":"ClusterRoleBinding","metadata":{"name":"scalers"},"roleRef":{"kind":"ClusterRole","name":"scaler"},
            "subjects":[{"kind":"User","name":"sue"}]}
            """)
    }

    private func ask(
        _ user: UserInfo, _ verb: String, _ resource: String, group: String = "", subresource: String = "", namespace: String = "", name: String = ""
    ) -> Bool {
        allows(
            rbac.authorize(
                AuthorizationAttributes(
                    user: user, verb: verb, apiGroup: group, resource: resource, subresource: subresource, namespace: namespace, name: name)))
    }

    @Test("rules match verb, group, resource and subresource, and wildcards of each")
    func ruleMatrix() {
        let ann = UserInfo(name: "ann")
        let sue = UserInfo(name: "sue")
        let wendy = UserInfo(name: "wendy")
        let matrix: [(UserInfo, String, String, String, String, String, Bool)] = [
            (ann, "get", "", "pods", "", "default", true),
            (ann, "list", "", "pods", "", "", true),
            (ann, "watch", "", "pods", "", "", false),
            (ann, "get", "", "pods", "log", "default", true),
            (ann, "get", "", "pods", "exec", "default", false),
            (ann, "get", "apps", "pods", "", "default", false),
            (ann, "get", "", "podsx", "", "default", false),
            (sue, "update", "apps", "deployments", "scale", "x", true),
            (sue, "update", "apps", "deployments", "", "x", false),
            (sue, "update", "apps", "scale", "", "x", false),
            (wendy, "delete", "apps", "deployments", "status", "web", true),
            (wendy, "delete", "apps", "deployments", "", "default", false),
            (wendy, "get", "", "nodes", "", "", false),
        ]
        for (user, verb, group, resource, subresource, namespace, expected) in matrix {
            let got = ask(user, verb, resource, group: group, subresource: subresource, namespace: namespace)
            #expect(got == expected, "\(user.name) \(verb) \(group)/\(resource)/\(subresource) in \(namespace)")
        }
    }

    @Test("groups and service accounts are subjects; a service account without a namespace is of the binding's")
    func subjects() {
        #expect(ask(UserInfo(name: "x", groups: ["dev", "ops"]), "get", "pods", namespace: "default"))
        #expect(!ask(UserInfo(name: "ops"), "get", "pods", namespace: "default"))
        let app = UserInfo.serviceAccount(namespace: "web", name: "app")
        #expect(ask(app, "get", "secrets", namespace: "web", name: "token"))
        #expect(ask(.serviceAccount(namespace: "jobs", name: "other"), "get", "secrets", namespace: "web", name: "token"))
        #expect(!ask(.serviceAccount(namespace: "jobs", name: "app"), "get", "secrets", namespace: "web", name: "token"))
    }

    @Test("resource names bind a rule to those objects, and to none without a name")
    func resourceNames() {
        let app = UserInfo.serviceAccount(namespace: "web", name: "app")
        #expect(!ask(app, "get", "secrets", namespace: "web", name: "other"))
        #expect(!ask(app, "get", "secrets", namespace: "web"))
        #expect(!ask(app, "get", "secrets", namespace: "default", name: "token"))
    }

    @Test("paths that are no resources match whole or by a star at the end")
    func paths() {
        func get(_ path: String) -> Bool {
            allows(rbac.authorize(AuthorizationAttributes(user: UserInfo(name: "ann"), verb: "get", isResourceRequest: false, path: path)))
        }
        #expect(get("/healthz"))
        #expect(get("/logs/a/b"))
        #expect(!get("/logs"))
        #expect(!get("/healthz/etcd"))
    }

    @Test("the reason names binding, role and subject, in upstream's words")
    func reason() {
        let decision = rbac.authorize(
            AuthorizationAttributes(user: UserInfo(name: "x", groups: ["ops"]), verb: "get", resource: "pods", namespace: "a"))
        #expect(decision == .allow(reason: #"RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "ops""#))
        let wendy = rbac.authorize(AuthorizationAttributes(user: UserInfo(name: "wendy"), verb: "get", resource: "pods", namespace: "web"))
        #expect(wendy == .allow(reason: #"RBAC: allowed by RoleBinding "admin/web" of ClusterRole "all" to User "wendy""#))
    }

    @Test("a binding to a role that is not there grants nothing and says so")
    func missingRole() throws {
        try reader.set(
            .roleBindings,
            """
            {"kind":"RoleBinding","metadata":{"name":"dangling","namespace":"web"},"roleRef":{"kind":"Role","name":"gone"},
            "subjects":[{"kind":"User","name":"dan"}]}
            """)
        let decision = rbac.authorize(AuthorizationAttributes(user: UserInfo(name: "dan"), verb: "get", resource: "pods", namespace: "web"))
        #expect(decision == .noOpinion(reason: #"RBAC: roles.rbac.authorization.k8s.io "gone" not found"#))
    }

    @Test("what is deleted or changed no longer grants")
    func changes() throws {
        reader.remove(.roleBindings, "web/admin")
        #expect(!ask(UserInfo(name: "wendy"), "get", "pods", namespace: "web"))
        try reader.set(
            .clusterRoleBindings,
            """
            {"kind":"ClusterRoleBinding","metadata":{"name":"readers"},"roleRef":{"kind":"ClusterRole","name":"reader"},"subjects":[{"kind":"User","name":"bob"}]}
            """)
        #expect(!ask(UserInfo(name: "ann"), "get", "pods", namespace: "web"))
        #expect(ask(UserInfo(name: "bob"), "get", "pods", namespace: "web"))
        reader.remove(.clusterRoles, "reader")
        #expect(!ask(UserInfo(name: "bob"), "get", "pods", namespace: "web"))
    }

    @Test("members of system:masters may do everything, whatever the roles say")
    func masters() {
        let union = UnionAuthorizer([PrivilegedGroupsAuthorizer(), rbac])
        let asked = AuthorizationAttributes(user: UserInfo(name: "root", groups: ["system:masters"]), verb: "delete", resource: "nodes", name: "a")
        #expect(allows(union.authorize(asked)))
    }

    @Test("SelfSubjectRulesReview lists the rules of the namespace and the cluster")
    func rulesReview() throws {
        let review = try Object(json: #"{"kind":"SelfSubjectRulesReview","spec":{"namespace":"web"}}"#)
        let answer = try AccessReviews.selfSubjectRulesReview(review, user: .serviceAccount(namespace: "web", name: "app"), rbac: rbac)
        #expect(
            answer[path: "status", "resourceRules"] == [["verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["token"]]])
        #expect(answer[path: "status", "incomplete"] == false)
    }

    @Test("access reviews answer for the user they name, and ask for exactly one kind of attributes")
    func accessReviews() async throws {
        let reviews = AccessReviews(authorizers: [rbac])
        let review = try Object(
            json: #"{"spec":{"user":"ann","resourceAttributes":{"verb":"get","resource":"pods","namespace":"default"}}}"#)
        #expect(try await reviews.subjectAccessReview(review)[path: "status", "allowed"] == true)
        let own = try await reviews.selfSubjectAccessReview(review, user: UserInfo(name: "zoe"))
        #expect(own[path: "status"] == ["allowed": false])
        let none = try Object(json: #"{"spec":{"user":"ann"}}"#)
        await #expect(throws: StatusError.self) { _ = try await reviews.subjectAccessReview(none) }
        let nobody = try Object(json: #"{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}"#)
        await #expect(throws: StatusError.self) { _ = try await reviews.subjectAccessReview(nobody) }
    }
}
