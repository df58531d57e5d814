package import AWSProtocol

/// A region's zones. Upstream: ec2 DescribeAvailabilityZones.
package struct AvailabilityZones: Sendable {
    /// `eu-central-1a` and its id `euc1-az1`, in order.
    package let zones: [(name: String, id: String)]

    /// The zones a, b and c of a region. Zone ids in which EKS has no control planes are left out. Upstream: EKS User Guide, "Subnet requirements".
    package init(region: String) {
        let unsupported: Set<String> = ["use1-az3", "usw1-az2", "cac1-az3"]
        let code = AvailabilityZones.code(of: region)
        let ids = (1...6).map { "\(code)-az\($0)" }.filter { !unsupported.contains($0) }
        zones = Array(zip(["a", "b", "c"].map { region + $0 }, ids)).map { (name: $0.0, id: $0.1) }
    }

    func id(of zone: String) -> String? { zones.first { $0.name == zone }?.id }

    /// `eu-central-1` is `euc1`, `ap-southeast-2` is `apse2`, `us-gov-west-1` is `usgw1`.
    private static func code(of region: String) -> String {
        let directions = [
            "north": "n", "south": "s", "east": "e", "west": "w", "central": "c", "northeast": "ne", "northwest": "nw", "southeast": "se",
            "southwest": "sw",
            "gov": "g",
        ]
        return region.split(separator: "-").enumerated().map { index, part in index == 0 ? String(part) : directions[String(part)] ?? String(part) }
            .joined()
    }
}

/// One region's network and instances: behind EC2's API, and used directly by the cluster lifecycle.
package final class EC2Network: Sendable {
    package let account: String
    package let region: String
    package let zones: AvailabilityZones
    let clock: AWSClock
    let state: DurableState<EC2Tables>
    /// Ids of instances as they are told that they go. One consumer: the lifecycle.
    package let interruptions: AsyncStream<String>
    let interruptionInput: AsyncStream<String>.Continuation

    /// The range of the default VPC. Upstream: VPC User Guide, "Default VPCs".
    static let defaultBlock = "172.31.0.0/16"

    /// Loads the region, and makes its default VPC when the region is new. Throws what the storage throws.
    package init(storage: any RowStorage, account: String, region: String, clock: AWSClock = .system) async throws {
        self.account = account
        self.region = region
        self.clock = clock
        zones = AvailabilityZones(region: region)
        (interruptions, interruptionInput) = AsyncStream.makeStream()
        state = try await DurableState(storage: storage)
        let zones = zones
        try await state.update { tables in
            if tables.vpcs.isEmpty { try tables.createDefaultVPC(zones) }
        }
    }

    /// `ip-10-0-1-7.eu-central-1.compute.internal`; us-east-1 has its old form `ip-10-0-1-7.ec2.internal`.
    package func privateDNSName(of address: IPv4Address) -> String {
        region == "us-east-1" ? "ip-\(address.dashed).ec2.internal" : "ip-\(address.dashed).\(region).compute.internal"
    }

    func arn(_ resource: String) -> String {
        ARN(partition: ARN.partition(ofRegion: region), service: "ec2", region: region, account: account, resource: resource).description
    }
}

extension EC2Tables {
    /// The default VPC with a subnet in each zone, an internet gateway and a route to it.
    fileprivate mutating func createDefaultVPC(_ zones: AvailabilityZones) throws(AWSError) {
        var vpc = try createVPC(cidr: EC2Network.defaultBlock)
        vpc.isDefault = true
        vpc.enableDNSHostnames = true
        vpcs[vpc.id] = vpc
        for (index, zone) in zones.zones.enumerated() {
            var subnet = try createSubnet(vpcID: vpc.id, cidr: "172.31.\(index * 16).0/20", zone: zone)
            subnet.isDefault = true
            subnet.mapPublicIPOnLaunch = true
            subnets[subnet.id] = subnet
        }
        let gateway = InternetGatewayRecord(id: AWSIdentifier.resource("igw"), vpcID: vpc.id)
        internetGateways[gateway.id] = gateway
        if var main = routeTables.values.first(where: { $0.vpcID == vpc.id && $0.isMain }) {
            main.routes.append(RouteRecord(destination: "0.0.0.0/0", gatewayID: gateway.id))
            routeTables[main.id] = main
        }
    }
}
