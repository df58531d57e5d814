/// Why a text or object is no selector; the text is upstream's.
package struct SelectorError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// A condition on an object's labels: all requirements must hold. Upstream: labels.Selector and metav1.LabelSelector.
package struct LabelSelector: Sendable, Hashable, CustomStringConvertible {
    /// Upstream: selection.Operator.
    package enum Operator: String, Sendable, Hashable {
        case equals = "="
        case doubleEquals = "=="
        case notEquals = "!="
        case `in` = "in"
        case notIn = "notin"
        case exists = "exists"
        case doesNotExist = "!"
        case greaterThan = "gt"
        case lessThan = "lt"
    }

    /// Upstream: labels.Requirement.
    package struct Requirement: Sendable, Hashable, CustomStringConvertible {
        package let key: String
        package let op: Operator
        /// Sorted, without duplicates.
        package let values: [String]

        /// Checks key and values by the rules of labels. Upstream: labels.NewRequirement.
        package init(key: String, op: Operator, values: [String] = []) throws(SelectorError) {
            try self.init(unchecked: key, op, Set(values).sorted())
            if let problem = LabelSyntax.problemOfKey(key) { throw SelectorError("key: Invalid value: \(key.goQuoted): \(problem)") }
            let list = "[" + self.values.map(\.goQuoted).joined(separator: ",") + "]"
            switch op {
            case .in, .notIn:
                if self.values.isEmpty {
                    throw SelectorError("values: Invalid value: \(list): for 'in', 'notin' operators, values set can't be empty")
                }
            case .equals, .doubleEquals, .notEquals:
                if self.values.count != 1 {
                    throw SelectorError("values: Invalid value: \(list): exact-match compatibility requires one single value")
                }
            case .exists, .doesNotExist:
                if !self.values.isEmpty {
                    throw SelectorError("values: Invalid value: \(list): values set must be empty for exists and does not exist")
                }
            case .greaterThan, .lessThan:
                if self.values.count != 1 {
                    throw SelectorError("values: Invalid value: \(list): for 'Gt', 'Lt' operators, exactly one value is required")
                }
                if let value = self.values.first, Int64(value) == nil {
                    throw SelectorError("values[0]: Invalid value: \(value.goQuoted): for 'Gt', 'Lt' operators, the value must be an integer")
                }
            }
            for (index, value) in self.values.enumerated() {
                guard let problem = LabelSyntax.problemOfValue(value) else { continue }
                throw SelectorError("values[\(index)][\(key)]: Invalid value: \(value.goQuoted): \(problem)")
            }
        }

        init(unchecked key: String, _ op: Operator, _ values: [String]) throws(SelectorError) {
            self.key = key
            self.op = op
            self.values = values
        }

        /// Whether the labels fulfil it. Upstream: Requirement.Matches.
        package func matches(_ labels: [String: String]) -> Bool { matches { labels[$0] } }

        /// The same, for labels read one by one.
        package func matches(_ label: (String) -> String?) -> Bool {
            let found = label(key)
            switch op {
            case .in, .equals, .doubleEquals: return found.map(values.contains) ?? false
            case .notIn, .notEquals: return found.map { !values.contains($0) } ?? true
            case .exists: return found != nil
            case .doesNotExist: return found == nil
            case .greaterThan, .lessThan:
                guard let number = found.flatMap({ Int64($0) }), let bound = values.first.flatMap({ Int64($0) }) else { return false }
                return op == .greaterThan ? number > bound : number < bound
            }
        }

        package var description: String {
            let list = values.joined(separator: ",")
            return switch op {
            case .exists: key
            case .doesNotExist: "!\(key)"
            case .equals, .doubleEquals, .notEquals: "\(key)\(op.rawValue)\(list)"
            case .in, .notIn: "\(key) \(op.rawValue) (\(list))"
            case .greaterThan: "\(key)>\(list)"
            case .lessThan: "\(key)<\(list)"
            }
        }
    }

    /// Sorted by key.
    package private(set) var requirements: [Requirement]
    /// Matches no object at all. Upstream: labels.Nothing.
    package private(set) var isNothing = false

    /// All of `requirements` together; none of them matches everything.
    package init(_ requirements: [Requirement] = []) { self.requirements = Self.sorted(requirements) }

    /// Stable, as upstream's selectors with two requirements of one key keep their order.
    private static func sorted(_ requirements: [Requirement]) -> [Requirement] {
        requirements.enumerated().sorted { ($0.element.key, $0.offset) < ($1.element.key, $1.offset) }.map(\.element)
    }

    package static let everything = LabelSelector()
    package static var nothing: LabelSelector {
        var selector = LabelSelector()
        selector.isNothing = true
        return selector
    }

    package var isEverything: Bool { requirements.isEmpty && !isNothing }

    /// Equality with each label. Not checked by the rules of labels. Upstream: labels.SelectorFromSet.
    package init(matching labels: [String: String]) {
        self.init(labels.compactMap { try? Requirement(unchecked: $0.key, .equals, [$0.value]) })  // The unchecked initializer throws nothing.
    }

    /// Reads the string form: `a=b,c!=d,e in (x,y),!f,g,h>1`. Upstream: labels.Parse.
    package init(parsing text: String) throws(SelectorError) {
        var parser = LabelSelectorParser(text)
        self.init(try parser.parse())
    }

    /// Reads the object form: matchLabels and matchExpressions. A missing selector matches nothing, an empty one everything.
    /// Upstream: metav1.LabelSelectorAsSelector.
    package init(object: JSONView?) throws(SelectorError) {
        guard let object, !object.isNull else {
            self = .nothing
            return
        }
        var requirements: [Requirement] = []
        for (key, value) in object["matchLabels"].stringMap.sorted(by: { $0.key < $1.key }) {
            requirements.append(try Requirement(key: key, op: .equals, values: [value]))
        }
        for expression in object["matchExpressions"].elements {
            let name = expression["operator"].string ?? ""
            let op: Operator
            switch name {
            case "In": op = .in
            case "NotIn": op = .notIn
            case "Exists": op = .exists
            case "DoesNotExist": op = .doesNotExist
            default: throw SelectorError("\(name.goQuoted) is not a valid label selector operator")
            }
            requirements.append(try Requirement(key: expression["key"].string ?? "", op: op, values: expression["values"].strings))
        }
        self.init(requirements)
    }

    /// Whether the labels fulfil all requirements. Upstream: Selector.Matches.
    package func matches(_ labels: [String: String]) -> Bool { !isNothing && requirements.allSatisfy { $0.matches(labels) } }

    /// Matches without making a dictionary of the labels.
    package func matches(_ object: Object) -> Bool {
        if isNothing { return false }
        if requirements.isEmpty { return true }
        let labels = object["metadata"]["labels"]
        return requirements.allSatisfy { $0.matches { labels[$0].string } }
    }

    /// The canonical string form. Upstream: labels.Selector.String.
    package var description: String { requirements.map(\.description).joined(separator: ",") }
}
