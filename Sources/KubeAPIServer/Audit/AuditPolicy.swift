package import KubeAPI

/// How much of a request is written down. Upstream: audit.Level.
package enum AuditLevel: String, Sendable, Comparable, CaseIterable {
    case none = "None"
    case metadata = "Metadata"
    case request = "Request"
    case requestResponse = "RequestResponse"

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package static func < (a: AuditLevel, b: AuditLevel) -> Bool { a.rank < b.rank }
}

/// When of a request an event is written. Upstream: audit.Stage.
package enum AuditStage: String, Sendable, CaseIterable {
    /// Before it is worked on.
    case requestReceived = "RequestReceived"
    /// The head of a long-running response was sent.
    case responseStarted = "ResponseStarted"
    case responseComplete = "ResponseComplete"
    case panic = "Panic"
}

/// What is written down of which requests: the first rule that matches decides, none means nothing. Upstream: audit.k8s.io/v1 Policy with
/// audit/policy.policyRuleEvaluator.
package struct AuditPolicy: Sendable, Equatable {
    /// Resources of one group. Upstream: audit.GroupResources.
    package struct Resources: Sendable, Equatable {
        package var group: String
        /// `pods`, `pods/log`, `pods/*`, `*/scale`, `*`; empty: all of the group.
        package var resources: [String]
        package var resourceNames: [String]

        package init(group: String = "", _ resources: [String] = [], names: [String] = []) {
            self.group = group
            self.resources = resources
            resourceNames = names
        }
    }

    /// An empty list is no condition. Upstream: audit.PolicyRule.
    package struct Rule: Sendable, Equatable {
        package var level: AuditLevel
        package var users: [String]
        package var userGroups: [String]
        package var verbs: [String]
        package var resources: [Resources]
        package var namespaces: [String]
        package var nonResourceURLs: [String]
        package var omitStages: Set<AuditStage>
        /// Nil: as the policy says.
        package var omitManagedFields: Bool?

        package init(
            _ level: AuditLevel, users: [String] = [], userGroups: [String] = [], verbs: [String] = [], resources: [Resources] = [],
            namespaces: [String] = [], nonResourceURLs: [String] = [], omitStages: Set<AuditStage> = [], omitManagedFields: Bool? = nil
        ) {
            self.level = level
            self.users = users
            self.userGroups = userGroups
            self.verbs = verbs
            self.resources = resources
            self.namespaces = namespaces
            self.nonResourceURLs = nonResourceURLs
            self.omitStages = omitStages
            self.omitManagedFields = omitManagedFields
        }
    }

    /// What is done with one request.
    package struct Verdict: Sendable, Equatable {
        package var level: AuditLevel
        package var omitStages: Set<AuditStage>
        package var omitManagedFields: Bool
    }

    package var rules: [Rule]
    package var omitStages: Set<AuditStage>
    package var omitManagedFields: Bool

    package init(rules: [Rule], omitStages: Set<AuditStage> = [], omitManagedFields: Bool = false) {
        self.rules = rules
        self.omitStages = omitStages
        self.omitManagedFields = omitManagedFields
    }

    /// Reads a Policy object. Throws `StatusError` BadRequest for another kind, an unknown level or stage, or a rule that is about paths and
    /// resources at once. Upstream: audit/validation.ValidatePolicy.
    package init(_ object: Object) throws {
        guard object.kind == "Policy", object.apiVersion == "audit.k8s.io/v1" else {
            throw StatusError.badRequest("an audit policy must be a Policy of audit.k8s.io/v1, not \(object.kind) of \(object.apiVersion)")
        }
        func stages(_ view: JSONView?) throws -> Set<AuditStage> {
            try Set(
                view.strings.map { text in
                    guard let stage = AuditStage(rawValue: text) else { throw StatusError.badRequest("omitStages: unknown stage \(text.goQuoted)") }
                    return stage
                })
        }
        omitStages = try stages(object["omitStages"])
        omitManagedFields = object["omitManagedFields"].bool ?? false
        rules = try object["rules"].elements.enumerated().map { index, view in
            guard let level = view["level"].string.flatMap(AuditLevel.init) else {
                throw StatusError.badRequest("rules[\(index)].level: Required value: one of None, Metadata, Request, RequestResponse")
            }
            let rule = Rule(
                level, users: view["users"].strings, userGroups: view["userGroups"].strings, verbs: view["verbs"].strings,
                resources: view["resources"].elements.map {
                    Resources(group: $0["group"].string ?? "", $0["resources"].strings, names: $0["resourceNames"].strings)
                }, namespaces: view["namespaces"].strings, nonResourceURLs: view["nonResourceURLs"].strings,
                omitStages: try stages(view["omitStages"]), omitManagedFields: view["omitManagedFields"].bool)
            if !rule.nonResourceURLs.isEmpty, !rule.resources.isEmpty || !rule.namespaces.isEmpty {
                throw StatusError.badRequest(
                    "rules[\(index)].nonResourceURLs: Invalid value: rules cannot apply to both regular resources and non-resource URLs")
            }
            return rule
        }
    }

    /// Upstream: policyRuleEvaluator.EvaluatePolicyRule.
    func evaluate(_ user: UserInfo?, _ info: RequestInfo) -> Verdict {
        guard let rule = rules.first(where: { $0.matches(user, info) }) else {
            return Verdict(level: .none, omitStages: omitStages, omitManagedFields: omitManagedFields)
        }
        return Verdict(
            level: rule.level, omitStages: omitStages.union(rule.omitStages), omitManagedFields: rule.omitManagedFields ?? omitManagedFields)
    }
}

extension AuditPolicy.Rule {
    func matches(_ user: UserInfo?, _ info: RequestInfo) -> Bool {
        if !users.isEmpty { guard let user, users.contains(user.name) else { return false } }
        if !userGroups.isEmpty { guard let user, user.groups.contains(where: userGroups.contains) else { return false } }
        if !verbs.isEmpty, !verbs.contains(info.verb) { return false }
        if !namespaces.isEmpty || !resources.isEmpty {
            guard info.isResourceRequest else { return false }
            if !namespaces.isEmpty, !namespaces.contains(info.namespace) { return false }
            return resources.isEmpty || resources.contains { $0.matches(info) }
        }
        guard !nonResourceURLs.isEmpty else { return true }
        return !info.isResourceRequest && nonResourceURLs.contains { PolicyRule.pathMatches($0, info.path) }
    }
}

extension AuditPolicy.Resources {
    func matches(_ info: RequestInfo) -> Bool {
        guard group == info.apiGroup else { return false }
        if resources.isEmpty { return true }
        guard resourceNames.isEmpty || resourceNames.contains(info.name) else { return false }
        return resources.contains { pattern in
            if pattern == "*" { return true }
            guard !info.subresource.isEmpty else { return pattern == info.resource || pattern == "\(info.resource)/*" }
            return pattern == "\(info.resource)/\(info.subresource)" || pattern == "*/\(info.subresource)" || pattern == "\(info.resource)/*"
        }
    }
}
