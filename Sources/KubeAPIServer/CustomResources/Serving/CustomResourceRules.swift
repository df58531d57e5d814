import CEL
import KubeAPI

/// The compiled `x-kubernetes-validations` of one schema. Upstream: cel.Validator.
struct CustomResourceRules: Sendable {
    private let schema: StructuralSchema
    /// By node. Nodes without rules have no entry.
    private let nodes: [ObjectIdentifier: NodeRules]

    /// `isResource`: the schema is of a resource as a whole.
    init(_ schema: StructuralSchema, isResource: Bool = true) {
        self.schema = schema
        var nodes: [ObjectIdentifier: NodeRules] = [:]
        Self.gather(schema, isResource: isResource, &nodes)
        self.nodes = nodes
    }

    private static func gather(_ node: StructuralSchema, isResource: Bool, _ nodes: inout [ObjectIdentifier: NodeRules]) {
        guard node.hasRules else { return }
        if !node.rules.isEmpty, let rules = NodeRules(node, isResource: isResource) { nodes[ObjectIdentifier(node)] = rules }
        for (_, property) in node.properties { gather(property, isResource: property.isEmbeddedResource, &nodes) }
        if let items = node.items { gather(items, isResource: items.isEmbeddedResource, &nodes) }
        if let additional = node.additionalSchema { gather(additional, isResource: additional.isEmbeddedResource, &nodes) }
    }

    /// The errors of all rules; `old` nil: the object is new, and transition rules are not looked at.
    func problems(_ value: Value, old: Value?) -> [StatusError.Cause] {
        var run = Run(nodes: nodes)
        run.visit(value, old: old, schema)
        return run.causes
    }

    /// One walk over one object.
    private struct Run {
        let nodes: [ObjectIdentifier: NodeRules]
        var causes: [StatusError.Cause] = []
        var budget = CELBudget()
        var path: [String] = []
        var isOver = false

        private var name: String { path.isEmpty ? "<nil>" : path.joined() }

        mutating func visit(_ value: Value, old: Value?, _ node: StructuralSchema) {
            guard node.hasRules, !isOver else { return }
            if case .null = value { return }
            var past = old
            if case .null? = old { past = Value?.none }
            if let rules = nodes[ObjectIdentifier(node)] { evaluate(rules, value, old: past, node) }
            switch value {
            case .object(let members):
                for (name, member) in members {
                    let isProperty = node.property(name) != nil
                    guard let inner = node.property(name) ?? node.additionalSchema, inner.hasRules else { continue }
                    path.append(isProperty ? (path.isEmpty ? name : "." + name) : "[\(name)]")
                    visit(member, old: past?[name], inner)
                    path.removeLast()
                }
            case .array(let items):
                guard let inner = node.items, inner.hasRules else { return }
                let partners = past?.array.map { ListCorrelation(old: $0, schema: node) }
                for (index, item) in items.enumerated() {
                    path.append("[\(index)]")
                    visit(item, old: partners?.partner(of: item), inner)
                    path.removeLast()
                }
            default: break
            }
        }

        private mutating func evaluate(_ rules: NodeRules, _ value: Value, old: Value?, _ node: StructuralSchema) {
            let isUnchanged = old.map { $0 == value } ?? false
            for rule in rules.rules {
                guard !isOver else { return }
                if rule.usesOldSelf, old == nil, rule.rule.optionalOldSelf != true { continue }
                // What did not change passes; only transitions are looked at again.
                if isUnchanged, !rule.usesOldSelf { continue }
                guard case .success(let program) = rule.program else {
                    if case .failure(let problem) = rule.program {
                        add(rule, node, "rule compile error: \(problem.text)", isPlain: true)
                    }
                    continue
                }
                var values: [String: CELValue] = ["self": CELValue(value, rules.schema)]
                if rule.usesOldSelf || rule.message != nil {
                    let past = old.map { CELValue($0, rules.schema) }
                    values["oldSelf"] = rule.rule.optionalOldSelf == true ? .optional(CELOptional(past)) : past
                }
                let activation = CELActivation(values)
                do throws(CELError) {
                    let result = try program.evaluate(activation, budget: &budget)
                    if budget.isExhausted { return exhausted(node) }
                    if result.bool != true { fail(rule, node, activation) }
                } catch {
                    failed(rule, node, error)
                }
            }
        }

        /// Upstream: ruleErrorString.
        private static func shown(_ rule: StructuralSchema.Rule) -> String {
            (rule.message.isEmpty ? rule.rule : rule.message).trimmedOfSpace
        }

        private mutating func fail(_ rule: NodeRules.Rule, _ node: StructuralSchema, _ activation: CELActivation) {
            if case .success(let program)? = rule.message {
                do throws(CELError) {
                    let text = try program.evaluate(activation, budget: &budget).string?.trimmedOfSpace ?? ""
                    if budget.isExhausted { return exhausted(node) }
                    // A message that is none, or has more than one line, gives way to the fixed one.
                    if !text.isEmpty, !text.contains(where: \.isNewline) { return add(rule, node, text) }
                } catch {
                    if budget.isExhausted { return exhausted(node) }
                }
            }
            let message = rule.rule.message.isEmpty ? "failed rule: \(Self.shown(rule.rule))" : rule.rule.message.trimmedOfSpace
            add(rule, node, message)
        }

        private mutating func failed(_ rule: NodeRules.Rule, _ node: StructuralSchema, _ error: CELError) {
            let shown = Self.shown(rule.rule)
            if error.kind == .costLimit {
                add(
                    rule, node, "'\(error)': no further validation rules will be run due to call cost exceeds limit for rule: \(shown)",
                    isPlain: true)
                isOver = true
            } else if budget.isExhausted {
                exhausted(node)
            } else if error.description.hasPrefix("no such overload") {
                add(
                    rule, node,
                    "'\(error)': call arguments did not match a supported operator, function or macro signature for rule: \(shown)", isPlain: true)
            } else {
                add(rule, node, "\(error) evaluating rule: \(shown)", isPlain: true)
            }
        }

        private mutating func exhausted(_ node: StructuralSchema) {
            isOver = true
            causes.append(
                MetadataValidation.invalid(
                    name, .string(node.type), "validation failed due to running out of cost budget, no further validation rules will be run"))
        }

        /// Upstream: fieldErrorForReason. `isPlain`: an error of the rule itself, which has no place of its own.
        private mutating func add(_ rule: NodeRules.Rule, _ node: StructuralSchema, _ message: String, isPlain: Bool = false) {
            guard causes.count < SchemaValidator.errorLimit else { return }
            var field = name
            if !isPlain, !rule.fieldPath.isEmpty {
                field = path.isEmpty ? rule.fieldPath : rule.fieldPath.hasPrefix("[") ? name + rule.fieldPath : "\(name).\(rule.fieldPath)"
            }
            switch isPlain ? nil : rule.rule.reason {
            case "FieldValueForbidden":
                causes.append(StatusError.Cause(reason: "FieldValueForbidden", message: "Forbidden: \(message)", field: field))
            case "FieldValueRequired": causes.append(MetadataValidation.required(field, message))
            case "FieldValueDuplicate":
                causes.append(StatusError.Cause(reason: "FieldValueDuplicate", message: "Duplicate value: \(node.type.goQuoted)", field: field))
            default: causes.append(MetadataValidation.invalid(field, .string(node.type), message))
            }
        }
    }
}
