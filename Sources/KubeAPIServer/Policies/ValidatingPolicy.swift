import CEL
import KubeAPI

/// A ValidatingAdmissionPolicy, compiled. Upstream: validating.validator.
struct ValidatingPolicy: CompiledPolicy {
    /// Upstream: celconfig.MaxEvaluatedMessageExpressionSizeBytes.
    private static let maximumMessage = 5 * 1024
    /// Upstream: validating.maxAuditAnnotationValueLength.
    private static let maximumAnnotation = 10 * 1024

    private struct Validation: Sendable {
        let expression: PolicyExpression
        let message: String
        let messageExpression: PolicyExpression?
        let reason: String
    }

    let head: PolicyHead
    private let validations: [Validation]
    private let annotations: [(key: String, expression: PolicyExpression)]

    /// The result of one validation. Upstream: validating.PolicyDecision.
    struct Decision {
        var isDenied: Bool
        var message = ""
        var reason = ""
    }

    struct Outcome {
        var decisions: [Decision] = []
        var annotations: [(key: String, value: String)] = []
        /// Failures of annotations, which deny whatever the binding's actions are.
        var annotationErrors: [String] = []
    }

    init(_ object: Object) {
        let spec = object["spec"]
        var compiler = PolicyCompiler(hasParams: spec["paramKind"].present != nil)
        head = PolicyHead(object, &compiler)
        validations = spec["validations"].elements.map { [compiler] view in
            let messageExpression = view["messageExpression"].string.flatMap { $0.isEmpty ? nil : $0 }
            return Validation(
                expression: compiler.compile((view["expression"].string ?? "").trimmed, [.bool]), message: (view["message"].string ?? "").trimmed,
                messageExpression: messageExpression.map { compiler.compile($0, [.string], withAuthorizer: false) },
                reason: view["reason"].string.flatMap { $0.isEmpty ? nil : $0 } ?? "Invalid")
        }
        annotations = spec["auditAnnotations"].elements.map { [compiler] view in
            (view["key"].string ?? "", compiler.compile((view["valueExpression"].string ?? "").trimmed, [.string, .null]))
        }
    }

    private func failed(_ text: String) -> Outcome { Outcome(decisions: [Decision(isDenied: !head.ignoresFailures, message: text)]) }

    /// Judges a request. Upstream: validator.Validate.
    func evaluate(_ activation: CELActivation) -> Outcome {
        switch head.applicability(activation) {
        case .applies: break
        case .doesNot: return Outcome()
        case .error(let text): return failed(text)
        }
        var outcome = Outcome()
        var budget = CELBudget()
        do throws(PolicyOutOfBudget) {
            for validation in validations { outcome.decisions.append(try decide(validation, activation, &budget)) }
            for (key, expression) in annotations { try annotate(key, expression, activation, &budget, &outcome) }
            return outcome
        } catch {
            return failed(error.text)
        }
    }

    private func decide(_ validation: Validation, _ activation: CELActivation, _ budget: inout CELBudget) throws(PolicyOutOfBudget) -> Decision {
        switch try validation.expression.evaluate(activation, &budget) {
        case .failure(let error): return Decision(isDenied: !head.ignoresFailures, message: error.text)
        case .success(.bool(true)): return Decision(isDenied: false)
        case .success: break
        }
        var message = ""
        if let expression = validation.messageExpression, case .success(.string(let text)) = try expression.evaluate(activation, &budget) {
            let trimmed = text.trimmed
            // What is too long or has several lines is passed over for the fixed message.
            if trimmed.utf8.count <= Self.maximumMessage, !trimmed.utf8.contains(10) { message = trimmed }
        }
        if message.isEmpty { message = validation.message }
        if message.isEmpty { message = "failed expression: \(validation.expression.source)" }
        return Decision(isDenied: true, message: message, reason: validation.reason)
    }

    private func annotate(
        _ key: String, _ expression: PolicyExpression, _ activation: CELActivation, _ budget: inout CELBudget, _ outcome: inout Outcome
    ) throws(PolicyOutOfBudget) {
        switch try expression.evaluate(activation, &budget) {
        case .failure(let error): if !head.ignoresFailures { outcome.annotationErrors.append(error.text) }
        case .success(.string(let text)):
            let value = text.trimmed
            if !value.isEmpty { outcome.annotations.append((key, String(decoding: value.utf8.prefix(Self.maximumAnnotation), as: UTF8.self))) }
        case .success(.null): break
        case .success(let value):
            let text =
                "valueExpression '\(expression.source)' resulted in unsupported return type: \(value.type). Return type must be either string or null."
            if !head.ignoresFailures { outcome.annotationErrors.append(text) }
        }
    }
}
