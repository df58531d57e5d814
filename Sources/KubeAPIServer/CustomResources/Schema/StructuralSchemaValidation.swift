import KubeAPI

/// Whether a schema is structural: every field that is validated has its type outside of all value validations. Upstream: schema.ValidateStructural.
struct StructuralSchemaValidation {
    private enum Level { case root, item, field }

    private(set) var errors = FieldErrors()

    /// What is wrong, in the order of the texts, as upstream sorts them.
    static func problems(_ schema: StructuralSchema, at path: String) -> [StatusError.Cause] {
        var validation = StructuralSchemaValidation()
        validation.invariants(schema, .root, path)
        validation.completeness(schema, path)
        return validation.errors.causes.sorted { "\($0.field): \($0.message)" < "\($1.field): \($1.message)" }
    }

    private mutating func invariants(_ schema: StructuralSchema, _ level: Level, _ path: String) {
        if schema.type == "array", schema.items == nil { errors.required("\(path).items", "must be specified") }
        if let items = schema.items { invariants(items, .item, "\(path).items") }
        for (name, property) in schema.properties { invariants(property, .field, "\(path).properties[\(name)]") }
        if let additional = schema.additional {
            if level == .root { errors.forbidden("\(path).additionalProperties", "must not be used at the root") }
            if case .schema(let inner) = additional { invariants(inner, .field, "\(path).additionalProperties") }
        }
        if schema.isIntOrString, schema.preservesUnknownFields {
            errors.invalid("\(path).x-kubernetes-preserve-unknown-fields", true, "must be false if x-kubernetes-int-or-string is true")
        }
        if schema.isIntOrString, schema.isEmbeddedResource {
            errors.invalid("\(path).x-kubernetes-embedded-resource", true, "must be false if x-kubernetes-int-or-string is true")
        }
        valueValidation(
            schema, skipAnyOf: schema.isIntOrString && Self.isIntOrStringPattern(schema.anyOf),
            skipFirstAllOf: schema.isIntOrString && schema.allOf.first.map { Self.isIntOrStringPattern($0.anyOf) } ?? false, path)

        typeInvariants(schema, level, path)
        let checksMetadata = level == .root || schema.isEmbeddedResource
        for name in ["kind", "apiVersion"] where checksMetadata {
            if let property = schema.property(name), property.type != "string" {
                errors.invalid("\(path).properties[\(name)].type", .string(property.type), "must be string")
            }
        }
        if let metadata = schema.property("metadata") { self.metadata(metadata, checksMetadata, level, "\(path).properties[metadata]") }
        if schema.isEmbeddedResource, !schema.preservesUnknownFields, schema.properties.isEmpty {
            errors.required(
                "\(path).properties", "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields")
        }
    }

    private mutating func typeInvariants(_ schema: StructuralSchema, _ level: Level, _ path: String) {
        if schema.isEmbeddedResource, schema.type != "object" {
            let why = "must be object if x-kubernetes-embedded-resource is true"
            if schema.type.isEmpty { errors.required("\(path).type", why) } else { errors.invalid("\(path).type", .string(schema.type), why) }
        } else if schema.type.isEmpty, !schema.isIntOrString, !schema.preservesUnknownFields {
            switch level {
            case .root: errors.required("\(path).type", "must not be empty at the root")
            case .item: errors.required("\(path).type", "must not be empty for specified array items")
            case .field: errors.required("\(path).type", "must not be empty for specified object fields")
            }
        }
        if schema.isEmbeddedResource, schema.additional != nil {
            errors.forbidden("\(path).additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")
        }
        if level == .root, !schema.type.isEmpty, schema.type != "object" {
            errors.invalid("\(path).type", .string(schema.type), "must be object at the root")
        }
    }

    /// Only the name and the generateName of metadata may be restricted: the rest of it is the same for all kinds.
    private mutating func metadata(_ schema: StructuralSchema, _ isChecked: Bool, _ level: Level, _ path: String) {
        if isChecked, schema.type != "object" { errors.invalid("\(path).type", .string(schema.type), "must be object") }
        guard level == .root else { return }
        let names = Set(schema.properties.map(\.name))
        let isPlain =
            names.isSubset(of: ["name", "generateName"]) && schema.additional == nil && schema.items == nil && !schema.isNullable
            && schema.title.isEmpty && schema.description.isEmpty && !schema.isEmbeddedResource && !schema.isIntOrString
            && !schema.preservesUnknownFields && schema.listType == nil && schema.mapType == nil && schema.rules.isEmpty
            && !Self.hasValueValidation(schema)
        if !isPlain {
            errors.forbidden(path, "must not specify anything other than name and generateName, but metadata is implicitly specified")
        }
    }

    private static func hasValueValidation(_ s: StructuralSchema) -> Bool {
        let hasNumbers = s.maximum != nil || s.minimum != nil || s.multipleOf != nil || s.exclusiveMaximum || s.exclusiveMinimum
        let hasSizes =
            s.maxLength != nil || s.minLength != nil || s.maxItems != nil || s.minItems != nil || s.maxProperties != nil || s.minProperties != nil
        let hasLogic = !s.allOf.isEmpty || !s.anyOf.isEmpty || !s.oneOf.isEmpty || s.not != nil
        return hasNumbers || hasSizes || hasLogic || !s.format.isEmpty || !s.pattern.isEmpty || s.uniqueItems || !s.enumeration.isEmpty
            || !s.required.isEmpty
    }

    /// `anyOf: [{type: integer}, {type: string}]`
    static func isIntOrStringPattern(_ anyOf: [StructuralSchema]) -> Bool {
        anyOf.count == 2 && anyOf[0].type == "integer" && anyOf[1].type == "string"
            && anyOf.allSatisfy { !hasValueValidation($0) && $0.properties.isEmpty }
    }

    private mutating func valueValidation(_ schema: StructuralSchema, skipAnyOf: Bool, skipFirstAllOf: Bool, _ path: String) {
        if !skipAnyOf { for (index, inner) in schema.anyOf.enumerated() { nested(inner, "\(path).anyOf[\(index)]") } }
        for (index, inner) in schema.allOf.enumerated() { nested(inner, "\(path).allOf[\(index)]", skipAnyOf: skipFirstAllOf && index == 0) }
        for (index, inner) in schema.oneOf.enumerated() { nested(inner, "\(path).oneOf[\(index)]") }
        if let not = schema.not { nested(not, "\(path).not") }
        if let problem = schema.patternProblem {
            errors.invalid("\(path).pattern", .string(schema.pattern), "must be a valid regular expression, but isn't: \(problem)")
        }
    }

    /// Inside of value validations only values are restricted. Upstream: validateNestedValueValidation.
    private mutating func nested(_ schema: StructuralSchema, _ path: String, skipAnyOf: Bool = false) {
        valueValidation(schema, skipAnyOf: skipAnyOf, skipFirstAllOf: false, path)
        if let items = schema.items { nested(items, "\(path).items") }
        for (name, property) in schema.properties { nested(property, "\(path).properties[\(name)]") }
        if !schema.type.isEmpty { errors.forbidden("\(path).type", "must be empty to be structural") }
        if schema.additional != nil { errors.forbidden("\(path).additionalProperties", "must be undefined to be structural") }
        if schema.defaultValue != nil { errors.forbidden("\(path).default", "must be undefined to be structural") }
        if !schema.title.isEmpty { errors.forbidden("\(path).title", "must be empty to be structural") }
        if !schema.description.isEmpty { errors.forbidden("\(path).description", "must be empty to be structural") }
        if schema.isNullable { errors.forbidden("\(path).nullable", "must be false to be structural") }
        if schema.externalDocs != nil { errors.forbidden("\(path).externalDocs", "must be undefined to be structural") }
        let marks = [
            ("preserve-unknown-fields", schema.preservesUnknownFields), ("embedded-resource", schema.isEmbeddedResource),
            ("int-or-string", schema.isIntOrString),
        ]
        for (name, isSet) in marks where isSet { errors.forbidden("\(path).x-kubernetes-\(name)", "must be false to be structural") }
        if !schema.listMapKeys.isEmpty { errors.forbidden("\(path).x-kubernetes-list-map-keys", "must be empty to be structural") }
        if schema.listType != nil { errors.forbidden("\(path).x-kubernetes-list-type", "must be undefined to be structural") }
        if schema.mapType != nil { errors.forbidden("\(path).x-kubernetes-map-type", "must be undefined to be structural") }
        if !schema.rules.isEmpty { errors.forbidden("\(path).x-kubernetes-validations", "must be empty to be structural") }
        if schema.property("metadata") != nil {
            errors.forbidden("\(path).properties[metadata]", "must not be specified in a nested context")
        }
    }

    // MARK: Completeness

    /// Whatever a value validation speaks of must be specified outside of it. Upstream: validateStructuralCompleteness.
    private mutating func completeness(_ schema: StructuralSchema, _ path: String) {
        for (name, list) in [("allOf", schema.allOf), ("anyOf", schema.anyOf), ("oneOf", schema.oneOf)] {
            for (index, inner) in list.enumerated() { specified(inner, by: schema, path, "\(path).\(name)[\(index)]") }
        }
        if let not = schema.not { specified(not, by: schema, path, "\(path).not") }
        if let items = schema.items { completeness(items, "\(path).items") }
        for (name, property) in schema.properties { completeness(property, "\(path).properties[\(name)]") }
        if let additional = schema.additionalSchema { completeness(additional, "\(path).additionalProperties") }
    }

    private mutating func specified(_ nested: StructuralSchema, by outer: StructuralSchema?, _ outerPath: String, _ path: String) {
        guard let outer else {
            errors.required(outerPath, "because it is defined in \(path)")
            return
        }
        if let items = nested.items { specified(items, by: outer.items, "\(outerPath).items", "\(path).items") }
        for (name, property) in nested.properties {
            specified(property, by: outer.property(name), "\(outerPath).properties[\(name)]", "\(path).properties[\(name)]")
        }
        for (name, list) in [("allOf", nested.allOf), ("anyOf", nested.anyOf), ("oneOf", nested.oneOf)] {
            for (index, inner) in list.enumerated() { specified(inner, by: outer, outerPath, "\(path).\(name)[\(index)]") }
        }
        if let not = nested.not { specified(not, by: outer, outerPath, "\(path).not") }
    }
}
