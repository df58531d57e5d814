/// What an expression asks an authorizer.
package struct CELAuthorizationCheck: Sendable {
    /// Set: ask for this account instead of the request's user.
    package var serviceAccount: (namespace: String, name: String)?
    /// Set: not a resource.
    package var path: String?
    package var group = ""
    package var resource = ""
    package var subresource = ""
    package var namespace = ""
    package var name = ""
    package var fieldSelector = ""
    package var labelSelector = ""
    package var verb = ""

    package init() {}
}

/// What an authoriser says to the check of an expression; `error` where it could not decide.
package struct CELAuthorizationDecision: Sendable {
    package var isAllowed: Bool
    package var reason: String
    package var error: String?

    package init(isAllowed: Bool, reason: String, error: String? = nil) {
        self.isAllowed = isAllowed
        self.reason = reason
        self.error = error
    }
}

/// `authorizer` and what is built of it on the way to a check. Upstream: library.authorizerVal and those that follow it.
package struct CELAuthorizer: CELOpaque {
    package enum Stage: String, Sendable {
        case authorizer = "kubernetes.authorization.Authorizer"
        case path = "kubernetes.authorization.PathCheck"
        case group = "kubernetes.authorization.GroupCheck"
        case resource = "kubernetes.authorization.ResourceCheck"
    }

    let stage: Stage
    let check: CELAuthorizationCheck
    let decide: @Sendable (CELAuthorizationCheck) -> CELAuthorizationDecision

    /// `decide` must not block. With a `check` the value is the `authorizer.requestResource` of it.
    package init(_ check: CELAuthorizationCheck? = nil, decide: @escaping @Sendable (CELAuthorizationCheck) -> CELAuthorizationDecision) {
        self.init(check == nil ? .authorizer : .resource, check ?? CELAuthorizationCheck(), decide)
    }

    private init(_ stage: Stage, _ check: CELAuthorizationCheck, _ decide: @escaping @Sendable (CELAuthorizationCheck) -> CELAuthorizationDecision) {
        self.stage = stage
        self.check = check
        self.decide = decide
    }

    package var celType: CELType { .opaque(stage.rawValue) }
    package func isEqual(_ other: any CELOpaque) -> Bool { false }
    package static let type = CELType.opaque(Stage.authorizer.rawValue)
    package static let resourceCheckType = CELType.opaque(Stage.resource.rawValue)

    func becoming(_ stage: Stage, _ change: (inout CELAuthorizationCheck) -> Void) -> CELAuthorizer {
        var check = check
        change(&check)
        return CELAuthorizer(stage, check, decide)
    }
}

/// Upstream: library.decisionVal.
struct CELDecision: CELOpaque {
    let decision: CELAuthorizationDecision
    var celType: CELType { .opaque("kubernetes.authorization.Decision") }
    func isEqual(_ other: any CELOpaque) -> Bool { false }
}

/// Upstream: library.Authz and library.AuthzSelectors.
enum AuthorizerLibrary {
    private static func step(
        _ id: String, _ from: CELAuthorizer.Stage, _ name: String, _ to: CELAuthorizer.Stage,
        _ change: @escaping @Sendable (inout CELAuthorizationCheck, String) -> Void
    ) -> CELOverload? {
        CELOverload(id, "<\(from.rawValue)>.\(name)(string) \(to.rawValue)") { arguments throws(CELError) in
            guard case .opaque(let opaque) = arguments[0], let authorizer = opaque as? CELAuthorizer else { throw .noSuchOverload }
            return .opaque(authorizer.becoming(to) { change(&$0, arguments[1].string ?? "") })
        }
    }

    private static func check(_ id: String, _ from: CELAuthorizer.Stage) -> CELOverload? {
        CELOverload(id, "<\(from.rawValue)>.check(string) kubernetes.authorization.Decision") { arguments throws(CELError) in
            guard case .opaque(let opaque) = arguments[0], let authorizer = opaque as? CELAuthorizer else { throw .noSuchOverload }
            var check = authorizer.check
            check.verb = arguments[1].string ?? ""
            return .opaque(CELDecision(decision: authorizer.decide(check)))
        }
    }

    private static func read(_ id: String, _ signature: String, _ body: @escaping @Sendable (CELAuthorizationDecision) -> CELValue) -> CELOverload? {
        CELOverload(id, "<kubernetes.authorization.Decision>.\(signature)") { arguments throws(CELError) in
            guard case .opaque(let opaque) = arguments[0], let decision = opaque as? CELDecision else { throw .noSuchOverload }
            return body(decision.decision)
        }
    }

    static let overloads: [CELOverload?] = [
        step("authorizer_path", .authorizer, "path", .path) { $0.path = $1 },
        step("authorizer_group", .authorizer, "group", .group) { $0.group = $1 },
        CELOverload(
            "authorizer_serviceaccount",
            "<kubernetes.authorization.Authorizer>.serviceAccount(string, string) kubernetes.authorization.Authorizer"
        ) { arguments throws(CELError) in
            guard case .opaque(let opaque) = arguments[0], let authorizer = opaque as? CELAuthorizer else { throw .noSuchOverload }
            let (namespace, name) = (arguments[1].string ?? "", arguments[2].string ?? "")
            if !FormatLibrary.formats[0].check(namespace).isEmpty { throw CELError("Invalid service account namespace") }
            if !FormatLibrary.formats[1].check(name).isEmpty { throw CELError("Invalid service account name") }
            return .opaque(authorizer.becoming(.authorizer) { $0.serviceAccount = (namespace, name) })
        },
        step("groupcheck_resource", .group, "resource", .resource) { $0.resource = $1 },
        step("resourcecheck_subresource", .resource, "subresource", .resource) { $0.subresource = $1 },
        step("resourcecheck_namespace", .resource, "namespace", .resource) { $0.namespace = $1 },
        step("resourcecheck_name", .resource, "name", .resource) { $0.name = $1 },
        step("authorizer_fieldselector", .resource, "fieldSelector", .resource) { $0.fieldSelector = $1 },
        step("authorizer_labelselector", .resource, "labelSelector", .resource) { $0.labelSelector = $1 },
        check("pathcheck_check", .path), check("resourcecheck_check", .resource),
        read("decision_errored", "errored() bool") { .bool($0.error != nil) },
        read("decision_error", "error() string") { .string($0.error ?? "") },
        read("decision_allowed", "allowed() bool") { .bool($0.isAllowed) },
        read("decision_reason", "reason() string") { .string($0.reason) },
    ]
}
