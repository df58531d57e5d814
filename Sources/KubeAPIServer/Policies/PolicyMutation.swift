import CEL
import KubeAPI

/// One mutation of a MutatingAdmissionPolicy. Upstream: mutating/patch.Patcher.
struct PolicyMutation: Sendable {
    enum Form: Sendable { case applyConfiguration, jsonPatch }

    static let objectType = CELType.object(CELObjectType(name: "Object") { _ in .any })
    static let patchesType = CELType.list(.object(JSONPatchLibrary.patchType))

    let form: Form
    let expression: PolicyExpression

    /// Nil for a mutation of a kind that is not known; validation lets none in.
    init?(_ view: JSONView, _ compiler: PolicyCompiler) {
        switch view["patchType"].string {
        case "ApplyConfiguration":
            form = .applyConfiguration
            expression = compiler.compile((view["applyConfiguration"]["expression"].string ?? "").trimmed, [Self.objectType])
        case "JSONPatch":
            form = .jsonPatch
            expression = compiler.compile((view["jsonPatch"]["expression"].string ?? "").trimmed, [Self.patchesType])
        default: return nil
        }
    }

    /// The types that mutations make: `JSONPatch`, `Object` and those below it by their paths, whose fields are not checked.
    /// Upstream: mutation.DynamicTypeResolver.
    static func constructible(_ name: String) -> CELObjectType? {
        if name == "JSONPatch" { return JSONPatchLibrary.patchType }
        guard name == "Object" || name.hasPrefix("Object.") else { return nil }
        return CELObjectType(name: name) { _ in .any }
    }

    /// The object with the mutation made. Throws `PolicyEvaluationError`, or `PolicyOutOfBudget`.
    func apply(
        to object: Value, _ activation: CELActivation, _ budget: inout CELBudget, walk: TypedWalk?
    ) throws -> Value {
        let value = try expression.evaluate(activation, &budget).get()
        return switch form {
        case .applyConfiguration: try Self.merged(object, value, walk)
        case .jsonPatch: try Self.patched(object, value)
        }
    }

    /// Upstream: patch.ApplyStructuredMergeDiff.
    private static func merged(_ object: Value, _ value: CELValue, _ walk: TypedWalk?) throws(PolicyEvaluationError) -> Value {
        if let problem = value.typeNameProblem("Object") { throw PolicyEvaluationError(text: "type mismatch: \(problem)") }
        guard case .object? = value.jsonValue, var partial = value.jsonValue else {
            throw PolicyEvaluationError(text: "invalid return type: \(value.type)")
        }
        guard let walk else { throw PolicyEvaluationError(text: "error applying patch: type converter must not be nil") }
        partial["apiVersion"] = object["apiVersion"]
        partial["kind"] = object["kind"]
        let problems = walk.problems(in: partial)
        if !problems.isEmpty {
            let text = TypedWalk.describe(problems)
            throw PolicyEvaluationError(text: "error applying patch: failed to convert patch object to typed object: \(text)")
        }
        let atomics = walk.atomicPaths(in: partial)
        if !atomics.isEmpty {
            let paths = atomics.joined(separator: ", ")
            throw PolicyEvaluationError(
                text: "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: \(paths)")
        }
        return walk.merge(object, partial)
    }

    /// Upstream: patch.jsonPatcher.Patch.
    private static func patched(_ object: Value, _ value: CELValue) throws(PolicyEvaluationError) -> Value {
        guard case .list(let list) = value else {
            throw PolicyEvaluationError(text: "type mismatch: JSONPatchType.expression should evaluate to array")
        }
        var operations: [Value] = []
        for element in list.values {
            guard case .map(let fields) = element, let operation = element.jsonValue, case .object = operation else {
                throw PolicyEvaluationError(
                    text: "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of \(element.type)")
            }
            _ = fields
            operations.append(operation)
        }
        if operations.isEmpty { return object }
        do throws(StatusError) {
            return try JSONPatch(.array(operations)).apply(to: object)
        } catch {
            // A `test` that fails means: leave the object as it is.
            if operations.contains(where: { $0["op"]?.string == "test" }), error.code == 422 { return object }
            throw PolicyEvaluationError(text: "JSON Patch: \(error.message)")
        }
    }
}

/// A MutatingAdmissionPolicy, compiled. Upstream: mutating.PolicyEvaluator.
struct MutatingPolicy: CompiledPolicy {
    let head: PolicyHead
    let mutations: [PolicyMutation]
    let isReinvoked: Bool

    init(_ object: Object) {
        let spec = object["spec"]
        var compiler = PolicyCompiler(hasParams: spec["paramKind"].present != nil, isMutating: true)
        head = PolicyHead(object, &compiler)
        mutations = spec["mutations"].elements.compactMap { [compiler] in PolicyMutation($0, compiler) }
        isReinvoked = spec["reinvocationPolicy"].string == "IfNeeded"
    }
}
