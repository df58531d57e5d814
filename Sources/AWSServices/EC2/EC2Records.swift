import AWSProtocol

/// Upstream: ec2 Vpc and its attributes.
struct VPCRecord: Codable, Sendable, Equatable {
    var id: String
    var cidr: String
    var isDefault = false
    var enableDNSSupport = true
    var enableDNSHostnames = false
    var instanceTenancy = "default"
    /// Nil for the region's own.
    var dhcpOptionsID: String?
    /// Nil: it has never had one.
    var ipv6Ranges: [IPv6RangeRecord]?
    /// Without effect: there are no metrics. Nil as false.
    var enableNetworkAddressUsageMetrics: Bool?
}

/// An IPv6 range of a VPC or a subnet. Upstream: ec2 VpcIpv6CidrBlockAssociation, SubnetIpv6CidrBlockAssociation.
struct IPv6RangeRecord: Codable, Sendable, Equatable {
    /// `vpc-cidr-assoc-…`, `subnet-cidr-assoc-…`
    var associationID: String
    var cidr: String
}

/// Upstream: ec2 Subnet.
struct SubnetRecord: Codable, Sendable, Equatable {
    var id: String
    var vpcID: String
    var cidr: String
    var zone: String
    var zoneID: String
    var isDefault = false
    var mapPublicIPOnLaunch = false
    var privateDNSHostnameType = "ip-name"
    /// Nil: it has addresses of IPv4 only.
    var ipv6Range: IPv6RangeRecord?
    /// Whether each new interface has an IPv6 address. Nil as false.
    var assignsIPv6OnCreation: Bool?
    /// Without effect: the resolver makes no addresses of NAT64. Nil as false.
    var enableDNS64: Bool?
    /// Whether a new instance's resource name is to have an A record. Without effect; nil as false.
    var enableResourceNameDNSARecord: Bool?
    /// The same of an AAAA record.
    var enableResourceNameDNSAAAARecord: Bool?
}

/// Upstream: ec2 SecurityGroupRule: one peer each.
struct SecurityGroupRuleRecord: Codable, Sendable, Equatable {
    /// `sgr-…`
    var id: String
    var isEgress: Bool
    /// `-1`, `tcp`, `udp`, `icmp`, or a number.
    var ipProtocol: String
    var fromPort: Int?
    var toPort: Int?
    var cidrIPv4: String?
    var cidrIPv6: String?
    var groupID: String?
    var prefixListID: String?
    var description: String?

    /// Whether both let the same through; ids and descriptions apart.
    func isSame(as other: SecurityGroupRuleRecord) -> Bool {
        isEgress == other.isEgress && ipProtocol == other.ipProtocol && fromPort == other.fromPort && toPort == other.toPort
            && cidrIPv4 == other.cidrIPv4
            && cidrIPv6 == other.cidrIPv6 && groupID == other.groupID && prefixListID == other.prefixListID
    }
}

/// Upstream: ec2 SecurityGroup.
struct SecurityGroupRecord: Codable, Sendable, Equatable {
    var id: String
    var name: String
    var description: String
    var vpcID: String
    var rules: [SecurityGroupRuleRecord] = []
}

/// Upstream: ec2 InternetGateway.
struct InternetGatewayRecord: Codable, Sendable, Equatable {
    var id: String
    var vpcID: String?
}

/// Upstream: ec2 Route. Exactly one target.
struct RouteRecord: Codable, Sendable, Equatable {
    /// An IPv4 or IPv6 range, or the id of a prefix list.
    var destination: String
    /// An internet gateway, a VPC's endpoint, or `local`.
    var gatewayID: String?
    var natGatewayID: String?
    var networkInterfaceID: String?
    var instanceID: String?
    var egressOnlyGatewayID: String?
    var origin = "CreateRoute"

    /// The targets, of which there is one.
    var targets: [String] { [gatewayID, natGatewayID, networkInterfaceID, instanceID, egressOnlyGatewayID].compactMap { $0 } }
}

/// Upstream: ec2 RouteTable.
struct RouteTableRecord: Codable, Sendable, Equatable {
    struct Association: Codable, Sendable, Equatable {
        var id: String
        /// Nil for the main association.
        var subnetID: String?
    }
    var id: String
    var vpcID: String
    var routes: [RouteRecord]
    var associations: [Association] = []

    var isMain: Bool { associations.contains { $0.subnetID == nil } }
}

/// Upstream: ec2 NetworkInterface.
struct NetworkInterfaceRecord: Codable, Sendable, Equatable {
    struct Attachment: Codable, Sendable, Equatable {
        var id: String
        /// Nil when it is a service's, such as EKS's.
        var instanceID: String?
        var deviceIndex: Int
        var attachedAt: Double
    }
    var id: String
    var subnetID: String
    var vpcID: String
    var zone: String
    var description: String
    var primaryAddress: String
    var secondaryAddresses: [String]
    var macAddress: String
    var groupIDs: [String]
    /// `interface`
    var interfaceType = "interface"
    /// A service holds it: users cannot delete it.
    var isRequesterManaged = false
    /// Names the one that made it, so that asking twice makes one.
    var ownerToken: String?
    var attachment: Attachment?
    /// Nil: it has none.
    var ipv6Addresses: [String]?
    /// Ranges of the subnet that are its own, /80 each. Nil: it has none.
    var ipv6Prefixes: [String]?

    var addresses: [String] { [primaryAddress] + secondaryAddresses }
}

/// Upstream: ec2 Instance.
struct EC2InstanceRecord: Codable, Sendable, Equatable {
    var id: String
    var reservationID: String
    var imageID: String
    var instanceType: String
    var subnetID: String
    var vpcID: String
    var zone: String
    var privateDNSName: String
    var privateAddress: String
    var interfaceIDs: [String]
    var groupIDs: [String]
    var architecture: String
    /// `pending`, `running`, `shutting-down`, `terminated`, …
    var state: String
    var launchedAt: Double
    var terminatedAt: Double?
    /// Bought on the spot market, not on demand; nil on demand.
    var isSpot: Bool?
    /// Set when it is taken back; nil while it is not.
    var interruption: SpotInterruption?
    var keyName: String?
    /// As it was given: in base 64.
    var userData: String?
    /// Nil for the image's own.
    var metadataOptions: InstanceMetadataOptions?
    /// Whether it is Fargate's, of whose machines EC2 shows the network interface only. Nil as false.
    var isFargate: Bool?

    static let stateCodes = ["pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80]
}

/// All of EC2 in one region.
struct EC2Tables: DurableTables {
    var vpcs = Table<VPCRecord>("ec2.vpcs")
    var subnets = Table<SubnetRecord>("ec2.subnets")
    var securityGroups = Table<SecurityGroupRecord>("ec2.securityGroups")
    var internetGateways = Table<InternetGatewayRecord>("ec2.internetGateways")
    var routeTables = Table<RouteTableRecord>("ec2.routeTables")
    var instances = Table<EC2InstanceRecord>("ec2.instances")
    var addresses = Table<AddressRecord>("ec2.addresses")
    var natGateways = Table<NATGatewayRecord>("ec2.natGateways")
    var egressOnlyGateways = Table<EgressOnlyGatewayRecord>("ec2.egressOnlyGateways")
    var dhcpOptions = Table<DHCPOptionsRecord>("ec2.dhcpOptions")
    var networkACLs = Table<NetworkACLRecord>("ec2.networkACLs")
    /// By subnet.
    var aclAssociations = Table<NetworkACLAssociationRecord>("ec2.networkACLAssociations")
    var prefixLists = Table<PrefixListRecord>("ec2.prefixLists")
    var endpoints = Table<VPCEndpointRecord>("ec2.vpcEndpoints")
    var launchTemplates = Table<LaunchTemplateRecord>("ec2.launchTemplates")
    var keyPairs = Table<KeyPairRecord>("ec2.keyPairs")
    var placementGroups = Table<PlacementGroupRecord>("ec2.placementGroups")
    /// By resource id.
    var tags = Table<[String: String]>("ec2.tags")
    private(set) var interfaces = Table<NetworkInterfaceRecord>("ec2.networkInterfaces")
    /// Derived from `interfaces`: the addresses in use, by subnet.
    private(set) var usedAddresses: [String: Set<IPv4Address>] = [:]
    /// The address given out last, by subnet; after a restart the highest in use.
    private(set) var lastGiven: [String: IPv4Address] = [:]

    init() {}

    mutating func load(from storage: any RowStorage) async throws {
        try await vpcs.load(from: storage)
        try await subnets.load(from: storage)
        try await securityGroups.load(from: storage)
        try await internetGateways.load(from: storage)
        try await routeTables.load(from: storage)
        try await interfaces.load(from: storage)
        try await instances.load(from: storage)
        try await tags.load(from: storage)
        try await loadNetworking(from: storage)
        for interface in interfaces.values {
            usedAddresses[interface.subnetID, default: []].formUnion(interface.addresses.compactMap { IPv4Address($0) })
        }
        lastGiven = usedAddresses.compactMapValues { $0.max() }
    }

    private mutating func loadNetworking(from storage: any RowStorage) async throws {
        try await addresses.load(from: storage)
        try await natGateways.load(from: storage)
        try await egressOnlyGateways.load(from: storage)
        try await dhcpOptions.load(from: storage)
        try await networkACLs.load(from: storage)
        try await aclAssociations.load(from: storage)
        try await prefixLists.load(from: storage)
        try await endpoints.load(from: storage)
        try await launchTemplates.load(from: storage)
        try await keyPairs.load(from: storage)
        try await placementGroups.load(from: storage)
    }

    mutating func takeChanges() -> [RowChange] {
        let network =
            vpcs.takeChanges() + subnets.takeChanges() + securityGroups.takeChanges() + internetGateways.takeChanges() + routeTables.takeChanges()
        let gateways = addresses.takeChanges() + natGateways.takeChanges() + egressOnlyGateways.takeChanges() + endpoints.takeChanges()
        let lists = dhcpOptions.takeChanges() + networkACLs.takeChanges() + aclAssociations.takeChanges() + prefixLists.takeChanges()
        let others = gateways + lists + launchTemplates.takeChanges() + keyPairs.takeChanges() + placementGroups.takeChanges()
        return network + others + interfaces.takeChanges() + instances.takeChanges() + tags.takeChanges()
    }

    /// Adds or replaces an interface and keeps the count of addresses true.
    mutating func put(_ interface: NetworkInterfaceRecord) {
        if let old = interfaces[interface.id] { usedAddresses[old.subnetID]?.subtract(old.addresses.compactMap { IPv4Address($0) }) }
        if interfaces[interface.id] == nil { lastGiven[interface.subnetID] = interface.addresses.last.flatMap { IPv4Address($0) } }
        interfaces[interface.id] = interface
        usedAddresses[interface.subnetID, default: []].formUnion(interface.addresses.compactMap { IPv4Address($0) })
    }

    mutating func removeInterface(_ id: String) {
        guard let old = interfaces[id] else { return }
        usedAddresses[old.subnetID]?.subtract(old.addresses.compactMap { IPv4Address($0) })
        interfaces[id] = nil
        tags[id] = nil
    }

    func freeAddresses(_ subnet: SubnetRecord) -> Int { max(0, (IPv4Block(subnet.cidr)?.usable ?? 0) - (usedAddresses[subnet.id]?.count ?? 0)) }

    func tags(of id: String) -> [String: String] { tags[id] ?? [:] }

    mutating func setTags(_ new: [String: String], on id: String) {
        guard !new.isEmpty else { return }
        tags[id] = tags(of: id).merging(new) { _, new in new }
    }
}

/// EC2's errors. Upstream: EC2 API Reference, "Error codes".
enum EC2Fault {
    static func missingParameter(_ name: String) -> AWSError { AWSError("MissingParameter", "The request must contain the parameter \(name)") }
    static func invalidValue(_ text: String) -> AWSError { AWSError("InvalidParameterValue", text) }
    static func dependency(_ text: String) -> AWSError { AWSError("DependencyViolation", text) }
    static func noFreeAddresses(_ subnet: String) -> AWSError {
        AWSError(
            "InsufficientFreeAddressesInSubnet",
            "There are not enough free addresses in subnet '\(subnet)' to satisfy the requested number of instances.")
    }
    static func requesterManaged(_ id: String) -> AWSError {
        AWSError("OperationNotPermitted", "You do not have permission to access the specified resource: \(id) is managed by EKS.")
    }
    static func missing(_ code: String, _ noun: String, _ id: String) -> AWSError { AWSError(code, "The \(noun) ID '\(id)' does not exist") }
}

extension EC2Tables {
    func vpc(_ id: String) throws(AWSError) -> VPCRecord {
        guard let found = vpcs[id] else { throw EC2Fault.missing("InvalidVpcID.NotFound", "vpc", id) }
        return found
    }
    func subnet(_ id: String) throws(AWSError) -> SubnetRecord {
        guard let found = subnets[id] else { throw EC2Fault.missing("InvalidSubnetID.NotFound", "subnet", id) }
        return found
    }
    func securityGroup(_ id: String) throws(AWSError) -> SecurityGroupRecord {
        guard let found = securityGroups[id] else { throw AWSError("InvalidGroup.NotFound", "The security group '\(id)' does not exist") }
        return found
    }
    func internetGateway(_ id: String) throws(AWSError) -> InternetGatewayRecord {
        guard let found = internetGateways[id] else { throw EC2Fault.missing("InvalidInternetGatewayID.NotFound", "internetGateway", id) }
        return found
    }
    func routeTable(_ id: String) throws(AWSError) -> RouteTableRecord {
        guard let found = routeTables[id] else { throw EC2Fault.missing("InvalidRouteTableID.NotFound", "routeTable", id) }
        return found
    }
    func interface(_ id: String) throws(AWSError) -> NetworkInterfaceRecord {
        guard let found = interfaces[id] else { throw EC2Fault.missing("InvalidNetworkInterfaceID.NotFound", "networkInterface", id) }
        return found
    }
}
