/// What types and fields are for, as `kubectl explain` shows it. Read when somebody asks, and not kept. Upstream: the doc comments of k8s.io/api, whose
/// words these are not.
package struct SchemaDescriptions: Sendable {
    private var texts: [Substring: Substring] = [:]

    package init() {
        EmbeddedTable.descriptions.forEachLine { line in
            guard let space = line.firstIndex(of: " ") else { return }
            texts[line[..<space]] = line[line.index(after: space)...]
        }
    }

    /// All names that have a text: types, fields of types, `*.FIELD` for all types and `@.FIELD` for those that are kinds.
    package var names: [String] { texts.keys.map(String.init) }

    package func text(of type: SchemaType) -> String? { texts[Self.short(type.name)].map(String.init) }

    /// Of a field; what is said of all fields of the name where nothing is said of this one.
    package func text(of field: String, in type: SchemaType) -> String? {
        let own = texts["\(Self.short(type.name)).\(field)"] ?? (type.kind == nil ? nil : texts["@.\(field)"])
        return (own ?? texts["*.\(field)"]).map(String.init)
    }

    private static func short(_ type: String) -> Substring { type.hasPrefix("api.") ? type.dropFirst(4) : type[...] }
}
