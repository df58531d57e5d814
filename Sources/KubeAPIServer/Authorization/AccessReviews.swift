package import KubeAPI

/// The create-only resources of authorization.k8s.io: they ask the authorisers and are never stored. Upstream: pkg/registry/authorization.
package struct AccessReviews: Sendable {
    static let group = "authorization.k8s.io"

    let authorizers: [any Authorizer]
    let remote: [any RemoteAuthorizer]

    package init(authorizers: [any Authorizer], remote: [any RemoteAuthorizer] = []) {
        self.authorizers = authorizers
        self.remote = remote
    }

    /// `subjectaccessreviews`: what some user may do. Throws `StatusError` Invalid.
    package func subjectAccessReview(_ review: Object) async throws -> Value {
        try Self.validate(review, kind: "SubjectAccessReview", needsSubject: true, namespace: nil)
        return try await answer(review, user: Self.subject(review), kind: "SubjectAccessReview")
    }

    /// `localsubjectaccessreviews`: the same within the namespace of the URL. Throws `StatusError`.
    package func localSubjectAccessReview(_ review: Object, namespace: String) async throws -> Value {
        try Self.validate(review, kind: "LocalSubjectAccessReview", needsSubject: true, namespace: namespace)
        return try await answer(review, user: Self.subject(review), kind: "LocalSubjectAccessReview")
    }

    /// `selfsubjectaccessreviews`: what the asking user may do. Throws `StatusError` Invalid.
    package func selfSubjectAccessReview(_ review: Object, user: UserInfo) async throws -> Value {
        try Self.validate(review, kind: "SelfSubjectAccessReview", needsSubject: false, namespace: nil)
        return try await answer(review, user: user, kind: "SelfSubjectAccessReview")
    }

    /// Upstream: authorization/validation.
    private static func validate(_ review: Object, kind: String, needsSubject: Bool, namespace: String?) throws {
        let spec = review["spec"]
        let resource = spec["resourceAttributes"].flatMap { $0.isNull ? nil : $0 }
        let path = spec["nonResourceAttributes"].flatMap { $0.isNull ? nil : $0 }
        var errors = FieldErrors()
        if let path, resource != nil {
            errors.invalid("spec.nonResourceAttributes", path.value, "cannot be specified in combination with resourceAttributes")
        }
        if resource == nil, path == nil {
            errors.invalid("spec.resourceAttributes", .null, "exactly one of nonResourceAttributes or resourceAttributes must be specified")
        }
        if needsSubject, (spec["user"].string ?? "").isEmpty, spec["groups"].strings.isEmpty {
            errors.invalid("spec.user", "", "at least one of user or group must be specified")
        }
        let metadata = (review["metadata"]?.members.map { $0 } ?? []).filter { key, value in
            !["managedFields", "creationTimestamp"].contains(key) && !(namespace != nil && key == "namespace") && !value.isNull
        }
        if !metadata.isEmpty {
            errors.invalid("metadata", review["metadata"].value ?? .null, namespace == nil ? "must be empty" : "must be empty except for namespace")
        }
        if let namespace {
            if let resource, (resource["namespace"]?.string ?? "") != namespace {
                errors.invalid(
                    "spec.resourceAttributes.namespace", .string(resource["namespace"]?.string ?? ""), "must match metadata.namespace")
            }
            if let path { errors.invalid("spec.nonResourceAttributes", path.value, "disallowed on this kind of request") }
        }
        guard errors.causes.isEmpty else { throw StatusError.invalid(Self.kind(kind), "", errors.causes) }
    }

    /// `selfsubjectrulesreviews`: all rules the asking user has in a namespace. Throws `StatusError` BadRequest without a namespace.
    /// What authorisers other than RBAC allow is not in the list; members of `system:masters` have it all.
    package static func selfSubjectRulesReview(_ review: Object, user: UserInfo, rbac: RBACAuthorizer) throws -> Value {
        let namespace = review["spec"]["namespace"].string ?? ""
        guard !namespace.isEmpty else { throw StatusError.badRequest("no namespace on request") }
        var (rules, errors) = rbac.rules(for: user, namespace: namespace)
        if user.groups.contains(PrivilegedGroupsAuthorizer.masters), !RBACRules.covers(rules, RBACRules.fullAuthority).covered {
            rules = RBACRules.fullAuthority + rules
        }
        if NodeAuthorizer.nodeName(of: user) != nil { errors.append("node authorizer does not support user rule resolution") }
        var resourceRules: [Value] = []
        var pathRules: [Value] = []
        for rule in rules {
            if !rule.resources.isEmpty {
                var entry: Value = ["verbs": Value(rule.verbs), "apiGroups": Value(rule.apiGroups), "resources": Value(rule.resources)]
                if !rule.resourceNames.isEmpty { entry["resourceNames"] = Value(rule.resourceNames) }
                resourceRules.append(entry)
            }
            if !rule.nonResourceURLs.isEmpty { pathRules.append(["verbs": Value(rule.verbs), "nonResourceURLs": Value(rule.nonResourceURLs)]) }
        }
        var status: Value = ["resourceRules": .array(resourceRules), "nonResourceRules": .array(pathRules), "incomplete": .bool(!errors.isEmpty)]
        if !errors.isEmpty { status["evaluationError"] = .string(errors.joined(separator: ", ")) }
        return answered(review, kind: "SelfSubjectRulesReview", status)
    }

    private static func kind(_ name: String) -> GroupVersionKind { GroupVersionKind(group: group, version: "v1", kind: name) }

    private static func answered(_ review: Object, kind: String, _ status: Value) -> Value {
        var answer = review.value
        answer["apiVersion"] = "authorization.k8s.io/v1"
        answer["kind"] = .string(kind)
        if answer["metadata"] == nil { answer["metadata"] = [:] }
        answer["status"] = status
        return answer
    }

    private static func subject(_ review: Object) -> UserInfo {
        let spec = review["spec"]
        var extra: [String: [String]] = [:]
        for (key, value) in spec["extra"]?.members.map({ $0 }) ?? [] { extra[key] = value.strings }
        return UserInfo(name: spec["user"].string ?? "", uid: spec["uid"].string ?? "", groups: spec["groups"].strings, extra: extra)
    }

    private func answer(_ review: Object, user: UserInfo, kind: String) async throws -> Value {
        let spec = review["spec"]
        var asked: AuthorizationAttributes
        var errors: [String] = []
        if let resource = spec["resourceAttributes"], !resource.isNull {
            func text(_ key: String) -> String { resource[key]?.string ?? "" }
            asked = AuthorizationAttributes(
                user: user, verb: text("verb"), apiGroup: text("group"), apiVersion: text("version").isEmpty ? "*" : text("version"),
                resource: text("resource"), subresource: text("subresource"), namespace: text("namespace"), name: text("name"))
            let fields = Self.selector(resource["fieldSelector"]) { Self.fieldTerm($0) }
            asked.fieldSelector = fields.text
            if fields.isBroken { errors.append(Self.ignored("fieldSelector", isPartly: !fields.text.isEmpty)) }
            let labels = Self.selector(resource["labelSelector"]) { Self.labelTerm($0) }
            asked.labelSelector = labels.text
            if labels.isBroken { errors.append(Self.ignored("labelSelector", isPartly: !labels.text.isEmpty)) }
        } else {
            let path = spec["nonResourceAttributes"]
            asked = AuthorizationAttributes(
                user: user, verb: path["verb"].string ?? "", isResourceRequest: false, path: path["path"].string ?? "")
        }
        var decision = Authorization.decide(asked, authorizers)
        if case .noOpinion(let reason) = decision, !remote.isEmpty {
            decision = try await Authorization.decide(asked, remote: remote, reason: reason)
        }
        var status: Value
        switch decision {
        case .allow(let reason): status = ["allowed": true, "reason": .string(reason)]
        case .deny(let reason): status = ["allowed": false, "denied": true, "reason": .string(reason)]
        case .noOpinion(let reason): status = ["allowed": false, "reason": .string(reason)]
        }
        if status["reason"]?.string == "" { status["reason"] = nil }
        if !errors.isEmpty { status["evaluationError"] = .string(errors.joined(separator: "; ")) }
        return Self.answered(review, kind: kind, status)
    }

    private static func ignored(_ name: String, isPartly: Bool) -> String {
        "spec.resourceAttributes.\(name) \(isPartly ? "partially ignored" : "ignored") due to parse error"
    }

    /// A selector's text. What cannot be understood is left out, which only makes the question broader. Upstream: authorization/util's
    /// labelSelectorAsSelector and fieldSelectorAsSelector.
    private static func selector(_ view: JSONView?, _ term: (JSONView) -> String?) -> (text: String, isBroken: Bool) {
        if let raw = view["rawSelector"].string, !raw.isEmpty { return (raw, false) }
        var terms: [String] = []
        var isBroken = false
        for requirement in view["requirements"].elements {
            if let text = term(requirement) { terms.append(text) } else { isBroken = true }
        }
        return (terms.joined(separator: ","), isBroken)
    }

    private static func fieldTerm(_ view: JSONView) -> String? {
        let values = view["values"].strings
        guard values.count == 1, let key = view["key"].string else { return nil }
        let value = FieldSelector([.init(field: key, value: values[0])]).description.dropFirst(key.count + 1)
        switch view["operator"].string {
        case "In": return "\(key)=\(value)"
        case "NotIn": return "\(key)!=\(value)"
        default: return nil
        }
    }

    private static func labelTerm(_ view: JSONView) -> String? {
        let operators: [String: LabelSelector.Operator] = ["In": .in, "NotIn": .notIn, "Exists": .exists, "DoesNotExist": .doesNotExist]
        guard let key = view["key"].string, let op = view["operator"].string.flatMap({ operators[$0] }) else { return nil }
        // What is no requirement is left out by the caller.
        return (try? LabelSelector.Requirement(key: key, op: op, values: view["values"].strings))?.description
    }
}
