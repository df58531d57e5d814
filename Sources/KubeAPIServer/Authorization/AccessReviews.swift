package import KubeAPI

/// The create-only resources of authorization.k8s.io: they ask the authoriser and are never stored. Upstream: pkg/registry/authorization.
package enum AccessReviews {
    static let group = "authorization.k8s.io"

    /// `subjectaccessreviews`: what some user may do. Throws `StatusError` Invalid.
    package static func subjectAccessReview(_ review: Object, authorizer: any Authorizer) throws -> Value {
        try answer(review, user: try subject(review), authorizer: authorizer, kind: "SubjectAccessReview")
    }

    /// `localsubjectaccessreviews`: the same within the namespace of the URL. Throws `StatusError`.
    package static func localSubjectAccessReview(_ review: Object, namespace: String, authorizer: any Authorizer) throws -> Value {
        let spec = review["spec"]
        if spec["nonResourceAttributes"].map({ !$0.isNull }) ?? false {
            throw StatusError.invalid(
                kind("LocalSubjectAccessReview"), "",
                [
                    MetadataValidation.invalid(
                        "spec.nonResourceAttributes", spec["nonResourceAttributes"].value ?? .null, "disallowed on this kind of request")
                ])
        }
        let named = spec["resourceAttributes"]["namespace"].string ?? ""
        guard named == namespace else {
            throw StatusError.badRequest("spec.resourceAttributes.namespace must match namespace: \(namespace)")
        }
        return try answer(review, user: try subject(review), authorizer: authorizer, kind: "LocalSubjectAccessReview")
    }

    /// `selfsubjectaccessreviews`: what the asking user may do. Throws `StatusError` Invalid.
    package static func selfSubjectAccessReview(_ review: Object, user: UserInfo, authorizer: any Authorizer) throws -> Value {
        try answer(review, user: user, authorizer: authorizer, kind: "SelfSubjectAccessReview")
    }

    /// `selfsubjectrulesreviews`: all rules the asking user has in a namespace. Throws `StatusError` BadRequest without a namespace.
    /// What authorisers other than RBAC allow is not in the list; members of `system:masters` have it all.
    package static func selfSubjectRulesReview(_ review: Object, user: UserInfo, rbac: RBACAuthorizer) throws -> Value {
        let namespace = review["spec"]["namespace"].string ?? ""
        guard !namespace.isEmpty else { throw StatusError.badRequest("no namespace on request") }
        var (rules, errors) = rbac.rules(for: user, namespace: namespace)
        if user.groups.contains(PrivilegedGroupsAuthorizer.masters) { rules = RBACRules.fullAuthority + rules }
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

    private static func subject(_ review: Object) throws -> UserInfo {
        let spec = review["spec"]
        let name = spec["user"].string ?? ""
        let groups = spec["groups"].strings
        guard !name.isEmpty || !groups.isEmpty else {
            throw StatusError.invalid(
                kind(review.kind.isEmpty ? "SubjectAccessReview" : review.kind), "",
                [MetadataValidation.invalid("spec.user", "", "at least one of user or group must be specified")])
        }
        var extra: [String: [String]] = [:]
        for (key, value) in spec["extra"]?.members.map({ $0 }) ?? [] { extra[key.lowercased()] = value.strings }
        return UserInfo(name: name, uid: spec["uid"].string ?? "", groups: groups, extra: extra)
    }

    private static func answer(_ review: Object, user: UserInfo, authorizer: any Authorizer, kind: String) throws -> Value {
        let spec = review["spec"]
        let resource = spec["resourceAttributes"].flatMap { $0.isNull ? nil : $0 }
        let path = spec["nonResourceAttributes"].flatMap { $0.isNull ? nil : $0 }
        var asked: AuthorizationAttributes
        switch (resource, path) {
        case (let resource?, nil):
            asked = AuthorizationAttributes(
                user: user, verb: resource["verb"]?.string ?? "", apiGroup: resource["group"]?.string ?? "",
                apiVersion: resource["version"]?.string ?? "*",
                resource: resource["resource"]?.string ?? "", subresource: resource["subresource"]?.string ?? "",
                namespace: resource["namespace"]?.string ?? "",
                name: resource["name"]?.string ?? "")
            asked.fieldSelector = fieldSelector(resource["fieldSelector"])
        case (nil, let path?):
            asked = AuthorizationAttributes(user: user, verb: path["verb"]?.string ?? "", isResourceRequest: false, path: path["path"]?.string ?? "")
        default:
            throw StatusError.invalid(
                Self.kind(kind), "",
                [
                    MetadataValidation.invalid(
                        "spec.resourceAttributes", spec["nonResourceAttributes"].value ?? .null,
                        resource == nil
                            ? "exactly one of nonResourceAttributes or resourceAttributes must be specified"
                            : "cannot be specified in combination with nonResourceAttributes")
                ])
        }
        var status: Value
        switch authorizer.authorize(asked) {
        case .allow(let reason): status = ["allowed": true, "reason": .string(reason)]
        case .deny(let reason): status = ["allowed": false, "denied": true, "reason": .string(reason)]
        case .noOpinion(let reason): status = ["allowed": false, "reason": .string(reason)]
        }
        if status["reason"]?.string == "" { status["reason"] = nil }
        return answered(review, kind: kind, status)
    }

    private static func fieldSelector(_ selector: JSONView?) -> String {
        if let raw = selector["rawSelector"].string { return raw }
        return selector["requirements"].elements.compactMap { requirement -> String? in
            let values = requirement["values"].strings
            guard requirement["operator"].string == "In", values.count == 1, let key = requirement["key"].string else { return nil }
            return "\(key)=\(values[0])"
        }.joined(separator: ",")
    }
}
