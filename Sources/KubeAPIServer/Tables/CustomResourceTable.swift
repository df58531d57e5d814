import KubeAPI

/// Cells of custom resources' additional columns. Upstream: k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
enum CustomResourceTable {
    static func cell(_ column: TableColumn, _ path: JSONPath?, _ object: Object, _ now: Timestamp) -> Value {
        guard let view = path?.first(in: object.root), !view.isNull else { return .null }
        switch column.type {
        case "integer": return view.int.map { .int($0) } ?? view.double.map { .int(Int64(clamping: Int128($0.isFinite ? $0 : 0))) } ?? .null
        case "number": return view.double.map { view.kind == .integer ? view.value : .double($0) } ?? .null
        case "boolean": return view.bool.map { .bool($0) } ?? .null
        case "date":
            guard let text = view.string else { return .null }
            return .string(Timestamp(rfc3339: text).map { Cells.since($0, now) } ?? "<invalid>")
        default: return .string(view.string ?? view.value.jsonString)
        }
    }
}

/// The simple paths that columns of custom resources may have: `.spec.a`, `.spec['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`.
/// Upstream: k8s.io/client-go/util/jsonpath, without ranges and unions.
struct JSONPath: Sendable {
    private enum Step: Sendable {
        case member(String)
        case index(Int)
        case all
        case matching(member: [String], value: String)
    }

    private var steps: [Step] = []

    /// Nil for a path of a form not understood.
    init?(_ text: String) {
        var rest = text[...]
        if rest.hasPrefix("$") { rest.removeFirst() }
        while let c = rest.first {
            if c == "." {
                rest.removeFirst()
                let name = rest.prefix { $0 != "." && $0 != "[" }
                if name.isEmpty { if rest.first == "[" || rest.isEmpty { continue } else { return nil } }
                steps.append(name == "*" ? .all : .member(name.filter { $0 != "\\" }))
                rest = rest.dropFirst(name.count)
            } else if c == "[" {
                guard let end = Self.closing(rest) else { return nil }
                let inner = rest[rest.index(after: rest.startIndex)..<end]
                guard let step = Self.bracket(inner) else { return nil }
                steps.append(step)
                rest = rest[rest.index(after: end)...]
            } else {
                return nil
            }
        }
    }

    /// The bracket that closes the one `text` begins with; brackets inside quotes do not count.
    private static func closing(_ text: Substring) -> Substring.Index? {
        var quote: Character?
        for index in text.indices.dropFirst() {
            let c = text[index]
            if let open = quote {
                if c == open { quote = nil }
            } else if c == "'" || c == "\"" {
                quote = c
            } else if c == "]" {
                return index
            }
        }
        return nil
    }

    private static func bracket(_ text: Substring) -> Step? {
        if text == "*" { return .all }
        if let index = Int(text) { return .index(index) }
        if let name = unquoted(text) { return .member(name) }
        guard text.hasPrefix("?("), text.hasSuffix(")") else { return nil }
        let condition = text.dropFirst(2).dropLast()
        guard condition.hasPrefix("@.") else { return nil }
        var left = condition.dropFirst(2)
        guard let equals = left.firstIndex(of: "=") else { return nil }
        var right = left[equals...]
        guard right.hasPrefix("==") else { return nil }
        left = left[..<equals]
        right = right.dropFirst(2)
        while left.last == " " { left.removeLast() }
        while right.first == " " { right.removeFirst() }
        while right.last == " " { right.removeLast() }
        return .matching(member: left.split(separator: ".").map(String.init), value: unquoted(right) ?? String(right))
    }

    private static func unquoted(_ text: Substring) -> String? {
        guard text.count >= 2, let first = text.first, first == text.last, first == "'" || first == "\"" else { return nil }
        return String(text.dropFirst().dropLast())
    }

    /// The first value the path leads to.
    func first(in root: JSONView) -> JSONView? {
        var found = [root]
        for step in steps {
            var next: [JSONView] = []
            for view in found {
                switch step {
                case .member(let name): if let member = view[name] { next.append(member) }
                case .index(let index):
                    let elements = Array(view.elements)
                    let place = index < 0 ? elements.count + index : index
                    if elements.indices.contains(place) { next.append(elements[place]) }
                case .all: next += view.kind == .array ? Array(view.elements) : view.members.map(\.value)
                case .matching(let path, let value):
                    next += view.elements.filter { element in
                        let member = path.reduce(Optional(element)) { $0[$1] }
                        return member.string == value || member.map { String(decoding: $0.rawBytes, as: UTF8.self) == value } ?? false
                    }
                }
            }
            found = next
            if found.isEmpty { return nil }
        }
        return found.first
    }
}
