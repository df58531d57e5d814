import AWSProtocol

/// The condition keys of EKS: what policies may ask of a request. Upstream: Service Authorization Reference, "Condition keys for Amazon EKS".
enum ConditionKeys {
    /// By operation: the key in lower case and where its value stands in path or body.
    private static let rows: [String: [(key: String, path: [String])]] = [
        "CreateCluster": [
            ("eks:authenticationmode", ["accessConfig", "authenticationMode"]),
            ("eks:bootstrapclustercreatoradminpermissions", ["accessConfig", "bootstrapClusterCreatorAdminPermissions"]),
        ],
        "UpdateClusterConfig": [("eks:authenticationmode", ["accessConfig", "authenticationMode"])],
        "CreateAccessEntry": entry + [
            ("eks:accessentrytype", ["type"]), ("eks:kubernetesgroups", ["kubernetesGroups"]), ("eks:username", ["username"]),
        ],
        "UpdateAccessEntry": entry + [("eks:kubernetesgroups", ["kubernetesGroups"]), ("eks:username", ["username"])],
        "DescribeAccessEntry": entry,
        "DeleteAccessEntry": entry,
        "ListAssociatedAccessPolicies": entry,
        "AssociateAccessPolicy": entry + [
            ("eks:policyarn", ["policyArn"]), ("eks:accessscope", ["accessScope", "type"]), ("eks:namespaces", ["accessScope", "namespaces"]),
        ],
        "DisassociateAccessPolicy": entry + [("eks:policyarn", ["policyArn"])],
        "AssociateIdentityProviderConfig": [("eks:clientid", ["oidc", "clientId"]), ("eks:issuerurl", ["oidc", "issuerUrl"])],
    ]
    private static let entry: [(key: String, path: [String])] = [("eks:principalarn", ["principalArn"]), ("eks:clustername", ["name"])]

    /// What a request says to the keys of its operation. A value that is not given has no key, unless EKS has a default for it: then that is asked.
    static func context(_ operation: EKSOperation, _ parameters: [String: String], _ body: [UInt8]) -> [String: [String]] {
        guard let row = rows[operation.name] else { return [:] }
        // An unreadable body is told about later; until then it says nothing.
        let document = (try? AWSJSON(parsing: body)) ?? [:]
        var context: [String: [String]] = [:]
        for (key, path) in row {
            // As in the input, what the path says goes before the body.
            if path.count == 1, let value = parameters[path[0]] {
                context[key] = [value]
                continue
            }
            let value = path.reduce(document as AWSJSON?) { $0?[$1] }
            context[key] = value?.stringArray ?? value?.stringValue.map { [$0] } ?? value?.boolValue.map { [String($0)] }
        }
        if operation.name == "CreateAccessEntry" { context["eks:accessentrytype"] = context["eks:accessentrytype"] ?? ["STANDARD"] }
        if operation.name == "CreateCluster" {
            context["eks:authenticationmode"] = context["eks:authenticationmode"] ?? ["CONFIG_MAP"]
            context["eks:bootstrapclustercreatoradminpermissions"] = context["eks:bootstrapclustercreatoradminpermissions"] ?? ["true"]
        }
        return context
    }
}
