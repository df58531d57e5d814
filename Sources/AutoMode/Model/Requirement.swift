import KubeAPI

/// What a label of a node must be. Upstream: karpenter.sh/v1 NodeSelectorRequirementWithMinValues.
struct Requirement: Sendable, Hashable {
    var key: String
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`, `Gte`, `Lte`.
    var op: String
    var values: [String]

    init(key: String, op: String, values: [String] = []) {
        self.key = key
        self.op = op
        self.values = values
    }

    init(_ view: JSONView) {
        self.init(key: view["key"].string ?? "", op: view["operator"].string ?? "", values: view["values"].strings)
    }

    var value: Value {
        values.isEmpty
            ? ["key": .string(key), "operator": .string(op)] : ["key": .string(key), "operator": .string(op), "values": Value(values)]
    }

    func matches(_ value: String?) -> Bool {
        switch op {
        case "In": return value.map(values.contains) ?? false
        case "NotIn": return value.map { !values.contains($0) } ?? true
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        default:
            guard let number = value.flatMap({ Int64($0) }), let bound = values.first.flatMap({ Int64($0) }) else { return false }
            switch op {
            case "Gt": return number > bound
            case "Lt": return number < bound
            case "Gte": return number >= bound
            case "Lte": return number <= bound
            default: return false
            }
        }
    }
}

extension [Requirement] {
    func match(_ labels: [String: String]) -> Bool { allSatisfy { $0.matches(labels[$0.key]) } }
}
