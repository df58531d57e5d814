import AWSProtocol

/// What requests to AWS's services are signed with.
package struct AWSKeys: Sendable, Equatable {
    package var accessKeyID: String
    package var secretAccessKey: String
    /// Of temporary credentials.
    package var sessionToken: String?

    package init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
    }

    /// Those of the environment, as AWS's tools read them; nil where it names none.
    package init?(environment: (_ name: String) -> String?) {
        guard let id = environment("AWS_ACCESS_KEY_ID"), let secret = environment("AWS_SECRET_ACCESS_KEY"), !id.isEmpty, !secret.isEmpty else {
            return nil
        }
        self.init(accessKeyID: id, secretAccessKey: secret, sessionToken: environment("AWS_SESSION_TOKEN").flatMap { $0.isEmpty ? nil : $0 })
    }

    /// An instance's, as its metadata gives them; nil for a document without. Upstream: EC2 User Guide, "iam/security-credentials/role-name".
    package init?(metadata document: [UInt8]) {
        guard let root = try? AWSJSON(parsing: document), root["Code"]?.stringValue == "Success",  // What cannot be read holds none.
            let id = root["AccessKeyId"]?.stringValue, let secret = root["SecretAccessKey"]?.stringValue, let token = root["Token"]?.stringValue
        else { return nil }
        self.init(accessKeyID: id, secretAccessKey: secret, sessionToken: token)
    }
}
