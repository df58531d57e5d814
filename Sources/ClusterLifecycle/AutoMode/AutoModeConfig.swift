internal import AWSProtocol

/// EKS Auto Mode of a cluster that has it. Upstream: eks ComputeConfigResponse; storage and load balancing are on with it.
package struct AutoModeConfig: Codable, Sendable, Equatable {
    /// Of `general-purpose` and `system`.
    package var nodePools: [String]
    /// Of the nodes of the NodeClass `default`; nil when no built-in pool is on.
    package var nodeRoleARN: String?
}

/// What a request says of EKS Auto Mode: the three switches, and what belongs to the first. Upstream: eks ComputeConfigRequest, StorageConfigRequest,
/// KubernetesNetworkConfigRequest.
package struct AutoModeRequest: Codable, Sendable, Equatable {
    package var compute: Bool?
    package var blockStorage: Bool?
    package var loadBalancing: Bool?
    package var nodePools: [String]?
    package var nodeRoleARN: String?

    package init() {}

    /// Whether it names computeConfig or storageConfig.
    var namesConfig: Bool { compute != nil || blockStorage != nil || nodePools != nil || nodeRoleARN != nil }

    /// Upstream: EKS User Guide, "Enable or Disable Built-in NodePools".
    static let builtInPools = ["general-purpose", "system"]

    /// Whether Auto Mode is to be on; nil: the request does not speak of it. Throws when it is to be on by halves, in EKS's words.
    func isOn(cluster: String) throws(AWSError) -> Bool? {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        let switches = [compute, blockStorage, loadBalancing]
        guard switches.contains(where: { $0 != nil }) || nodePools != nil || nodeRoleARN != nil else { return nil }
        let isOn = switches.allSatisfy { $0 == true }
        guard isOn || !switches.contains(true) else { throw Self.byHalves(fields) }
        guard isOn || ((nodePools ?? []).isEmpty && (nodeRoleARN ?? "").isEmpty) else {
            throw EKSFault.invalidParameter("When Compute Config is disabled, nodePools and nodeRoleArn cannot be provided.", fields)
        }
        return isOn
    }

    /// What pools and role come to; `known` is the role a cluster has already. Throws in EKS's words.
    func config(known: String? = nil, pools kept: [String] = [], cluster: String) throws(AWSError) -> AutoModeConfig {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        let pools = nodePools ?? kept
        if let unknown = pools.first(where: { !Self.builtInPools.contains($0) }) {
            throw EKSFault.invalidParameter(
                "Invalid nodePool value: \(unknown.prefix(64)). Node pool values are case-sensitive and must be general-purpose and/or system.",
                fields)
        }
        let asked = nodeRoleARN.flatMap { $0.isEmpty ? nil : $0 }
        if let known, let asked, asked != known {
            throw EKSFault.invalidParameter("The Compute Config nodeRoleArn cannot be changed once it is set.", fields)
        }
        if pools.isEmpty, asked != nil {
            throw EKSFault.invalidParameter(
                "When Compute Config nodeRoleArn is not null or empty, nodePool value(s) must be provided.", fields)
        }
        let role = asked ?? known
        if !pools.isEmpty, role == nil {
            throw EKSFault.invalidParameter("When Compute Config nodeRoleArn is null or empty, nodePool list cannot be populated.", fields)
        }
        return AutoModeConfig(nodePools: Self.builtInPools.filter(pools.contains), nodeRoleARN: role)
    }

    /// Auto Mode of a new cluster; nil: off. Throws in EKS's words.
    func created(mode: String, bootstrapsAddons: Bool?, cluster: String) throws(AWSError) -> AutoModeConfig? {
        guard try isOn(cluster: cluster) ?? false else { return nil }
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        guard bootstrapsAddons != true else {
            throw EKSFault.invalidParameter("When EKS Auto Mode is enabled, bootstrapSelfManagedAddons must be set to false.", fields)
        }
        guard mode != "CONFIG_MAP" else { throw Self.noEntries(fields) }
        return try config(cluster: cluster)
    }

    /// Whether all three switches are off in so many words.
    var isOff: Bool { [compute, blockStorage, loadBalancing].allSatisfy { $0 == false } }

    static func byHalves(_ fields: [String: AWSJSON]) -> AWSError {
        EKSFault.invalidParameter(
            "For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all "
                + "either fully enabled or fully disabled.", fields)
    }

    static func noEntries(_ fields: [String: AWSJSON]) -> AWSError {
        EKSFault.invalidParameter(
            "When EKS Auto Mode is enabled, the cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP].", fields)
    }
}
