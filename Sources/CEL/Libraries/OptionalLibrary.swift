/// Upstream: cel.OptionalTypes.
enum OptionalLibrary {
    private static func some(_ value: CELValue) -> CELValue { .optional(CELOptional(value)) }
    private static let none = CELValue.optional(CELOptional(nil))

    private static func isZero(_ value: CELValue) -> Bool {
        switch value {
        case .null: true
        case .bool(let flag): !flag
        case .int(let x): x == 0
        case .uint(let x): x == 0
        case .double(let x): x == 0
        case .string(let text): text.isEmpty
        case .bytes(let bytes): bytes.isEmpty
        case .duration(let span): span == 0
        case .list(let list): list.count == 0
        case .map(let map): map.count == 0
        case .optional(let optional): optional.value == nil
        default: false
        }
    }

    static let overloads: [CELOverload?] = [
        CELOverload("optional_of", "optional.of(V) optional(V)") { arguments in some(arguments[0]) },
        CELOverload("optional_ofNonZeroValue", "optional.ofNonZeroValue(V) optional(V)") { arguments in
            isZero(arguments[0]) ? none : some(arguments[0])
        },
        CELOverload("optional_none", "optional.none() optional(V)") { _ in none },
        CELOverload("optional_hasValue", "optional(V).hasValue() bool") { arguments in
            if case .optional(let optional) = arguments[0] { .bool(optional.value != nil) } else { .bool(false) }
        },
        CELOverload("optional_value", "optional(V).value() V") { arguments throws(CELError) in
            guard case .optional(let optional) = arguments[0], let value = optional.value else { throw CELError("optional.none() dereference") }
            return value
        },
        // Their alternative is evaluated only when needed: the evaluation does these itself.
        CELOverload("optional_or_optional", "optional(V).or(optional(V)) optional(V)", nil),
        CELOverload("optional_orValue_value", "optional(V).orValue(V) V", nil),
        CELOverload("optional_unwrap", "optional.unwrap(list(optional(V))) list(V)", unwrap),
        CELOverload("optional_unwrapOpt", "list(optional(V)).unwrapOpt() list(V)", unwrap),
        CELOverload("list_first", "list(V).first() optional(V)") { arguments in
            if case .list(let list) = arguments[0], list.count > 0 { some(list[0]) } else { none }
        },
        CELOverload("list_last", "list(V).last() optional(V)") { arguments in
            if case .list(let list) = arguments[0], list.count > 0 { some(list[list.count - 1]) } else { none }
        },
    ]

    private static let unwrap: CELImplementation = { arguments in
        guard case .list(let list) = arguments[0] else { return .list([]) }
        return .list(list.values.compactMap { value in if case .optional(let optional) = value { optional.value } else { nil } })
    }
}
