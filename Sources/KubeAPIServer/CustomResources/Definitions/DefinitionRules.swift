import CEL
import KubeAPI

/// The `x-kubernetes-validations` of a definition's schemas: whether they compile, and what they may cost. Upstream: cel.Compile with the cost
/// checks of ValidateCustomResourceDefinitionOpenAPISchema.
struct DefinitionRules: Sendable {
    /// How many of the most expensive rules are named when all together cost too much. Upstream: TotalCost.
    private static let namedExpensive = 4

    /// `isUnchanged`: the schema was accepted before; the estimates of single rules are not held against it.
    func problems(_ places: [OpenAPISchemaValidation.RulePlace], at path: String, isUnchanged: Bool) -> [StatusError.Cause] {
        var errors = FieldErrors()
        var total: UInt64 = 0
        var costs: [(path: String, cost: UInt64)] = []
        func observe(_ place: String, _ cost: UInt64) {
            let (sum, overflows) = total.addingReportingOverflow(cost)
            total = overflows ? .max : sum
            costs.append((place, cost))
        }
        for place in places {
            guard let compiled = NodeRules(place.schema, isResource: place.isResource) else { continue }
            for (index, rule) in compiled.rules.enumerated() {
                let at = "\(place.path).x-kubernetes-validations[\(index)]"
                switch rule.program {
                case .failure(let problem): errors.invalid("\(at).rule", raw: Self.shown(rule.rule), problem.text)
                case .success(let program):
                    let cost = Self.multiply(compiled.cost(of: program.source, rule), place.cardinality ?? compiled.cardinality)
                    if !isUnchanged, cost > CELLimits.estimatedPerExpression {
                        errors.forbidden("\(at).rule", Self.message("estimated rule cost", cost, CELLimits.estimatedPerExpression))
                    }
                    observe("\(at).rule", cost)
                }
                switch rule.message {
                case .failure(let problem)?: errors.invalid("\(at).messageExpression", raw: Self.shown(rule.rule), problem.text)
                case .success(let program)?:
                    let cost = compiled.cost(of: program.source, rule)
                    if !isUnchanged, cost > CELLimits.estimatedPerExpression {
                        errors.forbidden(
                            "\(at).messageExpression", Self.message("estimated messageExpression cost", cost, CELLimits.estimatedPerExpression))
                    }
                    observe("\(at).messageExpression", cost)
                case nil: break
                }
                if rule.usesOldSelf {
                    if let list = place.uncorrelatable {
                        errors.invalid(
                            "\(at).rule", .string(rule.rule.rule),
                            "oldSelf cannot be used on the uncorrelatable portion of the schema within \(list)")
                    }
                } else if let flag = rule.rule.optionalOldSelf {
                    errors.invalid("\(at).optionalOldSelf", .bool(flag), "may not be set if oldSelf is not used in rule")
                }
            }
        }
        if total > CELLimits.estimatedPerCRD {
            for (place, _) in costs.sorted(by: { $0.cost > $1.cost }).prefix(Self.namedExpensive) {
                errors.forbidden(place, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema")
            }
            errors.forbidden(
                path,
                Self.message(
                    "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", total, CELLimits.estimatedPerCRD))
        }
        return errors.causes
    }

    private static func multiply(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (product, overflows) = a.multipliedReportingOverflow(by: b)
        return overflows ? .max : product
    }

    /// Upstream: getCostErrorMessage.
    private static func message(_ what: String, _ cost: UInt64, _ limit: UInt64) -> String {
        let factor = Double(cost) / Double(limit)
        let shown: String
        if factor > 100 {
            shown = "more than 100x"
        } else if factor < 1.5 {
            shown = "\(fixed(factor, digits: 6))x"
        } else {
            shown = "\(fixed(factor, digits: 1))x"
        }
        return "\(what) exceeds budget by factor of \(shown) (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where "
            + "arrays, maps, and strings are declared)"
    }

    /// As Go's `%.Nf`, of a number between 0 and 100.
    private static func fixed(_ number: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = Int64((number * scale).rounded(.toNearestOrEven))
        let text = String(whole)
        let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        return "\(padded.dropLast(digits)).\(padded.suffix(digits))"
    }

    /// A rule as Go prints it in errors.
    private static func shown(_ rule: StructuralSchema.Rule) -> String {
        let reason = rule.reason == nil ? "(*apiextensions.FieldValueErrorReason)(nil)" : "(*apiextensions.FieldValueErrorReason)(0xc000000000)"
        let flag = rule.optionalOldSelf == nil ? "(*bool)(nil)" : "(*bool)(0xc000000000)"
        return "apiextensions.ValidationRule{Rule:\(rule.rule.goQuoted), Message:\(rule.message.goQuoted), "
            + "MessageExpression:\(rule.messageExpression.goQuoted), Reason:\(reason), FieldPath:\(rule.fieldPath.goQuoted), OptionalOldSelf:\(flag)}"
    }
}

extension FieldErrors {
    /// An invalid value that is shown in Go's form instead of JSON's.
    fileprivate mutating func invalid(_ field: String, raw: String, _ message: String) {
        append([StatusError.Cause(reason: "FieldValueInvalid", message: "Invalid value: \(raw): \(message)", field: field)])
    }
}
