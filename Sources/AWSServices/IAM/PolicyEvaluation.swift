import AWSProtocol

/// Decides what policies allow. Upstream: IAM User Guide, "Policy evaluation logic", within one account and without boundaries.
struct PolicyEvaluation {
    enum Decision: Equatable {
        case allowed
        case denied(isExplicit: Bool)
    }

    /// `eks:CreateCluster`
    var action: String
    /// An ARN or `*`.
    var resource: String
    /// Condition keys in lower case: `aws:principalarn`.
    var context: [String: String]

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

    /// Whether a trust policy lets the caller assume its role. `isDirect` tells whether it names the caller itself, so that no identity policy is
    /// needed.
    func trust(_ policy: PolicyDocument, caller: AWSCaller) -> (isTrusted: Bool, isDirect: Bool) {
        var result = (isTrusted: false, isDirect: false)
        for statement in policy.statements where covers(statement) {
            let names = (statement.principals["AWS"] ?? []) + (statement.principals["*"] ?? [])
            let direct = names.contains { $0 == "*" || $0 == caller.principalARN || $0 == caller.arn }
            let byAccount = names.contains { $0 == caller.account || ARN($0).map { $0.resource == "root" && $0.account == caller.account } ?? false }
            guard direct || byAccount else { continue }
            if !statement.isAllow { return (false, false) }
            result = (true, result.isDirect || direct)
        }
        return result
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

    /// Whether a trust policy lets a service do this action, conditions included.
    func trusts(_ policy: PolicyDocument, service: String) -> Bool {
        let statements = policy.statements.filter {
            covers($0) && (($0.principals["Service"] ?? []).contains(service) || $0.principals["*"] != nil)
        }
        return statements.contains(where: \.isAllow) && statements.allSatisfy(\.isAllow)
    }

    private func covers(_ statement: PolicyDocument.Statement) -> Bool {
        coversAction(statement) && statement.conditions.allSatisfy { $0.holds(in: context) ?? !statement.isAllow }
    }

    private func coversAction(_ statement: PolicyDocument.Statement) -> Bool {
        let wanted = action.lowercased()
        return statement.actions.contains { Wildcard.matches(pattern: $0.lowercased(), text: wanted) } != statement.isNotAction
    }

    private func coversResource(_ statement: PolicyDocument.Statement) -> Bool {
        statement.resources.contains { Wildcard.matches(pattern: substituted($0), text: resource) } != statement.isNotResource
    }

    /// Policy variables: `${aws:username}`.
    private func substituted(_ text: String) -> String {
        guard text.contains("${") else { return text }
        var result = text
        for (key, value) in context { result = Self.replacing("${\(key)}", in: result, with: value) }
        return result
    }

    private static func replacing(_ needle: String, in text: String, with value: String) -> String {
        var out = ""
        var rest = Substring(text)
        while !rest.isEmpty {
            if rest.count >= needle.count, rest.prefix(needle.count).lowercased() == needle {
                out += value
                rest = rest.dropFirst(needle.count)
            } else {
                out.append(rest.removeFirst())
            }
        }
        return out
    }
}
