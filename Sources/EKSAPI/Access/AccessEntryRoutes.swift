import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let accessEntryHandlers: [String: EKSHandler] = [
        "CreateAccessEntry": { call in
            ["accessEntry": try await call.service.createAccessEntry(call.createAccessEntryInput(), caller: call.caller).json]
        },
        "DescribeAccessEntry": { call in
            ["accessEntry": try await call.service.describeAccessEntry(call.required("clusterName"), call.required("principalArn")).json]
        },
        "ListAccessEntries": { call in
            let principals = try await call.service.listAccessEntries(call.required("clusterName"), policyARN: call.string("associatedPolicyArn"))
            return try call.page(principals, as: "accessEntries")
        },
        "UpdateAccessEntry": { call in
            let entry = try await call.service.updateAccessEntry(
                call.required("clusterName"), call.required("principalArn"), groups: call.input["kubernetesGroups"]?.stringArray,
                userName: call.string("username"), token: call.token(now: call.service.now))
            return ["accessEntry": entry.json]
        },
        "DeleteAccessEntry": { call in
            try await call.service.deleteAccessEntry(call.required("clusterName"), call.required("principalArn"))
            return [:]
        },
        "ListAccessPolicies": { call in
            let service = call.service
            return try call.page(service.listAccessPolicies(), as: "accessPolicies") { name in
                ["name": .string(name), "arn": .string(service.accessPolicyARN(name))]
            }
        },
        "AssociateAccessPolicy": { call in
            let scope = call.input["accessScope"] ?? [:]
            let policy = try await call.service.associateAccessPolicy(
                call.required("clusterName"), call.required("principalArn"), policyARN: call.required("policyArn"),
                scopeType: scope["type"]?.stringValue ?? "cluster", namespaces: scope["namespaces"]?.stringArray ?? [])
            return [
                "clusterName": .string(call.required("clusterName")), "principalArn": .string(call.required("principalArn")),
                "associatedAccessPolicy": policy.json,
            ]
        },
        "DisassociateAccessPolicy": { call in
            try await call.service.disassociateAccessPolicy(
                call.required("clusterName"), call.required("principalArn"), policyARN: call.required("policyArn"))
            return [:]
        },
        "ListAssociatedAccessPolicies": { call in
            let entry = try await call.service.describeAccessEntry(call.required("clusterName"), call.required("principalArn"))
            let policies = Dictionary(entry.policies.map { ($0.arn, $0.json) }) { first, _ in first }
            let page = try call.page(entry.policies.map(\.arn), as: "associatedAccessPolicies") { policies[$0] ?? [:] }
            var members = page.objectValue ?? [:]
            members["clusterName"] = .string(entry.clusterName)
            members["principalArn"] = .string(entry.principalARN)
            return .object(members)
        },
    ]
}

extension EKSCall {
    fileprivate func createAccessEntryInput() -> CreateAccessEntryInput {
        var result = CreateAccessEntryInput(clusterName: required("clusterName"), principalARN: required("principalArn"))
        result.type = string("type")
        result.userName = string("username")
        result.groups = strings("kubernetesGroups")
        result.tags = input["tags"]?.stringMap ?? [:]
        result.token = token(now: service.now)
        return result
    }
}

extension AccessEntryRecord {
    /// Upstream: eks AccessEntry.
    var json: AWSJSON {
        [
            "clusterName": .string(clusterName), "principalArn": .string(principalARN), "kubernetesGroups": .strings(groups),
            "accessEntryArn": .string(arn), "createdAt": .double(createdAt), "modifiedAt": .double(modifiedAt), "tags": .map(tags),
            "username": .string(userName), "type": .string(type.rawValue),
        ]
    }
}

extension AssociatedPolicy {
    /// Upstream: eks AssociatedAccessPolicy.
    var json: AWSJSON {
        [
            "policyArn": .string(arn), "associatedAt": .double(associatedAt), "modifiedAt": .double(modifiedAt),
            "accessScope": ["type": namespaces == nil ? "cluster" : "namespace", "namespaces": .strings(namespaces ?? [])],
        ]
    }
}
