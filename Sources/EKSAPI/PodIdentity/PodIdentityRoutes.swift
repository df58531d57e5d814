import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let podIdentityHandlers: [String: EKSHandler] = [
        "CreatePodIdentityAssociation": { call in
            ["association": try await call.service.createPodIdentity(try call.createPodIdentityInput(), caller: call.caller).json]
        },
        "DescribePodIdentityAssociation": { call in
            ["association": try await call.service.describePodIdentity(call.required("clusterName"), id: call.required("associationId")).json]
        },
        "ListPodIdentityAssociations": { call in
            let found = try await call.service.listPodIdentities(
                call.required("clusterName"), namespace: call.string("namespace"), serviceAccount: call.string("serviceAccount"))
            let byID = Dictionary(found.map { ($0.id, $0.summary) }) { first, _ in first }
            let page = try call.page(found.map(\.id), as: "associations")
            let summaries = (page["associations"]?.stringArray ?? []).compactMap { byID[$0] }
            return .compact(["associations": .array(summaries), "nextToken": page["nextToken"]])
        },
        "UpdatePodIdentityAssociation": { call in
            ["association": try await call.service.updatePodIdentity(try call.updatePodIdentityInput(), caller: call.caller).json]
        },
        "DeletePodIdentityAssociation": { call in
            ["association": try await call.service.deletePodIdentity(call.required("clusterName"), id: call.required("associationId")).json]
        },
        "AssumeRoleForPodIdentity": { call in
            try await call.service.podCredentials(cluster: call.required("clusterName"), token: call.required("token")).json
        },
    ]
}

extension EKSCall {
    fileprivate func createPodIdentityInput() throws(AWSError) -> CreatePodIdentityInput {
        var result = CreatePodIdentityInput(
            clusterName: required("clusterName"), namespace: required("namespace"), serviceAccount: required("serviceAccount"),
            roleARN: required("roleArn"))
        result.tags = input["tags"]?.stringMap ?? [:]
        result.disableSessionTags = input["disableSessionTags"]?.boolValue
        result.targetRoleARN = string("targetRoleArn")
        result.policy = string("policy")
        result.token = token(now: service.now)
        return result
    }

    fileprivate func updatePodIdentityInput() throws(AWSError) -> UpdatePodIdentityInput {
        var result = UpdatePodIdentityInput(clusterName: required("clusterName"), id: required("associationId"))
        result.roleARN = string("roleArn")
        result.disableSessionTags = input["disableSessionTags"]?.boolValue
        result.targetRoleARN = string("targetRoleArn")
        result.policy = string("policy")
        result.token = token(now: service.now)
        return result
    }
}

extension PodIdentityRecord {
    /// Upstream: eks PodIdentityAssociation.
    var json: AWSJSON {
        let members: [String: AWSJSON?] = [
            "clusterName": .string(clusterName), "namespace": .string(namespace), "serviceAccount": .string(serviceAccount),
            "roleArn": .string(roleARN), "associationArn": .string(arn), "associationId": .string(id), "tags": .map(tags),
            "createdAt": .double(createdAt), "modifiedAt": .double(modifiedAt), "ownerArn": ownerARN.map(AWSJSON.string),
            "disableSessionTags": .bool(disableSessionTags ?? false), "targetRoleArn": targetRoleARN.map(AWSJSON.string),
            "externalId": externalID.map(AWSJSON.string), "policy": policy.map(AWSJSON.string),
        ]
        return .compact(members)
    }

    /// Upstream: eks PodIdentityAssociationSummary.
    var summary: AWSJSON {
        .compact([
            "clusterName": .string(clusterName), "namespace": .string(namespace), "serviceAccount": .string(serviceAccount),
            "associationArn": .string(arn), "associationId": .string(id), "ownerArn": ownerARN.map(AWSJSON.string),
        ])
    }
}

extension PodCredentials {
    /// Upstream: eks-auth AssumeRoleForPodIdentityResponse.
    var json: AWSJSON {
        [
            "subject": ["namespace": .string(subject.namespace), "serviceAccount": .string(subject.name)], "audience": .string(audience),
            "podIdentityAssociation": ["associationArn": .string(association.arn), "associationId": .string(association.id)],
            "assumedRoleUser": ["arn": .string(credentials.assumedRoleARN), "assumeRoleId": .string(credentials.assumedRoleID)],
            "credentials": [
                "accessKeyId": .string(credentials.accessKeyID), "secretAccessKey": .string(credentials.secretAccessKey),
                "sessionToken": .string(credentials.sessionToken), "expiration": .double(credentials.expiration),
            ],
        ]
    }
}
