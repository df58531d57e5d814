extension TypedWalk {
    /// Paths of lists, maps and objects in a partial object that have one owner as a whole: setting them would drop what they do not name.
    /// Upstream: mutating/patch.findAtomics.
    package func atomicPaths(in partial: Value) -> [String] {
        var found: [String] = []
        findAtomics(partial, root, "", isRoot: true, &found)
        return found
    }

    private func findAtomics(_ value: Value, _ reference: TypeReference, _ path: String, isRoot: Bool = false, _ found: inout [String]) {
        let shape = shape(reference, value)
        switch (shape, value) {
        case (.atomic, .array), (.atomic, .object): found.append(path)
        case (.structure, .object(let members)), (.map, .object(let members)):
            for (name, child) in members {
                let (reference, isNamed) = member(name, of: shape, isRoot: isRoot)
                if isNamed { findAtomics(child, reference, "\(path).\(name)", &found) }
            }
        case (.associative(_, let element), .array(let items)):
            for (index, item) in items.enumerated() { findAtomics(item, element, "\(path)[\(index)]", &found) }
        default: break
        }
    }
}
