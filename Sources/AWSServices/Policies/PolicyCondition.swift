import AWSProtocol

/// One operator with one key of a statement's `Condition`. Upstream: IAM User Guide, "IAM JSON policy elements: Condition operators".
struct PolicyCondition: Sendable {
    private enum Quantifier: Sendable {
        case none
        case forAllValues
        case forAnyValue
    }
    private enum Order: Sendable {
        case equal
        case less
        case lessOrEqual
        case greater
        case greaterOrEqual

        func holds<Value: Comparable>(_ a: Value, _ b: Value) -> Bool {
            switch self {
            case .equal: a == b
            case .less: a < b
            case .lessOrEqual: a <= b
            case .greater: a > b
            case .greaterOrEqual: a >= b
            }
        }
    }
    private enum Comparison: Sendable {
        case text
        case textIgnoringCase
        case like
        case numeric(Order)
        case date(Order)
        case bool
        case address
        case arn
        case null
    }

    private static let comparisons: [String: (Comparison, isNegated: Bool)] = [
        "StringEquals": (.text, false), "StringNotEquals": (.text, true), "StringEqualsIgnoreCase": (.textIgnoringCase, false),
        "StringNotEqualsIgnoreCase": (.textIgnoringCase, true), "StringLike": (.like, false), "StringNotLike": (.like, true),
        "NumericEquals": (.numeric(.equal), false), "NumericNotEquals": (.numeric(.equal), true), "NumericLessThan": (.numeric(.less), false),
        "NumericLessThanEquals": (.numeric(.lessOrEqual), false), "NumericGreaterThan": (.numeric(.greater), false),
        "NumericGreaterThanEquals": (.numeric(.greaterOrEqual), false), "DateEquals": (.date(.equal), false),
        "DateNotEquals": (.date(.equal), true), "DateLessThan": (.date(.less), false), "DateLessThanEquals": (.date(.lessOrEqual), false),
        "DateGreaterThan": (.date(.greater), false), "DateGreaterThanEquals": (.date(.greaterOrEqual), false), "Bool": (.bool, false),
        "BinaryEquals": (.text, false), "IpAddress": (.address, false), "NotIpAddress": (.address, true), "ArnEquals": (.arn, false),
        "ArnLike": (.arn, false), "ArnNotEquals": (.arn, true), "ArnNotLike": (.arn, true), "Null": (.null, false),
    ]

    /// In lower case.
    let key: String
    private let comparison: Comparison
    private let isNegated: Bool
    private let isIfExists: Bool
    private let quantifier: Quantifier
    private let values: [PolicyPattern]

    /// Throws MalformedPolicyDocument for an operator that does not exist.
    init(op: String, key: String, values: [String], hasVariables: Bool) throws(AWSError) {
        var name = Substring(op)
        quantifier = name.hasPrefix("ForAllValues:") ? .forAllValues : name.hasPrefix("ForAnyValue:") ? .forAnyValue : .none
        if let colon = name.firstIndex(of: ":") { name = name[name.index(after: colon)...] }
        isIfExists = name.hasSuffix("IfExists")
        if isIfExists { name = name.dropLast(8) }
        guard let known = PolicyCondition.comparisons[String(name)] else {
            throw IAMFault.malformedPolicy("Invalid Condition type : \(op.prefix(64))")
        }
        (comparison, isNegated) = known
        self.key = key.lowercased()
        self.values = values.map { PolicyPattern($0, hasVariables: hasVariables) }
    }

    /// The conditions of a statement, all of which must hold. Throws MalformedPolicyDocument.
    static func parse(_ json: AWSJSON?, hasVariables: Bool) throws(AWSError) -> [PolicyCondition] {
        guard let json else { return [] }
        guard let operators = json.objectValue else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
        var conditions: [PolicyCondition] = []
        for (op, keys) in operators.sorted(by: { $0.key < $1.key }) {
            guard let keys = keys.objectValue else { throw IAMFault.malformedPolicy("Syntax errors in policy.") }
            for (key, value) in keys.sorted(by: { $0.key < $1.key }) {
                var values: [String] = []
                for element in value.arrayValue ?? [value] {
                    switch element {
                    case .string(let text): values.append(text)
                    case .bool(let flag): values.append(flag ? "true" : "false")
                    case .integer(let number): values.append(String(number))
                    case .double(let number): values.append("\(number)")
                    default: throw IAMFault.malformedPolicy("Syntax errors in policy.")
                    }
                }
                conditions.append(try PolicyCondition(op: op, key: key, values: values, hasVariables: hasVariables))
            }
        }
        return conditions
    }

    func holds(in context: PolicyContext) -> Bool {
        let actual = context[key]
        if case .null = comparison { return values.contains { $0.text(in: context)?.lowercased() == (actual == nil ? "true" : "false") } }
        guard let actual else {
            switch quantifier {
            case .forAllValues: return true
            case .forAnyValue: return isIfExists
            case .none: return isIfExists || isNegated
            }
        }
        func one(_ text: String) -> Bool { values.contains { matches($0, text, context) } != isNegated }
        switch quantifier {
        case .forAllValues: return actual.allSatisfy(one)
        case .forAnyValue: return actual.contains(where: one)
        // A negated operator must hold for every value, an affirmative one for any.
        case .none: return isNegated ? actual.allSatisfy(one) : actual.contains(where: one)
        }
    }

    private func matches(_ pattern: PolicyPattern, _ actual: String, _ context: PolicyContext) -> Bool {
        switch comparison {
        case .like: return pattern.matches(actual, in: context)
        case .arn: return pattern.matchesARN(actual, in: context)
        default: break
        }
        guard let wanted = pattern.text(in: context) else { return false }
        switch comparison {
        case .text: return wanted == actual
        case .textIgnoringCase, .bool: return wanted.lowercased() == actual.lowercased()
        case .numeric(let order):
            guard let a = Double(actual), let b = Double(wanted) else { return false }
            return order.holds(a, b)
        case .date(let order):
            guard let a = PolicyDate.seconds(actual), let b = PolicyDate.seconds(wanted) else { return false }
            return order.holds(a, b)
        case .address:
            guard let address = IPv4Address(actual) else { return wanted == actual }
            return (IPv4Block(wanted) ?? IPv4Block(wanted + "/32"))?.contains(address) ?? false
        case .like, .arn, .null: return false
        }
    }
}

/// Dates as policies write them: `2020-04-01T00:00:00Z`, `2020-04-01`, or seconds since 1970.
enum PolicyDate {
    static func seconds(_ text: String) -> Double? {
        if let seconds = Double(text) { return seconds }
        let digits = text.filter { $0 != "-" && $0 != ":" }
        if digits.count == 8 { return AWSTimestamp.parseBasic(digits + "T000000Z") }
        let whole = digits.prefix { $0 != "." }
        return AWSTimestamp.parseBasic(whole.hasSuffix("Z") ? String(whole) : whole + "Z")
    }
}
