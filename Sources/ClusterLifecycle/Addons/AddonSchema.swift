import AWSProtocol

/// What an add-on's settings may be: as much of JSON schema as they need, with the words of the validator that EKS uses.
/// Upstream: DescribeAddonConfiguration's configurationSchema (draft 6); networknt json-schema-validator's messages.
indirect enum AddonSchema: Sendable, Equatable {
    case object([String: AddonSchema])
    /// Any members.
    case open
    case map(AddonSchema)
    case array(AddonSchema)
    case string
    case choice([String])
    case boolean
    case integer(ClosedRange<Int>)

    /// Problems of a list are worth telling one by one up to here.
    private static let maximumProblems = 20

    /// `["true", "false"]`: the texts that charts take for a switch.
    static let flag = choice(["true", "false"])

    /// The schema as DescribeAddonConfiguration gives it.
    func document(title: String) -> AWSJSON {
        guard case .object(var members) = json else { return json }
        members["$schema"] = "http://json-schema.org/draft-06/schema#"
        members["title"] = .string(title)
        return .object(members)
    }

    private var json: AWSJSON {
        switch self {
        case .object(let properties):
            ["type": "object", "additionalProperties": false, "properties": .object(properties.mapValues(\.json))]
        case .open: ["type": "object"]
        case .map(let value): ["type": "object", "additionalProperties": value.json]
        case .array(let element): ["type": "array", "items": element.json]
        case .string: ["type": "string"]
        case .choice(let values): ["type": "string", "enum": .strings(values)]
        case .boolean: ["type": "boolean"]
        case .integer(let range): ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        }
    }

    /// What is wrong with a document: `$.replicaCount: string found, integer expected`.
    func problems(_ value: AWSJSON, at path: String = "$") -> [String] {
        switch (self, value) {
        case (.object(let properties), .object(let members)):
            return Array(
                members.sorted { $0.key < $1.key }.flatMap { name, member -> [String] in
                    let path = "\(path).\(name.prefix(100))"
                    guard let property = properties[name] else {
                        return ["\(path): is not defined in the schema and the schema does not allow additional properties"]
                    }
                    return property.problems(member, at: path)
                }.prefix(Self.maximumProblems))
        case (.map(let schema), .object(let members)):
            return members.sorted { $0.key < $1.key }.flatMap { schema.problems($0.value, at: "\(path).\($0.key.prefix(100))") }
        case (.array(let schema), .array(let elements)):
            return elements.enumerated().flatMap { schema.problems($0.element, at: "\(path)[\($0.offset)]") }
        case (.open, .object), (.string, .string), (.boolean, .bool): return []
        case (.choice(let values), .string(let text)):
            return values.contains(text) ? [] : ["\(path): does not have a value in the enumeration [\(values.joined(separator: ", "))]"]
        case (.integer(let range), _) where value.intValue != nil:
            let number = value.intValue ?? 0
            if number < range.lowerBound { return ["\(path): must have a minimum value of \(range.lowerBound)"] }
            return number > range.upperBound ? ["\(path): must have a maximum value of \(range.upperBound)"] : []
        default: return ["\(path): \(Self.kind(value)) found, \(kind) expected"]
        }
    }

    private var kind: String {
        switch self {
        case .object, .open, .map: "object"
        case .array: "array"
        case .string, .choice: "string"
        case .boolean: "boolean"
        case .integer: "integer"
        }
    }

    private static func kind(_ value: AWSJSON) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
