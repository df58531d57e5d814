/// One step of a field path, in the form it has as a key of FieldsV1: `f:NAME` a field, `k:{…}` the element of an associative list with these keys,
/// `v:VALUE` the element of a set, `i:INDEX` an element by its place. The keys of `k:` are sorted, so that equal elements have equal texts.
/// Upstream: structured-merge-diff fieldpath.PathElement with its SerializePathElement.
package struct PathElement: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let text: String

    private init(text: String) { self.text = text }

    package static func field(_ name: String) -> PathElement { PathElement(text: "f:" + name) }

    package static func key(_ fields: [(String, Value)]) -> PathElement {
        var out = Array("k:{".utf8)
        for (index, (name, value)) in fields.sorted(by: { $0.0 < $1.0 }).enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            Value.write(name, to: &out)
            out.append(UInt8(ascii: ":"))
            value.write(to: &out)
        }
        out.append(UInt8(ascii: "}"))
        return PathElement(text: String(decoding: out, as: UTF8.self))
    }

    package static func value(_ value: Value) -> PathElement { PathElement(text: "v:" + value.jsonString) }
    package static func index(_ index: Int) -> PathElement { PathElement(text: "i:\(index)") }

    /// What a key of FieldsV1 may turn out to be.
    package enum Parsed: Equatable {
        case element(PathElement)
        /// Of a kind that this version does not know: passed over, as upstream passes over it.
        case unknown
        case malformed(String)
    }

    /// Reads a key of FieldsV1 and brings it into its canonical form.
    package static func parse(_ text: String) -> Parsed {
        let bytes = Array(text.utf8.prefix(2))
        guard bytes.count == 2 else { return .malformed("key must be 2 characters long:") }
        guard bytes[1] == UInt8(ascii: ":") else { return .malformed("missing colon: \(text)") }
        let content = String(text.dropFirst(2))
        switch bytes[0] {
        case UInt8(ascii: "f"): return .element(PathElement(text: text))
        case UInt8(ascii: "v"):
            do throws(JSONError) { return .element(.value(try Value(json: content))) } catch { return .malformed(error.description) }
        case UInt8(ascii: "k"):
            do throws(JSONError) {
                guard case .object(let members) = try Value(json: content) else { return .malformed("expected an object: \(text)") }
                return .element(.key(Array(members)))
            } catch { return .malformed(error.description) }
        case UInt8(ascii: "i"): return Int(content).map { .element(.index($0)) } ?? .malformed("parsing \(content.goQuoted): invalid syntax")
        default: return .unknown
        }
    }

    /// The field's name; nil for elements of lists.
    package var fieldName: String? { rank == 0 ? String(text.dropFirst(2)) : nil }
    package var isKey: Bool { rank == 1 }

    /// Fields come first, then keys, values and places.
    private var rank: Int {
        switch text.utf8.first {
        case UInt8(ascii: "f"): 0
        case UInt8(ascii: "k"): 1
        case UInt8(ascii: "v"): 2
        default: 3
        }
    }

    /// `.spec`, `[name="main"]`, `[="x"]`, `[3]`: as paths stand in messages.
    package var description: String {
        let content = String(text.dropFirst(2))
        switch rank {
        case 0: return "." + content
        case 1:
            let members = Self.members(content)
            return "[" + members.map { "\($0.0)=\(Self.shown($0.1))" }.joined(separator: ",") + "]"
        case 2: return "[=\(Self.shown((try? Value(json: content)) ?? .null))]"  // Canonical text always parses.
        default: return "[\(content)]"
        }
    }

    private static func shown(_ value: Value) -> String { value.string.map(\.goQuoted) ?? value.jsonString }

    private static func members(_ text: String) -> [(String, Value)] {
        guard let parsed = try? Value(json: text), case .object(let members) = parsed else { return [] }  // Canonical text always parses.
        return Array(members)
    }

    // MARK: Order

    package static func < (a: PathElement, b: PathElement) -> Bool { a.compare(b) < 0 }

    /// Negative, zero or positive. Upstream: PathElement.Compare.
    func compare(_ other: PathElement) -> Int {
        if text == other.text { return 0 }
        let (mine, theirs) = (rank, other.rank)
        if mine != theirs { return mine - theirs }
        switch mine {
        // Faster than byte by byte, and the same for all but text that is not normalized.
        case 0: return text < other.text ? -1 : 1
        case 1: return Self.compareStrings(text, other.text) ?? Self.compareKeys(text, other.text)
        case 2:
            let left = (try? Value(json: String(text.dropFirst(2)))) ?? .null  // Canonical text always parses.
            let right = (try? Value(json: String(other.text.dropFirst(2)))) ?? .null
            return Self.compareValues(left, right)
        default: return (Int(text.dropFirst(2)) ?? 0) < (Int(other.text.dropFirst(2)) ?? 0) ? -1 : 1
        }
    }

    /// Most keys differ inside a string without escapes: then the bytes tell. Nil: they do not tell.
    private static func compareStrings(_ a: String, _ b: String) -> Int? {
        let quote = UInt8(ascii: "\"")
        var inString = false
        for (x, y) in zip(a.utf8, b.utf8) {
            if x == UInt8(ascii: "\\") || y == UInt8(ascii: "\\") { return nil }
            if x == y {
                if x == quote { inString.toggle() }
                continue
            }
            guard inString else { return nil }
            if x == quote { return -1 }
            if y == quote { return 1 }
            return x < y ? -1 : 1
        }
        return nil
    }

    private static func compareKeys(_ a: String, _ b: String) -> Int {
        let left = members(String(a.dropFirst(2)))
        let right = members(String(b.dropFirst(2)))
        for (x, y) in zip(left, right) {
            if x.0 != y.0 { return x.0.utf8.lexicographicallyPrecedes(y.0.utf8) ? -1 : 1 }
            let order = compareValues(x.1, y.1)
            if order != 0 { return order }
        }
        return left.count - right.count
    }

    /// Numbers before strings before booleans before all else. Upstream: value.Compare.
    private static func compareValues(_ a: Value, _ b: Value) -> Int {
        switch (a, b) {
        case (.int(let x), .int(let y)): return x < y ? -1 : x == y ? 0 : 1
        case (.string(let x), .string(let y)): return x == y ? 0 : x.utf8.lexicographicallyPrecedes(y.utf8) ? -1 : 1
        case (.bool(let x), .bool(let y)): return x == y ? 0 : y ? -1 : 1
        default:
            if let x = a.double, let y = b.double { return x < y ? -1 : x == y ? 0 : 1 }
            let (x, y) = (valueRank(a), valueRank(b))
            if x != y { return x - y }
            return a == b ? 0 : a.jsonString.utf8.lexicographicallyPrecedes(b.jsonString.utf8) ? -1 : 1
        }
    }

    private static func valueRank(_ value: Value) -> Int {
        switch value {
        case .int, .double: 0
        case .string: 1
        case .bool: 2
        case .array: 3
        case .object: 4
        case .null: 5
        }
    }
}
