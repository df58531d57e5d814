/// One evaluation under way: the bound variables, and what it has cost. Upstream: interpreter.Interpretable.Eval with interpreter.CostTracker.
package final class CELEvaluation {
    private let activation: CELActivation
    private var frame: [CELValue]
    private let limit: UInt64
    package private(set) var cost: UInt64 = 0
    private var iterations = 0

    /// Iterations between looks whether the task was cancelled. Upstream: celconfig.CheckFrequency.
    private static let interruptCheckFrequency = 100

    init(_ activation: CELActivation, locals: Int, limit: UInt64) {
        self.activation = activation
        self.limit = limit
        frame = [CELValue](repeating: .null, count: locals)
    }

    /// Adds to the cost; throws once it is over the limit.
    package func charge(_ amount: UInt64) throws(CELError) {
        let (sum, overflow) = cost.addingReportingOverflow(amount)
        cost = overflow ? .max : sum
        if cost > limit { throw .costLimit }
    }

    private func countIteration() throws(CELError) {
        iterations &+= 1
        if iterations % Self.interruptCheckFrequency == 0, Task.isCancelled { throw .interrupted }
    }

    func evaluate(_ node: CELNode) throws(CELError) -> CELValue {
        switch node {
        case .constant(let value): return value
        case .variable(let name):
            try charge(1)
            guard let value = activation.values[name] else { throw CELError("no such attribute(s): \(name)") }
            return value
        case .local(let place):
            try charge(1)
            return frame.indices.contains(place) ? frame[place] : .null
        case .select(let operand, let field):
            let value = try evaluate(operand)
            try charge(1)
            return try select(value, field)
        case .optionalSelect(let operand, let field):
            let value = try evaluate(operand)
            try charge(1)
            return try optionalField(value, .string(field))
        case .test(let operand, let field):
            var value = try evaluate(operand)
            if case .optional(let optional) = value {
                guard let inner = optional.value else { return .bool(false) }
                value = inner
            }
            switch value {
            case .map(let map): return .bool(map[field] != nil && !(map.objectType != nil && isNull(map[field])))
            case .object(let fields): return .bool(try fields.value(of: field, self) != nil)
            default: return .bool(false)
            }
        case .index(let operand, let index):
            let value = try evaluate(operand)
            let key = try evaluate(index)
            try charge(1)
            return try element(value, key)
        case .optionalIndex(let operand, let index):
            let value = try evaluate(operand)
            let key = try evaluate(index)
            try charge(1)
            return try optionalField(value, key)
        case .conditional(let condition, let truthy, let falsy):
            guard case .bool(let flag) = try evaluate(condition) else { throw .noSuchOverload }
            return try evaluate(flag ? truthy : falsy)
        case .and(let a, let b): return try logical(a, b, decisive: false)
        case .or(let a, let b): return try logical(a, b, decisive: true)
        case .not(let operand):
            let value = try evaluate(operand)
            try charge(1)
            guard case .bool(let flag) = value else { throw .noSuchOverload }
            return .bool(!flag)
        case .negate(let operand):
            let value = try evaluate(operand)
            try charge(1)
            return try CELOperations.negate(value)
        case .equal(let a, let b, let negated):
            let (x, y) = (try evaluate(a), try evaluate(b))
            try charge(CELCost.equality(x, y))
            return .bool(CELOperations.equal(x, y) != negated)
        case .order(let order, let a, let b, let text):
            let (x, y) = (try evaluate(a), try evaluate(b))
            try charge(text ? CELCost.traversal(min(CELCost.size(x), CELCost.size(y))) : 1)
            guard let result = try CELOperations.compare(x, y) else { return .bool(false) }
            switch order {
            case .less: return .bool(result < 0)
            case .lessOrEqual: return .bool(result <= 0)
            case .greater: return .bool(result > 0)
            case .greaterOrEqual: return .bool(result >= 0)
            }
        case .arithmetic(let operation, let a, let b, let text):
            let (x, y) = (try evaluate(a), try evaluate(b))
            try charge(text ? CELCost.traversal(CELCost.size(x) &+ CELCost.size(y)) : 1)
            switch operation {
            case .add: return try CELOperations.add(x, y)
            case .subtract: return try CELOperations.subtract(x, y)
            case .multiply: return try CELOperations.multiply(x, y)
            case .divide: return try CELOperations.divide(x, y)
            case .remainder: return try CELOperations.remainder(x, y)
            }
        case .contains(let element, let container, let constant): return try contains(element, container, constant)
        case .call(let call): return try self.call(call)
        case .list(let elements, let optional):
            var values: [CELValue] = []
            values.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                let value = try evaluate(element)
                if !optional.contains(index) { values.append(value) } else if let inner = try unwrap(value) { values.append(inner) }
            }
            try charge(CELCost.listCreation)
            return .list(values)
        case .map(let entries):
            var dictionary = CELDictionary()
            for (keyNode, valueNode, optional) in entries {
                let key = try evaluate(keyNode)
                var value = try evaluate(valueNode)
                if optional {
                    guard let inner = try unwrap(value) else { continue }
                    value = inner
                }
                guard dictionary.set(key, value) else { throw CELError("unsupported key type: \(key.type.runtimeName)") }
            }
            try charge(CELCost.mapCreation)
            return .map(.entries(dictionary))
        case .message(let type, let fields):
            var dictionary = CELDictionary()
            for (name, valueNode, optional) in fields {
                var value = try evaluate(valueNode)
                if optional {
                    guard let inner = try unwrap(value) else { continue }
                    value = inner
                }
                dictionary.set(.string(name), value)
            }
            try charge(CELCost.structCreation)
            return .map(.message(type, dictionary))
        case .macro(let macro): return try self.macro(macro)
        }
    }

    private func isNull(_ value: CELValue?) -> Bool { if case .null? = value { true } else { false } }

    private func unwrap(_ value: CELValue) throws(CELError) -> CELValue? {
        guard case .optional(let optional) = value else {
            throw CELError("cannot initialize optional list element from non-optional value \(CELText.describe(value))")
        }
        return optional.value
    }

    // MARK: Fields

    private func select(_ value: CELValue, _ field: String) throws(CELError) -> CELValue {
        switch value {
        case .map(let map):
            guard let value = map[field] else {
                throw map.objectType == nil ? .noSuchKey(field) : CELError("no such key: \(CELIdentifier.unescape(field))")
            }
            return value
        case .object(let fields):
            guard let value = try fields.value(of: field, self) else { throw .noSuchKey(field) }
            return value
        case .optional: return try optionalField(value, .string(field))
        default: throw .noSuchOverload
        }
    }

    private func element(_ value: CELValue, _ key: CELValue) throws(CELError) -> CELValue {
        switch value {
        case .optional: return try optionalField(value, key)
        case .list(let list):
            guard let index = Self.index(key) else { throw .noSuchOverload }
            guard index >= 0, index < Int64(list.count) else { throw CELError("index out of bounds: \(index)") }
            return list[Int(index)]
        case .map(let map):
            guard let found = try map.value(key) else { throw .noSuchKey(CELText.describe(key)) }
            return found
        case .object:
            guard case .string(let field) = key else { throw .noSuchOverload }
            return try select(value, field)
        default: throw .noSuchOverload
        }
    }

    private static func index(_ key: CELValue) -> Int64? {
        switch key {
        case .int(let number): number
        case .uint(let number): Int64(exactly: number)
        case .double(let number): Int64(exactly: number)
        default: nil
        }
    }

    private func optionalField(_ value: CELValue, _ key: CELValue) throws(CELError) -> CELValue {
        var value = value
        if case .optional(let optional) = value {
            guard let inner = optional.value else { return value }
            value = inner
        }
        let found: CELValue?
        switch value {
        case .map(let map): found = try map.value(key)
        case .list(let list):
            guard let index = Self.index(key) else { throw .noSuchOverload }
            found = index >= 0 && index < Int64(list.count) ? list[Int(index)] : nil
        case .object(let fields):
            guard case .string(let field) = key else { throw .noSuchOverload }
            found = try fields.value(of: field, self)
        case .null: found = nil
        default: throw .noSuchOverload
        }
        return .optional(CELOptional(found))
    }

    // MARK: Logic and calls

    /// Either side alone may decide; an error counts only when neither does.
    private func logical(_ a: CELNode, _ b: CELNode, decisive: Bool) throws(CELError) -> CELValue {
        var failure: CELError?
        for node in [a, b] {
            do throws(CELError) {
                guard case .bool(let flag) = try evaluate(node) else { throw .noSuchOverload }
                if flag == decisive { return .bool(decisive) }
            } catch {
                if error.kind != .evaluation { throw error }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return .bool(!decisive)
    }

    private func contains(_ elementNode: CELNode, _ containerNode: CELNode, _ constant: Bool) throws(CELError) -> CELValue {
        let element = try evaluate(elementNode)
        let container = try evaluate(containerNode)
        switch container {
        case .list(let list):
            if !constant { try charge(UInt64(list.count)) }
            return .bool((0..<list.count).contains { CELOperations.equal(list[$0], element) })
        case .map(let map):
            try charge(1)
            return .bool(try map.value(element) != nil)
        case .object(let fields):
            try charge(1)
            guard case .string(let field) = element else { return .bool(false) }
            return .bool(try fields.value(of: field, self) != nil)
        default: throw .noSuchOverload
        }
    }

    private func call(_ call: CELCall) throws(CELError) -> CELValue {
        var arguments: [CELValue] = []
        arguments.reserveCapacity(call.arguments.count)
        if call.function == "or" || call.function == "orValue", call.arguments.count == 2 {
            // The alternative is evaluated only when it is needed.
            guard case .optional(let optional) = try evaluate(call.arguments[0]) else { throw .noSuchOverload }
            if let value = optional.value { return call.function == "or" ? .optional(optional) : value }
            return try evaluate(call.arguments[1])
        }
        for argument in call.arguments { arguments.append(try evaluate(argument)) }
        for overload in call.overloads where overload.accepts(arguments) {
            guard let implementation = overload.implementation else { continue }
            // What is costly is charged before it is done; only the results of a join and a slice tell their costs.
            if call.function == "join" || call.function == "slice" {
                let result = try implementation(arguments)
                try charge(CELCost.call(call.function, call.overloadID, arguments, result))
                return result
            }
            try charge(CELCost.call(call.function, call.overloadID, arguments, .null))
            return try implementation(arguments)
        }
        throw CELError("no such overload: \(call.function)(\(arguments.map(\.type.runtimeName).joined(separator: ", ")))")
    }

    // MARK: Macros

    private func macro(_ macro: CELMacroNode) throws(CELError) -> CELValue {
        let operand = try evaluate(macro.operand)
        switch macro.form {
        case .bind:
            bind(macro, operand, .null)
            return try macro.result.map { (node) throws(CELError) in try evaluate(node) } ?? .null
        case .optionalMap, .optionalFlatMap:
            guard case .optional(let optional) = operand else { throw .noSuchOverload }
            try charge(2)
            guard let value = optional.value, let result = macro.result else { return .optional(CELOptional(nil)) }
            bind(macro, value, .null)
            let mapped = try evaluate(result)
            return macro.form == .optionalMap ? .optional(CELOptional(mapped)) : mapped
        default: break
        }
        switch operand {
        case .list(let list):
            let count = list.count
            return try fold(macro, count) { [self] index in
                if macro.hasTwoVariables { bind(macro, .int(Int64(index)), list[index]) } else { bind(macro, list[index], .null) }
            }
        case .map(let map):
            if macro.hasTwoVariables {
                let entries = map.entries
                return try fold(macro, entries.count) { [self] index in bind(macro, entries[index].key, entries[index].value) }
            }
            let keys = map.keys
            return try fold(macro, keys.count) { [self] index in bind(macro, keys[index], .null) }
        default: throw CELError("got '\(CELText.goType(operand))', expected iterable type")
        }
    }

    private func bind(_ macro: CELMacroNode, _ first: CELValue, _ second: CELValue) {
        if frame.indices.contains(macro.firstLocal) { frame[macro.firstLocal] = first }
        if macro.hasTwoVariables, frame.indices.contains(macro.firstLocal + 1) { frame[macro.firstLocal + 1] = second }
    }

    /// The condition of one element; true without one.
    private func condition(_ macro: CELMacroNode) throws(CELError) -> Bool {
        guard let node = macro.condition else { return true }
        guard case .bool(let flag) = try evaluate(node) else { throw .noSuchOverload }
        return flag
    }

    /// Goes over the range. What is charged beside the parts is what upstream's expansion of the macro costs.
    private func fold(_ macro: CELMacroNode, _ count: Int, _ bindElement: (Int) -> Void) throws(CELError) -> CELValue {
        switch macro.form {
        case .all, .exists:
            let decisive = macro.form == .exists
            var failure: CELError?
            for index in 0..<count {
                try countIteration()
                // The loop's condition (exists negates it), then the step's accumulator.
                try charge(decisive ? 4 : 3)
                bindElement(index)
                do throws(CELError) {
                    if try condition(macro) == decisive {
                        try charge(decisive ? 4 : 3)
                        return .bool(decisive)
                    }
                } catch {
                    if error.kind != .evaluation { throw error }
                    failure = failure ?? error
                }
            }
            try charge(1)
            if let failure { throw failure }
            return .bool(!decisive)
        case .existsOne:
            var matches = 0
            for index in 0..<count {
                try countIteration()
                bindElement(index)
                let matched = try condition(macro)
                if matched { matches += 1 }
                try charge(matched ? 2 : 1)
            }
            try charge(2)
            return .bool(matches == 1)
        case .filter, .map, .transformList:
            var values: [CELValue] = []
            for index in 0..<count {
                try countIteration()
                bindElement(index)
                guard try condition(macro) else {
                    try charge(1)
                    continue
                }
                try charge(CELCost.listCreation + 2)
                if let result = macro.result {
                    values.append(try evaluate(result))
                } else {
                    try charge(1)
                    values.append(frame.indices.contains(macro.firstLocal) ? frame[macro.firstLocal] : .null)
                }
            }
            try charge(1)
            return .list(values)
        case .transformMap, .transformMapEntry:
            var dictionary = CELDictionary()
            for index in 0..<count {
                try countIteration()
                bindElement(index)
                guard try condition(macro), let result = macro.result else {
                    try charge(1)
                    continue
                }
                let key = macro.firstLocal < frame.count ? frame[macro.firstLocal] : .null
                let value = try evaluate(result)
                // The accumulator, the insertion, and the key that stands beside the value.
                try charge(macro.form == .transformMap ? 3 : 2)
                guard macro.form == .transformMapEntry else {
                    dictionary.set(key, value)
                    continue
                }
                guard case .map(let entry) = value else { throw .noSuchOverload }
                for (key, value) in entry.entries {
                    if let own = CELKey(key), dictionary[own] != nil {
                        throw CELError("insert failed: key \(CELText.describe(key)) already exists")
                    }
                    dictionary.set(key, value)
                }
            }
            try charge(1)
            return .map(.entries(dictionary))
        case .bind, .optionalMap, .optionalFlatMap: return .null  // Not loops; handled before.
        }
    }
}
