/// A condition on single fields of an object: `metadata.name=x,status.phase!=Running`. Upstream: fields.Selector.
package struct FieldSelector: Sendable, Hashable, CustomStringConvertible {
    package struct Requirement: Sendable, Hashable {
        package var field: String
        package var value: String
        /// `!=` instead of `=`.
        package var negated: Bool

        package init(field: String, value: String, negated: Bool = false) {
            self.field = field
            self.value = value
            self.negated = negated
        }
    }

    package var requirements: [Requirement]

    /// All of `requirements` together; none of them matches everything.
    package init(_ requirements: [Requirement] = []) { self.requirements = requirements }

    package static let everything = FieldSelector()
    package var isEverything: Bool { requirements.isEmpty }

    /// Reads the string form. Upstream: fields.ParseSelector.
    package init(parsing text: String) throws(SelectorError) {
        requirements = []
        for term in Self.terms(text) where !term.isEmpty {
            guard let (field, op, value) = Self.split(term) else {
                throw SelectorError("invalid selector: '\(text)'; can't understand '\(term)'")
            }
            requirements.append(Requirement(field: field, value: try Self.unescape(value), negated: op == "!="))
        }
    }

    /// The value an exact match demands of `field`, if any: lets a lookup by name replace a scan. Upstream: Selector.RequiresExactMatch.
    package func exactMatch(_ field: String) -> String? { requirements.first { $0.field == field && !$0.negated }?.value }

    /// Whether all requirements hold, where `value` reads a field (empty for a missing one).
    package func matches(_ value: (String) -> String) -> Bool {
        requirements.allSatisfy { (value($0.field) == $0.value) != $0.negated }
    }

    package var description: String {
        requirements.map { "\($0.field)\($0.negated ? "!=" : "=")\(Self.escape($0.value))" }.joined(separator: ",")
    }

    /// The texts between commas that no backslash escapes.
    private static func terms(_ text: String) -> [String] {
        var terms: [String] = []
        var current = ""
        var escaped = false
        for character in text {
            if escaped {
                escaped = false
                current.append(character)
            } else if character == "," {
                terms.append(current)
                current = ""
            } else {
                escaped = character == "\\"
                current.append(character)
            }
        }
        terms.append(current)
        return terms
    }

    private static func split(_ term: String) -> (field: String, op: String, value: String)? {
        var at = term.startIndex
        while at < term.endIndex {
            for op in ["!=", "==", "="] where term[at...].hasPrefix(op) {
                return (String(term[..<at]), op, String(term[at...].dropFirst(op.count)))
            }
            at = term.index(after: at)
        }
        return nil
    }

    private static func escape(_ value: String) -> String {
        value.reduce(into: "") { out, character in
            if character == "\\" || character == "," || character == "=" { out.append("\\") }
            out.append(character)
        }
    }

    private static func unescape(_ value: String) throws(SelectorError) -> String {
        var out = ""
        var escaped = false
        for character in value {
            if escaped {
                guard character == "\\" || character == "," || character == "=" else {
                    throw SelectorError("invalid field selector: invalid escape sequence: \\\(character)")
                }
                escaped = false
                out.append(character)
            } else if character == "\\" {
                escaped = true
            } else if character == "," || character == "=" {
                throw SelectorError("invalid field selector: unescaped character in value: \(character)")
            } else {
                out.append(character)
            }
        }
        if escaped { throw SelectorError("invalid field selector: invalid escape sequence: \\") }
        return out
    }
}
