import AWSProtocol
import ClusterLifecycle

/// Gathers an operation's input from path, query and body, and checks it against the model.
struct InputBinding {
    let model: EKSModel
    private var problems: [String] = []
    /// More are not told: the caller has enough to do.
    private static let problemLimit = 10

    init(model: EKSModel) { self.model = model }

    /// The input as one document. Throws SerializationException for a body that is no JSON object, InvalidParameterException for everything the
    /// model forbids.
    static func bind(
        _ operation: EKSOperation, parameters: [String: String], query: [(name: String, value: String)], body: [UInt8], model: EKSModel = .shared
    ) throws(AWSError) -> AWSJSON {
        guard let input = operation.input, case .structure(let members)? = model.shapes[input] else { return .object([:]) }
        var document: [String: AWSJSON] = [:]
        if !body.allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) {
            do {
                guard let object = try AWSJSON(parsing: body).objectValue else { throw notAnObject }
                document = object
            } catch let error as AWSJSONError {
                throw AWSError(
                    "SerializationException", "The request's body is not valid JSON: \(error.problem) at byte \(error.offset)", status: 400)
            } catch {
                throw notAnObject
            }
        }
        for member in members {
            switch member.place {
            case .body: break
            case .uri(let wire): document[member.name] = parameters[wire].map(AWSJSON.string)
            case .query(let wire):
                let values = query.filter { $0.name == wire }.map(\.value)
                document[member.name] = values.isEmpty ? nil : try fromQuery(values, member, model)
            }
        }
        var binding = InputBinding(model: model)
        binding.check(.object(document), shape: input, at: "")
        guard binding.problems.isEmpty else {
            let count = binding.problems.count
            throw EKSFault.invalidParameter(
                "\(count) validation error\(count == 1 ? "" : "s") detected: " + binding.problems.joined(separator: "; "), names(of: document))
        }
        return .object(document)
    }

    private static let notAnObject = AWSError("SerializationException", "The request's body must be a JSON object", status: 400)

    /// The names that errors carry beside their message.
    static func names(of document: [String: AWSJSON]) -> [String: AWSJSON] {
        var names: [String: AWSJSON] = [:]
        for name in ["clusterName", "nodegroupName", "addonName", "fargateProfileName"] {
            if let value = document[name]?.stringValue { names[name] = .string(value) }
        }
        return names
    }

    private static func fromQuery(_ values: [String], _ member: EKSShape.Member, _ model: EKSModel) throws(AWSError) -> AWSJSON {
        switch model.shapes[member.shape] {
        case .list: return .strings(values)
        case .integer:
            guard let number = values.first.flatMap({ Int($0) }) else { throw EKSFault.invalidParameter("\(member.name) must be an integer") }
            return .integer(number)
        case .boolean:
            guard let text = values.first, text == "true" || text == "false" else {
                throw EKSFault.invalidParameter("\(member.name) must be true or false")
            }
            return .bool(text == "true")
        default: return .string(values.first ?? "")
        }
    }

    private mutating func fail(_ value: String, _ place: String, _ constraint: String) {
        guard problems.count < InputBinding.problemLimit else { return }
        problems.append("Value \(value) at '\(place)' failed to satisfy constraint: \(constraint)")
    }

    private mutating func check(_ value: AWSJSON, shape name: String, at place: String) {
        guard let shape = model.shapes[name] else { return }
        switch (shape, value) {
        case (.structure(let members), .object(let object)):
            for member in members {
                let inner = place.isEmpty ? member.name : "\(place).\(member.name)"
                guard let value = object[member.name], value != .null else {
                    if member.isRequired { fail("null", inner, "Member must not be null") }
                    continue
                }
                check(value, shape: member.shape, at: inner)
            }
        case (.list(let element, let limits), .array(let elements)):
            check(count: elements.count, limits, "'\(elements.count) elements'", place)
            for (index, value) in elements.enumerated() { check(value, shape: element, at: "\(place).\(index + 1).member") }
        case (.map(let key, let element, let limits), .object(let object)):
            check(count: object.count, limits, "'\(object.count) entries'", place)
            for (name, value) in object {
                check(.string(name), shape: key, at: "\(place).\(name.prefix(64)).key")
                check(value, shape: element, at: "\(place).\(name.prefix(64)).member")
            }
        case (.enumeration(let values), .string(let text)):
            if !values.contains(text) {
                fail("'\(text.prefix(100))'", place, "Member must satisfy enum value set: [\(values.joined(separator: ", "))]")
            }
        case (.string(let limits, let pattern), .string(let text)):
            check(count: text.count, limits, "'\(text.prefix(200))'", place)
            if let pattern, !InputBinding.matches(text, pattern) {
                fail("'\(text.prefix(200))'", place, "Member must satisfy regular expression pattern: \(pattern)")
            }
        case (.integer(let limits), _) where value.intValue != nil: check(range: Double(value.intValue ?? 0), limits, place)
        case (.double(let limits), .double(let number)): check(range: number, limits, place)
        case (.double(let limits), .integer(let number)): check(range: Double(number), limits, place)
        case (.boolean, .bool), (.timestamp, .double), (.timestamp, .integer): break
        default: fail("of another type", place, "Member must be \(InputBinding.kind(shape))")
        }
    }

    private mutating func check(count: Int, _ limits: EKSShape.Limits, _ value: String, _ place: String) {
        if let min = limits.min, count < min { fail(value, place, "Member must have length greater than or equal to \(min)") }
        if let max = limits.max, count > max { fail(value, place, "Member must have length less than or equal to \(max)") }
    }

    private mutating func check(range value: Double, _ limits: EKSShape.Limits, _ place: String) {
        let text = value == value.rounded() && abs(value) < 1e15 ? "'\(Int(value))'" : "'\(value)'"
        if let min = limits.min, value < Double(min) { fail(text, place, "Member must have value greater than or equal to \(min)") }
        if let max = limits.max, value > Double(max) { fail(text, place, "Member must have value less than or equal to \(max)") }
    }

    /// The model has few patterns; a test says so. Checked by hand, a name costs no regular expression.
    private static func matches(_ text: String, _ pattern: String) -> Bool {
        func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
        func isLowerOrDigit(_ byte: UInt8) -> Bool { isLower(byte) || (0x30...0x39).contains(byte) }
        if pattern == ackServicePattern { return text.utf8.first.map(isLower) ?? false && text.utf8.allSatisfy(isLowerOrDigit) }
        if pattern == endpointPrefixPattern {
            guard let first = text.utf8.first, let last = text.utf8.last, isLowerOrDigit(first), isLowerOrDigit(last) else { return false }
            return text.utf8.allSatisfy { isLowerOrDigit($0) || $0 == 0x2D }
        }
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
        if pattern == shiftIDPattern { return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D } }
        if pattern == expiresInPattern {
            guard let first = text.utf8.first, (0x31...0x39).contains(first), text.hasSuffix("m") || text.hasSuffix("h") else { return false }
            return text.utf8.dropLast().allSatisfy { (0x30...0x39).contains($0) }
        }
        guard pattern == namePattern, let first = text.utf8.first else { return pattern != namePattern }
        guard isAlphanumeric(first) else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F }
    }
    static let ackServicePattern = "^[a-z][a-z0-9]*$"
    static let endpointPrefixPattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    static let shiftIDPattern = "[A-Za-z0-9-]+"
    static let expiresInPattern = "([1-9][0-9]*)(m|h)"
    static let namePattern = #"^[0-9A-Za-z][A-Za-z0-9\-_]*"#

    private static func kind(_ shape: EKSShape) -> String {
        switch shape {
        case .structure, .map: "an object"
        case .list: "a list"
        case .enumeration, .string: "a string"
        case .integer: "an integer"
        case .double: "a number"
        case .boolean: "a boolean"
        case .timestamp: "a timestamp"
        }
    }
}
