import KubeAPI
import RegularExpressions

/// One node of a CustomResourceDefinition's OpenAPI v3 schema, read once and shared by all that walk objects by it: pruning, defaulting, validation,
/// publishing, server-side apply. Value validations (`allOf`, `anyOf`, `oneOf`, `not`) are nodes of the same kind.
/// Upstream: schema.Structural with apiextensions.JSONSchemaProps.
final class StructuralSchema: Sendable {
    /// One of `x-kubernetes-validations`. Upstream: apiextensions.ValidationRule.
    struct Rule: Sendable, Equatable {
        var rule: String
        var message: String
        var messageExpression: String
        var reason: String?
        var fieldPath: String
        var optionalOldSelf: Bool?

        init(_ view: JSONView) {
            rule = view["rule"].string ?? ""
            message = view["message"].string ?? ""
            messageExpression = view["messageExpression"].string ?? ""
            reason = view["reason"].string
            fieldPath = view["fieldPath"].string ?? ""
            optionalOldSelf = view["optionalOldSelf"].bool
        }
    }

    /// What `additionalProperties` says.
    enum Additional: Sendable {
        case allowed(Bool)
        case schema(StructuralSchema)
    }

    /// Keywords of JSON Schema that no definition may use, in the order upstream complains of them.
    private static let forbiddenKeywords = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"]

    let type: String
    let format: String
    let title: String
    let description: String
    let isNullable: Bool
    /// Nil: no default. A default of null counts as none, as upstream reads it.
    let defaultValue: Value?
    /// `properties`, in the order of the document.
    let properties: [(name: String, schema: StructuralSchema)]
    private let places: [String: Int]
    let additional: Additional?
    let items: StructuralSchema?
    /// `items` is a list of schemas, which is not allowed.
    let hasItemsList: Bool
    let forbidden: [String]

    // Value validation
    let maximum: Value?
    let exclusiveMaximum: Bool
    let minimum: Value?
    let exclusiveMinimum: Bool
    let maxLength: Int64?
    let minLength: Int64?
    let pattern: String
    /// The compiled `pattern`; nil where there is none or it is not one.
    let expression: RegularExpression?
    /// Why `pattern` is none. Upstream: the error of regexp.Compile.
    let patternProblem: String?
    let maxItems: Int64?
    let minItems: Int64?
    let uniqueItems: Bool
    let multipleOf: Value?
    let enumeration: [Value]
    let maxProperties: Int64?
    let minProperties: Int64?
    let required: [String]
    let allOf: [StructuralSchema]
    let anyOf: [StructuralSchema]
    let oneOf: [StructuralSchema]
    let not: StructuralSchema?

    // Kubernetes' extensions
    let isEmbeddedResource: Bool
    let isIntOrString: Bool
    let preservesUnknownFields: Bool
    /// `x-kubernetes-preserve-unknown-fields: false` was written out, which is not allowed.
    let deniesUnknownFields: Bool
    let listType: String?
    let listMapKeys: [String]
    let mapType: String?
    let rules: [Rule]

    /// The `externalDocs` and `example` as they were given; published, else not looked at.
    let externalDocs: Value?
    let example: Value?

    /// Whether a default stands here or anywhere below.
    let hasDefaults: Bool
    /// How many of `properties` have a default.
    let defaultedProperties: Int
    /// Whether this or anything below is a resource of its own.
    let hasEmbeddedResources: Bool
    /// Whether a rule stands here or anywhere below.
    let hasRules: Bool
    /// Nodes of this tree.
    let count: Int

    /// Reads a schema. The document's depth is bounded by `JSONLimits.depth`, and so is this recursion.
    init(_ view: JSONView) {
        var members: [String: JSONView] = [:]
        for (name, member) in view.members where !member.isNull { members[name] = member }
        func text(_ name: String) -> String { members[name].string ?? "" }
        func number(_ name: String) -> Value? { members[name].flatMap { $0.kind == .integer || $0.kind == .double ? $0.value : Value?.none } }
        func flag(_ name: String) -> Bool { members[name].bool ?? false }
        func list(_ name: String) -> [StructuralSchema] { members[name].elements.map(StructuralSchema.init) }
        type = text("type")
        format = text("format")
        title = text("title")
        description = text("description")
        isNullable = flag("nullable")
        defaultValue = members["default"]?.value
        var properties: [(name: String, schema: StructuralSchema)] = []
        var places: [String: Int] = [:]
        for (name, member) in members["properties"].map({ Array($0.members) }) ?? [] as [(key: String, value: JSONView)] {
            let schema = StructuralSchema(member)
            if let place = places[name] {
                properties[place].schema = schema
            } else {
                places[name] = properties.count
                properties.append((name, schema))
            }
        }
        self.properties = properties
        self.places = places
        switch members["additionalProperties"] {
        case let member? where member.kind == .object: additional = .schema(StructuralSchema(member))
        case let member?: additional = member.bool.map { .allowed($0) }
        case nil: additional = nil
        }
        let itemsView = members["items"]
        hasItemsList = itemsView?.kind == .array && !itemsView.elements.isEmpty
        items = itemsView.flatMap { $0.kind == .object ? StructuralSchema($0) : nil }
        forbidden = Self.forbiddenKeywords.filter { name in
            guard let member = members[name] else { return false }
            switch name {
            case "id": return !(member.string ?? "").isEmpty
            case "patternProperties", "definitions": return member.members.contains { _ in true }
            default: return true
            }
        }
        maximum = number("maximum")
        exclusiveMaximum = flag("exclusiveMaximum")
        minimum = number("minimum")
        exclusiveMinimum = flag("exclusiveMinimum")
        maxLength = members["maxLength"].int
        minLength = members["minLength"].int
        pattern = text("pattern")
        var expression: RegularExpression?
        var patternProblem: String?
        if !pattern.isEmpty {
            do throws(RegularExpressionError) { expression = try RegularExpression(pattern) } catch { patternProblem = error.description }
        }
        self.expression = expression
        self.patternProblem = patternProblem
        maxItems = members["maxItems"].int
        minItems = members["minItems"].int
        uniqueItems = flag("uniqueItems")
        multipleOf = number("multipleOf")
        enumeration = members["enum"].elements.map(\.value)
        maxProperties = members["maxProperties"].int
        minProperties = members["minProperties"].int
        required = members["required"].strings
        allOf = list("allOf")
        anyOf = list("anyOf")
        oneOf = list("oneOf")
        not = members["not"].map(StructuralSchema.init)
        isEmbeddedResource = flag("x-kubernetes-embedded-resource")
        isIntOrString = flag("x-kubernetes-int-or-string")
        preservesUnknownFields = flag("x-kubernetes-preserve-unknown-fields")
        deniesUnknownFields = members["x-kubernetes-preserve-unknown-fields"].bool == false
        listType = members["x-kubernetes-list-type"].string
        listMapKeys = members["x-kubernetes-list-map-keys"].strings
        mapType = members["x-kubernetes-map-type"].string
        rules = members["x-kubernetes-validations"].elements.map(Rule.init)
        externalDocs = members["externalDocs"]?.value
        example = members["example"]?.value

        var children = properties.map(\.schema) + allOf + anyOf + oneOf
        if let items { children.append(items) }
        if let not { children.append(not) }
        if case .schema(let schema) = additional { children.append(schema) }
        defaultedProperties = properties.count { $0.schema.defaultValue != nil }
        hasDefaults = defaultValue != nil || children.contains(where: \.hasDefaults)
        hasEmbeddedResources = isEmbeddedResource || children.contains(where: \.hasEmbeddedResources)
        hasRules = !rules.isEmpty || children.contains(where: \.hasRules)
        count = children.reduce(1) { $0 + $1.count }
    }

    /// The schema of the member `name`, when one is given for it.
    func property(_ name: String) -> StructuralSchema? { places[name].map { properties[$0].schema } }

    /// The schema of members that have none of their own; nil where there is none or any value is allowed.
    var additionalSchema: StructuralSchema? { if case .schema(let schema)? = additional { schema } else { nil } }

    /// Whether lists of this schema are told apart by keys.
    var isMapList: Bool { listType == "map" }
}
