import KubeAPI

/// The bindings every cluster starts with. Upstream: bootstrappolicy.ClusterRoleBindings, ControllerRoleBindings, NamespaceRoleBindings.
enum BootstrapBindings {
    enum Subject: Sendable {
        case user(String)
        case group(String)
        case serviceAccount(namespace: String, name: String)

        var value: Value {
            switch self {
            case .user(let name): ["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": .string(name)]
            case .group(let name): ["apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": .string(name)]
            case .serviceAccount(let namespace, let name): ["kind": "ServiceAccount", "name": .string(name), "namespace": .string(namespace)]
            }
        }
    }

    /// Bindings of roles to users and groups; the binding has the role's name.
    private static let clusterWide: [(role: String, subjects: [Subject])] = [
        ("cluster-admin", [.group("system:masters")]),
        ("system:monitoring", [.group("system:monitoring")]),
        ("system:discovery", [.group("system:authenticated")]),
        ("system:basic-user", [.group("system:authenticated")]),
        ("system:public-info-viewer", [.group("system:authenticated"), .group("system:unauthenticated")]),
        ("system:node-proxier", [.user("system:kube-proxy")]),
        ("system:kube-controller-manager", [.user("system:kube-controller-manager")]),
        ("system:kube-dns", [.serviceAccount(namespace: "kube-system", name: "kube-dns")]),
        ("system:kube-scheduler", [.user("system:kube-scheduler")]),
        ("system:volume-scheduler", [.user("system:kube-scheduler")]),
        // Nodes have their rights through the Node authoriser; the binding stays empty, for those who look for it.
        ("system:node", []),
        ("system:service-account-issuer-discovery", [.group("system:serviceaccounts")]),
    ]

    static func clusterRoleBindings() -> [Value] {
        let controllers = (BootstrapRoles.parse(BootstrapRoles.controllersFirstHalf) + BootstrapRoles.parse(BootstrapRoles.controllersSecondHalf)).map
        { role in
            let account = String(role.name.dropFirst("system:controller:".count))
            return clusterRoleBinding(role.name, role: role.name, [.serviceAccount(namespace: "kube-system", name: account)])
        }
        return clusterWide.map { clusterRoleBinding($0.role, role: $0.role, $0.subjects) } + controllers
    }

    private static let withinNamespaces: [(namespace: String, name: String, role: String, subjects: [Subject])] = [
        (
            "kube-system", "system::extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader",
            [.user("system:kube-controller-manager"), .user("system:kube-scheduler")]
        ),
        (
            "kube-system", "system::leader-locking-kube-controller-manager", "system::leader-locking-kube-controller-manager",
            [
                .user("system:kube-controller-manager"), .serviceAccount(namespace: "kube-system", name: "kube-controller-manager"),
                .serviceAccount(namespace: "kube-system", name: "leader-election-controller"),
            ]
        ),
        (
            "kube-system", "system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler",
            [.user("system:kube-scheduler"), .serviceAccount(namespace: "kube-system", name: "kube-scheduler")]
        ),
        (
            "kube-system", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer",
            [.serviceAccount(namespace: "kube-system", name: "bootstrap-signer")]
        ),
        (
            "kube-system", "system:controller:cloud-provider", "system:controller:cloud-provider",
            [.serviceAccount(namespace: "kube-system", name: "cloud-provider")]
        ),
        (
            "kube-system", "system:controller:token-cleaner", "system:controller:token-cleaner",
            [.serviceAccount(namespace: "kube-system", name: "token-cleaner")]
        ),
        (
            "kube-public", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer",
            [.serviceAccount(namespace: "kube-system", name: "bootstrap-signer")]
        ),
    ]

    static func roleBindings() -> [Value] {
        withinNamespaces.map { roleBinding($0.name, namespace: $0.namespace, role: $0.role, $0.subjects) }
    }

    static func roleBinding(_ name: String, namespace: String, role: String, _ subjects: [Subject]) -> Value {
        binding(kind: "RoleBinding", namespace: namespace, name: name, roleKind: "Role", role: role, subjects)
    }

    static func clusterRoleBinding(_ name: String, role: String, _ subjects: [Subject]) -> Value {
        binding(kind: "ClusterRoleBinding", namespace: "", name: name, roleKind: "ClusterRole", role: role, subjects)
    }

    private static func binding(kind: String, namespace: String, name: String, roleKind: String, role: String, _ subjects: [Subject]) -> Value {
        var object: Value = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": .string(kind),
            "metadata": BootstrapRoles.metadata(namespace: namespace, name: name),
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": .string(roleKind), "name": .string(role)],
        ]
        if !subjects.isEmpty { object["subjects"] = .array(subjects.map(\.value)) }
        return object
    }
}
