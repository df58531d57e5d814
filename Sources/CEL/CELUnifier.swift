/// Finds out what type variables stand for. Upstream: checker's types.go.
struct CELUnifier {
    private var bindings: [String: CELType] = [:]
    private var fresh = 0

    mutating func freshVariable() -> CELType {
        fresh += 1
        return .parameter("_var\(fresh - 1)")
    }

    /// The overload's types with type variables of their own.
    mutating func instantiate(_ overload: CELOverload) -> (parameters: [CELType], result: CELType) {
        var own: [String: CELType] = [:]
        func rename(_ type: CELType, _ unifier: inout CELUnifier) -> CELType {
            switch type {
            case .parameter(let name):
                if let known = own[name] { return known }
                let variable = unifier.freshVariable()
                own[name] = variable
                return variable
            case .list(let element): return .list(rename(element, &unifier))
            case .map(let key, let value): return .map(rename(key, &unifier), rename(value, &unifier))
            case .optional(let wrapped): return .optional(rename(wrapped, &unifier))
            case .type(let inner?): return .type(rename(inner, &unifier))
            default: return type
            }
        }
        let parameters = overload.parameters.map { rename($0, &self) }
        return (parameters, rename(overload.result, &self))
    }

    /// The type with what is known put in; variables that stand for nothing become dyn when `final`.
    func substitute(_ type: CELType, final: Bool = false) -> CELType {
        switch type {
        case .parameter(let name): bindings[name].map { substitute($0, final: final) } ?? (final ? .dyn : type)
        case .list(let element): .list(substitute(element, final: final))
        case .map(let key, let value): .map(substitute(key, final: final), substitute(value, final: final))
        case .optional(let wrapped): .optional(substitute(wrapped, final: final))
        case .type(let inner?): .type(substitute(inner, final: final))
        default: type
        }
    }

    /// Whether values of the types of `from` may be given for those of `to`; binds variables only then.
    mutating func areAssignable(_ from: [CELType], to: [CELType]) -> Bool {
        var trial = self
        for (a, b) in zip(from, to) { if !trial.isAssignable(b, a) { return false } }
        self = trial
        return true
    }

    mutating func isAssignable(_ type: CELType, to target: CELType) -> Bool { areAssignable([type], to: [target]) }

    private mutating func isAssignable(_ t1: CELType, _ t2: CELType) -> Bool {
        let a = substituteShallow(t1)
        let b = substituteShallow(t2)
        if a == b { return true }
        if case .parameter(let name) = b { return bind(name, a) }
        if case .parameter(let name) = a { return bind(name, b) }
        switch (a, b) {
        case (.dyn, _), (_, .dyn), (.error, _), (_, .error): return true
        case (.null, .duration), (.null, .timestamp), (.null, .object), (.null, .opaque), (.null, .optional): return true
        case (.duration, .null), (.timestamp, .null), (.object, .null), (.opaque, .null), (.optional, .null): return true
        case (.list(let x), .list(let y)), (.optional(let x), .optional(let y)): return isAssignable(x, y)
        case (.map(let k1, let v1), .map(let k2, let v2)): return isAssignable(k1, k2) && isAssignable(v1, v2)
        case (.type, .type): return true
        default: return false
        }
    }

    private func substituteShallow(_ type: CELType) -> CELType {
        var type = type
        while case .parameter(let name) = type, let bound = bindings[name] {
            // A type that was refined keeps what is inside; going on finds the end of a chain of variables.
            type = bound
        }
        return type
    }

    private mutating func bind(_ name: String, _ type: CELType) -> Bool {
        if mentions(type, name) { return false }
        bindings[name] = type
        return true
    }

    private func mentions(_ type: CELType, _ name: String) -> Bool {
        switch type {
        case .parameter(let other): other == name || (bindings[other].map { mentions($0, name) } ?? false)
        case .list(let element): mentions(element, name)
        case .map(let key, let value): mentions(key, name) || mentions(value, name)
        case .optional(let wrapped): mentions(wrapped, name)
        case .type(let inner?): mentions(inner, name)
        default: false
        }
    }

    /// The type of a list of both. Upstream: checker.joinTypes; nil when they do not go together.
    mutating func join(_ previous: CELType?, _ current: CELType) -> CELType? {
        guard let previous else { return current }
        guard isAssignable(current, to: previous) else { return nil }
        return Self.isLessSpecific(substitute(previous), substitute(current)) ? previous : current
    }

    /// Whether `a` says no more than `b`. Upstream: checker.isEqualOrLessSpecific.
    private static func isLessSpecific(_ a: CELType, _ b: CELType) -> Bool {
        switch (a, b) {
        case (.dyn, _), (.parameter, _): true
        case (_, .dyn), (_, .parameter): false
        case (.list(let x), .list(let y)), (.optional(let x), .optional(let y)): isLessSpecific(x, y)
        case (.map(let k1, let v1), .map(let k2, let v2)): isLessSpecific(k1, k2) && isLessSpecific(v1, v2)
        default: a == b
        }
    }
}
