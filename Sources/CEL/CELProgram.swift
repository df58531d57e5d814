import KubeAPI

// The package's API, in the order in which it is used:
//
//     // 1. What expressions may name. Types come from CELType, or from a CELSchema (a structural schema) for JSON.
//     let schema = CELSchema.object(name: "Crontab", properties: ["spec": .object(name: "Crontab.spec", properties: ["replicas": .integer])])
//     let environment = CELEnvironment(variables: [CELVariable("self", schema), CELVariable("oldSelf", schema)])
//
//     // 2. Compile once. The error's description is cel-go's text: "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')\n | x\n | ^".
//     let program = try CELProgram.compile("self.spec.replicas >= 0", in: environment, expecting: [.bool])
//     program.usesVariable("oldSelf")                 // a transition rule?
//     try CELProgram.estimateCost(source, in: environment).max      // compare with CELLimits.estimatedPerExpression
//
//     // 3. Evaluate often; any thread. JSON is wrapped, not copied.
//     var budget = CELBudget()                        // 10,000,000 for all expressions of a request or a resource, 1,000,000 for each
//     let activation = CELActivation(["self": CELValue(object.root, schema), "oldSelf": CELValue(old.root, schema)])
//     let isValid = try program.evaluate(activation, budget: &budget).bool       // throws CELError: "no such key: foo", "division by zero"
//
// For untyped objects (webhook match conditions, admission policies) declare `CELVariable("object", .dyn)` and pass `CELValue(value)` of a `Value`
// or `CELValue(view)` of a `JSONView`.

/// A variable that expressions may name.
package struct CELVariable: Sendable {
    package let name: String
    package let schema: CELSchema
    package var type: CELType { schema.type }

    package init(_ name: String, _ schema: CELSchema) {
        self.name = name
        self.schema = schema
    }

    package init(_ name: String, _ type: CELType) { self.init(name, .plain(type)) }
}

/// The values of an environment's variables in one evaluation. A variable without a value is an error only when it is read.
package struct CELActivation: Sendable {
    package var values: [String: CELValue]
    package init(_ values: [String: CELValue] = [:]) { self.values = values }
}

/// Limits on what expressions cost. Upstream: k8s.io/apiserver/pkg/apis/cel and apiextensions' validation.
package enum CELLimits {
    /// Of one evaluation. Upstream: PerCallLimit.
    package static let perCall: UInt64 = 1_000_000
    /// Of all expressions of one request (admission) or one custom resource. Upstream: RuntimeCELCostBudget.
    package static let perRequest: UInt64 = 10_000_000
    /// Of all match conditions of a webhook or policy. Upstream: RuntimeCELCostBudgetMatchConditions.
    package static let matchConditions: UInt64 = 2_500_000
    /// Estimated, of one expression of a CRD. Upstream: StaticEstimatedCostLimit.
    package static let estimatedPerExpression: UInt64 = 10_000_000
    /// Estimated, of all expressions of a CRD's version. Upstream: StaticEstimatedCRDCostLimit.
    package static let estimatedPerCRD: UInt64 = 100_000_000
    /// Code points of one expression. Upstream: cel-go's default of ExpressionSizeCodePointLimit.
    static let expressionSize = 100_000
    /// Nesting of an expression. Upstream: cel-go's default of MaxRecursionDepth.
    static let depth = 250
    /// Issues told of one expression; more are counted. Upstream: common.NewErrors.
    static let issues = 100
}

/// What expressions may still cost, over several evaluations.
package struct CELBudget: Sendable {
    package private(set) var remaining: UInt64
    package private(set) var perCall: UInt64

    package init(_ budget: UInt64 = CELLimits.perRequest, perCall: UInt64 = CELLimits.perCall) {
        remaining = budget
        self.perCall = perCall
    }

    /// False once the budget was overdrawn.
    package private(set) var isExhausted = false

    /// Takes `cost` off; overdrawing leaves nothing.
    package mutating func spend(_ cost: UInt64) {
        if cost > remaining { isExhausted = true }
        remaining = cost > remaining ? 0 : remaining - cost
    }
}

/// Why an evaluation failed, in cel-go's words.
package struct CELError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// A mistake of the expression with these values; `&&`, `||` and the quantifiers may absorb it.
        case evaluation
        /// The cost limit of the call or the budget is used up. Upstream: "operation cancelled: actual cost limit exceeded".
        case costLimit
        /// The task was cancelled. Upstream: "operation interrupted".
        case interrupted
    }
    package let kind: Kind
    package let description: String

    package init(_ description: String, kind: Kind = .evaluation) {
        self.kind = kind
        self.description = description
    }

    static let noSuchOverload = CELError("no such overload")
    static func noSuchKey(_ key: String) -> CELError { CELError("no such key: \(key)") }
    static let costLimit = CELError("operation cancelled: actual cost limit exceeded", kind: .costLimit)
    static let interrupted = CELError("operation interrupted", kind: .interrupted)
}

/// One mistake in an expression's source.
package struct CELIssue: Sendable, Equatable {
    package let message: String
    /// From 1.
    package let line: Int
    /// Code points before the place in its line.
    package let column: Int
    /// The line as cel-go shows it.
    let snippet: String

    /// As cel-go prints it, with the line and a mark under the place.
    package var description: String {
        var mark = ""
        for (index, scalar) in snippet.unicodeScalars.enumerated() {
            if index >= column { break }
            mark += scalar.isASCII ? "." : "\u{FF0E}"
        }
        if mark.unicodeScalars.count < column { mark += String(repeating: ".", count: column - mark.unicodeScalars.count) }
        return "ERROR: <input>:\(line):\(column + 1): \(message)\n | \(snippet)\n | \(mark)^"
    }
}

/// Why an expression does not compile.
package struct CELCompileError: Error, Equatable, CustomStringConvertible {
    package let issues: [CELIssue]
    /// Set when the expression is right in itself but of another type than wanted. Upstream: "must evaluate to bool".
    package let wrongType: String?

    /// cel-go's text of all issues, or the wrong type's.
    package var description: String {
        if let wrongType { return wrongType }
        var text = issues.prefix(CELLimits.issues).map(\.description).joined(separator: "\n")
        if issues.count > CELLimits.issues { text += "\n\(issues.count - CELLimits.issues) more errors were truncated" }
        return text
    }
}

/// What evaluating may cost at least and at most. Upstream: checker.CostEstimate.
package struct CELCostEstimate: Sendable, Equatable {
    package var min: UInt64
    package var max: UInt64
    package init(min: UInt64, max: UInt64) {
        self.min = min
        self.max = max
    }
}
