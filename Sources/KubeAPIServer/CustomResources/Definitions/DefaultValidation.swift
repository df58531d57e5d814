import KubeAPI

/// Defaults must be what validation would let through and pruning would leave alone. Upstream: defaulting.ValidateDefaults.
struct DefaultValidation {
    private var errors = FieldErrors()

    static func problems(_ schema: StructuralSchema, at path: String) -> [StatusError.Cause] {
        guard schema.hasDefaults else { return [] }
        var validation = DefaultValidation()
        validation.visit(schema, path, isRoot: true)
        return validation.errors.causes
    }

    /// What the rules of a schema, which compile, say of its defaults.
    static func ruleProblems(_ schema: StructuralSchema, at path: String) -> [StatusError.Cause] {
        guard schema.hasDefaults, schema.hasRules else { return [] }
        var causes: [StatusError.Cause] = []
        if var value = schema.defaultValue {
            SchemaDefaulting.apply(&value, schema)
            causes += CustomResourceRules(schema, isResource: schema.isEmbeddedResource).problems(value, old: nil).map { cause in
                var cause = cause
                let inner = cause.field == "<nil>" ? "" : cause.field.hasPrefix("[") ? cause.field : ".\(cause.field)"
                cause.field = "\(path).default\(inner)"
                return cause
            }
        }
        for (name, property) in schema.properties { causes += ruleProblems(property, at: "\(path).properties[\(name)]") }
        if let additional = schema.additionalSchema { causes += ruleProblems(additional, at: "\(path).additionalProperties") }
        if let items = schema.items { causes += ruleProblems(items, at: "\(path).items") }
        return causes
    }

    private mutating func visit(_ schema: StructuralSchema, _ path: String, isRoot: Bool = false) {
        guard schema.hasDefaults else { return }
        if let value = schema.defaultValue { check(value, schema, "\(path).default") }
        for (name, property) in schema.properties { visit(property, "\(path).properties[\(name)]") }
        if let additional = schema.additionalSchema { visit(additional, "\(path).additionalProperties") }
        if let items = schema.items { visit(items, "\(path).items") }
    }

    private mutating func check(_ value: Value, _ schema: StructuralSchema, _ path: String) {
        var pruned = value
        let unknown = SchemaPruning.prune(value: &pruned, schema)
        if !unknown.isEmpty || pruned != value {
            errors.invalid(path, value, "must not have unknown fields")
            return
        }
        var full = value
        SchemaDefaulting.apply(&full, schema)
        // The errors stand at the default, with the path inside of it.
        errors.append(SchemaValidator.problems(full, schema, prefix: path))
        for cause in ListTypeValidation.problems(full, schema) {
            let field = path + (cause.field.hasPrefix("[") ? "" : ".") + cause.field
            errors.append([StatusError.Cause(reason: cause.reason, message: cause.message, field: field)])
        }
    }
}
