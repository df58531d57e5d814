import AWSProtocol

/// The roles that services make for themselves. Upstream: IAM User Guide, "AWS services that work with IAM", service-linked roles.
enum ServiceLinkedRoles {
    struct Kind: Sendable {
        var roleName: String
        /// Of the policy that is attached, with its path.
        var policy: String
        /// Whether the name may be given a suffix, so that there are several.
        var takesSuffix = false
    }

    /// By the service's principal.
    static let kinds: [String: Kind] = [
        "eks.amazonaws.com": Kind(roleName: "AWSServiceRoleForAmazonEKS", policy: "aws-service-role/AmazonEKSServiceRolePolicy"),
        "eks-nodegroup.amazonaws.com": Kind(
            roleName: "AWSServiceRoleForAmazonEKSNodegroup", policy: "aws-service-role/AWSServiceRoleForAmazonEKSNodegroup"),
        "eks-fargate.amazonaws.com": Kind(
            roleName: "AWSServiceRoleForAmazonEKSForFargate", policy: "aws-service-role/AmazonEKSForFargateServiceRolePolicy"),
        "autoscaling.amazonaws.com": Kind(
            roleName: "AWSServiceRoleForAutoScaling", policy: "aws-service-role/AutoScalingServiceRolePolicy", takesSuffix: true),
        "elasticloadbalancing.amazonaws.com": Kind(
            roleName: "AWSServiceRoleForElasticLoadBalancing", policy: "aws-service-role/AWSElasticLoadBalancingServiceRolePolicy"),
        "spot.amazonaws.com": Kind(roleName: "AWSServiceRoleForEC2Spot", policy: "aws-service-role/AWSEC2SpotServiceRolePolicy"),
    ]

    static func trust(_ service: String) -> String {
        let statement: AWSJSON = ["Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": ["Service": [.string(service)]]]
        return String(decoding: AWSJSON.object(["Version": "2012-10-17", "Statement": .array([statement])]).encoded, as: UTF8.self)
    }
}

extension IAMTables {
    fileprivate mutating func createServiceLinkedRole(_ role: RoleRecord) throws(AWSError) {
        guard roles[role.name] == nil else {
            throw AWSError(
                "InvalidInput", "Service role name \(role.name) has been taken in this account, please try a different suffix.")
        }
        roles[role.name] = role
    }
}

extension IAMService {
    static let serviceLinkedRoleOperations: [String: IAMOperation] = [
        "CreateServiceLinkedRole": IAMOperation("role/aws-service-role/{AWSServiceName}") { call in
            let (service, suffix) = (try call.required("AWSServiceName", longest: 128), call.parameters["CustomSuffix"])
            guard let kind = ServiceLinkedRoles.kinds[service] else {
                throw AWSError("InvalidInput", "\(service) is not a service that has linked roles at Eyrie.")
            }
            guard suffix == nil || kind.takesSuffix else {
                throw AWSError("InvalidInput", "Custom suffix is not allowed for \(service)")
            }
            let name = kind.roleName + (suffix.map { "_" + $0 } ?? "")
            guard name.count <= 64, suffix?.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+=,.@_-".contains($0)) }) ?? true else {
                throw AWSError("InvalidInput", "The custom suffix is invalid.")
            }
            let path = "/aws-service-role/\(service)/"
            var role = RoleRecord(
                name: name, path: path, id: AWSIdentifier.unique("AROA", length: 17),
                arn: ARN(service: "iam", account: call.account, resource: "role" + path + name).description, createdAt: call.now,
                assumeRolePolicy: ServiceLinkedRoles.trust(service), description: call.parameters["Description"], maxSessionDuration: 3_600)
            role.policies.attached = ["arn:aws:iam::aws:policy/" + kind.policy]
            role.linkedService = service
            let made = role
            try await call.identities.state.update { try $0.createServiceLinkedRole(made) }
            return { $0.element("Role") { $0.role(made) } }
        },
        "DeleteServiceLinkedRole": IAMOperation("role/{RoleName}") { call in
            let name = try call.name("RoleName")
            try await call.identities.state.update { tables in
                let role = try tables.role(name)
                guard role.linkedService != nil else { throw AWSError("InvalidInput", "\(name) is no service-linked role.") }
                tables.removeRole(role)
            }
            return { $0.leaf("DeletionTaskId", "task/aws-service-role/\(name)/\(AWSIdentifier.uuid())") }
        },
        // Deletions are done when they are answered.
        "GetServiceLinkedRoleDeletionStatus": IAMOperation("*") { call in
            let task = try call.required("DeletionTaskId", longest: 1_000)
            guard task.hasPrefix("task/aws-service-role/") else { throw IAMFault.missing("The deletion task \(task) was not found.") }
            return { $0.leaf("Status", "SUCCEEDED") }
        },
    ]
}
