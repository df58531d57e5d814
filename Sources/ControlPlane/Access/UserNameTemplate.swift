/// A user or group name with placeholders for what is known of the bearer only when he comes. Upstream: aws-iam-authenticator
/// server.renderTemplate.
struct UserNameTemplate {
    /// A placeholder that nothing is known for.
    struct Unrenderable: Error, CustomStringConvertible {
        var description: String
    }

    let identity: AWSIdentity
    /// The private DNS name of an instance of the account; nil when there is none.
    let privateDNSName: @Sendable (_ instanceID: String) async -> String?

    private static let instancePlaceholder = "{{EC2PrivateDNSName}}"
    /// A name stays far below this; one that grows beyond is a mistake.
    private static let longestName = 2_048

    /// Throws `Unrenderable` for a role that no instance has assumed. What is put in is not looked at again, so a session's name cannot bring
    /// placeholders of its own.
    func render(_ template: String) async throws -> String {
        guard template.contains("{{") else { return template }
        var values = [
            "{{AccountID}}": identity.accountID, "{{SessionName}}": String(identity.sessionName.map { $0 == "@" ? "-" : $0 }),
            "{{SessionNameRaw}}": identity.sessionName, "{{AccessKeyID}}": identity.accessKeyID,
        ]
        if template.contains(Self.instancePlaceholder) {
            // An instance's credentials are a session named by its id.
            guard identity.sessionName.hasPrefix("i-"), let name = await privateDNSName(identity.sessionName) else {
                throw Unrenderable(
                    description: "error rendering username template \"\(template)\": failed querying private DNS from EC2 API for node")
            }
            values[Self.instancePlaceholder] = name
        }
        let name = Self.replaced(template, values)
        guard name.utf8.count <= Self.longestName else { throw Unrenderable(description: "the name of template \"\(template)\" is too long") }
        return name
    }

    private static func replaced(_ template: String, _ values: [String: String]) -> String {
        var out = ""
        var rest = Substring(template)
        while let open = rest.firstRange(of: "{{") {
            out += rest[..<open.lowerBound]
            rest = rest[open.lowerBound...]
            if let (placeholder, value) = values.first(where: { rest.hasPrefix($0.key) }) {
                out += value
                rest = rest.dropFirst(placeholder.count)
            } else {
                out += rest.prefix(2)
                rest = rest.dropFirst(2)
            }
        }
        return out + rest
    }
}
