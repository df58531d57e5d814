extension TypedWalk {
    /// What of an object does not fit its type, one text for each problem: `.spec.foo: field not declared in schema`. Upstream: TypedValue.Validate.
    package func problems(in object: Value) -> [String] {
        var problems: [String] = []
        var path: [PathElement] = []
        validate(object, root, &path, &problems, isRoot: true)
        return problems
    }

    /// Several problems as upstream prints them. Upstream: typed.ValidationErrors.Error.
    package static func describe(_ problems: [String]) -> String {
        problems.count == 1 ? problems[0] : (["errors:"] + problems.map { "  " + $0 }).joined(separator: "\n")
    }

    private func validate(
        _ value: Value, _ reference: TypeReference, _ path: inout [PathElement], _ problems: inout [String], isRoot: Bool = false
    ) {
        // Upstream stops counting nowhere; a body of junk keys must not grow the answer without bound.
        guard problems.count < ObjectDecoder.problemLimit else { return }
        func note(_ text: String) {
            problems.append(path.isEmpty ? text : path.map(\.description).joined() + ": " + text)
        }
        if value.isNull { return }
        if let expected = expectation(reference.type, value) { return note("expected \(expected), got \(Self.shown(value))") }
        let shape = shape(reference, value)
        switch shape {
        case .scalar: break
        case .atomic:
            // Inside of a whole, types still count.
            switch (reference.type, value) {
            case (.array(let element), .array(let items)):
                for (index, item) in items.enumerated() {
                    path.append(.index(index))
                    validate(item, TypeReference(element), &path, &problems)
                    path.removeLast()
                }
            case (.object(let place), .object(let members)):
                if let type = table[place] { validateMembers(members, .structure(type), &path, &problems, isRoot: false) }
            case (.map(let element), .object(let members)):
                validateMembers(members, .map(TypeReference(element)), &path, &problems, isRoot: false)
            default: break
            }
        case .structure, .map: validateMembers(value.object ?? Members(), shape, &path, &problems, isRoot: isRoot)
        case .set, .associative:
            let inner: TypeReference = if case .associative(_, let element) = shape { element } else { .deduced }
            var seen: Set<PathElement> = []
            for (index, item) in (value.array ?? []).enumerated() {
                let element: PathElement
                do throws(ElementError) { element = try self.element(item, of: shape) } catch {
                    note("element \(index): \(error.message)")
                    continue
                }
                if !seen.insert(element).inserted { note("duplicate entries for key \(element)") }
                path.append(element)
                validate(item, inner, &path, &problems)
                path.removeLast()
            }
        }
    }

    private func validateMembers(_ members: Members, _ shape: Shape, _ path: inout [PathElement], _ problems: inout [String], isRoot: Bool) {
        for (name, value) in members {
            let (reference, isNamed) = member(name, of: shape, isRoot: isRoot)
            path.append(.field(name))
            if case .structure(let type) = shape, !isNamed, !type.isOpen {
                if problems.count < ObjectDecoder.problemLimit {
                    problems.append(path.map(\.description).joined() + ": field not declared in schema")
                }
            } else {
                validate(value, reference, &path, &problems)
            }
            path.removeLast()
        }
    }

    /// What a type expects, when the value is none of it.
    private func expectation(_ type: FieldType, _ value: Value) -> String? {
        switch (type, value) {
        case (.string, .string), (.bytes, .string), (.bool, .bool): nil
        case (.string, _), (.bytes, _): "string"
        case (.bool, _): "boolean"
        case (.int32, .int), (.int64, .int), (.double, .int), (.int32, .double), (.int64, .double), (.double, .double): nil
        case (.int32, _), (.int64, _), (.double, _): "numeric (int or float)"
        case (.array, .array), (.object, .object), (.map, .object): nil
        case (.array, _): "list"
        case (.object, _), (.map, _): "map"
        case (.time, .object), (.microTime, .object), (.quantity, .object), (.intOrString, .object),
            (.time, .array), (.microTime, .array), (.quantity, .array), (.intOrString, .array):
            "scalar"
        default: nil
        }
    }

    private static func shown(_ value: Value) -> String {
        switch value {
        case .object: "&{\(value.jsonString)}"
        case .array: value.jsonString
        default: value.string.map(\.goQuoted) ?? value.jsonString
        }
    }
}
