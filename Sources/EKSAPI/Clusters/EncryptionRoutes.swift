import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let encryptionHandlers: [String: EKSHandler] = [
        "AssociateEncryptionConfig": { call in
            let name = call.required("clusterName")
            guard let encryption = try call.encryption() else {
                throw EKSFault.invalidParameter("encryptionConfig must name a provider's keyArn", ["clusterName": .string(name)])
            }
            return [
                "update": try await call.service.associateEncryption(
                    name, encryption, caller: call.caller, token: call.token(now: call.service.now)
                ).json
            ]
        }
    ]
}

extension EKSCall {
    /// The input's encryptionConfig; nil for none. Throws InvalidParameterException.
    func encryption() throws(AWSError) -> ClusterEncryption? {
        guard let config = input["encryptionConfig"]?.arrayValue?.first else { return nil }
        return try ClusterEncryption(
            resources: config["resources"]?.stringArray ?? [], keyARN: config["provider"]?["keyArn"]?.stringValue ?? "", region: service.region)
    }
}
