import KubeAPI
import Synchronization

/// Role-based access control, decided from an index of roles and bindings in memory. Upstream: plugin/pkg/auth/authorizer/rbac.RBACAuthorizer.
package final class RBACAuthorizer: Authorizer {
    /// Who a binding names. A service account is the user it acts as.
    private enum Subject: Hashable {
        case user(String)
        case group(String)
    }

    /// A binding's role and subjects, with each subject as messages show it.
    private struct Binding {
        var name: String
        var namespace: String
        var roleKind: String
        var roleName: String
        var subjects: [(subject: Subject, shown: String)]
    }

    /// Bindings of one namespace, or of the cluster, by their subjects.
    private struct BindingIndex {
        var byName: [String: Binding] = [:]
        var bySubject: [Subject: Set<String>] = [:]

        mutating func set(_ name: String, _ binding: Binding?) {
            if let old = byName[name] {
                for (subject, _) in old.subjects {
                    bySubject[subject]?.remove(name)
                    if bySubject[subject]?.isEmpty == true { bySubject[subject] = nil }
                }
            }
            byName[name] = binding
            for (subject, _) in binding?.subjects ?? [] { bySubject[subject, default: []].insert(name) }
        }

        /// The bindings that name the user, by name, each once.
        func bindings(of user: UserInfo) -> [Binding] {
            var names = bySubject[.user(user.name)] ?? []
            for group in user.groups { if let more = bySubject[.group(group)] { names.formUnion(more) } }
            return names.sorted().compactMap { byName[$0] }
        }
    }

    private struct State {
        var clusterRoles: [String: [PolicyRule]] = [:]
        /// By `namespace/name`.
        var roles: [String: [PolicyRule]] = [:]
        var clusterBindings = BindingIndex()
        var bindings: [String: BindingIndex] = [:]
    }

    private let state = Mutex(State())

    /// Reads the present roles and bindings and follows them from then on.
    package init(reader: any ObjectReader) {
        ObjectFollower.follow(reader, .clusterRoles) { [self] old, new in
            guard let object = new ?? old else { return }
            let rules = new.map(PolicyRule.rules(of:))
            state.withLock { $0.clusterRoles[object.metadata.name] = rules }
        }
        ObjectFollower.follow(reader, .roles) { [self] old, new in
            guard let object = new ?? old else { return }
            let rules = new.map(PolicyRule.rules(of:))
            state.withLock { $0.roles[object.metadata.key] = rules }
        }
        ObjectFollower.follow(reader, .clusterRoleBindings) { [self] old, new in
            guard let object = new ?? old else { return }
            let binding = new.map(Self.binding)
            state.withLock { $0.clusterBindings.set(object.metadata.name, binding) }
        }
        ObjectFollower.follow(reader, .roleBindings) { [self] old, new in
            guard let object = new ?? old else { return }
            let metadata = object.metadata
            let binding = new.map(Self.binding)
            state.withLock { state in
                state.bindings[metadata.namespace, default: BindingIndex()].set(metadata.name, binding)
                if state.bindings[metadata.namespace]?.byName.isEmpty == true { state.bindings[metadata.namespace] = nil }
            }
        }
    }

    private static func binding(_ object: Object) -> Binding {
        let metadata = object.metadata
        let subjects = object["subjects"].elements.compactMap { view -> (Subject, String)? in
            let name = view["name"].string ?? ""
            switch view["kind"].string {
            case "User": return (.user(name), "User \(name.goQuoted)")
            case "Group": return (.group(name), "Group \(name.goQuoted)")
            case "ServiceAccount":
                let named = view["namespace"].string ?? ""
                let namespace = named.isEmpty ? metadata.namespace : named
                guard !namespace.isEmpty else { return nil }
                return (.user("system:serviceaccount:\(namespace):\(name)"), "ServiceAccount \("\(name)/\(namespace)".goQuoted)")
            default: return nil
            }
        }
        return Binding(
            name: metadata.name, namespace: metadata.namespace, roleKind: object["roleRef"]["kind"].string ?? "",
            roleName: object["roleRef"]["name"].string ?? "",
            subjects: subjects)
    }

    /// Shows every rule the user has in `namespace` (empty: only those of the whole cluster) until `visit` returns false. `why` tells where a rule
    /// is from. A binding whose role does not exist is shown as an error. Upstream: validation.DefaultRuleResolver.VisitRulesFor.
    private static func visit(
        _ state: State, _ user: UserInfo, namespace: String, _ visit: (_ rule: PolicyRule, _ why: () -> String) -> Bool, failed: (String) -> Void
    ) {
        func why(_ binding: Binding) -> String {
            let shown =
                binding.subjects.first { subject, _ in
                    switch subject {
                    case .user(let name): name == user.name
                    case .group(let name): user.groups.contains(name)
                    }
                }?.shown ?? ""
            let name = binding.namespace.isEmpty ? binding.name.goQuoted : "\(binding.name)/\(binding.namespace)".goQuoted
            let kind = binding.namespace.isEmpty ? "ClusterRoleBinding" : "RoleBinding"
            return "RBAC: allowed by \(kind) \(name) of \(binding.roleKind) \(binding.roleName.goQuoted) to \(shown)"
        }
        var bindings = state.clusterBindings.bindings(of: user)
        if !namespace.isEmpty, let index = state.bindings[namespace] { bindings += index.bindings(of: user) }
        for binding in bindings {
            guard let rules = rules(state, kind: binding.roleKind, name: binding.roleName, namespace: binding.namespace) else {
                failed(missing(kind: binding.roleKind, name: binding.roleName))
                continue
            }
            for rule in rules { guard visit(rule, { why(binding) }) else { return } }
        }
    }

    private static func rules(_ state: State, kind: String, name: String, namespace: String) -> [PolicyRule]? {
        switch kind {
        case "ClusterRole": state.clusterRoles[name]
        case "Role": state.roles["\(namespace)/\(name)"]
        default: nil
        }
    }

    private static func missing(kind: String, name: String) -> String {
        "\(kind == "ClusterRole" ? GroupResource.clusterRoles : GroupResource.roles) \(name.goQuoted) not found"
    }

    package func authorize(_ attributes: AuthorizationAttributes) -> AuthorizationDecision {
        state.withLock { state in
            var reason: String?
            var errors: [String] = []
            Self.visit(state, attributes.user, namespace: attributes.namespace) { rule, why in
                guard rule.allows(attributes) else { return true }
                reason = why()
                return false
            } failed: {
                errors.append($0)
            }
            if let reason { return .allow(reason: reason) }
            guard !errors.isEmpty else { return .noOpinion(reason: "") }
            return .noOpinion(reason: "RBAC: \(errors.count == 1 ? errors[0] : "[\(errors.joined(separator: ", "))]")")
        }
    }

    /// All rules a user has in a namespace (empty: those of the whole cluster), with what could not be resolved. Upstream: RuleResolver.RulesFor.
    package func rules(for user: UserInfo, namespace: String) -> (rules: [PolicyRule], errors: [String]) {
        state.withLock { state in
            var rules: [PolicyRule] = []
            var errors: [String] = []
            Self.visit(state, user, namespace: namespace) { rule, _ in
                rules.append(rule)
                return true
            } failed: {
                errors.append($0)
            }
            return (rules, errors)
        }
    }

    /// The rules a roleRef stands for. Throws `StatusError` NotFound when the role does not exist. Upstream: RuleResolver.GetRoleReferenceRules.
    func rules(roleKind: String, roleName: String, namespace: String) throws -> [PolicyRule] {
        guard let rules = state.withLock({ Self.rules($0, kind: roleKind, name: roleName, namespace: namespace) }) else {
            throw StatusError.notFound(roleKind == "ClusterRole" ? .clusterRoles : .roles, roleName)
        }
        return rules
    }
}
