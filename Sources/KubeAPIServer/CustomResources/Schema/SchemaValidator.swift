import KubeAPI

/// Validates a value against an OpenAPI v3 schema, in upstream's words. Upstream: kube-openapi/pkg/validation/validate with
/// apiserver/validation.ValidateCustomResource, and ratcheting.go for updates.
struct SchemaValidator {
    /// Errors told of one object at most: an attacker's long lists must not grow the answer.
    static let errorLimit = 1000

    private var causes: [StatusError.Cause] = []
    /// How much of a schema fitted: of several alternatives that fail, the errors of the one that came closest are told.
    private var matches = 0
    private var path: [String] = []
    /// Where the validated value stands. Messages name places inside of it, fields name them from the top.
    private var prefix = ""

    /// Errors of `value`. With `old`, what did not change passes whatever its errors. `prefix` is where the value stands: empty for a whole object.
    static func problems(_ value: Value, _ schema: StructuralSchema, old: Value? = nil, prefix: String = "") -> [StatusError.Cause] {
        var validator = SchemaValidator()
        validator.prefix = prefix
        validator.validate(value, schema, old: old)
        return validator.causes
    }

    // MARK: Telling

    private var name: String { path.joined() }

    private mutating func add(_ reason: String, _ message: String, at field: String) {
        guard causes.count < Self.errorLimit else { return }
        let full = prefix.isEmpty ? field : field.isEmpty ? prefix : field.first == "[" ? prefix + field : "\(prefix).\(field)"
        causes.append(StatusError.Cause(reason: reason, message: message, field: full.isEmpty ? "<nil>" : full))
    }

    private mutating func invalid(_ value: Value, _ why: String) {
        let name = name
        add("FieldValueInvalid", "Invalid value: \(Self.shown(value)): \(name) in body \(why)", at: name)
    }

    private mutating func typeInvalid(_ value: Value, _ expected: String, data: String) {
        let name = name
        add("FieldValueTypeInvalid", "Invalid value: \(Self.shown(value)): \(name) in body must be of type \(expected): \(data.goQuoted)", at: name)
    }

    /// An error of the alternatives of a place, which upstream gives no field.
    private mutating func composite(_ why: String) { add("FieldValueInvalid", "Invalid value: \"\": \(name.goQuoted) must \(why)", at: "") }

    static func shown(_ value: Value) -> String {
        if case .string(let text) = value { return text.goQuoted }
        return value.jsonString
    }

    private mutating func entering<T>(_ step: String, _ body: (inout SchemaValidator) -> T) -> T {
        path.append(path.isEmpty && step.first == "." ? String(step.dropFirst()) : step)
        defer { path.removeLast() }
        return body(&self)
    }

    /// What a schema finds, apart from what was found already.
    private func trial(_ value: Value, _ schema: StructuralSchema, old: Value?) -> SchemaValidator {
        var trial = SchemaValidator()
        trial.path = path
        trial.prefix = prefix
        trial.validate(value, schema, old: old, isAlternative: true)
        return trial
    }

    // MARK: Validation

    private mutating func validate(_ value: Value, _ schema: StructuralSchema, old: Value?, isAlternative: Bool = false) {
        if !isAlternative, let old, old == value { return }
        let before = causes.count
        if case .null = value {
            if schema.isIntOrString || !schema.type.isEmpty, !schema.isNullable {
                typeInvalid("null", Self.typeName(schema), data: "null")
            } else if !schema.enumeration.isEmpty {
                enumeration(value, schema)
            }
            return
        }
        type(value, schema)
        alternatives(value, schema, old: old)
        switch value {
        case .string(let text): string(text, schema)
        case .int, .double: number(value, schema)
        case .array(let items): list(items, schema, old: old?.array)
        case .object(let members): object(members, schema, old: old?.object)
        case .bool, .null: break
        }
        if !schema.enumeration.isEmpty { enumeration(value, schema) }
        if causes.count == before { matches += 1 }
    }

    private static func typeName(_ schema: StructuralSchema) -> String { schema.isIntOrString ? "integer,string" : schema.type }

    private static func typeName(_ value: Value) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int: "integer"
        case .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// The format that upstream's decoder gives a value; nil for texts and lists, whose formats it does not ask for.
    private static func formatName(_ value: Value) -> String? {
        switch value {
        case .int: "int64"
        case .double: "float64"
        case .bool, .object: ""
        case .null, .string, .array: nil
        }
    }

    private mutating func type(_ value: Value, _ schema: StructuralSchema) {
        guard schema.isIntOrString || !schema.type.isEmpty else { return }
        let found = Self.typeName(value)
        let fits: Bool
        switch (schema.isIntOrString ? "integer,string" : schema.type, found) {
        case ("integer,string", "integer"), ("integer,string", "string"), ("number", "integer"): fits = true
        case ("integer", "number"), ("integer,string", "number"): fits = value.int != nil
        case (let wanted, let found): fits = wanted == found
        }
        // As upstream, a scalar or an object where a format is asked for is told in the formats' words.
        if !fits, !schema.isIntOrString, StringFormat.isKept(schema.format, type: schema.type), let format = Self.formatName(value) {
            return typeInvalid(.string(format), schema.format, data: format)
        }
        if !fits { typeInvalid(.string(found), Self.typeName(schema), data: found) }
    }

    private mutating func alternatives(_ value: Value, _ schema: StructuralSchema, old: Value?) {
        if !schema.anyOf.isEmpty {
            var best: SchemaValidator?
            var isMet = false
            for inner in schema.anyOf {
                let trial = trial(value, inner, old: old)
                if trial.causes.isEmpty {
                    isMet = true
                    break
                }
                if best.map({ trial.matches > $0.matches }) ?? true { best = trial }
            }
            if !isMet {
                composite("validate at least one schema (anyOf)")
                causes += best?.causes ?? []
            }
        }
        if !schema.oneOf.isEmpty {
            var best: SchemaValidator?
            var met = 0
            for inner in schema.oneOf {
                let trial = trial(value, inner, old: old)
                if trial.causes.isEmpty { met += 1 } else if best.map({ trial.matches > $0.matches }) ?? true { best = trial }
            }
            if met != 1 {
                composite("validate one and only one schema (oneOf). \(met == 0 ? "Found none valid" : "Found \(met) valid alternatives")")
                if met == 0 { causes += best?.causes ?? [] }
            }
        }
        if !schema.allOf.isEmpty {
            var met = 0
            for inner in schema.allOf {
                let trial = trial(value, inner, old: old)
                if trial.causes.isEmpty { met += 1 }
                causes += trial.causes
            }
            if met != schema.allOf.count { composite("validate all the schemas (allOf)\(met == 0 ? ". None validated" : "")") }
        }
        if let not = schema.not, trial(value, not, old: old).causes.isEmpty { composite("not validate the schema (not)") }
    }

    private mutating func enumeration(_ value: Value, _ schema: StructuralSchema) {
        guard !schema.enumeration.contains(where: { $0 == value || ($0.double != nil && $0.double == value.double) }) else { return }
        let list = schema.enumeration.map { ($0.string ?? $0.jsonString).goQuoted }.joined(separator: ", ")
        let name = name
        add("FieldValueNotSupported", "Unsupported value: \(Self.shown(value)): supported values: \(list)", at: name)
    }

    private mutating func string(_ text: String, _ schema: StructuralSchema) {
        // Counting code points costs; no text has more of them than bytes.
        if let limit = schema.maxLength, Int64(text.utf8.count) > limit, Int64(text.unicodeScalars.count) > limit {
            add("FieldValueTooLong", "Too long: may not be more than \(limit) bytes", at: name)
        }
        if let limit = schema.minLength, Int64(text.unicodeScalars.count) < limit {
            invalid(.string(text), "should be at least \(limit) chars long")
        }
        if let expression = schema.expression, !expression.matches(text) { invalid(.string(text), "should match '\(schema.pattern)'") }
        if !schema.format.isEmpty, !StringFormat.isValid(text, schema.format) {
            typeInvalid(.string(text), schema.format, data: text)
        }
    }

    private mutating func number(_ value: Value, _ schema: StructuralSchema) {
        if !Self.isInRange(value, schema) {
            // An error without a field, as upstream.
            add(
                "FieldValueInvalid", "Invalid value: \"\": Checked value must be of type \(schema.type) with format \(schema.format) in \(name)",
                at: "")
        }
        if let factor = schema.multipleOf, !Self.isMultiple(value, factor) { invalid(value, "should be a multiple of \(factor.jsonString)") }
        if let limit = schema.maximum, let order = Self.compare(value, limit), order > 0 || (order == 0 && schema.exclusiveMaximum) {
            invalid(value, "should be less than \(schema.exclusiveMaximum ? "" : "or equal to ")\(limit.jsonString)")
        }
        if let limit = schema.minimum, let order = Self.compare(value, limit), order < 0 || (order == 0 && schema.exclusiveMinimum) {
            invalid(value, "should be greater than \(schema.exclusiveMinimum ? "" : "or equal to ")\(limit.jsonString)")
        }
    }

    /// Whether the number can be had without loss in the schema's format. Upstream: validate.IsValueValidAgainstRange.
    private static func isInRange(_ value: Value, _ schema: StructuralSchema) -> Bool {
        switch (schema.type, schema.format) {
        case ("integer", "int32"): value.int.map { Int32(exactly: $0) != nil } ?? false
        case ("integer", "int64"): value.int != nil
        case ("number", "float"): value.double.map { Float($0).isFinite } ?? true
        default: true
        }
    }

    private static func compare(_ a: Value, _ b: Value) -> Int? {
        if case .int(let x) = a, case .int(let y) = b { return x < y ? -1 : x == y ? 0 : 1 }
        guard let x = a.double, let y = b.double else { return nil }
        return x < y ? -1 : x == y ? 0 : 1
    }

    private static func isMultiple(_ value: Value, _ factor: Value) -> Bool {
        if let x = value.int, let y = factor.int, y != 0 { return y == -1 || x % y == 0 }
        guard let x = value.double, let y = factor.double, y > 0 else { return true }
        let quotient = x / y
        return quotient.rounded() == quotient
    }

    private mutating func list(_ items: [Value], _ schema: StructuralSchema, old: [Value]?) {
        if let limit = schema.minItems, Int64(items.count) < limit { invalid(.array(items), "should have at least \(limit) items") }
        if let limit = schema.maxItems, Int64(items.count) > limit {
            add("FieldValueTooMany", "Too many: \(items.count): must have at most \(limit) items", at: name)
        }
        guard let inner = schema.items else { return }
        let partners = old.map { ListCorrelation(old: $0, schema: schema) }
        for (index, item) in items.enumerated() {
            entering("[\(index)]") { $0.validate(item, inner, old: partners?.partner(of: item)) }
        }
    }

    private mutating func object(_ members: Members, _ schema: StructuralSchema, old: Members?) {
        if let limit = schema.minProperties, Int64(members.count) < limit {
            invalid(.object(members), "should have at least \(limit) properties")
        }
        if let limit = schema.maxProperties, Int64(members.count) > limit {
            add("FieldValueTooMany", "Too many: \(members.count): must have at most \(limit) items", at: name)
        }
        for (key, member) in members {
            if let inner = schema.property(key) ?? schema.additionalSchema {
                entering("." + key) { $0.validate(member, inner, old: old?[key]) }
            } else if case .allowed(false)? = schema.additional, schema.properties.isEmpty == false {
                let field = path.isEmpty ? key : "\(name).\(key)"
                add("FieldValueInvalid", "Invalid value: \"\": \(field) in body is a forbidden property", at: field)
            }
        }
        for key in schema.required where members[key] == nil {
            add("FieldValueRequired", "Required value", at: path.isEmpty ? key : "\(name).\(key)")
        }
    }
}

/// Finds the elements of an old list that elements of a new one come from: by their keys in lists that are maps; elements of other lists have no
/// identity. Upstream: common.CorrelatedObject.Index.
struct ListCorrelation {
    private var items: [[ValueKey?]: Value] = [:]
    private let keys: [String]

    init(old: [Value], schema: StructuralSchema) {
        keys = schema.isMapList ? schema.listMapKeys : []
        guard !keys.isEmpty else { return }
        for item in old {
            let key = Self.key(of: item, keys)
            if items[key] == nil { items[key] = item }
        }
    }

    func partner(of item: Value) -> Value? {
        if keys.isEmpty { return nil }
        return items[Self.key(of: item, keys)]
    }

    static func key(of item: Value, _ keys: [String]) -> [ValueKey?] { keys.map { item[$0].map(ValueKey.init) } }
}

/// A value as a key of sets and dictionaries.
struct ValueKey: Hashable {
    let value: Value

    func hash(into hasher: inout Hasher) { Self.hash(value, &hasher) }

    /// Objects are equal whatever the order of their members, and so are their hashes.
    private static func hash(_ value: Value, _ hasher: inout Hasher) {
        switch value {
        case .null: hasher.combine(0)
        case .bool(let flag): hasher.combine(flag)
        case .int(let number): hasher.combine(number)
        case .double(let number): hasher.combine(number)
        case .string(let text): hasher.combine(text)
        case .array(let items): for item in items { hash(item, &hasher) }
        case .object(let members): hasher.combine(members.keys.reduce(0) { $0 ^ $1.hashValue })
        }
    }
}
