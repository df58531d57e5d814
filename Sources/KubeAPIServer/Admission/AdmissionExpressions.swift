import CEL
import KubeAPI

/// What CEL expressions of webhooks and policies see of a request: `object`, `oldObject`, `request`, `namespaceObject`, `authorizer`. Upstream:
/// admission/plugin/cel's environments.
enum AdmissionExpressions {
    private static let text = CELSchema.plain(.string)
    private static let kind = CELSchema.object(
        name: "kubernetes.GroupVersionKind", properties: ["group": text, "version": text, "kind": text])
    private static let resource = CELSchema.object(
        name: "kubernetes.GroupVersionResource", properties: ["group": text, "version": text, "resource": text])
    private static let userInfo = CELSchema.object(
        name: "kubernetes.UserInfo", properties: ["username": text, "uid": text, "groups": .list(text), "extra": .map(.list(text))])

    /// The type of `request`. Its fields are declared by their own names, so `namespace` is not escaped as the reserved word it is in objects.
    /// Upstream: BuildRequestType.
    static let request = CELSchema.object(
        CELObjectType(
            name: "kubernetes.AdmissionRequest",
            fields: [
                "kind": kind, "resource": resource, "subResource": text, "requestKind": kind, "requestResource": resource, "requestSubResource": text,
                "name": text, "namespace": text, "operation": text, "userInfo": userInfo, "dryRun": .boolean, "options": .any,
            ]))

    /// Of match conditions of webhooks.
    static let webhookEnvironment = CELEnvironment(variables: [
        CELVariable("object", .any), CELVariable("oldObject", .any), CELVariable("request", request), CELVariable("namespaceObject", .any),
        CELVariable("authorizer", CELAuthorizer.type), CELVariable("authorizer.requestResource", CELAuthorizer.resourceCheckType),
    ])

    /// The value of `request`. Upstream: CreateAdmissionRequest.
    static func request(_ attributes: AdmissionAttributes, _ matched: MatchedResource, requestKind: GroupVersionKind) -> Value {
        func value(_ kind: GroupVersionKind) -> Value {
            ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
        }
        func value(_ resource: GroupVersionResource) -> Value {
            ["group": .string(resource.group), "version": .string(resource.version), "resource": .string(resource.resource)]
        }
        let user = attributes.user
        var info: Value = ["username": .string(user.name), "groups": Value(user.groups)]
        if !user.uid.isEmpty { info["uid"] = .string(user.uid) }
        info["extra"] = .object(Members(user.extra.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) }))
        var request: Value = [
            "kind": value(matched.kind), "resource": value(matched.resource), "requestKind": value(requestKind),
            "requestResource": value(attributes.resource), "operation": .string(attributes.operation.rawValue), "userInfo": info,
            "dryRun": .bool(attributes.dryRun),
        ]
        request["name"] = .string(attributes.name)
        request["namespace"] = .string(attributes.namespace)
        request["subResource"] = .string(attributes.subresource)
        request["requestSubResource"] = .string(attributes.subresource)
        if let options = attributes.context?.options(of: attributes.operation), !options.isNull { request["options"] = options }
        return request
    }

    /// `authorizer`, and `authorizer.requestResource` for the request's own resource.
    static func authorizers(
        _ attributes: AdmissionAttributes, _ authorizers: [any Authorizer]
    ) -> (authorizer: CELAuthorizer, requestResource: CELAuthorizer) {
        let user = attributes.user
        let decide: @Sendable (CELAuthorizationCheck) -> CELAuthorizationDecision = { check in
            var asked = user
            if let account = check.serviceAccount {
                asked = UserInfo(
                    name: "system:serviceaccount:\(account.namespace):\(account.name)",
                    groups: ["system:serviceaccounts", "system:serviceaccounts:\(account.namespace)", UserInfo.allAuthenticated])
            }
            var question = AuthorizationAttributes(
                user: asked, verb: check.verb, apiGroup: check.group, apiVersion: "*", resource: check.resource, subresource: check.subresource,
                namespace: check.namespace, name: check.name, isResourceRequest: check.path == nil, path: check.path ?? "")
            question.fieldSelector = check.fieldSelector
            switch UnionAuthorizer(authorizers).authorize(question) {
            case .allow(let reason): return CELAuthorizationDecision(isAllowed: true, reason: reason)
            case .deny(let reason), .noOpinion(let reason): return CELAuthorizationDecision(isAllowed: false, reason: reason)
            }
        }
        var check = CELAuthorizationCheck()
        check.group = attributes.resource.group
        check.resource = attributes.resource.resource
        check.subresource = attributes.subresource
        check.namespace = attributes.namespace
        check.name = attributes.name
        return (CELAuthorizer(decide: decide), CELAuthorizer(check, decide: decide))
    }
}
