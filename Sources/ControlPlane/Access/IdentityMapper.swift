/// Makes an AWS identity a Kubernetes user, or refuses it; the authenticator's log has both. Upstream: aws-iam-authenticator server.doMapping.
package struct IdentityMapper: Sendable {
    private let book: AccessBook
    private let privateDNSName: @Sendable (_ instanceID: String) async -> String?

    /// `privateDNSName` answers for the account's instances.
    package init(book: AccessBook, privateDNSName: @escaping @Sendable (_ instanceID: String) async -> String?) {
        self.book = book
        self.privateDNSName = privateDNSName
    }

    /// Throws `TokenRefused` when neither an access entry nor the ConfigMap knows the identity.
    package func user(of identity: AWSIdentity) async throws -> TokenIdentity {
        var fields = ["arn": identity.arn, "method": "POST", "path": "/authenticate"]
        guard let mapping = book.mapping(of: identity) else {
            fields["error"] = "ARN is not mapped"
            book.log.write(AuthenticatorLine(.warning, "access denied", fields))
            throw TokenRefused()
        }
        let template = UserNameTemplate(identity: identity, privateDNSName: privateDNSName)
        var (name, groups) = ("", [String]())
        do {
            name = try await template.render(mapping.userName)
            for group in mapping.groups { groups.append(try await template.render(group)) }
        } catch {
            fields["error"] = "\(error)"
            book.log.write(AuthenticatorLine(.warning, "access denied", fields))
            throw TokenRefused()
        }
        fields["username"] = name
        fields["uid"] = identity.uid
        fields["groups"] = "[\(groups.joined(separator: " "))]"
        fields["source"] = mapping.source
        book.log.write(AuthenticatorLine(.info, "access granted", fields))
        return TokenIdentity(
            userName: name, uid: identity.uid, groups: groups,
            extra: [
                "arn": [identity.arn], "canonicalArn": [identity.canonicalARN], "sessionName": [identity.sessionName],
                "accessKeyId": [identity.accessKeyID], "principalId": [identity.principalID],
            ])
    }

    /// Notes a token that proved nobody's identity.
    package func refused(_ reason: String) {
        book.log.write(
            AuthenticatorLine(.warning, "access denied", ["error": reason, "method": "POST", "path": "/authenticate"]))
    }
}
