import AWSProtocol

/// An IAM policy. Upstream: IAM User Guide, "Grammar of the IAM JSON policy language".
struct PolicyDocument: Sendable {
    struct Statement: Sendable {
        var isAllow: Bool
        var actions: [String]
        /// Whether `actions` are those it does not speak of.
        var isNotAction: Bool
        var resources: [String]
        var isNotResource: Bool
        /// By type (`AWS`, `Service`, `Federated`); `*` alone stands under `*`.
        var principals: [String: [String]]
        var conditions: [PolicyCondition]
    }

    var statements: [Statement]

    /// Reads a document. Throws MalformedPolicyDocument in IAM's words.
    init(_ text: String) throws(AWSError) {
        let json: AWSJSON
        do { json = try AWSJSON(parsing: Array(text.utf8)) } catch { throw IAMFault.malformedPolicy("This policy contains invalid Json") }
        if let version = json["Version"], version != "2012-10-17", version != "2008-10-17" {
            throw IAMFault.malformedPolicy("The policy must contain a valid version string")
        }
        guard let body = json["Statement"] else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
        var statements: [Statement] = []
        for element in body.arrayValue ?? [body] { statements.append(try PolicyDocument.statement(element)) }
        guard !statements.isEmpty else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
        self.statements = statements
    }

    private static func statement(_ json: AWSJSON) throws(AWSError) -> Statement {
        let effect = json["Effect"]?.stringValue
        guard effect == "Allow" || effect == "Deny" else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
        guard let actions = strings(json["Action"] ?? json["NotAction"]), !actions.isEmpty else {
            throw IAMFault.malformedPolicy("Policy statement must contain actions.")
        }
        for action in actions where action != "*" && !action.contains(":") {
            throw IAMFault.malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        }
        var principals: [String: [String]] = [:]
        switch json["Principal"] {
        case .string("*")?: principals["*"] = ["*"]
        case .object(let members)?:
            for (type, value) in members {
                guard let names = strings(value) else { throw IAMFault.malformedPolicy("Invalid principal in policy: \(type)") }
                principals[type] = names
            }
        case nil: break
        default: throw IAMFault.malformedPolicy("Invalid principal in policy.")
        }
        return Statement(
            isAllow: effect == "Allow", actions: actions, isNotAction: json["Action"] == nil,
            resources: strings(json["Resource"] ?? json["NotResource"]) ?? [],
            isNotResource: json["NotResource"] != nil, principals: principals, conditions: PolicyCondition.parse(json["Condition"]))
    }

    /// A string, or the strings of an array.
    private static func strings(_ json: AWSJSON?) -> [String]? { json?.stringValue.map { [$0] } ?? json?.stringArray }

    /// An identity policy's checks when it is stored. Throws MalformedPolicyDocument.
    static func checkIdentityPolicy(_ text: String) throws(AWSError) {
        for statement in try PolicyDocument(text).statements {
            guard statement.principals.isEmpty else { throw IAMFault.malformedPolicy("Policy document should not specify a principal.") }
            guard !statement.resources.isEmpty else { throw IAMFault.malformedPolicy("Policy statement must contain resources.") }
        }
    }

    /// A trust policy's checks when it is stored. Throws MalformedPolicyDocument.
    static func checkTrustPolicy(_ text: String) throws(AWSError) {
        for statement in try PolicyDocument(text).statements {
            guard statement.resources.isEmpty else { throw IAMFault.malformedPolicy("Has prohibited field Resource") }
            guard !statement.principals.isEmpty else { throw IAMFault.malformedPolicy("Missing required field Principal") }
            for action in statement.actions where action != "*" && !action.lowercased().hasPrefix("sts:") {
                throw IAMFault.malformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")
            }
        }
    }
}

/// One operator with one key of a statement's `Condition`.
struct PolicyCondition: Sendable {
    var op: String
    var key: String
    var values: [String]

    static func parse(_ json: AWSJSON?) -> [PolicyCondition] {
        var conditions: [PolicyCondition] = []
        for (op, keys) in json?.objectValue ?? [:] {
            for (key, value) in keys.objectValue ?? [:] {
                let values = (value.arrayValue ?? [value]).map { element -> String in
                    switch element {
                    case .string(let text): text
                    case .bool(let flag): flag ? "true" : "false"
                    case .integer(let number): String(number)
                    default: ""
                    }
                }
                conditions.append(PolicyCondition(op: op, key: key.lowercased(), values: values))
            }
        }
        return conditions
    }

    /// Whether it holds; nil for an operator this evaluation does not have, which the caller takes for the safer side.
    func holds(in context: [String: String]) -> Bool? {
        var name = op
        let isIfExists = name.hasSuffix("IfExists")
        if isIfExists { name = String(name.dropLast(8)) }
        if name == "Null" { return values.contains(context[key] == nil ? "true" : "false") }
        let isNegated = name.contains("Not")
        guard let actual = context[key] else { return isIfExists || isNegated }
        let matched: Bool
        switch name {
        case "StringEquals", "StringNotEquals": matched = values.contains(actual)
        case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase": matched = values.contains { $0.lowercased() == actual.lowercased() }
        case "StringLike", "StringNotLike", "ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals":
            matched = values.contains { Wildcard.matches(pattern: $0, text: actual) }
        case "Bool": matched = values.contains(actual)
        default: return nil
        }
        return matched != isNegated
    }
}

/// `*` any run of characters, `?` any one. Linear in practice, quadratic at worst: it backtracks to the last star only.
enum Wildcard {
    static func matches(pattern: String, text: String) -> Bool {
        let pattern = Array(pattern.utf8)
        let text = Array(text.utf8)
        var (p, t) = (0, 0)
        var lastStar: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == 0x2A {
                lastStar = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == 0x3F || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let star = lastStar {
                p = star.pattern + 1
                t = star.text + 1
                lastStar = (star.pattern, t)
            } else {
                return false
            }
        }
        while p < pattern.count, pattern[p] == 0x2A { p += 1 }
        return p == pattern.count
    }
}
