import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let clusterHandlers: [String: EKSHandler] = [
        "CreateCluster": { call in
            let record = try await call.service.createCluster(try call.createClusterInput(), caller: call.caller)
            return ["cluster": record.json(isCreating: true)]
        },
        "DescribeCluster": { call in
            switch try await call.service.describeAnyCluster(call.required("name")) {
            case .own(let record): return ["cluster": record.json()]
            case .registered(let record): return ["cluster": record.json]
            }
        },
        "ListClusters": { call in
            let registered = call.strings("include").contains("all") ? await call.service.listRegisteredClusters() : []
            return try call.page(await call.service.listClusters() + registered, as: "clusters")
        },
        "DeleteCluster": { call in ["cluster": try await call.service.deleteCluster(call.required("name")).json()] },
    ]
}

extension EKSCall {
    /// Throws InvalidParameterException for what is not built yet, so that nobody is promised it.
    fileprivate func createClusterInput() throws(AWSError) -> CreateClusterInput {
        try refuseUnbuilt()
        let network = input["resourcesVpcConfig"] ?? [:]
        var result = CreateClusterInput(
            name: required("name"), roleARN: required("roleArn"), subnetIDs: network["subnetIds"]?.stringArray ?? [])
        result.version = string("version")
        result.securityGroupIDs = network["securityGroupIds"]?.stringArray ?? []
        result.endpointPublicAccess = network["endpointPublicAccess"]?.boolValue ?? true
        result.endpointPrivateAccess = network["endpointPrivateAccess"]?.boolValue ?? false
        result.publicAccessCIDRs = network["publicAccessCidrs"]?.stringArray ?? []
        result.serviceIPv4CIDR = input["kubernetesNetworkConfig"]?["serviceIpv4Cidr"]?.stringValue
        result.isIPv6 = input["kubernetesNetworkConfig"]?["ipFamily"]?.stringValue == "ipv6"
        result.authenticationMode = input["accessConfig"]?["authenticationMode"]?.stringValue
        result.bootstrapClusterCreatorAdminPermissions = input["accessConfig"]?["bootstrapClusterCreatorAdminPermissions"]?.boolValue ?? true
        result.supportType = input["upgradePolicy"]?["supportType"]?.stringValue
        let enabled = (input["logging"]?["clusterLogging"]?.arrayValue ?? []).filter { $0["enabled"]?.boolValue ?? false }
        let types = Set(enabled.flatMap { $0["types"]?.stringArray ?? [] })
        result.enabledLogTypes = LoggingUpdate.allTypes.filter(types.contains)
        result.deletionProtection = input["deletionProtection"]?.boolValue ?? false
        result.bootstrapSelfManagedAddons = input["bootstrapSelfManagedAddons"]?.boolValue
        result.autoMode = try autoMode()
        result.zonalShiftEnabled = input["zonalShiftConfig"]?["enabled"]?.boolValue
        result.encryption = try encryption()
        result.tier = input["controlPlaneScalingConfig"]?["tier"]?.stringValue.flatMap(ControlPlaneTier.init)
        result.remoteNetworks = remoteNetworks()
        result.tags = input["tags"]?.stringMap ?? [:]
        result.token = token(now: service.now)
        return result
    }

    private func refuseUnbuilt() throws(AWSError) {
        for member in ["outpostConfig"] where input[member] != nil {
            throw EKSFault.notImplemented("CreateCluster's \(member)")
        }
    }
}

extension EKSCall {
    /// What the three members of Auto Mode say. Throws InvalidParameterException for what is not built.
    func autoMode() throws(AWSError) -> AutoModeRequest {
        let (compute, balancing) = (input["computeConfig"], input["kubernetesNetworkConfig"]?["elasticLoadBalancing"])
        if balancing?["gatewayApi"] != nil { throw EKSFault.notImplemented("The gatewayApi of elasticLoadBalancing") }
        var request = AutoModeRequest()
        request.compute = compute?["enabled"]?.boolValue
        request.nodePools = compute?["nodePools"]?.stringArray
        request.nodeRoleARN = compute?["nodeRoleArn"]?.stringValue
        request.blockStorage = input["storageConfig"]?["blockStorage"]?["enabled"]?.boolValue
        request.loadBalancing = balancing?["enabled"]?.boolValue
        return request
    }
}

extension HealthIssue {
    /// `idsMember` is `resourceIds`.
    var json: AWSJSON { ["code": .string(code), "message": .string(message), "resourceIds": .strings(resourceIDs)] }
}

extension ClusterRecord {
    /// Upstream: eks Cluster. While CREATING there is no endpoint, no CA and no identity.
    func json(isCreating: Bool = false) -> AWSJSON {
        let disabled = LoggingUpdate.allTypes.filter { !enabledLogTypes.contains($0) }
        var logging: [AWSJSON] = []
        if !enabledLogTypes.isEmpty { logging.append(["types": .strings(enabledLogTypes), "enabled": true]) }
        if !disabled.isEmpty { logging.append(["types": .strings(disabled), "enabled": false]) }
        let vpc: [String: AWSJSON?] = [
            "subnetIds": .strings(network.subnetIDs), "securityGroupIds": .strings(network.securityGroupIDs), "vpcId": .string(network.vpcID),
            "clusterSecurityGroupId": network.clusterSecurityGroupID.map(AWSJSON.string), "endpointPublicAccess": .bool(network.endpointPublicAccess),
            "endpointPrivateAccess": .bool(network.endpointPrivateAccess), "publicAccessCidrs": .strings(network.publicAccessCIDRs),
        ]
        let shown = status == .creating ? nil : endpoint
        var access: [String: AWSJSON] = ["authenticationMode": .string(self.access.authenticationMode)]
        if isCreating { access["bootstrapClusterCreatorAdminPermissions"] = .bool(self.access.bootstrapClusterCreatorAdminPermissions) }
        let members: [String: AWSJSON?] = [
            "name": .string(name), "arn": .string(arn), "createdAt": .double(createdAt), "version": .string(version), "roleArn": .string(roleARN),
            "resourcesVpcConfig": .compact(vpc),
            "kubernetesNetworkConfig": [
                network.isIPv6 ? "serviceIpv6Cidr" : "serviceIpv4Cidr": .string(network.serviceCIDR),
                "ipFamily": .string(network.ipFamily), "elasticLoadBalancing": ["enabled": .bool(autoMode != nil)],
            ],
            "computeConfig": showsAutoMode ? computeJSON : nil,
            "storageConfig": showsAutoMode ? ["blockStorage": ["enabled": .bool(autoMode != nil)]] : nil,
            "logging": ["clusterLogging": .array(logging)], "status": .string(status.rawValue), "platformVersion": .string(platformVersion),
            "certificateAuthority": shown.map { ["data": .string($0.certificateAuthorityData)] } ?? [:],
            "endpoint": shown.map { .string($0.url) }, "identity": shown.map { ["oidc": ["issuer": .string($0.oidcIssuer)]] },
            "tags": .map(tags), "health": ["issues": .array(health.map(\.json))], "accessConfig": .object(access),
            "upgradePolicy": ["supportType": .string(supportType)],
            "zonalShiftConfig": showsZonalShift ? ["enabled": .bool(zonalShiftEnabled)] : nil,
            "controlPlaneScalingConfig": ["tier": .string(tier.rawValue)], "remoteNetworkConfig": remoteNetworks?.json,
            "encryptionConfig": encryption.map { .array([$0.json]) }, "deletionProtection": .bool(deletionProtection),
            "clientRequestToken": isCreating ? clientRequestToken.map(AWSJSON.string) : nil,
        ]
        return .compact(members)
    }
}
