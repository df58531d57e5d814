package import AWSProtocol

/// EKS's errors. Upstream: eks service model, exceptions.
package enum EKSFault {
    package static func invalidParameter(_ text: String, _ fields: [String: AWSJSON] = [:]) -> AWSError {
        AWSError("InvalidParameterException", text, status: 400, fields: fields)
    }
    package static func invalidRequest(_ text: String, _ fields: [String: AWSJSON] = [:]) -> AWSError {
        AWSError("InvalidRequestException", text, status: 400, fields: fields)
    }
    package static func invalidState(_ text: String, _ fields: [String: AWSJSON] = [:]) -> AWSError {
        AWSError("InvalidStateException", text, status: 400, fields: fields)
    }
    package static func inUse(_ text: String, _ fields: [String: AWSJSON] = [:]) -> AWSError {
        AWSError("ResourceInUseException", text, status: 409, fields: fields)
    }
    package static func notFound(_ text: String, _ fields: [String: AWSJSON] = [:]) -> AWSError {
        AWSError("ResourceNotFoundException", text, status: 404, fields: fields)
    }
    package static func limit(_ text: String, _ fields: [String: AWSJSON] = [:]) -> AWSError {
        AWSError("ResourceLimitExceededException", text, status: 400, fields: fields)
    }
    /// Terraform matches on this text.
    package static func noCluster(_ name: String) -> AWSError { notFound("No cluster found for name: \(name).", ["clusterName": .string(name)]) }
    /// A field or value that is not built yet.
    package static func notImplemented(_ what: String) -> AWSError { invalidParameter("\(what) is not implemented by Eyrie yet.") }
}
