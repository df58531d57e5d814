/// Why a request is not believed. Each service family says it in its own code; see `AWSError.init(_:for:)`.
package enum AuthenticationFailure: Error, Sendable, Equatable {
    /// No signature at all.
    case missing
    /// A signature that cannot be read: what is wrong with it.
    case incomplete(String)
    /// No such access key, an inactive one, or a session token that is not its own.
    case unknownCredentials
    /// The signature is wrong; nil for the standard text.
    case signatureMismatch(String?)
    /// Signed too long ago, or in the future: AWS's own text.
    case dateOutOfRange(String)
    /// The temporary credentials are past their end.
    case expiredCredentials
}

extension AWSError {
    /// The failure as the service family with `wire` says it.
    package init(_ failure: AuthenticationFailure, for wire: AWSWireProtocol) {
        let mismatch =
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. "
            + "Consult the service documentation for details."
        let isEC2 = wire == .ec2Query
        let isJSON = wire == .restJSON || wire == .json11
        switch failure {
        case .missing:
            self.init(
                isJSON ? "MissingAuthenticationTokenException" : "MissingAuthenticationToken",
                isJSON ? "Missing Authentication Token" : "Request is missing Authentication Token", status: 403)
        case .incomplete(let text):
            self.init(isJSON ? "IncompleteSignatureException" : "IncompleteSignature", text, status: isJSON ? 403 : 400)
        case .unknownCredentials:
            if isEC2 {
                self.init("AuthFailure", "AWS was not able to validate the provided access credentials", status: 401)
            } else {
                let code = isJSON ? "UnrecognizedClientException" : "InvalidClientTokenId"
                self.init(code, "The security token included in the request is invalid\(isJSON ? "." : "")", status: wire == .json11 ? 400 : 403)
            }
        case .signatureMismatch(let text):
            if isEC2, text == nil {
                self.init("AuthFailure", "AWS was not able to validate the provided access credentials", status: 401)
            } else {
                self.init(isJSON ? "InvalidSignatureException" : "SignatureDoesNotMatch", text ?? mismatch, status: wire == .json11 ? 400 : 403)
            }
        case .dateOutOfRange(let text):
            if isEC2 {
                self.init("RequestExpired", "Request has expired.", status: 400)
            } else {
                self.init(isJSON ? "InvalidSignatureException" : "SignatureDoesNotMatch", text, status: wire == .json11 ? 400 : 403)
            }
        case .expiredCredentials:
            if isEC2 {
                self.init("RequestExpired", "Request has expired.", status: 400)
            } else {
                let code = isJSON ? "ExpiredTokenException" : "ExpiredToken"
                self.init(code, "The security token included in the request is expired", status: wire == .json11 ? 400 : 403)
            }
        }
    }
}
