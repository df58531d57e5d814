import CEL
import KubeAPI

/// The compiled rules of one node of a schema. Upstream: cel.CompilationResult.
struct NodeRules: Sendable {
    /// Why a rule cannot be used, in upstream's words.
    struct Problem: Error, Sendable { var text: String }

    struct Rule: Sendable {
        var rule: StructuralSchema.Rule
        var program: Result<CELProgram, Problem>
        /// Nil: no messageExpression.
        var message: Result<CELProgram, Problem>?
        var usesOldSelf: Bool
        /// The field that errors stand at, from the node on.
        var fieldPath: String
    }

    /// How values of the node look to expressions.
    let schema: CELSchema
    let rules: [Rule]

    /// Nil: expressions cannot see values of this node.
    init?(_ node: StructuralSchema, isResource: Bool) {
        guard let schema = ExpressionSchema.schema(node, isResource: isResource, name: "object") else { return nil }
        self.schema = schema
        rules = node.rules.map { rule in Self.compile(rule, schema, node) }
    }

    private static func environment(_ schema: CELSchema, _ rule: StructuralSchema.Rule) -> CELEnvironment {
        let old: CELVariable =
            rule.optionalOldSelf == true ? CELVariable("oldSelf", .optional(schema.type)) : CELVariable("oldSelf", schema)
        return CELEnvironment(variables: [CELVariable("self", schema), old])
    }

    private static func compile(_ rule: StructuralSchema.Rule, _ schema: CELSchema, _ node: StructuralSchema) -> Rule {
        let environment = environment(schema, rule)
        var compiled = Rule(rule: rule, program: .failure(Problem(text: "rule is not specified")), message: nil, usesOldSelf: false, fieldPath: "")
        do throws(CELCompileError) {
            let program = try CELProgram.compile(rule.rule, in: environment, expecting: [.bool])
            compiled.program = .success(program)
            compiled.usesOldSelf = program.usesVariable("oldSelf")
        } catch {
            compiled.program = .failure(
                Problem(text: error.wrongType == nil ? "compilation failed: \(error)" : "cel expression must evaluate to a bool"))
        }
        if !rule.messageExpression.isEmpty {
            do throws(CELCompileError) {
                compiled.message = .success(try CELProgram.compile(rule.messageExpression, in: environment, expecting: [.string]))
            } catch {
                compiled.message = .failure(
                    Problem(
                        text: error.wrongType == nil
                            ? "messageExpression compilation failed: \(error)" : "messageExpression must evaluate to a string"))
            }
        }
        if !rule.fieldPath.isEmpty, let path = SchemaFieldPath(rule.fieldPath, in: node) { compiled.fieldPath = path.shown }
        return compiled
    }

    /// The most that an expression which compiled may cost.
    func cost(of source: String, _ rule: Rule) -> UInt64 {
        // It compiled: an estimate of it does, too.
        (try? CELProgram.estimateCost(source, in: Self.environment(schema, rule.rule)).max) ?? .max
    }

    /// How many values of this node fit into one request. Upstream: maxCardinality.
    var cardinality: UInt64 { Self.requestBytes / (schema.minSerializedSize &+ 1) }
    /// Upstream: celconfig.MaxRequestSizeBytes.
    private static let requestBytes: UInt64 = 3 * 1024 * 1024
}

/// Structural schemas as expressions see them. Upstream: common.SchemaDeclType with model.WithTypeAndObjectMeta.
enum ExpressionSchema {
    /// Nil for values that expressions cannot see: those without a type. `name` tells types of one environment apart.
    static func schema(_ node: StructuralSchema, isResource: Bool, name: String) -> CELSchema? {
        if node.isIntOrString { return .intOrString }
        switch node.type {
        case "array":
            guard let items = node.items,
                let inner = schema(items, isResource: items.isEmbeddedResource, name: name + ".@idx")
            else { return nil }
            let kind: CELSchema.ListKind =
                switch node.listType {
                case "set": .set
                case "map": .map(keys: node.listMapKeys)
                default: .atomic
                }
            return .list(inner, maxItems: node.maxItems, kind: kind)
        case "object":
            if let additional = node.additionalSchema {
                return schema(additional, isResource: additional.isEmbeddedResource, name: name + ".@elem").map {
                    .map($0, maxProperties: node.maxProperties)
                }
            }
            return object(node, isResource: isResource, name: name)
        case "string": return .string(format: node.format, maxLength: node.maxLength, enumeration: node.enumeration.compactMap(\.string))
        case "boolean": return .boolean
        case "integer": return .integer
        case "number": return .number
        default: return nil
        }
    }

    private static func object(_ node: StructuralSchema, isResource: Bool, name: String) -> CELSchema {
        var properties: [String: CELSchema] = [:]
        var required: Set<String> = []
        for (property, inner) in node.properties {
            guard let schema = schema(inner, isResource: inner.isEmbeddedResource, name: "\(name).\(property)") else { continue }
            properties[property] = schema
            // What has a default is not sent.
            if inner.defaultValue == nil, node.required.contains(property) { required.insert(property) }
        }
        if isResource {
            properties["apiVersion"] = .string()
            properties["kind"] = .string()
            properties["metadata"] = .object(name: "\(name).metadata", properties: ["name": .string(), "generateName": .string()])
        }
        return .object(name: name, properties: properties, required: required)
    }
}
