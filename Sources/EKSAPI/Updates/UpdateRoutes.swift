import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let updateHandlers: [String: EKSHandler] = [
        "DescribeUpdate": { call in
            try call.refuseOtherResources()
            let update = try await call.service.describeUpdate(
                call.required("name"), id: call.required("updateId"), nodegroup: call.string("nodegroupName"))
            return ["update": update.json]
        },
        "ListUpdates": { call in
            try call.refuseOtherResources()
            return try call.page(await call.service.listUpdates(call.required("name"), nodegroup: call.string("nodegroupName")), as: "updateIds")
        },
    ]
}

extension EKSCall {
    fileprivate func refuseOtherResources() throws(AWSError) {
        for member in ["addonName", "capabilityName"] where input[member] != nil { throw EKSFault.notImplemented("Updates by \(member)") }
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
