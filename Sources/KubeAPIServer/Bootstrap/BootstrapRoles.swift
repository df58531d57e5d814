import KubeAPI

/// The roles every cluster starts with, kept as text in a small notation (one file for each family) and read into objects when a cluster is made.
///
/// A line at the margin names a role; a line set in is one of its rules: `verbs | API groups | resources [| resource names]`, or
/// `verbs | url | paths`. Lists are separated by commas. The verbs `read` and `write` stand for (get, list, watch) and (create, delete,
/// deletecollection, patch, update); the group `core` is the one without a name.
enum BootstrapRoles {
    /// A role of the notation.
    struct Role: Equatable {
        var name: String
        var rules: [PolicyRule]
    }

    /// Reads the notation. Lines that are not of it are left out; the tests see to it that there are none.
    static func parse(_ text: String) -> [Role] {
        var roles: [Role] = []
        for line in text.split(separator: "\n") {
            guard line.hasPrefix(" ") else {
                roles.append(Role(name: String(line), rules: []))
                continue
            }
            if let rule = rule(line), !roles.isEmpty { roles[roles.count - 1].rules.append(rule) }
        }
        return roles
    }

    static func rule(_ line: Substring) -> PolicyRule? {
        let columns = line.split(separator: "|").map { column in
            column.filter { $0 != " " }.split(separator: ",").map(String.init)
        }
        guard columns.count == 3 || columns.count == 4 else { return nil }
        var verbs: [String] = []
        for verb in columns[0] {
            switch verb {
            case "read": verbs += ["get", "list", "watch"]
            case "write": verbs += ["create", "delete", "deletecollection", "patch", "update"]
            default: verbs.append(verb)
            }
        }
        verbs.sort()
        if columns[1] == ["url"] { return PolicyRule(verbs: verbs, nonResourceURLs: columns[2]) }
        return PolicyRule(
            verbs: verbs, apiGroups: columns[1].map { $0 == "core" ? "" : $0 }, resources: columns[2],
            resourceNames: columns.count == 4 ? columns[3] : [])
    }

    /// What a role aggregates and what aggregates it. Upstream: bootstrappolicy.ClusterRoles and ClusterRolesToAggregate.
    private static let aggregates = ["admin", "edit", "view"]

    /// All ClusterRoles, `admin`, `edit` and `view` with the rules they aggregate already in them.
    static func clusterRoles() -> [Value] {
        let userFacing = parse(Self.userFacing)
        func rules(_ name: String) -> [PolicyRule] { userFacing.first { $0.name == name }?.rules ?? [] }
        let view = rules("system:aggregate-to-view")
        let edit = rules("system:aggregate-to-edit") + view
        let admin = edit + rules("system:aggregate-to-admin")
        var objects: [Value] = []
        for (name, rules) in [("admin", admin), ("edit", edit), ("view", view)] {
            var role = clusterRole(Role(name: name, rules: rules))
            let label: Value = ["rbac.authorization.k8s.io/aggregate-to-\(name)": "true"]
            role["aggregationRule"] = ["clusterRoleSelectors": [["matchLabels": label]]]
            // Edit is part of admin, and view of edit.
            if name == "edit" { role[path: "metadata", "labels", "rbac.authorization.k8s.io/aggregate-to-admin"] = "true" }
            if name == "view" { role[path: "metadata", "labels", "rbac.authorization.k8s.io/aggregate-to-edit"] = "true" }
            objects.append(role)
        }
        for role in userFacing {
            var object = clusterRole(role)
            for name in aggregates where role.name == "system:aggregate-to-\(name)" {
                object[path: "metadata", "labels", "rbac.authorization.k8s.io/aggregate-to-\(name)"] = "true"
            }
            objects.append(object)
        }
        for family in [Self.system, Self.controllersFirstHalf, Self.controllersSecondHalf] { objects += parse(family).map(clusterRole) }
        return objects
    }

    /// The Roles of a text whose names are `namespace/name`: those within kube-system and kube-public.
    static func roles(_ text: String = Self.namespaced) -> [Value] {
        parse(text).map { role in
            let parts = role.name.split(separator: "/", maxSplits: 1).map(String.init)
            return object(kind: "Role", namespace: parts.first ?? "", name: parts.last ?? "", role.rules)
        }
    }

    static func clusterRole(_ role: Role) -> Value { object(kind: "ClusterRole", namespace: "", name: role.name, role.rules) }

    private static func object(kind: String, namespace: String, name: String, _ rules: [PolicyRule]) -> Value {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": .string(kind), "metadata": metadata(namespace: namespace, name: name),
            "rules": .array(rules.map(\.value)),
        ]
    }

    /// Metadata of bootstrap objects of RBAC: the label marks them, the annotation lets `Bootstrap.reconcile` add what a newer version needs.
    static func metadata(namespace: String, name: String) -> Value {
        var metadata: Value = ["name": .string(name)]
        if !namespace.isEmpty { metadata["namespace"] = .string(namespace) }
        metadata["labels"] = ["kubernetes.io/bootstrapping": "rbac-defaults"]
        metadata["annotations"] = [Bootstrap.autoupdate: "true"]
        return metadata
    }
}
