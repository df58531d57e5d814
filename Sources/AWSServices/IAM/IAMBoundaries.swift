import AWSProtocol

extension XMLWriter {
    /// `<PermissionsBoundary>`; nothing without one.
    mutating func boundary(_ arn: String?) {
        guard let arn else { return }
        element("PermissionsBoundary") { xml in
            xml.leaf("PermissionsBoundaryType", "Policy")
            xml.leaf("PermissionsBoundaryArn", arn)
        }
    }
}

extension IAMTables {
    /// Throws NoSuchEntity for a boundary that is no managed policy.
    func checkBoundary(_ arn: String?) throws(AWSError) {
        guard let arn, !hasManagedPolicy(arn) else { return }
        throw IAMFault.missing("Scope ARN: \(arn) does not exist or is not attachable.")
    }

    fileprivate mutating func setBoundary(_ kind: PrincipalKind, _ name: String, _ arn: String?) throws(AWSError) {
        try checkBoundary(arn)
        if kind == .user {
            var user = try user(name)
            guard arn != nil || user.permissionsBoundary != nil else { throw IAMFault.missing("No permissions boundary found for user \(name)") }
            user.permissionsBoundary = arn
            users[name] = user
        } else {
            var role = try role(name)
            try role.checkModifiable()
            guard arn != nil || role.permissionsBoundary != nil else { throw IAMFault.missing("No permissions boundary found for role \(name)") }
            role.permissionsBoundary = arn
            roles[name] = role
        }
    }
}

extension IAMService {
    static let boundaryOperations: [String: IAMOperation] = {
        var operations: [String: IAMOperation] = [:]
        for kind in [PrincipalKind.user, .role] {
            operations["Put\(kind.rawValue)PermissionsBoundary"] = IAMOperation(kind.resource) { call in
                let (name, arn) = (try call.name(kind.parameter), try call.required("PermissionsBoundary"))
                try await call.identities.state.update { try $0.setBoundary(kind, name, arn) }
                return nil
            }
            operations["Delete\(kind.rawValue)PermissionsBoundary"] = IAMOperation(kind.resource) { call in
                let name = try call.name(kind.parameter)
                try await call.identities.state.update { try $0.setBoundary(kind, name, nil) }
                return nil
            }
        }
        return operations
    }()
}
