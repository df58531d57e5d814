import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let capabilityHandlers: [String: EKSHandler] = [
        "CreateCapability": { call in
            var input = CreateCapabilityInput(
                clusterName: call.required("clusterName"), name: call.required("capabilityName"), type: call.required("type"),
                roleARN: call.required("roleArn"), deletePropagationPolicy: call.required("deletePropagationPolicy"))
            input.argo = call.input["configuration"]?["argoCd"].map(ArgoConfiguration.init(json:))
            input.ack = call.input["configuration"]?["ack"].map(AckConfiguration.init(json:))
            input.tags = call.input["tags"]?.stringMap ?? [:]
            input.token = call.token(now: call.service.now)
            return ["capability": try await call.service.createCapability(input, caller: call.caller).json]
        },
        "DescribeCapability": { call in
            let name = call.required("capabilityName")
            return ["capability": try await call.service.describeCapability(call.required("clusterName"), name).json]
        },
        "ListCapabilities": { call in
            let all = try await call.service.listCapabilities(call.required("clusterName"))
            let summaries = Dictionary(all.map { ($0.name, $0.summary) }) { first, _ in first }
            return try call.page(all.map(\.name), as: "capabilities") { summaries[$0] ?? [:] }
        },
        "UpdateCapability": { call in
            var input = UpdateCapabilityInput(clusterName: call.required("clusterName"), name: call.required("capabilityName"))
            let argo = call.input["configuration"]?["argoCd"]
            input.roleARN = call.string("roleArn")
            input.setMappings = ArgoRoleMapping.list(argo?["rbacRoleMappings"]?["addOrUpdateRoleMappings"])
            input.removeMappings = ArgoRoleMapping.list(argo?["rbacRoleMappings"]?["removeRoleMappings"])
            input.vpceIDs = argo?["networkAccess"]?["vpceIds"]?.stringArray
            input.ack = call.input["configuration"]?["ack"].map(AckConfiguration.init(json:))
            input.deletePropagationPolicy = call.string("deletePropagationPolicy")
            input.token = call.token(now: call.service.now)
            return ["update": try await call.service.updateCapability(input, caller: call.caller).json]
        },
        "DeleteCapability": { call in
            let name = call.required("capabilityName")
            return ["capability": try await call.service.deleteCapability(call.required("clusterName"), name).json]
        },
    ]
}

extension ArgoRoleMapping {
    fileprivate static func list(_ value: AWSJSON?) -> [ArgoRoleMapping] {
        (value?.arrayValue ?? []).map { mapping in
            ArgoRoleMapping(
                role: mapping["role"]?.stringValue ?? "",
                identities: (mapping["identities"]?.arrayValue ?? []).map {
                    Identity(id: $0["id"]?.stringValue ?? "", type: $0["type"]?.stringValue ?? "")
                })
        }
    }
}

extension ArgoConfiguration {
    fileprivate init(json: AWSJSON) {
        self.init(
            namespace: json["namespace"]?.stringValue ?? "argocd", idcInstanceARN: json["awsIdc"]?["idcInstanceArn"]?.stringValue ?? "",
            idcRegion: json["awsIdc"]?["idcRegion"]?.stringValue, roleMappings: ArgoRoleMapping.list(json["rbacRoleMappings"]),
            vpceIDs: json["networkAccess"]?["vpceIds"]?.stringArray ?? [], endpointPrefix: json["endpointPrefix"]?.stringValue)
    }

    /// Upstream: eks ArgoCdConfigResponse, without the addresses of a server that does not run.
    fileprivate var json: AWSJSON {
        .compact([
            "namespace": .string(namespace),
            "awsIdc": .compact(["idcInstanceArn": .string(idcInstanceARN), "idcRegion": idcRegion.map(AWSJSON.string)]),
            "rbacRoleMappings": .array(roleMappings.map(\.json)), "networkAccess": vpceIDs.isEmpty ? nil : ["vpceIds": .strings(vpceIDs)],
            "endpointPrefix": endpointPrefix.map(AWSJSON.string),
        ])
    }
}

extension AckConfiguration {
    fileprivate init(json: AWSJSON) {
        self.init(enableCrossNamespace: json["enableCrossNamespace"]?.boolValue, disabledServices: json["disabledServices"]?.stringArray)
    }

    /// Upstream: eks AckConfigResponse.
    fileprivate var json: AWSJSON {
        .compact(["enableCrossNamespace": enableCrossNamespace.map(AWSJSON.bool), "disabledServices": disabledServices.map { .strings($0) }])
    }
}

extension CapabilityRecord {
    /// Upstream: eks CapabilitySummary.
    var summary: AWSJSON { .object(members) }

    /// Upstream: eks Capability.
    var json: AWSJSON {
        var members = members
        members["clusterName"] = .string(clusterName)
        members["roleArn"] = .string(roleARN)
        let configuration: AWSJSON = .compact(["argoCd": argo?.json, "ack": ack?.json])
        if argo != nil || ack != nil { members["configuration"] = configuration }
        members["tags"] = .map(tags)
        members["health"] = ["issues": []]
        members["deletePropagationPolicy"] = .string(deletePropagationPolicy)
        return .object(members)
    }

    private var members: [String: AWSJSON] {
        [
            "capabilityName": .string(name), "arn": .string(arn), "type": .string(type), "status": .string(status.rawValue),
            "createdAt": .double(createdAt), "modifiedAt": .double(modifiedAt),
        ]
    }
}
