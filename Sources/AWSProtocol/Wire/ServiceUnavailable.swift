/// The service cannot do now what it could do at another time: its disk is full, or it is ending. Nothing was changed.
package struct ServiceUnavailable: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is the matter, for whoever can mend it.
    package var reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { "The service is unavailable: \(reason)" }
}

extension AWSError {
    /// The failure as the service family with `wire` says it: 503, which its clients retry. Upstream: EC2 and IAM common errors, eks
    /// ServiceUnavailableException.
    package init(_ failure: ServiceUnavailable, for wire: AWSWireProtocol) {
        switch wire {
        case .query: self.init("ServiceUnavailable", failure.description, status: 503)
        case .ec2Query: self.init("Unavailable", failure.description, status: 503)
        case .restJSON, .json11: self.init("ServiceUnavailableException", failure.description, status: 503)
        }
    }
}
