import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let nodegroupHandlers: [String: EKSHandler] = [
        "CreateNodegroup": { call in
            ["nodegroup": try await call.service.createNodegroup(try call.createNodegroupInput(), caller: call.caller).json]
        },
        "DescribeNodegroup": { call in
            ["nodegroup": try await call.service.describeNodegroup(call.required("clusterName"), call.required("nodegroupName")).json]
        },
        "ListNodegroups": { call in try call.page(await call.service.listNodegroups(call.required("clusterName")), as: "nodegroups") },
        "DeleteNodegroup": { call in
            ["nodegroup": try await call.service.deleteNodegroup(call.required("clusterName"), call.required("nodegroupName")).json]
        },
        "UpdateNodegroupVersion": { call in
            var input = UpdateNodegroupVersionInput(clusterName: call.required("clusterName"), name: call.required("nodegroupName"))
            input.launchTemplate = call.launchTemplate
            input.version = call.string("version")
            input.releaseVersion = call.string("releaseVersion")
            input.force = call.input["force"]?.boolValue ?? false
            input.token = call.token(now: call.service.now)
            return ["update": try await call.service.updateNodegroupVersion(input, caller: call.caller).json]
        },
        "UpdateNodegroupConfig": { call in ["update": try await call.service.updateNodegroupConfig(try call.updateNodegroupConfigInput()).json] },
    ]
}

extension EKSCall {
    fileprivate func createNodegroupInput() throws(AWSError) -> CreateNodegroupInput {
        var result = CreateNodegroupInput(
            clusterName: required("clusterName"), name: required("nodegroupName"), subnetIDs: strings("subnets"), nodeRoleARN: required("nodeRole"))
        guard !result.name.isEmpty, result.name.count <= 63 else {
            throw EKSFault.invalidParameter("The node group's name must have from 1 to 63 characters", ["clusterName": .string(result.clusterName)])
        }
        guard
            result.name.utf8.allSatisfy({
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x5F
            }),
            result.name.utf8.first.map({ $0 != 0x2D && $0 != 0x5F }) ?? false
        else {
            throw EKSFault.invalidParameter(
                "The node group's name can have letters, digits, hyphens and underscores, and begins with a letter or digit")
        }
        if let scaling = input["scalingConfig"] {
            // EKS's own defaults for what is left out.
            let minSize = scaling["minSize"]?.intValue ?? 1
            let maxSize = scaling["maxSize"]?.intValue ?? max(2, minSize)
            result.scaling = ScalingConfig(
                minSize: minSize, maxSize: maxSize, desiredSize: scaling["desiredSize"]?.intValue ?? min(maxSize, max(2, minSize)))
        }
        result.instanceTypes = strings("instanceTypes")
        result.amiType = string("amiType")
        result.capacityType = string("capacityType")
        result.labels = input["labels"]?.stringMap ?? [:]
        result.taints = try taints(input["taints"])
        result.diskSize = input["diskSize"]?.intValue
        result.launchTemplate = launchTemplate
        result.version = string("version")
        result.releaseVersion = string("releaseVersion")
        result.updateConfig = try updateConfig()
        result.nodeRepair = try nodeRepair()
        result.remoteAccess = try remoteAccess()
        result.warmPool = input["warmPoolConfig"].map(WarmPoolChange.init)
        result.tags = input["tags"]?.stringMap ?? [:]
        result.token = token(now: service.now)
        return result
    }

    fileprivate var launchTemplate: LaunchTemplateReference? {
        input["launchTemplate"].map {
            LaunchTemplateReference(id: $0["id"]?.stringValue, name: $0["name"]?.stringValue, version: $0["version"]?.stringValue)
        }
    }

    private func taints(_ list: AWSJSON?) throws(AWSError) -> [NodeTaint] {
        var taints: [NodeTaint] = []
        for taint in list?.arrayValue ?? [] {
            guard let key = taint["key"]?.stringValue, let effect = taint["effect"]?.stringValue.flatMap({ NodeTaint.effects[$0] }) else {
                throw EKSFault.invalidParameter("A taint needs a key and an effect")
            }
            taints.append(NodeTaint(key: key, value: taint["value"]?.stringValue, effect: effect))
        }
        return taints
    }

    fileprivate func updateNodegroupConfigInput() throws(AWSError) -> UpdateNodegroupConfigInput {
        var result = UpdateNodegroupConfigInput(clusterName: required("clusterName"), name: required("nodegroupName"))
        result.minSize = input["scalingConfig"]?["minSize"]?.intValue
        result.maxSize = input["scalingConfig"]?["maxSize"]?.intValue
        result.desiredSize = input["scalingConfig"]?["desiredSize"]?.intValue
        result.nodes.setLabels = input["labels"]?["addOrUpdateLabels"]?.stringMap ?? [:]
        result.nodes.removeLabels = input["labels"]?["removeLabels"]?.stringArray ?? []
        result.nodes.setTaints = try taints(input["taints"]?["addOrUpdateTaints"])
        result.nodes.removeTaints = try taints(input["taints"]?["removeTaints"])
        result.updateConfig = try updateConfig()
        result.nodeRepair = try nodeRepair()
        result.warmPool = input["warmPoolConfig"].map(WarmPoolChange.init)
        result.token = token(now: service.now)
        return result
    }

    private func nodeRepair() throws(AWSError) -> NodeRepairConfig? {
        guard let config = input["nodeRepairConfig"] else { return nil }
        return try NodeRepairConfig(config)
    }

    private func remoteAccess() throws(AWSError) -> RemoteAccessConfig? {
        guard let access = input["remoteAccess"] else { return nil }
        guard let key = access["ec2SshKey"]?.stringValue else {
            throw EKSFault.invalidParameter("Remote access needs an ec2SshKey, with or without source security groups")
        }
        return RemoteAccessConfig(keyName: key, sourceGroupIDs: access["sourceSecurityGroups"]?.stringArray ?? [])
    }

    /// As it is said: what is left out is nil.
    private func updateConfig() throws(AWSError) -> NodegroupUpdateConfig? {
        guard let config = input["updateConfig"] else { return nil }
        let (count, share) = (config["maxUnavailable"]?.intValue, config["maxUnavailablePercentage"]?.intValue)
        guard count == nil || share == nil else {
            throw EKSFault.invalidParameter("Only one of maxUnavailable and maxUnavailablePercentage can be given")
        }
        return NodegroupUpdateConfig(
            maxUnavailable: count, maxUnavailablePercentage: share, updateStrategy: config["updateStrategy"]?.stringValue)
    }
}

extension NodegroupRecord {
    /// Upstream: eks Nodegroup.
    var json: AWSJSON {
        let update: [String: AWSJSON?] = [
            "maxUnavailable": updateConfig.maxUnavailable.map(AWSJSON.integer),
            "maxUnavailablePercentage": updateConfig.maxUnavailablePercentage.map(AWSJSON.integer),
            "updateStrategy": .string(updateConfig.updateStrategy ?? NodegroupUpdateConfig.standardStrategy),
        ]
        let members: [String: AWSJSON?] = [
            "nodegroupName": .string(name), "nodegroupArn": .string(arn), "clusterName": .string(clusterName), "version": .string(version),
            "releaseVersion": .string(releaseVersion), "createdAt": .double(createdAt), "modifiedAt": .double(modifiedAt),
            "status": .string(status.rawValue), "capacityType": .string(capacityType),
            "scalingConfig": [
                "minSize": .integer(scaling.minSize), "maxSize": .integer(scaling.maxSize), "desiredSize": .integer(scaling.desiredSize),
            ],
            "instanceTypes": instanceTypes.isEmpty ? nil : .strings(instanceTypes), "subnets": .strings(subnetIDs), "amiType": .string(amiType),
            "nodeRole": .string(nodeRoleARN),
            "labels": .map(labels), "taints": taints.isEmpty ? nil : .array(taints.map(\.json)),
            "resources": .compact([
                "autoScalingGroups": [["name": .string(autoScalingGroupName)]],
                "remoteAccessSecurityGroup": remoteAccess?.groupID.map(AWSJSON.string),
            ]),
            "remoteAccess": remoteAccess?.json, "diskSize": template == nil ? .integer(diskSize) : nil,
            "launchTemplate": template?.json,
            "health": ["issues": .array((health + [warmPoolProblem].compactMap { $0 }).map(\.json))], "updateConfig": .compact(update),
            "nodeRepairConfig": (nodeRepair ?? NodeRepairConfig()).json, "warmPoolConfig": warmPool?.json, "tags": .map(tags),
        ]
        return .compact(members)
    }
}

extension RemoteAccessConfig {
    /// Upstream: eks RemoteAccessConfig.
    fileprivate var json: AWSJSON {
        .compact(["ec2SshKey": .string(keyName), "sourceSecurityGroups": sourceGroupIDs.isEmpty ? nil : .strings(sourceGroupIDs)])
    }
}
