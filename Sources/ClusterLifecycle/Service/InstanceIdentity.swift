import AWSProtocol
package import AWSServices

/// Instances' credentials that are given out, so that asking often makes few sessions.
actor InstanceCredentials {
    /// Seconds that they live, and how long before their end new ones are made. Upstream: IMDS gives new ones at least five minutes before.
    static let lifetime = 21_600
    private static let renewal: Double = 3_600
    private var known: [String: RoleCredentials] = [:]

    /// Those of an instance: kept ones that are good for a while, or what `make` makes.
    func credentials(of instanceID: String, now: Double, _ make: @Sendable () async throws -> RoleCredentials) async throws -> RoleCredentials {
        if let kept = known[instanceID], kept.expiration - Self.renewal > now { return kept }
        let made = try await make()
        known = known.filter { $0.value.expiration > now }
        known[instanceID] = made
        return made
    }
}

extension EKSService {
    /// What the instance with this primary address may know of itself; nil when there is none.
    package func instanceMetadata(primaryAddress: String) async -> InstanceMetadata? {
        let account = configuration.account
        let known = await state.read { tables -> InstanceMetadata? in
            guard let (instance, owner) = tables.instance(primaryAddress: primaryAddress) else { return nil }
            let role = ARN(owner.roleARN)?.resourceParts.last.map(String.init) ?? ""
            return InstanceMetadata(
                instanceID: instance.instanceID, account: account, region: instance.region, zone: instance.zone,
                zoneID: instance.labels["topology.k8s.aws/zone-id"] ?? "", instanceType: instance.instanceType,
                imageID: owner.imageID, privateDNSName: instance.nodeName,
                primaryAddress: instance.primaryAddress, addresses: [instance.primaryAddress] + instance.podAddresses,
                macAddress: instance.macAddress, interfaceID: instance.networkInterfaceIDs.first ?? "", subnetID: instance.subnetID,
                subnetCIDR: instance.subnetCIDR, vpcID: instance.vpcID, vpcCIDR: instance.vpcCIDR, securityGroupIDs: instance.securityGroupIDs,
                architecture: instance.labels["kubernetes.io/arch"] == "arm64" ? "arm64" : "x86_64", launchedAt: instance.createdAt,
                roleName: role, profileARN: "arn:\(ARN.partition(ofRegion: instance.region)):iam::\(account):instance-profile/eks-\(owner.id)")
        }
        guard var metadata = known, let launched = await network.launched(metadata.instanceID) else { return known }
        metadata.isSpot = launched.isSpot
        metadata.interruption = launched.interruption
        metadata.userData = launched.userData
        if launched.metadataOptions.showsTags { metadata.tags = launched.tags }
        return metadata
    }

    /// Credentials of the node role for the instance with this primary address. Throws `AccessDenial` when the role does not trust EC2 any more, or
    /// is gone.
    package func instanceCredentials(primaryAddress: String) async throws -> RoleCredentials {
        guard let (instance, owner) = await state.read({ $0.instance(primaryAddress: primaryAddress) }) else {
            throw EKSFault.notFound("There is no instance with the address \(primaryAddress)")
        }
        let session = ServiceSession(
            roleARN: owner.roleARN, service: "ec2.amazonaws.com", sessionName: instance.instanceID, duration: InstanceCredentials.lifetime,
            sourceARN: "arn:\(configuration.partition):ec2:\(instance.region):\(configuration.account):instance/\(instance.instanceID)")
        return try await instanceSessions.credentials(of: instance.instanceID, now: clock.now) { [identities] in
            try await identities.credentials(for: session)
        }
    }
}

/// What an instance has from the node group or the NodeClaim it was launched for.
struct InstanceOwner: Sendable {
    /// Names its instance profile.
    var id: String
    var roleARN: String
    var imageID: String
}

extension LifecycleTables {
    /// The instance whose own address this is, with its owner. Addresses of one that is going may be another's already.
    func instance(primaryAddress: String) -> (InstanceRecord, InstanceOwner)? {
        for instance in instances.values where instance.primaryAddress == primaryAddress && instance.phase != .terminating {
            if let owner = owner(of: instance) { return (instance, owner) }
        }
        return nil
    }

    func owner(of instance: InstanceRecord) -> InstanceOwner? {
        if let claim = instance.claim {
            let cluster = clusters[instance.clusterName]?.id.lowercased() ?? ""
            return InstanceOwner(id: cluster, roleARN: claim.nodeRoleARN, imageID: claim.imageID)
        }
        return nodegroups[LifecycleTables.key(instance.clusterName, instance.nodegroup)].map { group in
            InstanceOwner(id: group.id, roleARN: group.nodeRoleARN, imageID: instance.labels["eks.amazonaws.com/nodegroup-image"] ?? "")
        }
    }
}
