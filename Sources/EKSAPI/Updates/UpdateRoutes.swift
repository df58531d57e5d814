import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let updateHandlers: [String: EKSHandler] = [
        "DescribeUpdate": { call in
            let target = try call.updateTarget()
            return ["update": try await call.service.describeUpdate(call.required("name"), id: call.required("updateId"), of: target).json]
        },
        "ListUpdates": { call in
            try call.page(await call.service.listUpdates(call.required("name"), of: try call.updateTarget()), as: "updateIds")
        },
        "UpdateClusterVersion": { call in
            var input = UpdateClusterVersionInput(name: call.required("name"), version: call.required("version"))
            input.force = call.input["force"]?.boolValue ?? false
            input.rollbackTimeoutMinutes = call.input["rollbackConfig"]?["timeoutMinutes"]?.intValue
            input.token = call.token(now: call.service.now)
            return ["update": try await call.service.updateClusterVersion(input).json]
        },
        "CancelUpdate": { call in
            ["update": try await call.service.cancelUpdate(call.required("name"), id: call.required("updateId")).json]
        },
    ]
}

extension EKSCall {
    /// What the update is of. Throws InvalidParameterException when several are named.
    fileprivate func updateTarget() throws(AWSError) -> UpdateTarget {
        let named: [UpdateTarget?] = [
            string("nodegroupName").map(UpdateTarget.nodegroup), string("addonName").map(UpdateTarget.addon),
            string("capabilityName").map(UpdateTarget.capability),
        ]
        let targets = named.compactMap { $0 }
        guard targets.count <= 1 else {
            throw EKSFault.invalidParameter(
                "Only one of nodegroupName, addonName and capabilityName can be given", ["clusterName": .string(required("name"))])
        }
        return targets.first ?? .cluster
    }
}

extension UpdateRecord {
    /// Upstream: eks Update.
    var json: AWSJSON {
        let parameters = parameters.map { parameter -> AWSJSON in ["type": .string(parameter.type), "value": .string(parameter.value)] }
        let errors = errors.map { issue -> AWSJSON in
            ["errorCode": .string(issue.code), "errorMessage": .string(issue.message), "resourceIds": .strings(issue.resourceIDs)]
        }
        return [
            "id": .string(id), "status": .string(status.rawValue), "type": .string(type), "params": .array(parameters),
            "createdAt": .double(createdAt),
            "errors": .array(errors),
        ]
    }
}
