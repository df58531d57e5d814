import AWSProtocol

/// One call of a JSON 1.1 service on its way: CloudWatch Logs, SSM, KMS.
struct JSONCall: Sendable {
    var request: AWSRequest
    var input: AWSJSON
    var action: String
    /// The code that the service gives to bad input: `InvalidParameterException`, `ValidationException`.
    var badInput: String
    var now: Double

    /// Takes the operation's name of `X-Amz-Target` and the input of the body. Throws UnknownOperationException, SerializationException.
    init(_ request: AWSRequest, targetPrefix: String, badInput: String, now: Double) throws(AWSError) {
        let target = request.head.fields["X-Amz-Target"] ?? ""
        guard target.hasPrefix(targetPrefix + ".") else { throw AWSError("UnknownOperationException", "There is no operation \(target.prefix(100))") }
        action = String(target.dropFirst(targetPrefix.utf8.count + 1))
        do { input = request.body.isEmpty ? .object([:]) : try AWSJSON(parsing: request.body) } catch {
            throw AWSError("SerializationException", "The request's body is no JSON: \(error.problem) at byte \(error.offset)")
        }
        guard input.objectValue != nil else { throw AWSError("SerializationException", "The request's body is no JSON object") }
        self.request = request
        self.badInput = badInput
        self.now = now
    }

    func invalid(_ text: String) -> AWSError { AWSError(badInput, text) }

    /// An optional string. Throws for a member of another type.
    func string(_ name: String) throws(AWSError) -> String? {
        guard let member = input[name] else { return nil }
        guard let text = member.stringValue else { throw AWSError("SerializationException", "\(name) must be a string") }
        return text
    }

    /// A required string of the given length, of the characters that `isAllowed` takes.
    func required(_ name: String, longest: Int, isAllowed: (Unicode.Scalar) -> Bool = { _ in true }) throws(AWSError) -> String {
        guard let text = try string(name) else {
            throw invalid("1 validation error detected: Value null at '\(name)' failed to satisfy constraint: Member must not be null")
        }
        guard !text.isEmpty, text.unicodeScalars.count <= longest else {
            throw invalid(
                "1 validation error detected: Value '\(text.prefix(64))' at '\(name)' failed to satisfy constraint: Member must have a length from 1 to "
                    + "\(longest)")
        }
        guard text.unicodeScalars.allSatisfy(isAllowed) else {
            throw invalid(
                "1 validation error detected: Value '\(text.prefix(512))' at '\(name)' failed to satisfy constraint: Member must satisfy regular "
                    + "expression pattern")
        }
        return text
    }

    /// An optional number within `range`.
    func integer(_ name: String, in range: ClosedRange<Int>) throws(AWSError) -> Int? {
        guard let member = input[name] else { return nil }
        guard let value = member.intValue else { throw AWSError("SerializationException", "\(name) must be a whole number") }
        guard range.contains(value) else {
            throw invalid(
                "1 validation error detected: Value '\(value)' at '\(name)' failed to satisfy constraint: Member must have value from "
                    + "\(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func bool(_ name: String) throws(AWSError) -> Bool? {
        guard let member = input[name] else { return nil }
        guard let value = member.boolValue else { throw AWSError("SerializationException", "\(name) must be true or false") }
        return value
    }

    /// An optional list of strings.
    func strings(_ name: String) throws(AWSError) -> [String] {
        guard let member = input[name] else { return [] }
        guard let values = member.stringArray else { throw AWSError("SerializationException", "\(name) must be a list of strings") }
        return values
    }

    /// Tags as a map. Throws for reserved keys and too many.
    func tagMap(_ name: String) throws(AWSError) -> [String: String] {
        guard let member = input[name] else { return [:] }
        guard let tags = member.stringMap else { throw AWSError("SerializationException", "\(name) must be a map of strings") }
        return try checked(tags)
    }

    func checked(_ tags: [String: String]) throws(AWSError) -> [String: String] {
        for (key, value) in tags where key.isEmpty || key.count > 128 || value.count > 256 || key.lowercased().hasPrefix("aws:") {
            throw invalid("The tag key '\(key.prefix(128))' is invalid: 1 to 128 characters, not beginning with aws:, with a value of at most 256")
        }
        guard tags.count <= 50 else { throw invalid("A resource has at most 50 tags") }
        return tags
    }

    /// What condition keys say of the call.
    func context(tags: [String: String]) -> PolicyContext {
        var context = request.conditionContext
        for (key, value) in tags { context["aws:requesttag/" + key.lowercased()] = [value] }
        if !tags.isEmpty { context["aws:tagkeys"] = tags.keys.sorted() }
        return context
    }
}

extension AWSResponse {
    /// An answer of a JSON 1.1 service; operations that return nothing answer an empty body.
    static func json11(_ document: AWSJSON?) -> AWSResponse {
        AWSResponse(contentType: "application/x-amz-json-1.1", body: document.map(\.encoded) ?? [])
    }
}
