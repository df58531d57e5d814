/// Upstream: ec2 Address, an elastic IP.
struct AddressRecord: Codable, Sendable, Equatable {
    /// `eipalloc-…`
    var id: String
    var publicAddress: String
    var associationID: String?
    var interfaceID: String?
    var privateAddress: String?
}

/// Upstream: ec2 NatGateway.
struct NATGatewayRecord: Codable, Sendable, Equatable {
    var id: String
    var subnetID: String
    var vpcID: String
    /// `public` or `private`.
    var connectivity: String
    var allocationID: String?
    var publicAddress: String?
    var interfaceID: String
    var privateAddress: String
    var createdAt: Double
    var deletedAt: Double?
    var clientToken: String?
}

/// Upstream: ec2 EgressOnlyInternetGateway.
struct EgressOnlyGatewayRecord: Codable, Sendable, Equatable {
    var id: String
    var vpcID: String
}

/// Upstream: ec2 DhcpOptions.
struct DHCPOptionsRecord: Codable, Sendable, Equatable {
    var id: String
    /// Values by key: `domain-name-servers`.
    var options: [String: [String]]
}

/// Upstream: ec2 NetworkAcl.
struct NetworkACLRecord: Codable, Sendable, Equatable {
    struct Entry: Codable, Sendable, Equatable {
        var number: Int
        var isEgress: Bool
        /// `-1`, or a protocol's number.
        var ipProtocol: String
        /// `allow` or `deny`.
        var action: String
        var cidr: String?
        var ipv6CIDR: String?
        var icmpType: Int?
        var icmpCode: Int?
        var fromPort: Int?
        var toPort: Int?
    }
    var id: String
    var vpcID: String
    var isDefault: Bool
    var entries: [Entry]

    /// The rule at the end of each direction, which cannot be removed.
    static let last = 32_767
}

/// Which list a subnet has; without a record, its VPC's default. Upstream: ec2 NetworkAclAssociation.
struct NetworkACLAssociationRecord: Codable, Sendable, Equatable {
    var id: String
    var aclID: String
}

/// Upstream: ec2 ManagedPrefixList with its entries.
struct PrefixListRecord: Codable, Sendable, Equatable {
    struct Entry: Codable, Sendable, Equatable {
        var cidr: String
        var description: String?
    }
    var id: String
    var name: String
    /// `IPv4` or `IPv6`.
    var family: String
    var maxEntries: Int
    var version: Int
    var entries: [Entry]
}

/// Upstream: ec2 VpcEndpoint.
struct VPCEndpointRecord: Codable, Sendable, Equatable {
    var id: String
    /// `Gateway` or `Interface`.
    var type: String
    var vpcID: String
    var serviceName: String
    var policy: String
    var routeTableIDs: [String]
    var subnetIDs: [String]
    var groupIDs: [String]
    var interfaceIDs: [String]
    var isPrivateDNSEnabled: Bool
    var createdAt: Double
    var clientToken: String?
}

/// Upstream: ec2 LaunchTemplate with its versions.
struct LaunchTemplateRecord: Codable, Sendable, Equatable {
    struct Version: Codable, Sendable, Equatable {
        var number: Int
        var description: String?
        var createdAt: Double
        var createdBy: String
        /// `LaunchTemplateData` of the request as JSON, with its names.
        var data: String
    }
    var id: String
    var name: String
    var createdAt: Double
    var createdBy: String
    var defaultVersion: Int
    var latestVersion: Int
    var versions: [Version]
    var clientToken: String?
}

/// Upstream: ec2 KeyPairInfo.
struct KeyPairRecord: Codable, Sendable, Equatable {
    var id: String
    var name: String
    /// `rsa` or `ed25519`.
    var type: String
    var fingerprint: String
    /// As given: `ssh-ed25519 AAAA… comment`.
    var publicKey: String
    var createdAt: Double
}

/// Upstream: ec2 PlacementGroup.
struct PlacementGroupRecord: Codable, Sendable, Equatable {
    var id: String
    var name: String
    var strategy: String
    var partitionCount: Int?
    var spreadLevel: String?
}
