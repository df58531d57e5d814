import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let registrationHandlers: [String: EKSHandler] = [
        "RegisterCluster": { call in
            let connector = call.input["connectorConfig"] ?? [:]
            let record = try await call.service.registerCluster(
                call.required("name"), roleARN: connector["roleArn"]?.stringValue ?? "", provider: connector["provider"]?.stringValue ?? "",
                tags: call.input["tags"]?.stringMap ?? [:], token: call.token(now: call.service.now), caller: call.caller)
            return ["cluster": record.json]
        },
        "DeregisterCluster": { call in ["cluster": try await call.service.deregisterCluster(call.required("name")).json] },
    ]
}

extension RegisteredClusterRecord {
    /// Upstream: eks Cluster of a connected cluster.
    var json: AWSJSON {
        let connector: AWSJSON = [
            "activationId": .string(activationID), "activationCode": .string(activationCode), "activationExpiry": .double(activationExpiry),
            "provider": .string(provider), "roleArn": .string(roleARN),
        ]
        return [
            "name": .string(name), "arn": .string(arn), "createdAt": .double(createdAt), "status": "PENDING", "connectorConfig": connector,
            "tags": .map(tags),
        ]
    }
}
