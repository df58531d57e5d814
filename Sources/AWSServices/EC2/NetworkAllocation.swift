import AWSProtocol

/// What EKS asks of a subnet.
package struct SubnetFacts: Sendable, Equatable {
    package var id: String
    package var vpcID: String
    package var cidr: String
    package var zone: String
    package var zoneID: String
    package var freeAddresses: Int
    package var mapsPublicAddresses: Bool
    /// Nil: it has no IPv6 range.
    package var ipv6CIDR: String? = nil
    package var assignsIPv6OnCreation = false
}

/// What EKS asks of a VPC.
package struct VPCFacts: Sendable, Equatable {
    package var id: String
    package var cidr: String
    package var enableDNSSupport: Bool
    package var enableDNSHostnames: Bool
    package var ipv6CIDRs: [String] = []
}

/// A network interface a service holds.
package struct InterfaceFacts: Sendable, Equatable {
    package var id: String
    package var subnetID: String
    package var primaryAddress: String
    package var secondaryAddresses: [String]
    package var macAddress: String
    package var ipv6Addresses: [String] = []
}

/// What an instance is launched with.
package struct InstanceLaunch: Sendable {
    /// Chosen by the caller and kept by it first, so that a launch repeated after a crash finds the same instance.
    package var instanceID: String
    package var instanceType: String
    package var imageID: String
    package var subnetID: String
    package var groupIDs: [String]
    /// Secondary addresses for pods, spread over as many interfaces as that takes.
    package var podAddresses: Int
    package var tags: [String: String]
    /// Of its network interfaces.
    package var interfaceTags: [String: String] = [:]
    package var isSpot = false
    /// A key pair that must exist.
    package var keyName: String?
    /// In base 64.
    package var userData: String?
    package var metadataOptions = InstanceMetadataOptions()
    /// A machine of Fargate: of no instance type, and not shown among the account's instances.
    package var isFargate = false
    /// It has an IPv6 address and, for its pods, a prefix, in place of secondary addresses.
    package var hasIPv6Pods = false

    package init(
        instanceID: String, instanceType: String, imageID: String, subnetID: String, groupIDs: [String], podAddresses: Int, tags: [String: String]
    ) {
        self.instanceID = instanceID
        self.instanceType = instanceType
        self.imageID = imageID
        self.subnetID = subnetID
        self.groupIDs = groupIDs
        self.podAddresses = podAddresses
        self.tags = tags
    }
}

/// A launched instance.
package struct InstanceFacts: Sendable, Equatable {
    package var id: String
    /// `ip-10-0-1-7.eu-central-1.compute.internal`
    package var privateDNSName: String
    package var primaryAddress: String
    package var macAddress: String
    package var interfaceIDs: [String]
    package var podAddresses: [String]
    package var zone: String
    package var vpcID: String
    package var vpcCIDR: String
    package var subnetCIDR: String
    /// `pending`, `running`, …
    package var state: String
    /// The first of its addresses; nil when it has none.
    package var ipv6Address: String? = nil
    /// The /80 that its pods' addresses come from; nil when it has none.
    package var ipv6Prefix: String? = nil
    package var subnetIPv6CIDR: String? = nil
}

/// The part of EC2 that the cluster lifecycle calls directly. All calls may be repeated: what is there already is found again.
extension EC2Network {
    /// Those of the subnets that exist, in the given order.
    package func subnets(_ ids: [String]) async -> [SubnetFacts] {
        await state.read { tables in
            ids.compactMap { id in
                tables.subnets[id].map { subnet in
                    SubnetFacts(
                        id: id, vpcID: subnet.vpcID, cidr: subnet.cidr, zone: subnet.zone, zoneID: subnet.zoneID,
                        freeAddresses: tables.freeAddresses(subnet),
                        mapsPublicAddresses: subnet.mapPublicIPOnLaunch, ipv6CIDR: subnet.ipv6Range?.cidr,
                        assignsIPv6OnCreation: subnet.assignsIPv6OnCreation ?? false)
                }
            }
        }
    }

    package func vpc(_ id: String) async -> VPCFacts? {
        await state.read { tables in
            tables.vpcs[id].map { vpc in
                VPCFacts(
                    id: id, cidr: vpc.cidr, enableDNSSupport: vpc.enableDNSSupport, enableDNSHostnames: vpc.enableDNSHostnames,
                    ipv6CIDRs: (vpc.ipv6Ranges ?? []).map(\.cidr))
            }
        }
    }

    /// The VPC of a security group; nil when there is no such group.
    package func vpcID(ofSecurityGroup id: String) async -> String? { await state.read { $0.securityGroups[id]?.vpcID } }

    /// What EKS says of its cluster security group's rules of its own members.
    private static let selfRule = "Allows EFA traffic, which is not matched by CIDR rules."

    /// The security group of this name in the VPC, made when it is not there. It lets all of its members in, and all out, to its members by a rule
    /// of its own. Upstream: EKS User Guide, "View Amazon EKS security group requirements for clusters". Throws `AWSError` or what the storage
    /// throws.
    package func ensureSelfReferencingGroup(name: String, description: String, vpcID: String, tags: [String: String]) async throws -> String {
        try await state.update { tables in
            let known = tables.securityGroups.values.first { $0.vpcID == vpcID && $0.name == name }
            let group = try known ?? tables.createSecurityGroup(name: name, description: description, vpcID: vpcID)
            for isEgress in [false, true] {
                let rule = SecurityGroupRuleRecord(
                    id: AWSIdentifier.resource("sgr"), isEgress: isEgress, ipProtocol: "-1", groupID: group.id, description: Self.selfRule)
                if !group.rules.contains(where: { $0.isSame(as: rule) }) { try tables.authorize(group.id, [rule]) }
            }
            tables.setTags(tags, on: group.id)
            return group.id
        }
    }

    /// Removes a security group and the rules of others that name it; one that is not there, or that interfaces still use, stays as it is and false
    /// is returned for the latter.
    package func removeSecurityGroup(_ id: String) async throws -> Bool {
        try await state.update { tables in
            guard tables.securityGroups[id] != nil else { return true }
            guard !tables.interfaces.values.contains(where: { $0.groupIDs.contains(id) }) else { return false }
            for var group in tables.securityGroups.values where group.id != id && group.rules.contains(where: { $0.groupID == id }) {
                group.rules.removeAll { $0.groupID == id }
                tables.securityGroups[group.id] = group
            }
            try tables.deleteSecurityGroup(id)
            return true
        }
    }

    /// The interface made for `ownerToken`, made when it is not there, attached to a service; with an IPv6 address where it must have one. Throws
    /// `AWSError` when the subnet lacks addresses.
    package func ensureInterface(
        ownerToken: String, subnetID: String, description: String, groupIDs: [String], tags: [String: String], hasIPv6: Bool = false
    ) async throws -> InterfaceFacts {
        let now = clock.now
        return try await state.update { tables in
            if let known = tables.interfaces.values.first(where: { $0.ownerToken == ownerToken }) { return InterfaceFacts(known) }
            var interface = try tables.createInterface(
                subnetID: subnetID, description: description, groupIDs: groupIDs, secondary: 0, ownerToken: ownerToken, isRequesterManaged: true)
            interface.attachment = NetworkInterfaceRecord.Attachment(id: AWSIdentifier.resource("ela-attach"), deviceIndex: 1, attachedAt: now)
            tables.put(interface)
            tables.setTags(tags, on: interface.id)
            if hasIPv6, interface.ipv6Addresses?.isEmpty ?? true { _ = try tables.assignIPv6(IPv6Wanted(addressCount: 1), to: interface.id) }
            return InterfaceFacts(try tables.interface(interface.id))
        }
    }

    /// Gives an interface other security groups; one that is not there is left so.
    package func setGroups(ofInterface id: String, _ groupIDs: [String]) async throws {
        try await state.update { tables in
            guard var interface = tables.interfaces[id] else { return }
            interface.groupIDs = groupIDs
            tables.put(interface)
        }
    }

    /// Removes all interfaces whose owner's token begins with `prefix`, but for those of `except`.
    package func removeInterfaces(ownerTokenPrefix prefix: String, except: Set<String> = []) async throws {
        try await state.update { tables in
            for interface in tables.interfaces.values where interface.ownerToken?.hasPrefix(prefix) ?? false && !except.contains(interface.id) {
                tables.removeInterface(interface.id)
            }
        }
    }

    /// Launches an instance in state pending, or finds the one of this id. Throws `AWSError`: InvalidInstanceType,
    /// InsufficientFreeAddressesInSubnet, …
    package func launch(_ launch: InstanceLaunch) async throws -> InstanceFacts {
        let size = try launch.size()
        let now = clock.now
        return try await state.update { tables in
            if let known = tables.instances[launch.instanceID] { return try tables.facts(known) }
            let subnet = try tables.subnet(launch.subnetID)
            if let key = launch.keyName { try tables.requireKeyPair(key) }
            // Each interface holds its own address and as many for pods as fit beside it.
            let perInterface = size.podAddressesPerInterface
            var remaining = launch.hasIPv6Pods ? 0 : min(max(0, launch.podAddresses), size.podAddresses)
            var interfaces: [NetworkInterfaceRecord] = []
            repeat {
                let secondary = min(remaining, perInterface)
                var interface = try tables.createInterface(
                    subnetID: subnet.id, description: interfaces.isEmpty ? "" : "aws-K8S-\(launch.instanceID)", groupIDs: launch.groupIDs,
                    secondary: secondary)
                interface.attachment = NetworkInterfaceRecord.Attachment(
                    id: AWSIdentifier.resource("eni-attach"), instanceID: launch.instanceID, deviceIndex: interfaces.count, attachedAt: now)
                tables.put(interface)
                tables.setTags(launch.interfaceTags, on: interface.id)
                interfaces.append(interface)
                remaining -= secondary
            } while remaining > 0 && interfaces.count < size.interfaces
            if launch.hasIPv6Pods, let first = interfaces.first {
                let isAssigned = first.ipv6Addresses?.isEmpty == false
                _ = try tables.assignIPv6(IPv6Wanted(addressCount: isAssigned ? 0 : 1, prefixCount: 1), to: first.id)
            }
            guard let first = interfaces.first, let address = IPv4Address(first.primaryAddress) else { throw EC2Fault.noFreeAddresses(subnet.id) }
            let name = (launch.isFargate ? "fargate-" : "") + self.privateDNSName(of: address)
            var instance = EC2InstanceRecord(
                id: launch.instanceID, reservationID: AWSIdentifier.resource("r"), imageID: launch.imageID, instanceType: launch.instanceType,
                subnetID: subnet.id,
                vpcID: subnet.vpcID, zone: subnet.zone, privateDNSName: name, privateAddress: first.primaryAddress,
                interfaceIDs: interfaces.map(\.id), groupIDs: launch.groupIDs, architecture: size.architecture, state: "pending", launchedAt: now)
            instance.isSpot = launch.isSpot
            instance.keyName = launch.keyName
            instance.userData = launch.userData
            instance.metadataOptions = launch.metadataOptions
            if launch.isFargate { instance.isFargate = true }
            tables.instances[instance.id] = instance
            tables.setTags(launch.tags, on: instance.id)
            return try tables.facts(instance)
        }
    }

    /// Sets an instance's state: `running`, `shutting-down`. One that is not there stays so.
    package func setInstanceState(_ id: String, _ instanceState: String) async throws {
        try await state.update { tables in
            guard var instance = tables.instances[id], instance.state != "terminated" else { return }
            instance.state = instanceState
            tables.instances[id] = instance
        }
    }

    /// Ends an instance: its interfaces and addresses are released; its record answers `terminated` for an hour.
    package func terminate(_ id: String) async throws {
        let now = clock.now
        try await state.update { tables in
            for old in tables.instances.values {
                guard let end = old.terminatedAt, end + EC2Network.terminatedVisibility < now else { continue }
                tables.instances[old.id] = nil
                tables.tags[old.id] = nil
            }
            guard var instance = tables.instances[id] else { return }
            for interface in instance.interfaceIDs { tables.removeInterface(interface) }
            instance.interfaceIDs = []
            instance.state = "terminated"
            instance.terminatedAt = instance.terminatedAt ?? now
            tables.instances[id] = instance
        }
    }

    /// Seconds a terminated instance is still described. Upstream: EC2 User Guide, "Terminate Amazon EC2 instances".
    private static let terminatedVisibility: Double = 3_600
}

extension InstanceLaunch {
    /// How many interfaces and addresses it may take. Throws InvalidInstanceType.
    fileprivate func size() throws(AWSError) -> (interfaces: Int, podAddressesPerInterface: Int, podAddresses: Int, architecture: String) {
        if isFargate { return (1, 1, 1, "x86_64") }
        guard let type = InstanceTypes.all[instanceType] else {
            throw AWSError("InvalidInstanceType", "The instance type '\(instanceType)' does not exist")
        }
        return (type.maxInterfaces, type.addressesPerInterface - 1, type.podAddresses, type.architecture)
    }
}

extension InterfaceFacts {
    fileprivate init(_ record: NetworkInterfaceRecord) {
        self.init(
            id: record.id, subnetID: record.subnetID, primaryAddress: record.primaryAddress, secondaryAddresses: record.secondaryAddresses,
            macAddress: record.macAddress, ipv6Addresses: record.ipv6Addresses ?? [])
    }
}

extension EC2Tables {
    fileprivate func facts(_ instance: EC2InstanceRecord) throws(AWSError) -> InstanceFacts {
        let interfaces = instance.interfaceIDs.compactMap { self.interfaces[$0] }
        return InstanceFacts(
            id: instance.id, privateDNSName: instance.privateDNSName, primaryAddress: instance.privateAddress,
            macAddress: interfaces.first?.macAddress ?? "",
            interfaceIDs: instance.interfaceIDs, podAddresses: interfaces.flatMap(\.secondaryAddresses), zone: instance.zone, vpcID: instance.vpcID,
            vpcCIDR: try vpc(instance.vpcID).cidr, subnetCIDR: try subnet(instance.subnetID).cidr, state: instance.state,
            ipv6Address: interfaces.compactMap { $0.ipv6Addresses?.first }.first, ipv6Prefix: interfaces.compactMap { $0.ipv6Prefixes?.first }.first,
            subnetIPv6CIDR: try subnet(instance.subnetID).ipv6Range?.cidr)
    }
}

extension EC2Network {
    /// The ids of all instances, terminated ones apart, that carry the tag `key`.
    package func instanceIDs(tagged key: String) async -> Set<String> {
        await state.read { tables in Set(tables.instances.values.filter { $0.state != "terminated" && tables.tags(of: $0.id)[key] != nil }.map(\.id))
        }
    }
}
