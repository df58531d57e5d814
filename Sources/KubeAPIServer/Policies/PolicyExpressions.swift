import CEL
import KubeAPI
import Synchronization

/// An expression of a policy with what compiling it gave. Upstream: cel.CompilationResult.
struct PolicyExpression: Sendable {
    let source: String
    let program: Result<CELProgram, CELCompileError>

    init(_ source: String, _ environment: CELEnvironment, _ types: [CELType]?) {
        self.source = source
        do throws(CELCompileError) {
            program = .success(try CELProgram.compile(source, in: environment, expecting: types))
        } catch {
            program = .failure(error)
        }
    }

    /// What is wrong with it, as validation says it; nil: it compiles.
    var problem: String? {
        guard case .failure(let error) = program else { return nil }
        return error.wrongType ?? "compilation failed: \(error)"
    }

    /// The value, or upstream's text of the failure. Throws `OutOfBudget`, after which nothing more is evaluated. Upstream: condition.ForInput.
    func evaluate(_ activation: CELActivation, _ budget: inout CELBudget) throws(PolicyOutOfBudget) -> Result<CELValue, PolicyEvaluationError> {
        switch program {
        case .failure: return .failure(PolicyEvaluationError(text: "compilation error: \(problem ?? "")"))
        case .success(let program):
            let result: Result<CELValue, PolicyEvaluationError>
            do throws(CELError) {
                result = .success(try program.evaluate(activation, budget: &budget))
            } catch {
                result = .failure(PolicyEvaluationError(text: "expression '\(source)' resulted in error: \(error)"))
            }
            if budget.isExhausted { throw PolicyOutOfBudget() }
            return result
        }
    }
}

/// Why an expression has no value.
struct PolicyEvaluationError: Error, Equatable {
    let text: String
}

/// Upstream: the error of ForInput when the request's budget is spent.
struct PolicyOutOfBudget: Error {
    let text = "validation failed due to running out of cost budget, no further validation rules will be run"
}

/// Compiles the expressions of one policy: its variables first, each of which sees those before it. Upstream: cel.CompositedCompiler.
struct PolicyCompiler {
    /// What expressions see beside the variables. Upstream: cel.OptionalVariableDeclarations.
    private let base: [CELVariable]
    private let constructible: @Sendable (String) -> CELObjectType?
    private(set) var variables: [(name: String, expression: PolicyExpression)] = []

    /// `object` is the type of object and oldObject: dyn unless a kind's types are checked.
    init(hasParams: Bool, object: CELSchema = .any, params: CELSchema = .any, isMutating: Bool = false) {
        var base = [
            CELVariable("object", object), CELVariable("oldObject", object), CELVariable("request", AdmissionExpressions.request),
            CELVariable("namespaceObject", Self.namespaceObject), CELVariable("authorizer", CELAuthorizer.type),
            CELVariable("authorizer.requestResource", CELAuthorizer.resourceCheckType),
        ]
        if hasParams { base.append(CELVariable("params", params)) }
        self.base = base
        if isMutating { constructible = { PolicyMutation.constructible($0) } } else { constructible = { _ in nil } }
    }

    private static let namespaceObject = CELSchema.any

    /// Variables are dynamic fields of `variables`.
    private func environment(withAuthorizer: Bool = true) -> CELEnvironment {
        var types: [String: CELSchema] = [:]
        for (name, expression) in variables {
            if case .success(let program) = expression.program { types[name] = .plain(program.outputType) } else { types[name] = .any }
        }
        let known = types
        let type = CELObjectType(name: "kubernetes.variables") { known[$0] }
        let visible = withAuthorizer ? base : base.filter { !$0.name.hasPrefix("authorizer") }
        return CELEnvironment(variables: visible + [CELVariable("variables", CELType.object(type))], constructible: constructible)
    }

    mutating func add(variable view: JSONView) {
        variables.append((view["name"].string ?? "", PolicyExpression(view["expression"].string ?? "", environment(), nil)))
    }

    func compile(_ source: String, _ types: [CELType]?, withAuthorizer: Bool = true) -> PolicyExpression {
        PolicyExpression(source, environment(withAuthorizer: withAuthorizer), types)
    }

    /// Match conditions see no variables.
    func compileCondition(_ source: String) -> PolicyExpression { PolicyExpression(source, CELEnvironment(variables: base), [.bool]) }
}

/// `variables` of one evaluation: each is computed when it is first read, and once. Upstream: cel.compositionContext.
final class PolicyVariables: CELFields {
    let typeName = "kubernetes.variables"
    private let expressions: [String: PolicyExpression]
    private let activation: CELActivation
    private let known = Mutex<[String: Result<CELValue, CELError>]>([:])

    init(_ expressions: [(name: String, expression: PolicyExpression)], _ activation: CELActivation) {
        self.expressions = Dictionary(expressions.map { ($0.name, $0.expression) }, uniquingKeysWith: { _, last in last })
        self.activation = activation
    }

    func value(of field: String, _ evaluation: CELEvaluation) throws(CELError) -> CELValue? {
        if let result = known.withLock({ $0[field] }) { return try result.get() }
        guard let expression = expressions[field] else { return nil }
        let result: Result<CELValue, CELError>
        switch expression.program {
        case .failure(let error): result = .failure(CELError("composited variable \"\(field)\" fails to compile: \(error)"))
        case .success(let program):
            do throws(CELError) {
                var activation = activation
                activation.values["variables"] = .object(self)
                result = .success(try program.evaluate(activation, chargedTo: evaluation))
            } catch {
                if error.kind != .evaluation { throw error }
                result = .failure(CELError("composited variable \"\(field)\" fails to evaluate: \(error)"))
            }
        }
        known.withLock { $0[field] = result }
        return try result.get()
    }
}
