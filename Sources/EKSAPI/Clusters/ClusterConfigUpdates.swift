import AWSProtocol
import ClusterLifecycle

/// The kinds of change of UpdateClusterConfig beside access. Upstream: eks UpdateClusterConfigRequest.
extension EKSAPI {
    /// Endpoints, or subnets and security groups: two types in one member.
    static let vpcConfigUpdate = ClusterConfigUpdate(members: ["resourcesVpcConfig"]) { call in
        let config = call.input["resourcesVpcConfig"] ?? [:]
        let endpoint = EndpointAccessUpdate(
            publicAccess: config["endpointPublicAccess"]?.boolValue, privateAccess: config["endpointPrivateAccess"]?.boolValue,
            publicCIDRs: config["publicAccessCidrs"]?.stringArray)
        let network = VpcConfigUpdate(subnetIDs: config["subnetIds"]?.stringArray, securityGroupIDs: config["securityGroupIds"]?.stringArray)
        if config["controlPlaneEgressMode"] != nil { throw EKSFault.notImplemented("UpdateClusterConfig's controlPlaneEgressMode") }
        switch (endpoint == EndpointAccessUpdate(), network == VpcConfigUpdate()) {
        case (false, true): return try await call.update(.endpointAccess(endpoint))
        case (true, false): return try await call.update(.vpcConfig(network))
        case (false, false): throw call.invalid("Only one type of update can be allowed.")
        case (true, true): throw call.invalid("Invalid type for cluster update.")
        }
    }

    static let loggingUpdate = ClusterConfigUpdate(members: ["logging"]) { call in
        var update = LoggingUpdate(enable: [], disable: [])
        for setup in call.input["logging"]?["clusterLogging"]?.arrayValue ?? [] {
            let types = setup["types"]?.stringArray ?? []
            if setup["enabled"]?.boolValue ?? false { update.enable += types } else { update.disable += types }
        }
        return try await call.update(.logging(update))
    }

    static let upgradePolicyUpdate = ClusterConfigUpdate(members: ["upgradePolicy"]) { call in
        guard let type = call.input["upgradePolicy"]?["supportType"]?.stringValue else { throw call.invalid("upgradePolicy must name a supportType") }
        return try await call.update(.upgradePolicy(UpgradePolicyUpdate(supportType: type)))
    }

    static let zonalShiftUpdate = ClusterConfigUpdate(members: ["zonalShiftConfig"]) { call in
        guard let enabled = call.input["zonalShiftConfig"]?["enabled"]?.boolValue else { throw call.invalid("zonalShiftConfig must say enabled") }
        return try await call.update(.zonalShift(ZonalShiftUpdate(enabled: enabled)))
    }

    static let deletionProtectionUpdate = ClusterConfigUpdate(members: ["deletionProtection"]) { call in
        try await call.update(.deletionProtection(DeletionProtectionUpdate(enabled: call.input["deletionProtection"]?.boolValue ?? false)))
    }

    /// Auto Mode has three members that are switched together. The service range and the IP family may be said beside them, as Terraform's provider
    /// always does, and not be changed.
    static let autoModeUpdate = ClusterConfigUpdate(members: ["computeConfig", "kubernetesNetworkConfig", "storageConfig"]) { call in
        let asked = call.input["kubernetesNetworkConfig"]
        let own = try await call.service.describeCluster(call.required("name")).network
        guard asked?["serviceIpv4Cidr"]?.stringValue ?? own.serviceIPv4CIDR == own.serviceIPv4CIDR,
            asked?["ipFamily"]?.stringValue ?? own.ipFamily == own.ipFamily
        else {
            throw call.invalid("The service range and the IP family of a cluster cannot be changed")
        }
        return try await call.update(.autoMode(AutoModeUpdate(try call.autoMode())))
    }

    static let scalingTierUpdate = ClusterConfigUpdate(members: ["controlPlaneScalingConfig"]) { call in
        guard let tier = call.input["controlPlaneScalingConfig"]?["tier"]?.stringValue.flatMap(ControlPlaneTier.init) else {
            throw call.invalid("controlPlaneScalingConfig must name a tier")
        }
        return try await call.update(.scalingTier(ScalingTierUpdate(tier: tier)))
    }

    static let remoteNetworkUpdate = ClusterConfigUpdate(members: ["remoteNetworkConfig"]) { call in
        try await call.update(.remoteNetwork(RemoteNetworkUpdate(networks: call.remoteNetworks() ?? RemoteNetworks(nodes: [], pods: []))))
    }
}

extension EKSCall {
    /// The input's remoteNetworkConfig; nil for none.
    func remoteNetworks() -> RemoteNetworks? {
        guard let config = input["remoteNetworkConfig"] else { return nil }
        func ranges(_ member: String) -> [String] { (config[member]?.arrayValue ?? []).flatMap { $0["cidrs"]?.stringArray ?? [] } }
        return RemoteNetworks(nodes: ranges("remoteNodeNetworks"), pods: ranges("remotePodNetworks"))
    }

    fileprivate func update(_ change: ClusterChange) async throws -> UpdateRecord {
        try await service.updateClusterConfig(required("name"), change, token: token(now: service.now), caller: caller)
    }

    fileprivate func invalid(_ text: String) -> AWSError { EKSFault.invalidParameter(text, ["clusterName": .string(required("name"))]) }
}
