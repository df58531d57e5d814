import AWSProtocol
import Synchronization

/// An IAM policy. Upstream: IAM User Guide, "Grammar of the IAM JSON policy language".
struct PolicyDocument: Sendable {
    struct Statement: Sendable {
        var isAllow: Bool
        /// In lower case: actions are the same in any case.
        var actions: [PolicyPattern]
        /// Whether `actions` are those it does not speak of.
        var isNotAction: Bool
        var resources: [PolicyPattern]
        var isNotResource: Bool
        /// By type (`AWS`, `Service`, `Federated`); `*` alone stands under `*`.
        var principals: [String: [String]]
        var conditions: [PolicyCondition]
    }

    var statements: [Statement]
    /// The actions as written, for what a kind of policy may speak of.
    private var actionNames: [String] = []

    private static let members: Set<String> = [
        "Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition",
    ]

    /// Reads a document. Throws MalformedPolicyDocument in IAM's words.
    init(_ text: String) throws(AWSError) {
        let json: AWSJSON
        do { json = try AWSJSON(parsing: Array(text.utf8)) } catch { throw IAMFault.malformedPolicy("This policy contains invalid Json") }
        if let version = json["Version"], version != "2012-10-17", version != "2008-10-17" {
            throw IAMFault.malformedPolicy("The policy must contain a valid version string")
        }
        guard let body = json["Statement"] else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
        statements = []
        for element in body.arrayValue ?? [body] { try add(element, hasVariables: json["Version"] == "2012-10-17") }
        guard !statements.isEmpty else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
    }

    private mutating func add(_ json: AWSJSON, hasVariables: Bool) throws(AWSError) {
        let effect = json["Effect"]?.stringValue
        guard effect == "Allow" || effect == "Deny", let members = json.objectValue, members.keys.allSatisfy(PolicyDocument.members.contains),
            members["Action"] == nil || members["NotAction"] == nil, members["Resource"] == nil || members["NotResource"] == nil
        else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
        guard let actions = PolicyDocument.strings(json["Action"] ?? json["NotAction"]), !actions.isEmpty else {
            throw IAMFault.malformedPolicy("Policy statement must contain actions.")
        }
        for action in actions where action != "*" && !action.contains(":") {
            throw IAMFault.malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        }
        actionNames += actions
        let resources = PolicyDocument.strings(json["Resource"] ?? json["NotResource"]) ?? []
        for resource in resources where resource != "*" && !resource.hasPrefix("arn:") && !resource.hasPrefix("*") {
            throw IAMFault.malformedPolicy("Resource \(resource.prefix(200)) must be in ARN format or \"*\".")
        }
        statements.append(
            Statement(
                isAllow: effect == "Allow", actions: actions.map { PolicyPattern($0.lowercased(), hasVariables: false) },
                isNotAction: json["Action"] == nil, resources: resources.map { PolicyPattern($0, hasVariables: hasVariables) },
                isNotResource: json["NotResource"] != nil, principals: try PolicyDocument.principals(json["Principal"]),
                conditions: try PolicyCondition.parse(json["Condition"], hasVariables: hasVariables)))
    }

    private static func principals(_ json: AWSJSON?) throws(AWSError) -> [String: [String]] {
        switch json {
        case nil: return [:]
        case .string("*")?: return ["*": ["*"]]
        case .object(let members)?:
            var principals: [String: [String]] = [:]
            for (type, value) in members {
                guard ["AWS", "Service", "Federated", "CanonicalUser"].contains(type), let names = strings(value) else {
                    throw IAMFault.malformedPolicy("Invalid principal in policy: \(type.prefix(64))")
                }
                principals[type] = names
            }
            return principals
        default: throw IAMFault.malformedPolicy("Invalid principal in policy.")
        }
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
        let document = try PolicyDocument(text)
        for statement in document.statements {
            guard statement.resources.isEmpty else { throw IAMFault.malformedPolicy("Has prohibited field Resource") }
            guard !statement.principals.isEmpty else { throw IAMFault.malformedPolicy("Missing required field Principal") }
        }
        for action in document.actionNames where action != "*" && !action.lowercased().hasPrefix("sts:") {
            throw IAMFault.malformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")
        }
    }

    /// The size that quotas count: white space is free.
    static func size(_ text: String) -> Int { text.utf8.count { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D } }
}

/// Documents parsed once: every call of every service asks them.
enum ParsedPolicies {
    /// More documents than an account's principals use at one time; when it is full, it is begun anew.
    private static let capacity = 2_048
    private static let documents = Mutex<[String: PolicyDocument]>([:])

    /// A stored document. It was checked when it was stored; one that does not parse grants nothing.
    static func document(_ text: String) -> PolicyDocument? {
        if let known = documents.withLock({ $0[text] }) { return known }
        guard let parsed = try? PolicyDocument(text) else { return nil }
        documents.withLock { documents in
            if documents.count >= capacity { documents.removeAll(keepingCapacity: true) }
            documents[text] = parsed
        }
        return parsed
    }
}
