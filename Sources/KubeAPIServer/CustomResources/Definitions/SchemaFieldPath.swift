import KubeAPI

/// A path to a field, such as `.spec.replicas` or `.spec['a.b']`, checked against a schema. Upstream: cel.ValidFieldPath.
struct SchemaFieldPath {
    private(set) var names: [String] = []
    /// The node the path leads to.
    private(set) var schema: StructuralSchema

    /// Nil for a path that is none, or that the schema does not have. `why` is what upstream says of it.
    init?(_ text: String, in root: StructuralSchema) {
        guard case .success(let path) = Self.parse(text, in: root) else { return nil }
        self = path
    }

    private init(schema: StructuralSchema) { self.schema = schema }

    /// Why a text is no path.
    struct Problem: Error { var text: String }

    static func parse(_ text: String, in root: StructuralSchema) -> Result<SchemaFieldPath, Problem> {
        var path = SchemaFieldPath(schema: root)
        var rest = text[...]
        if rest.isEmpty { return .failure(Problem(text: "must not be empty")) }
        while let c = rest.first {
            let name: String
            let mustBeMap: Bool
            if c == "." {
                rest.removeFirst()
                let part = rest.prefix { $0 != "." && $0 != "[" }
                guard !part.isEmpty else { return .failure(Problem(text: "unexpected end of JSON path")) }
                name = String(part)
                rest = rest.dropFirst(part.count)
                mustBeMap = false
            } else if c == "[" {
                guard rest.hasPrefix("['"), let end = rest.range(ofQuoteBracketAfter: 2) else {
                    return .failure(Problem(text: "expected single quoted string but got \(rest)"))
                }
                name = unescaped(rest[rest.index(rest.startIndex, offsetBy: 2)..<end])
                rest = rest[rest.index(end, offsetBy: 2)...]
                mustBeMap = true
            } else {
                return .failure(Problem(text: "expected [ or . but got: \(c)"))
            }
            if let property = path.schema.property(name) {
                path.schema = property
            } else if mustBeMap, let additional = path.schema.additionalSchema {
                path.schema = additional
            } else {
                return .failure(Problem(text: "does not refer to a valid field"))
            }
            path.names.append(name)
        }
        return .success(path)
    }

    private static func unescaped(_ text: Substring) -> String {
        var out = ""
        var isEscaped = false
        for c in text {
            if c == "\\", !isEscaped {
                isEscaped = true
            } else {
                out.append(c)
                isEscaped = false
            }
        }
        return out
    }

    /// `spec.replicas`, `spec[a.b]`: as paths stand in errors.
    var shown: String {
        names.enumerated().map { index, name in
            let isPlain = name.utf8.allSatisfy { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "/") }
            return isPlain ? (index == 0 ? name : "." + name) : "[\(name)]"
        }.joined()
    }
}

extension Substring {
    /// Where the quote stands that, with a bracket after it, ends a quoted name which begins `offset` characters in.
    fileprivate func range(ofQuoteBracketAfter offset: Int) -> Substring.Index? {
        guard var at = index(startIndex, offsetBy: offset, limitedBy: endIndex) else { return nil }
        var isEscaped = false
        while at < endIndex {
            let c = self[at]
            let next = index(after: at)
            if isEscaped {
                isEscaped = false
            } else if c == "\\" {
                isEscaped = true
            } else if c == "'" {
                return next < endIndex && self[next] == "]" ? at : nil
            }
            at = next
        }
        return nil
    }
}
