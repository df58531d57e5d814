import AWSProtocol

/// Decides what policies allow. Upstream: IAM User Guide, "Policy evaluation logic", within one account.
struct PolicyEvaluation {
    enum Decision: Equatable {
        case allowed
        case denied(isExplicit: Bool)
    }

    /// `eks:CreateCluster`
    let action: String
    /// An ARN or `*`.
    let resource: String
    let context: PolicyContext
    private let actionBytes: [UInt8]
    private let resourceBytes: [UInt8]

    init(action: String, resource: String, context: PolicyContext) {
        self.action = action
        self.resource = resource
        self.context = context
        actionBytes = Array(action.lowercased().utf8)
        resourceBytes = Array(resource.utf8)
    }

    /// What identity policies say: a deny wins, then an allow, else denied.
    func decide(_ policies: [PolicyDocument]) -> Decision {
        var isAllowed = false
        for policy in policies {
            for statement in policy.statements where covers(statement) && coversResource(statement) {
                if !statement.isAllow { return .denied(isExplicit: true) }
                isAllowed = true
            }
        }
        return isAllowed ? .allowed : .denied(isExplicit: false)
    }

    /// What identity policies and all that limits them say: a deny anywhere wins, and each of the limits must allow as well.
    func decide(_ policies: PrincipalDocuments) -> Decision {
        var decision = decide(policies.identity)
        for limit in policies.limits {
            switch (decision, decide(limit)) {
            case (.denied(isExplicit: true), _), (_, .denied(isExplicit: true)): return .denied(isExplicit: true)
            case (.allowed, .allowed): break
            default: decision = .denied(isExplicit: false)
            }
        }
        return decision
    }

    /// What a trust policy says to a caller. `isDirect` tells whether it names the caller itself, so that no identity policy is needed.
    func trust(_ policy: PolicyDocument, caller: AWSCaller) -> (decision: Decision, isDirect: Bool) {
        trust(policy) { statement in
            let names = (statement.principals["AWS"] ?? []) + (statement.principals["*"] ?? [])
            let isDirect = names.contains { $0 == "*" || $0 == caller.principalARN || $0 == caller.arn }
            let byAccount = names.contains { $0 == caller.account || ARN($0).map { $0.resource == "root" && $0.account == caller.account } ?? false }
            return isDirect ? true : byAccount ? false : nil
        }
    }

    /// What a trust policy says to one whom an identity provider vouches for.
    func trust(_ policy: PolicyDocument, provider: String) -> Decision {
        trust(policy) { ($0.principals["Federated"] ?? []).contains(provider) || $0.principals["*"] != nil ? true : nil }.decision
    }

    /// What a trust policy says to a service: `pods.eks.amazonaws.com`.
    func trust(_ policy: PolicyDocument, service: String) -> Decision {
        trust(policy) { ($0.principals["Service"] ?? []).contains(service) || $0.principals["*"] != nil ? true : nil }.decision
    }

    /// `names`: whether a statement names the one who asks directly, or by the account; nil, not at all.
    private func trust(_ policy: PolicyDocument, names: (PolicyDocument.Statement) -> Bool?) -> (decision: Decision, isDirect: Bool) {
        var (isTrusted, isDirect) = (false, false)
        for statement in policy.statements {
            guard let named = names(statement), covers(statement) else { continue }
            if !statement.isAllow { return (.denied(isExplicit: true), false) }
            (isTrusted, isDirect) = (true, isDirect || named)
        }
        return (isTrusted ? .allowed : .denied(isExplicit: false), isDirect)
    }

    /// Whether a trust policy lets a service assume its role: `eks.amazonaws.com`.
    static func trustsService(_ policy: PolicyDocument, service: String) -> Bool {
        let evaluation = PolicyEvaluation(action: "sts:AssumeRole", resource: "*", context: [:])
        let statements = policy.statements.filter { evaluation.coversAction($0) && ($0.principals["Service"] ?? []).contains(service) }
        return statements.contains(where: \.isAllow) && !statements.contains { !$0.isAllow && $0.conditions.isEmpty }
    }

    /// Whether a trust policy names a service for an action, whatever its conditions.
    static func names(_ policy: PolicyDocument, service: String, action: String) -> Bool {
        let evaluation = PolicyEvaluation(action: action, resource: "*", context: [:])
        return policy.statements.contains { $0.isAllow && evaluation.coversAction($0) && ($0.principals["Service"] ?? []).contains(service) }
    }

    private func covers(_ statement: PolicyDocument.Statement) -> Bool {
        coversAction(statement) && statement.conditions.allSatisfy { $0.holds(in: context) }
    }

    private func coversAction(_ statement: PolicyDocument.Statement) -> Bool {
        statement.actions.contains { $0.matches(actionBytes, in: [:]) } != statement.isNotAction
    }

    private func coversResource(_ statement: PolicyDocument.Statement) -> Bool {
        statement.resources.contains { $0.matches(resourceBytes, in: context) } != statement.isNotResource
    }
}

/// The policies that decide about a principal: what it may, and the bounds within which it may.
struct PrincipalDocuments: Sendable {
    var identity: [PolicyDocument] = []
    /// A permissions boundary, a session's policies: each group must allow, too.
    var limits: [[PolicyDocument]] = []
}
