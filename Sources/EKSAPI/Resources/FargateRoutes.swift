import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let fargateHandlers: [String: EKSHandler] = [
        "CreateFargateProfile": { call in
            var input = CreateFargateProfileInput(
                clusterName: call.required("clusterName"), name: call.required("fargateProfileName"), roleARN: call.required("podExecutionRoleArn"))
            input.subnetIDs = call.strings("subnets")
            input.selectors = (call.input["selectors"]?.arrayValue ?? []).map {
                FargateSelector(namespace: $0["namespace"]?.stringValue ?? "", labels: $0["labels"]?.stringMap ?? [:])
            }
            input.tags = call.input["tags"]?.stringMap ?? [:]
            input.token = call.token(now: call.service.now)
            return ["fargateProfile": try await call.service.createFargateProfile(input, caller: call.caller).json]
        },
        "DescribeFargateProfile": { call in
            let name = call.required("fargateProfileName")
            return ["fargateProfile": try await call.service.describeFargateProfile(call.required("clusterName"), name).json]
        },
        "ListFargateProfiles": { call in
            try call.page(await call.service.listFargateProfiles(call.required("clusterName")), as: "fargateProfileNames")
        },
        "DeleteFargateProfile": { call in
            let name = call.required("fargateProfileName")
            return ["fargateProfile": try await call.service.deleteFargateProfile(call.required("clusterName"), name).json]
        },
    ]
}

extension FargateProfileRecord {
    /// Upstream: eks FargateProfile.
    var json: AWSJSON {
        let selectors = selectors.map { selector -> AWSJSON in
            .compact(["namespace": .string(selector.namespace), "labels": selector.labels.isEmpty ? nil : .map(selector.labels)])
        }
        return [
            "fargateProfileName": .string(name), "fargateProfileArn": .string(arn), "clusterName": .string(clusterName),
            "createdAt": .double(createdAt), "podExecutionRoleArn": .string(roleARN), "subnets": .strings(subnetIDs),
            "selectors": .array(selectors), "status": .string(status.rawValue), "tags": .map(tags), "health": ["issues": []],
        ]
    }
}
