import KubeAPI

/// The path of a custom resource's column: fields with escaped dots, `['a\.b']`, indexes, slices, unions, `*`, `..` and filters.
/// Upstream: k8s.io/client-go/util/jsonpath, of which columns use one action.
struct JSONPath: Sendable {
    /// Values that one evaluation may look at: recursion and unions multiply, and lists print thousands of objects.
    static let budget = 10_000

    private let root: [Step]

    /// Nil for a path of a form not understood.
    init?(_ text: String) {
        var parser = JSONPathParser(Array(text))
        guard let steps = try? parser.steps() else { return nil }
        root = steps
    }

    /// The first value the path leads to. Nil too where evaluation fails, as at an index past the end.
    func first(in view: JSONView) -> JSONView? {
        var evaluation = Evaluation(budget: Self.budget)
        guard case .view(let found)? = try? evaluation.walk([.view(view)], root).first else { return nil }
        return found
    }

    /// A part of a path. Upstream: jsonpath.Node.
    indirect enum Step: Sendable {
        case field(String)
        case wildcard
        case recursive
        case slice(Slice)
        case union([[Step]])
        case filter(left: [Step], Comparison, right: [Step])
        case exists([Step])
        case literal(Literal)
    }

    /// `[from:to:step]`; what is nil is not said. `isDerived`: `[from]`, whose end follows from its start.
    struct Slice: Sendable {
        var from: Int?
        var to: Int?
        var step: Int?
        var isDerived = false
    }

    enum Comparison: String, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    enum Literal: Sendable, Equatable {
        case text(String)
        case int(Int64)
        case float(Double)
        case bool(Bool)
    }

    /// The path cannot be read, or not be walked in this object.
    struct Failure: Error {}
}

/// One walk of a path through one object. Upstream: jsonpath.walk and the functions it calls.
private struct Evaluation {
    enum Item {
        case view(JSONView)
        case literal(JSONPath.Literal)

        var view: JSONView? {
            if case .view(let view) = self { return view.isNull ? nil : view }
            return nil
        }

        /// What may be compared. Nil for lists, maps and null.
        var scalar: JSONPath.Literal? {
            switch self {
            case .literal(let literal): return literal
            case .view(let view):
                switch view.kind {
                case .string, .escapedString: return view.string.map { .text($0) }
                case .integer: return view.int.map { .int($0) } ?? view.double.map { .float($0) }
                case .double: return view.double.map { .float($0) }
                case .true, .false: return view.bool.map { .bool($0) }
                default: return nil
                }
            }
        }
    }

    var budget: Int

    private mutating func spend(_ count: Int) throws(JSONPath.Failure) {
        budget -= count
        if budget < 0 { throw JSONPath.Failure() }
    }

    mutating func walk(_ input: [Item], _ steps: [JSONPath.Step]) throws(JSONPath.Failure) -> [Item] {
        var items = input
        for step in steps {
            try spend(items.count + 1)
            items = try take(step, items)
        }
        return items
    }

    private mutating func take(_ step: JSONPath.Step, _ input: [Item]) throws(JSONPath.Failure) -> [Item] {
        switch step {
        case .field(let name): return input.compactMap { $0.view?[name].map { .view($0) } }
        case .literal(.text(let text)): return [.literal(.text(text))]
        case .literal(let literal): return input.map { _ in .literal(literal) }
        case .wildcard: return input.flatMap { $0.view.map(Self.children) ?? [] }
        case .recursive:
            var found: [Item] = []
            for item in input { if let view = item.view { try descend(view, &found) } }
            return found
        case .slice(let slice):
            var found: [Item] = []
            for item in input {
                guard let view = item.view else {
                    if case .literal = item { throw JSONPath.Failure() }
                    continue
                }
                guard let part = try self.slice(view, slice) else { return found }
                found += part
            }
            return found
        case .union(let members):
            var found: [Item] = []
            for member in members { found += try walk(input, member) }
            return found
        case .exists(let path):
            return try filter(input) { (evaluation, element) throws(JSONPath.Failure) in
                do throws(JSONPath.Failure) { return try !evaluation.walk([element], path).isEmpty } catch {
                    if evaluation.budget < 0 { throw error }
                    return false
                }
            }
        case .filter(let left, let comparison, let right):
            return try filter(input) { (evaluation, element) throws(JSONPath.Failure) in
                let lefts = try evaluation.walk([element], left)
                let rights = try evaluation.walk([element], right)
                guard let a = lefts.first, let b = rights.first else { return false }
                guard lefts.count == 1, rights.count == 1, let a = a.scalar, let b = b.scalar else { throw JSONPath.Failure() }
                return try Self.compare(a, comparison, b)
            }
        }
    }

    private static func children(_ view: JSONView) -> [Item] {
        view.kind == .array ? view.elements.map { .view($0) } : view.members.map { .view($0.value) }
    }

    /// The value and all in it, outermost first; of scalars only texts, as upstream. The document's depth bounds the recursion, `budget` the count.
    private mutating func descend(_ view: JSONView, _ found: inout [Item]) throws(JSONPath.Failure) {
        try spend(1)
        let isText = view.kind == .string || view.kind == .escapedString
        let children = Self.children(view)
        guard !children.isEmpty || isText && view.rawBytes.count > 2 else { return }
        found.append(.view(view))
        for child in children { if let view = child.view { try descend(view, &found) } }
    }

    /// Nil where no elements are asked for, which ends upstream's walk too.
    private mutating func slice(_ view: JSONView, _ slice: JSONPath.Slice) throws(JSONPath.Failure) -> [Item]? {
        guard view.kind == .array else { throw JSONPath.Failure() }
        let elements = Array(view.elements)
        try spend(elements.count)
        let count = elements.count
        var from = slice.from ?? 0
        if from < 0 { from += count }
        var to = slice.to ?? count
        if to < 0 || to == 0 && slice.isDerived { to += count }
        if from == to { return nil }
        guard from >= 0, from < count, to >= 0, to <= count, from < to else { throw JSONPath.Failure() }
        let step = slice.step ?? 1
        guard step > 0 else { throw JSONPath.Failure() }
        return stride(from: from, to: to, by: step).map { .view(elements[$0]) }
    }

    private mutating func filter(
        _ input: [Item], _ passes: (inout Evaluation, Item) throws(JSONPath.Failure) -> Bool
    ) throws(JSONPath.Failure) -> [Item] {
        var found: [Item] = []
        for item in input {
            guard let view = item.view, view.kind == .array else { throw JSONPath.Failure() }
            for element in view.elements {
                try spend(1)
                if try passes(&self, .view(element)) { found.append(.view(element)) }
            }
        }
        return found
    }

    /// Values of one type are compared; no order among booleans. Upstream: template.Equal, template.Less.
    private static func compare(_ a: JSONPath.Literal, _ comparison: JSONPath.Comparison, _ b: JSONPath.Literal) throws(JSONPath.Failure) -> Bool {
        func order<Scalar: Comparable>(_ a: Scalar, _ b: Scalar) -> Bool {
            switch comparison {
            case .equal: a == b
            case .notEqual: a != b
            case .less: a < b
            case .lessOrEqual: a <= b
            case .greater: a > b
            case .greaterOrEqual: a >= b
            }
        }
        switch (a, b) {
        case (.text(let a), .text(let b)): return bytewise(Array(a.utf8), Array(b.utf8), comparison)
        case (.int(let a), .int(let b)): return order(a, b)
        case (.float(let a), .float(let b)): return order(a, b)
        case (.bool(let a), .bool(let b)):
            if comparison == .equal { return a == b }
            if comparison == .notEqual { return a != b }
        default: break
        }
        throw JSONPath.Failure()
    }

    /// As Go orders texts: byte by byte.
    private static func bytewise(_ a: [UInt8], _ b: [UInt8], _ comparison: JSONPath.Comparison) -> Bool {
        switch comparison {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a.lexicographicallyPrecedes(b)
        case .lessOrEqual: !b.lexicographicallyPrecedes(a)
        case .greater: b.lexicographicallyPrecedes(a)
        case .greaterOrEqual: !a.lexicographicallyPrecedes(b)
        }
    }
}
