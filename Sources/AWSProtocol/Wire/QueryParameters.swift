/// The parameters of a query or ec2-query request as a tree: `Filter.1.Value.2` is a value three levels down. Both list forms are read:
/// EC2's `Name.N` and IAM's `Name.member.N`.
package struct QueryParameters: Sendable {
    /// What stands at this very name.
    package private(set) var value: String?
    private var children: [String: QueryParameters] = [:]

    /// Deeper names than any model has are refused.
    private static let depthLimit = 12
    /// More parameters than a legal request needs: 1,000 filters' values are 200 × 5.
    private static let countLimit = 4_000

    package init() {}

    /// From decoded pairs. Throws `AWSError` for names too deep or too many, or given twice.
    package init(_ pairs: [(name: String, value: String)]) throws(AWSError) {
        guard pairs.count <= QueryParameters.countLimit else {
            throw AWSError("MalformedQueryString", "The request has more than \(QueryParameters.countLimit) parameters.")
        }
        for pair in pairs {
            let path = pair.name.split(separator: ".", omittingEmptySubsequences: false)
            guard path.count <= QueryParameters.depthLimit else {
                throw AWSError("MalformedQueryString", "The parameter \(pair.name.prefix(100)) is nested too deeply.")
            }
            guard insert(pair.value, at: path[...]) else {
                throw AWSError("MalformedQueryString", "The parameter \(pair.name.prefix(100)) is given twice.")
            }
        }
    }

    private mutating func insert(_ text: String, at path: ArraySlice<Substring>) -> Bool {
        guard let first = path.first else {
            guard value == nil else { return false }
            value = text
            return true
        }
        return children[String(first), default: QueryParameters()].insert(text, at: path.dropFirst())
    }

    /// The value of a direct parameter.
    package subscript(name: String) -> String? { children[name]?.value }

    /// The structure under `name`; empty when there is none.
    package func structure(_ name: String) -> QueryParameters { children[name] ?? QueryParameters() }

    /// Whether anything is given under `name`.
    package func has(_ name: String) -> Bool { children[name] != nil }

    /// The elements of the list `name`, in the order of their numbers.
    package func list(_ name: String) -> [QueryParameters] {
        guard let node = children[name] else { return [] }
        let holder = node.children["member"] ?? node
        let numbered = holder.children.compactMap { key, element in Int(key).map { (number: $0, element: element) } }
        return numbered.sorted { $0.number < $1.number }.map(\.element)
    }

    /// The list `name` of plain values.
    package func strings(_ name: String) -> [String] { list(name).compactMap(\.value) }

    /// What stands under this node as a document: numbered names are an array.
    package var document: AWSJSON {
        if let value { return .string(value) }
        let numbers = children.keys.compactMap { Int($0) }
        guard !children.isEmpty, numbers.count == children.count else { return .object(children.mapValues(\.document)) }
        return .array(numbers.sorted().compactMap { children[String($0)]?.document })
    }

    /// The names given directly under this node.
    package var names: [String] { children.keys.sorted() }
}
