import AWSProtocol

/// What is asked of a new session of a role.
struct SessionRequest: Sendable {
    var roleARN: String
    var name: String
    var seconds: Int
    var limits: SessionLimits?
    var attributes = SessionAttributes()
    var externalID: String?

    /// What condition keys say of the request. Upstream: IAM User Guide, "Keys available for AWS STS".
    var context: PolicyContext {
        var context: PolicyContext = ["sts:rolesessionname": [name]]
        context["sts:externalid"] = externalID.map { [$0] }
        context["sts:sourceidentity"] = attributes.sourceIdentity.map { [$0] }
        for (key, value) in attributes.tags { context["aws:requesttag/" + key.lowercased()] = [value] }
        if !attributes.tags.isEmpty { context["aws:tagkeys"] = attributes.tags.keys.sorted() }
        if !attributes.transitiveTagKeys.isEmpty { context["sts:transitivetagkeys"] = attributes.transitiveTagKeys }
        return context
    }

    static let tooLong = IAMFault.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")

    /// What a trust policy must allow for this.
    func actions(_ main: String) -> [String] {
        [main] + (attributes.tags.isEmpty ? [] : ["sts:TagSession"]) + (attributes.sourceIdentity == nil ? [] : ["sts:SetSourceIdentity"])
    }
}

extension SessionLimits {
    /// How much of the room for session policies is used, at most 100.
    var packedPercentage: Int {
        min(100, ((policy.map { $0.utf8.count } ?? 0) + policyARNs.reduce(0) { $0 + $1.utf8.count }) * 100 / SessionLimits.roomForPolicies)
    }

    /// Characters of session policies. Upstream: IAM User Guide, "IAM and STS quotas".
    static let roomForPolicies = 2_048
    static let longestList = 10
}

extension STSCall {
    private static let nameCharacters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-")

    /// Throws ValidationError, MalformedPolicyDocument, PackedPolicyTooLarge.
    func sessionRequest() throws(AWSError) -> SessionRequest {
        let arn = parameters["RoleArn"] ?? ""
        guard let parsed = ARN(arn), parsed.service == "iam", parsed.resource.hasPrefix("role/") else {
            throw IAMFault.invalid("\(arn.prefix(200)) is invalid")
        }
        var request = SessionRequest(
            roleARN: arn, name: try name("RoleSessionName") ?? "", seconds: try duration(standard: 3_600, longest: 43_200), limits: try limits(),
            externalID: parameters["ExternalId"])
        guard !request.name.isEmpty else {
            throw IAMFault.invalid(
                "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null")
        }
        request.attributes.sourceIdentity = try name("SourceIdentity")
        for tag in parameters.list("Tags") {
            let (key, value) = (tag["Key"] ?? "", tag["Value"] ?? "")
            guard !key.isEmpty, key.count <= 128, value.count <= 256, !key.lowercased().hasPrefix("aws:") else {
                throw IAMFault.invalid(
                    "The tag key '\(key.prefix(128))' is invalid: 1 to 128 characters, not beginning with aws:, with a value of at most 256")
            }
            guard request.attributes.tags.updateValue(value, forKey: key) == nil else {
                throw IAMFault.invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
            }
        }
        request.attributes.transitiveTagKeys = parameters.strings("TransitiveTagKeys")
        for key in request.attributes.transitiveTagKeys where request.attributes.tags[key] == nil {
            throw IAMFault.invalid("The transitive tag key '\(key.prefix(128))' is not among the tags.")
        }
        guard request.attributes.tags.count <= 50 else { throw IAMFault.invalid("Member must have length less than or equal to 50") }
        return request
    }

    /// `DurationSeconds`. Throws ValidationError.
    func duration(standard: Int, longest: Int) throws(AWSError) -> Int {
        guard let text = parameters["DurationSeconds"] else { return standard }
        guard let seconds = Int(text), (900...longest).contains(seconds) else {
            throw IAMFault.invalid(
                "1 validation error detected: Value '\(text.prefix(20))' at 'durationSeconds' failed to satisfy constraint: "
                    + "Member must have value between 900 and \(longest)")
        }
        return seconds
    }

    private func name(_ parameter: String) throws(AWSError) -> String? {
        guard let text = parameters[parameter] else { return nil }
        guard (2...64).contains(text.count), text.allSatisfy(STSCall.nameCharacters.contains) else {
            throw IAMFault.invalid(
                "1 validation error detected: Value '\(text.prefix(70))' at '\(parameter.prefix(1).lowercased() + parameter.dropFirst())' failed to "
                    + "satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*, with 2 to 64 characters")
        }
        return text
    }

    private func limits() throws(AWSError) -> SessionLimits? {
        let arns = parameters.list("PolicyArns").map { $0["arn"] ?? "" }
        let policy = parameters["Policy"]
        guard policy != nil || !arns.isEmpty else { return nil }
        if let policy { try PolicyDocument.checkIdentityPolicy(policy) }
        let limits = SessionLimits(policy: policy, policyARNs: arns)
        guard arns.count <= SessionLimits.longestList, (policy?.count ?? 0) <= SessionLimits.roomForPolicies else {
            throw AWSError(
                "PackedPolicyTooLarge", "The session's policies are larger than \(SessionLimits.roomForPolicies) characters, or more than 10.")
        }
        return limits
    }
}
