import KubeAPI
import KubeAPIServer
import Testing

@testable import ControlPlane

/// Objects that do not change.
private struct FixedReader: ObjectReader {
    var objects: [GroupResource: [Object]]

    func get(_ resource: GroupResource, namespace: String, name: String) -> Object? {
        objects[resource]?.first { $0.metadata.namespace == namespace && $0.metadata.name == name }
    }
    func list(_ resource: GroupResource, namespace: String?) -> [Object] {
        objects[resource]?.filter { namespace == nil || $0.metadata.namespace == namespace } ?? []
    }
    func observe(_ resource: GroupResource, _ changed: @escaping @Sendable (Object?, Object?) -> Void) {}
}

/// Principals × modes × entries × policies × verbs × namespaces: who is let in, as whom, and what he may do.
@Suite struct AccessMatrixTests {
    enum Mode: String, CaseIterable, Sendable { case configMap, both, api }
    enum Principal: String, CaseIterable, Sendable { case creator, editor, viewer, demoted, counted, stranger, reborn }

    /// What is asked.
    struct Question: Sendable {
        var verb: String
        var group = ""
        var resource: String
        var namespace = ""
        var path = ""
    }

    static let questions = ["get", "list", "create", "deletecollection"].flatMap { verb in
        ["", "team-a", "team-b", "other"].flatMap { namespace in
            [
                Question(verb: verb, resource: "pods", namespace: namespace), Question(verb: verb, resource: "secrets", namespace: namespace),
                Question(verb: verb, group: "apps", resource: "deployments", namespace: namespace),
                Question(verb: verb, group: "rbac.authorization.k8s.io", resource: "roles", namespace: namespace),
                Question(verb: verb, group: "example.com", resource: "widgets", namespace: namespace),
            ]
        } + [Question(verb: verb, resource: "nodes"), Question(verb: verb, resource: "", path: "/metrics")]
    }

    static func identity(_ principal: Principal) -> AWSIdentity {
        switch principal {
        case .creator: user("admin", "AIDAADMIN")
        case .editor:
            AWSIdentity(
                arn: "arn:aws:sts::000000000000:assumed-role/editor/jane@x", canonicalARN: "arn:aws:iam::000000000000:role/editor",
                principalARN: "arn:aws:iam::000000000000:role/team/editor", accountID: "000000000000", principalID: "AROAEDITOR",
                sessionName: "jane@x", accessKeyID: "ASIA1")
        case .viewer: user("viewer", "AIDAVIEWER")
        case .demoted: user("demoted", "AIDADEMOTED")
        case .counted:
            AWSIdentity(
                arn: "arn:aws:iam::111122223333:user/guest", canonicalARN: "arn:aws:iam::111122223333:user/guest",
                principalARN: "arn:aws:iam::111122223333:user/guest", accountID: "111122223333", principalID: "AIDAGUEST", sessionName: "",
                accessKeyID: "AKIA2")
        case .stranger: user("stranger", "AIDASTRANGER")
        // Somebody new under the name of an entry's principal.
        case .reborn: user("reborn", "AIDASECOND")
        }
    }

    private static func user(_ name: String, _ id: String) -> AWSIdentity {
        let arn = "arn:aws:iam::000000000000:user/\(name)"
        return AWSIdentity(
            arn: arn, canonicalARN: arn, principalARN: arn, accountID: "000000000000", principalID: id, sessionName: "", accessKeyID: "AKIA1")
    }

    private static func policy(_ name: String, _ namespaces: [String]? = nil) -> ClusterAccessRules.Policy {
        .init(arn: "arn:aws:eks::aws:cluster-access-policy/\(name)", namespaces: namespaces)
    }

    static func book(_ mode: Mode) -> AccessBook {
        let book = AccessBook()
        var rules = ClusterAccessRules(revision: 1, usesConfigMap: mode != .api)
        if mode == .configMap {
            rules.administratorARN = identity(.creator).principalARN
        } else {
            func entry(
                _ principal: Principal, id: String? = nil, user: String? = nil, groups: [String] = [], _ policies: ClusterAccessRules.Policy...
            )
                -> ClusterAccessRules.Entry
            {
                let identity = identity(principal)
                return .init(
                    principalARN: identity.principalARN, principalID: id ?? identity.principalID, userName: user ?? identity.principalARN,
                    groups: groups, policies: policies)
            }
            rules.entries = [
                entry(.creator, policy("AmazonEKSClusterAdminPolicy")),
                entry(
                    .editor, user: "arn:aws:sts::000000000000:assumed-role/editor/{{SessionName}}", groups: ["listers"],
                    policy("AmazonEKSEditPolicy", ["team-*"])),
                entry(.demoted, policy("AmazonEKSSecretReaderPolicy")),
                entry(.reborn, id: "AIDAFIRST", policy("AmazonEKSClusterAdminPolicy")),
            ]
        }
        book.set(rules)
        book.set(
            AWSAuthMap(data: [
                "mapUsers": """
                - userarn: arn:aws:iam::000000000000:user/viewer
                  username: victor
                  groups: [viewers]
                - userarn: arn:aws:iam::000000000000:user/demoted
                  username: boss
                  groups: ["system:masters"]
                """, "mapAccounts": "- \"111122223333\"",
            ]))
        return book
    }

    /// `viewers` may read pods in team-a; `listers` may list nodes.
    static func rbac() throws -> RBACAuthorizer {
        func role(_ name: String, _ rule: Value) throws -> Object { try Object(["metadata": ["name": .string(name)], "rules": [rule]]) }
        let groups = "rbac.authorization.k8s.io"
        return RBACAuthorizer(
            reader: FixedReader(objects: [
                GroupResource(group: groups, resource: "clusterroles"): [
                    try role("pods", ["verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]]),
                    try role("nodes", ["verbs": ["list"], "apiGroups": [""], "resources": ["nodes"]]),
                ],
                GroupResource(group: groups, resource: "rolebindings"): [
                    try Object([
                        "metadata": ["name": "b", "namespace": "team-a"], "roleRef": ["kind": "ClusterRole", "name": "pods"],
                        "subjects": [["kind": "Group", "name": "viewers"]],
                    ])
                ],
                GroupResource(group: groups, resource: "clusterrolebindings"): [
                    try Object([
                        "metadata": ["name": "c"], "roleRef": ["kind": "ClusterRole", "name": "nodes"],
                        "subjects": [["kind": "Group", "name": "listers"]],
                    ])
                ],
            ]))
    }

    /// As whom a principal is let in; nil: not at all.
    static func expectedUser(_ principal: Principal, _ mode: Mode) -> String? {
        switch (principal, mode) {
        case (.creator, .configMap): "kubernetes-admin"
        case (.creator, _): "arn:aws:iam::000000000000:user/admin"
        case (.editor, .configMap): nil
        case (.editor, _): "arn:aws:sts::000000000000:assumed-role/editor/jane-x"
        case (.viewer, .api), (.counted, .api): nil
        case (.viewer, _): "victor"
        case (.demoted, .configMap): "boss"
        case (.demoted, _): "arn:aws:iam::000000000000:user/demoted"
        case (.counted, _): "arn:aws:iam::111122223333:user/guest"
        case (.stranger, _), (.reborn, _): nil
        }
    }

    /// What the guide's tables and the two roles allow, said once more by hand.
    static func isAllowed(_ principal: Principal, _ mode: Mode, _ question: Question) -> Bool {
        let reads = question.verb == "get" || question.verb == "list"
        let isPods = question.resource == "pods"
        let isSecrets = question.resource == "secrets"
        switch principal {
        case .creator: return true
        case .demoted: return mode == .configMap || (isSecrets && reads)
        case .viewer: return isPods && reads && question.namespace == "team-a"
        case .editor:
            if question.resource == "nodes" { return question.verb == "list" }
            return question.namespace.hasPrefix("team-") && (isPods || isSecrets || question.resource == "deployments")
        case .counted, .stranger, .reborn: return false
        }
    }

    @Test("who is let in, as whom, and what he may do", arguments: Mode.allCases, Principal.allCases)
    func matrix(_ mode: Mode, _ principal: Principal) async throws {
        let book = Self.book(mode)
        let mapper = IdentityMapper(book: book) { _ in nil }
        guard let expected = Self.expectedUser(principal, mode) else {
            await #expect(throws: TokenRefused.self) { try await mapper.user(of: Self.identity(principal)) }
            return
        }
        let token = try await mapper.user(of: Self.identity(principal))
        #expect(token.userName == expected)
        #expect(token.uid == "aws-iam-authenticator:\(Self.identity(principal).accountID):\(Self.identity(principal).principalID)")
        let user = UserInfo(name: token.userName, uid: token.uid, groups: token.groups + [UserInfo.allAuthenticated], extra: token.extra)
        let rbac = try Self.rbac()
        let chain = UnionAuthorizer([PrivilegedGroupsAuthorizer(), AccessPolicyAuthorizer(book: book), rbac])
        for question in Self.questions {
            let asked = Self.attributes(question, user)
            var isAllowed = false
            if case .allow = chain.authorize(asked) { isAllowed = true }
            #expect(isAllowed == Self.isAllowed(principal, mode, question), "\(principal) \(mode) \(question)")
            // Who acts as this user has what RBAC gives the name and its groups, and nothing of the entry's policies.
            var impersonated = user
            impersonated.isImpersonated = true
            #expect(
                AccessPolicyAuthorizer(book: book).authorize(Self.attributes(question, impersonated)) == .noOpinion(reason: ""),
                "\(principal) \(question)")
        }
        // Policies are no rules of RBAC: kubectl auth can-i --list does not show them.
        #expect(rbac.rules(for: user, namespace: "team-a").rules.count == (principal == .viewer || principal == .editor ? 1 : 0))
    }

    static func attributes(_ question: Question, _ user: UserInfo) -> AuthorizationAttributes {
        AuthorizationAttributes(
            user: user, verb: question.verb, apiGroup: question.group, resource: question.resource, namespace: question.namespace,
            isResourceRequest: question.path.isEmpty, path: question.path)
    }

    @Test("the reason names entry and policy, as EKS's audit log does")
    func reason() {
        let user = UserInfo(name: "x", uid: "aws-iam-authenticator:000000000000:AROAEDITOR")
        let decision = AccessPolicyAuthorizer(book: Self.book(.api)).authorize(
            Self.attributes(Question(verb: "get", resource: "pods", namespace: "team-a"), user))
        let policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
        #expect(
            decision
                == .allow(
                    reason:
                        "EKS Access Policy: allowed by RoleBinding \"arn:aws:iam::000000000000:role/team/editor+\(policy)\" of ClusterRole \"\(policy)\" to User \"AROAEDITOR\""
                ))
    }

    @Test("a user who is called like another, or has another's groups, has none of his policies")
    func forgery() {
        let book = Self.book(.api)
        for user in [
            UserInfo(name: "arn:aws:iam::000000000000:user/admin", groups: [UserInfo.allAuthenticated]),
            UserInfo(name: "kubernetes-admin", uid: "AIDAADMIN", extra: ["principalId": ["AIDAADMIN"]]),
            UserInfo(name: "x", uid: "aws-iam-authenticator:111122223333:AIDAADMIN"),
        ] {
            let decision = AccessPolicyAuthorizer(book: book).authorize(Self.attributes(Question(verb: "get", resource: "pods"), user))
            #expect(decision == .noOpinion(reason: ""))
        }
    }

    @Test("an extension server that asks on a user's behalf may know his extra values alone")
    func extensionServers() {
        let extra = ["principalid": ["AIDAADMIN"], "canonicalarn": ["arn:aws:iam::000000000000:user/admin"]]
        var user = UserInfo(name: "x", extra: extra)
        func decision() -> AuthorizationDecision {
            AccessPolicyAuthorizer(book: Self.book(.api)).authorize(Self.attributes(Question(verb: "get", resource: "pods"), user))
        }
        if case .allow = decision() {} else { Issue.record("\(decision())") }
        user.isImpersonated = true
        #expect(decision() == .noOpinion(reason: ""))
        user.isImpersonated = false
        user.extra["canonicalarn"] = ["arn:aws:iam::111122223333:user/admin"]
        #expect(decision() == .noOpinion(reason: ""))
    }

    @Test("rules that arrive late do not replace newer ones")
    func revisions() {
        let book = Self.book(.api)
        book.set(ClusterAccessRules(revision: 0, usesConfigMap: true))
        #expect(book.mapping(of: Self.identity(.creator)) != nil)
        book.set(ClusterAccessRules(revision: 2, usesConfigMap: false))
        #expect(book.mapping(of: Self.identity(.creator)) == nil)
    }
}
