/// A caller may not do something. Each service family says it in its own code.
package struct AccessDenial: Error, Sendable, Equatable {
    /// As GetCallerIdentity says.
    package var callerARN: String
    /// `eks:CreateCluster`
    package var action: String
    /// The resource's ARN, or `*`.
    package var resource: String
    /// Whether a policy denies it outright, rather than none allowing it.
    package var isExplicit: Bool

    package init(callerARN: String, action: String, resource: String, isExplicit: Bool) {
        self.callerARN = callerARN
        self.action = action
        self.resource = resource
        self.isExplicit = isExplicit
    }

    /// `User: … is not authorized to perform: … on resource: … because …`, as AWS writes it.
    package var message: String {
        let reason = isExplicit ? "with an explicit deny in an identity-based policy" : "because no identity-based policy allows the \(action) action"
        return "User: \(callerARN) is not authorized to perform: \(action) on resource: \(resource) \(reason)"
    }
}

extension AWSError {
    /// The denial as the service family with `wire` says it.
    package init(_ denial: AccessDenial, for wire: AWSWireProtocol) {
        switch wire {
        case .query: self.init("AccessDenied", denial.message, status: 403)
        case .ec2Query: self.init("UnauthorizedOperation", "You are not authorized to perform this operation. " + denial.message, status: 403)
        case .restJSON: self.init("AccessDeniedException", denial.message, status: 403)
        case .json11: self.init("AccessDeniedException", denial.message, status: 400)
        }
    }
}
