import KubeAPI

/// What a schema may say beyond being structural: no forbidden keywords, list and map types that fit, defaults where they are allowed, rules with
/// their texts. Upstream: validation.ValidateCustomResourceDefinitionOpenAPISchema.
struct OpenAPISchemaValidation {
    private static let types = ["array", "boolean", "integer", "number", "object", "string"]
    private static let reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]
    private static let metaFields: Set<String> = ["metadata", "kind", "apiVersion"]

    /// What holds for a place because of the places around it.
    private struct Context {
        /// Why no default may stand here.
        var forbiddenDefaults: String?
        var isInsideMetadata = false
        /// The first list around that cannot be matched between two revisions of an object: transition rules cannot be used below.
        var uncorrelatable: String?
        /// How often a value can stand here in one object at most; nil: as often as it fits.
        var cardinality: UInt64? = 1
    }

    /// A place with rules, for whoever compiles them.
    struct RulePlace {
        var path: String
        var schema: StructuralSchema
        /// The list around that forbids `oldSelf`.
        var uncorrelatable: String?
        var cardinality: UInt64?
        /// Whether it is a resource as a whole, with an apiVersion, a kind and metadata.
        var isResource: Bool
    }

    private(set) var errors = FieldErrors()
    private(set) var rules: [RulePlace] = []

    static func validate(_ schema: StructuralSchema, at path: String) -> OpenAPISchemaValidation {
        var validation = OpenAPISchemaValidation()
        validation.visit(schema, path, Context(), isRoot: true)
        return validation
    }

    private mutating func visit(_ schema: StructuralSchema, _ path: String, _ context: Context, isRoot: Bool = false) {
        keywords(schema, path, context)
        if schema.uniqueItems {
            errors.forbidden("\(path).uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
        }
        if let additional = schema.additional {
            var isStrict = true
            if case .allowed(true) = additional { isStrict = false }
            if !schema.properties.isEmpty, isStrict {
                errors.forbidden("\(path).additionalProperties", "additionalProperties and properties are mutual exclusive")
            }
            if case .schema(let inner) = additional {
                var below = context
                below.cardinality = Self.multiply(context.cardinality, schema.maxProperties)
                if context.isInsideMetadata { below.forbiddenDefaults = "inside additionalProperties applying to object metadata" }
                visit(inner, "\(path).additionalProperties", below)
            }
        }
        for (name, property) in schema.properties {
            var below = context
            if isRoot || schema.isEmbeddedResource, Self.metaFields.contains(name) {
                below.isInsideMetadata = true
                if isRoot { below.forbiddenDefaults = "in top-level \(name)" }
            }
            visit(property, "\(path).properties[\(name)]", below)
        }
        if let not = schema.not { visit(not, "\(path).not", context) }
        for (name, list) in [("allOf", schema.allOf), ("oneOf", schema.oneOf), ("anyOf", schema.anyOf)] {
            for (index, inner) in list.enumerated() { visit(inner, "\(path).\(name)[\(index)]", context) }
        }
        if let items = schema.items {
            var below = context
            if !schema.isMapList, below.uncorrelatable == nil { below.uncorrelatable = path }
            below.cardinality = Self.multiply(context.cardinality, schema.maxItems)
            visit(items, "\(path).items", below)
        }
        if schema.deniesUnknownFields { errors.invalid("\(path).x-kubernetes-preserve-unknown-fields", false, "must be true or undefined") }
        mapType(schema, path)
        listType(schema, path)
        mapListKeys(schema, path)
        ruleTexts(schema, path)
        if !schema.rules.isEmpty {
            rules.append(
                RulePlace(
                    path: path, schema: schema, uncorrelatable: context.uncorrelatable, cardinality: context.cardinality,
                    isResource: isRoot || schema.isEmbeddedResource))
        }
    }

    private static func multiply(_ a: UInt64?, _ b: Int64?) -> UInt64? {
        guard let a, let b else { return nil }
        let (product, overflows) = a.multipliedReportingOverflow(by: UInt64(max(0, b)))
        return overflows ? .max : product
    }

    /// Upstream: specStandardValidatorV3.validate.
    private mutating func keywords(_ schema: StructuralSchema, _ path: String, _ context: Context) {
        if !schema.type.isEmpty, !Self.types.contains(schema.type) { errors.notSupported("\(path).type", schema.type, Self.types) }
        if schema.defaultValue != nil, let why = context.forbiddenDefaults { errors.forbidden("\(path).default", "must not be set \(why)") }
        for keyword in schema.forbidden { errors.forbidden("\(path).\(keyword)", "\(keyword) is not supported") }
        if schema.type == "null" { errors.forbidden("\(path).type", "type cannot be set to null, use nullable as an alternative") }
        if schema.hasItemsList { errors.forbidden("\(path).items", "items must be a schema object and not an array") }
        if context.isInsideMetadata, schema.isEmbeddedResource {
            errors.forbidden("\(path).x-kubernetes-embedded-resource", "must not be used inside of resource meta")
        }
    }

    private mutating func mapType(_ schema: StructuralSchema, _ path: String) {
        guard let mapType = schema.mapType else { return }
        if schema.type != "object" { wrongType(schema, path, "must be object if x-kubernetes-map-type is specified") }
        if mapType != "atomic", mapType != "granular" {
            errors.notSupported("\(path).x-kubernetes-map-type", mapType, ["atomic", "granular"])
        }
    }

    private mutating func wrongType(_ schema: StructuralSchema, _ path: String, _ why: String) {
        if schema.type.isEmpty { errors.required("\(path).type", why) } else { errors.invalid("\(path).type", .string(schema.type), why) }
    }

    private mutating func listType(_ schema: StructuralSchema, _ path: String) {
        if let listType = schema.listType {
            if schema.type != "array" {
                wrongType(schema, path, "must be array if x-kubernetes-list-type is specified")
            } else if listType == "set", let items = schema.items {
                let why = "must be atomic as item of a list with x-kubernetes-list-type=set"
                if items.type == "array", let inner = items.listType, inner != "atomic" {
                    errors.invalid("\(path).items.x-kubernetes-list-type", .string(inner), why)
                }
                if items.type == "object", items.mapType != "atomic" {
                    errors.invalid("\(path).items.x-kubernetes-map-type", items.listType.map { .string($0) } ?? .null, why)
                }
            }
            if !["atomic", "set", "map"].contains(listType) {
                errors.notSupported("\(path).x-kubernetes-list-type", listType, ["atomic", "set", "map"])
            }
        }
        guard !schema.listMapKeys.isEmpty else { return }
        let why = "must be map if x-kubernetes-list-map-keys is non-empty"
        if let listType = schema.listType {
            if listType != "map" { errors.invalid("\(path).x-kubernetes-list-type", .string(listType), why) }
        } else {
            errors.required("\(path).x-kubernetes-list-type", why)
        }
    }

    private mutating func mapListKeys(_ schema: StructuralSchema, _ path: String) {
        if schema.isMapList {
            if schema.listMapKeys.isEmpty {
                errors.required("\(path).x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
            }
            if schema.items == nil, !schema.hasItemsList {
                errors.required("\(path).items", "must have a schema if x-kubernetes-list-type is map")
            }
            if let items = schema.items {
                if items.type != "object" {
                    errors.invalid("\(path).items.type", .string(items.type), "must be object if parent array's x-kubernetes-list-type is map")
                } else {
                    keyFields(schema, items, path)
                }
            }
        }
        guard let items = schema.items, let listType = schema.listType, listType == "set" || listType == "map" else { return }
        if items.isNullable { errors.forbidden("\(path).items.nullable", "cannot be nullable when x-kubernetes-list-type is \(listType)") }
        guard listType == "map" else { return }
        for key in schema.listMapKeys {
            guard let property = items.property(key) else { continue }
            let place = "\(path).items.properties[\(key)]"
            if !items.required.contains(key), property.defaultValue == nil {
                errors.required(
                    "\(place).default", "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property")
            }
            if property.isNullable {
                errors.forbidden("\(place).nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable")
            }
        }
    }

    private mutating func keyFields(_ schema: StructuralSchema, _ items: StructuralSchema, _ path: String) {
        var seen: Set<String> = []
        for key in schema.listMapKeys {
            if let property = items.property(key) {
                if property.type == "array" || property.type == "object" {
                    errors.invalid(
                        "\(path).items.properties[\(key)].type", .string(items.type),
                        "must be a scalar type if parent array's x-kubernetes-list-type is map")
                }
            } else {
                errors.invalid("\(path).x-kubernetes-list-map-keys", Value(schema.listMapKeys), "entries must all be names of item properties")
            }
            if !seen.insert(key).inserted {
                errors.invalid("\(path).x-kubernetes-list-map-keys", Value(schema.listMapKeys), "must not contain duplicate entries")
            }
        }
    }

    private mutating func ruleTexts(_ schema: StructuralSchema, _ path: String) {
        func hasLineBreak(_ text: String) -> Bool { text.utf8.contains { $0 == 0x0A || $0 == 0x0D } }
        for (index, rule) in schema.rules.enumerated() {
            let place = "\(path).x-kubernetes-validations[\(index)]"
            let text = rule.rule.trimmedOfSpace
            let message = rule.message.trimmedOfSpace
            if text.isEmpty {
                errors.required("\(place).rule", "rule is not specified")
            } else if !rule.message.isEmpty, message.isEmpty {
                errors.invalid("\(place).message", .string(rule.message), "must be non-empty if specified")
            } else if hasLineBreak(message) {
                errors.invalid("\(place).message", .string(rule.message), "must not contain line breaks")
            } else if hasLineBreak(text), message.isEmpty {
                errors.required("\(place).message", "message must be specified if rule contains line breaks")
            }
            if !rule.messageExpression.isEmpty, rule.messageExpression.trimmedOfSpace.isEmpty {
                errors.required("\(place).messageExpression", "messageExpression must be non-empty if specified")
            }
            if let reason = rule.reason, !Self.reasons.contains(reason) { errors.notSupported("\(place).reason", reason, Self.reasons) }
            guard !rule.fieldPath.isEmpty else { continue }
            if rule.fieldPath.trimmedOfSpace.isEmpty {
                errors.invalid("\(place).fieldPath", .string(rule.fieldPath), "must be non-empty if specified")
            }
            if hasLineBreak(rule.fieldPath) { errors.invalid("\(place).fieldPath", .string(rule.fieldPath), "must not contain line breaks") }
            if SchemaFieldPath(rule.fieldPath, in: schema) == nil {
                errors.invalid("\(place).fieldPath", .string(rule.fieldPath), "must be a valid path")
            }
        }
    }
}

extension String {
    /// Without white space at both ends. Upstream: strings.TrimSpace.
    var trimmedOfSpace: String {
        var text = self[...]
        while text.first?.isWhitespace ?? false { text.removeFirst() }
        while text.last?.isWhitespace ?? false { text.removeLast() }
        return String(text)
    }
}
