package import KubeAPI

/// A map: JSON that is converted when an entry is read, or entries made by an expression.
package enum CELMap: Sendable {
    case json(JSONView, CELSchema)
    case tree(Members, CELSchema)
    case entries(CELDictionary)
    /// What `Type{field: value}` makes: the fields that were given.
    case message(CELObjectType, CELDictionary)

    package var count: Int {
        switch self {
        case .json(let view, _): view.members.reduce(0) { count, _ in count + 1 }
        case .tree(let members, _): members.count
        case .entries(let entries), .message(_, let entries): entries.keys.count
        }
    }

    /// The type of an object with declared fields; nil for a map.
    var objectType: CELObjectType? {
        switch self {
        case .json(_, let schema), .tree(_, let schema): if case .object(let type) = schema.shape { type } else { nil }
        case .message(let type, _): type
        case .entries: nil
        }
    }

    /// A field or string key; nil when it is not there.
    package subscript(field: String) -> CELValue? {
        switch self {
        case .json(let view, let schema):
            let (name, child) = schema.member(field)
            return view[name].map { CELValue($0, child) }
        case .tree(let members, let schema):
            let (name, child) = schema.member(field)
            return members[name].map { CELValue($0, child) }
        case .entries(let entries), .message(_, let entries): return entries[.string(field)]
        }
    }

    /// An entry by any key; throws for what can be no key.
    func value(_ key: CELValue) throws(CELError) -> CELValue? {
        if case .string(let text) = key { return self[text] }
        guard let own = CELKey(key) else {
            if case .double = key { return nil }
            throw CELError("unsupported key type: \(key.type.runtimeName)")
        }
        if case .entries(let entries) = self { return entries[own] }
        return nil
    }

    package var keys: [CELValue] {
        switch self {
        case .json(let view, _): view.members.map { .string($0.key) }
        case .tree(let members, _): members.keys.map { .string($0) }
        case .entries(let entries), .message(_, let entries): entries.keys
        }
    }

    package var entries: [(key: CELValue, value: CELValue)] {
        switch self {
        case .json(let view, let schema): view.members.map { (.string($0.key), CELValue($0.value, schema.member($0.key).1)) }
        case .tree(let members, let schema): members.map { (.string($0), CELValue($1, schema.member($0).1)) }
        case .entries(let entries), .message(_, let entries): zip(entries.keys, entries.values).map { ($0, $1) }
        }
    }
}

extension CELSchema {
    /// The JSON name and the schema of a member by its name in expressions.
    func member(_ field: String) -> (String, CELSchema) {
        switch shape {
        case .map(let values): return (field, values)
        case .object(let type): return (CELIdentifier.unescape(field), type.field(field) ?? .any)
        default: return (field, .any)
        }
    }
}

/// A key of a map. An integer is the same key whether signed or not.
package enum CELKey: Sendable, Hashable {
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case string(String)

    /// Nil for a value that can be no key.
    init?(_ value: CELValue) {
        switch value {
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .uint(let number): self = Int64(exactly: number).map { .int($0) } ?? .uint(number)
        case .double(let number):
            guard let int = Int64(exactly: number) else { return nil }
            self = .int(int)
        case .string(let text): self = .string(text)
        default: return nil
        }
    }
}

/// Entries in their order.
package struct CELDictionary: Sendable {
    package private(set) var keys: [CELValue] = []
    package private(set) var values: [CELValue] = []
    private var places: [CELKey: Int] = [:]

    package init() {}

    package subscript(key: CELKey) -> CELValue? { places[key].map { values[$0] } }

    /// False for what can be no key.
    @discardableResult
    package mutating func set(_ key: CELValue, _ value: CELValue) -> Bool {
        guard let own = CELKey(key) else { return false }
        if let place = places[own] {
            values[place] = value
        } else {
            places[own] = keys.count
            keys.append(key)
            values.append(value)
        }
        return true
    }
}

extension CELValue {
    /// What is wrong with the names of the types that objects were made with: each must be the path at which it stands. `expected` is this one's.
    /// Upstream: dynamic.ObjectVal.CheckTypeNamesMatchFieldPathNames.
    package func typeNameProblem(_ expected: String) -> String? {
        switch self {
        case .map(.message(let type, let fields)):
            guard type.name == expected else {
                return "unexpected type name \"\(type.name)\", expected \"\(expected)\", which matches field name path from root Object type"
            }
            for (key, value) in zip(fields.keys, fields.values) {
                guard case .string(let name) = key else { continue }
                if let problem = value.typeNameProblem("\(expected).\(name)") { return problem }
            }
            return nil
        case .list(.values(let values)): return values.lazy.compactMap { $0.typeNameProblem(expected) }.first
        case .optional(let optional): return optional.value?.typeNameProblem(expected)
        default: return nil
        }
    }
}
