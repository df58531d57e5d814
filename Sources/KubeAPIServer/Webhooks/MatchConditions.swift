import CEL
import KubeAPI

/// The `matchConditions` of a webhook: CEL expressions that must all be true. Upstream: webhook/matchconditions.
struct MatchConditions: Sendable {
    /// What the expressions see.
    struct Input {
        var attributes: AdmissionAttributes
        var matched: MatchedResource
        var requestKind: GroupVersionKind
        /// In the matched version.
        var object: Value
        var oldObject: Value
        var authorizers: [any Authorizer]
    }

    enum Outcome: Equatable {
        case matches, doesNotMatch
        /// None is false, but these could not be told.
        case error(String)
    }

    /// Upstream: the limit of validateMatchConditions.
    static let maximum = 64

    private struct Condition: Sendable {
        var expression: String
        var program: Result<CELProgram, CELCompileError>
    }

    private let conditions: [Condition]

    init(_ views: [JSONView]) {
        conditions = views.map { view in
            let expression = view["expression"].string ?? ""
            return Condition(expression: expression, program: Self.compile(expression))
        }
    }

    private static func compile(_ expression: String) -> Result<CELProgram, CELCompileError> {
        do throws(CELCompileError) {
            return .success(try CELProgram.compile(expression, in: AdmissionExpressions.webhookEnvironment, expecting: [.bool]))
        } catch {
            return .failure(error)
        }
    }

    /// A condition that is false decides, whatever the others do.
    func evaluate(_ input: Input) -> Outcome {
        let (authorizer, requestResource) = AdmissionExpressions.authorizers(input.attributes, input.authorizers)
        let request = AdmissionExpressions.request(input.attributes, input.matched, requestKind: input.requestKind)
        let activation = CELActivation([
            "object": CELValue(input.object), "oldObject": CELValue(input.oldObject),
            "request": CELValue(request, AdmissionExpressions.request), "namespaceObject": .null, "authorizer": .opaque(authorizer),
            "authorizer.requestResource": .opaque(requestResource),
        ])
        var budget = CELBudget(CELLimits.matchConditions)
        var errors: [String] = []
        for condition in conditions {
            switch condition.program {
            case .failure(let error): errors.append("compilation error: compilation failed: \(error)")
            case .success(let program):
                do throws(CELError) {
                    switch try program.evaluate(activation, budget: &budget).bool {
                    case true?: break
                    case false?: return .doesNotMatch
                    case nil: errors.append("cel expression '\(condition.expression)' did not evaluate to a boolean")
                    }
                } catch {
                    errors.append("expression '\(condition.expression)' resulted in error: \(error)")
                }
            }
        }
        guard !errors.isEmpty else { return .matches }
        return .error(errors.count == 1 ? errors[0] : "[\(errors.joined(separator: ", "))]")
    }

    /// Upstream: validateMatchConditions.
    static func validate(_ conditions: JSONView?, _ field: String) -> [StatusError.Cause] {
        var errors = FieldErrors()
        let conditions = conditions.elements
        if conditions.count > maximum { errors.tooMany(field, conditions.count, maximum: maximum) }
        var names: Set<String> = []
        for (index, condition) in conditions.prefix(maximum).enumerated() {
            let path = "\(field)[\(index)]"
            let expression = condition["expression"].string ?? ""
            if expression.allSatisfy(\.isWhitespace) {
                errors.required("\(path).expression", "")
            } else if case .failure(let error) = compile(expression) {
                let detail = error.wrongType ?? "compilation failed: \(error)"
                errors.invalid("\(path).expression", .string(expression), detail)
            }
            validateName(condition, path, &names, &errors)
        }
        return errors.causes
    }

    /// A condition's name: qualified, and no other's.
    static func validateName(_ condition: JSONView, _ path: String, _ names: inout Set<String>, _ errors: inout FieldErrors) {
        let name = condition["name"].string ?? ""
        guard !name.isEmpty else { return errors.required("\(path).name", "") }
        for problem in Names.qualifiedNameProblems(name) { errors.invalid("\(path).name", .string(name), problem) }
        if !names.insert(name).inserted { errors.duplicate("\(path).name", .string(name)) }
    }
}
