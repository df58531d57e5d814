import KubeAPI

/// One FlowSchema as requests are matched with it. Upstream: flowcontrol.FlowSchema with the matching of util/flowcontrol/rule.go.
struct FlowSchema: Sendable {
    /// What tells the flows of one schema apart. Upstream: flowcontrol.FlowDistinguisherMethodType.
    enum Distinguisher: String, Sendable {
        case byUser = "ByUser"
        case byNamespace = "ByNamespace"
    }

    /// Whom a rule is about.
    enum Subject: Sendable, Hashable {
        case user(String)
        case group(String)
        case serviceAccount(namespace: String, name: String)
    }

    /// Requests on resources.
    struct ResourceRule: Sendable {
        var verbs: [String]
        var apiGroups: [String]
        var resources: [String]
        var namespaces: [String]
        var clusterScope: Bool
    }

    /// Requests on paths.
    struct PathRule: Sendable {
        var verbs: [String]
        var paths: [String]
    }

    /// Subjects with what they ask for. Upstream: flowcontrol.PolicyRulesWithSubjects.
    struct Rule: Sendable {
        var subjects: [Subject]
        var resources: [ResourceRule]
        var paths: [PathRule]
    }

    var name: String
    var uid: String
    /// Lower ones are asked first; of equal ones the one whose name comes first.
    var precedence: Int64
    var priorityLevel: String
    var distinguisher: Distinguisher?
    var rules: [Rule]

    init(_ object: Object) {
        let spec = object["spec"]
        name = object.metadata.name
        uid = object.metadata.uid
        precedence = spec["matchingPrecedence"].int ?? 1000
        priorityLevel = spec["priorityLevelConfiguration"]["name"].string ?? ""
        distinguisher = spec["distinguisherMethod"]["type"].string.flatMap(Distinguisher.init)
        rules = spec["rules"].elements.map(Rule.init)
    }

    func matches(_ user: UserInfo, _ info: RequestInfo) -> Bool {
        rules.contains { $0.matches(user, info) }
    }

    /// What sets this request's flow apart from the others of the schema. Upstream: flowcontrol.computeFlowDistinguisher.
    func flow(_ user: UserInfo, _ info: RequestInfo) -> String {
        switch distinguisher {
        case .byUser: user.name
        case .byNamespace: info.namespace
        case nil: ""
        }
    }
}

extension FlowSchema.Rule {
    init(_ view: JSONView) {
        subjects = view["subjects"].elements.compactMap { subject in
            switch subject["kind"].string {
            case "User": subject["user"]["name"].string.map { .user($0) }
            case "Group": subject["group"]["name"].string.map { .group($0) }
            case "ServiceAccount":
                subject["serviceAccount"].map {
                    .serviceAccount(namespace: $0["namespace"]?.string ?? "", name: $0["name"]?.string ?? "")
                }
            default: nil
            }
        }
        resources = view["resourceRules"].elements.map {
            FlowSchema.ResourceRule(
                verbs: $0["verbs"].strings, apiGroups: $0["apiGroups"].strings, resources: $0["resources"].strings,
                namespaces: $0["namespaces"].strings, clusterScope: $0["clusterScope"].bool ?? false)
        }
        paths = view["nonResourceRules"].elements.map { FlowSchema.PathRule(verbs: $0["verbs"].strings, paths: $0["nonResourceURLs"].strings) }
    }

    func matches(_ user: UserInfo, _ info: RequestInfo) -> Bool {
        guard subjects.contains(where: { $0.matches(user) }) else { return false }
        return info.isResourceRequest ? resources.contains { $0.matches(info) } : paths.contains { $0.matches(info) }
    }
}

extension FlowSchema.Subject {
    func matches(_ user: UserInfo) -> Bool {
        switch self {
        case .user(let name): return name == "*" || name == user.name
        case .group(let name): return name == "*" || user.groups.contains(name)
        case .serviceAccount(let namespace, let name):
            let prefix = "system:serviceaccount:"
            guard user.name.hasPrefix(prefix) else { return false }
            let rest = user.name.dropFirst(prefix.count)
            guard rest.hasPrefix(namespace), rest.dropFirst(namespace.count).first == ":" else { return false }
            return name == "*" || rest.dropFirst(namespace.count + 1) == name
        }
    }
}

extension FlowSchema.ResourceRule {
    func matches(_ info: RequestInfo) -> Bool {
        guard Self.holds(verbs, info.verb), Self.holds(apiGroups, info.apiGroup) else { return false }
        guard Self.holds(resources, info.subresource.isEmpty ? info.resource : "\(info.resource)/\(info.subresource)") else { return false }
        return info.namespace.isEmpty ? clusterScope : Self.holds(namespaces, info.namespace)
    }

    /// A list of nothing but `*` holds everything.
    static func holds(_ list: [String], _ text: String) -> Bool { list.contains(text) || (list.count == 1 && list[0] == "*") }
}

extension FlowSchema.PathRule {
    func matches(_ info: RequestInfo) -> Bool {
        guard FlowSchema.ResourceRule.holds(verbs, info.verb) else { return false }
        return paths.contains { path in
            if path == "*" || path == info.path { return true }
            var prefix = path.hasSuffix("*") ? String(path.dropLast()) : path
            if !prefix.hasSuffix("/") { prefix += "/" }
            return info.path.hasPrefix(prefix)
        }
    }
}
