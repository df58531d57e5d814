import AWSProtocol
import AWSServices

/// What IPv6 clusters need of their network, and the range of their Services. Upstream: EKS User Guide, "Learn about IPv6 addresses to clusters, pods,
/// and services".
enum IPv6Requirements {
    /// Upstream: the length of EKS's serviceIpv6Cidr.
    private static let serviceLength = 108
    /// The least that nodes' prefixes, /80 each, are cut from.
    private static let shortestSubnet = 64

    /// Throws InvalidParameterException for a network without IPv6, and for a range of Services' addresses, which cannot be chosen.
    static func check(_ subnets: [SubnetFacts], _ vpc: VPCFacts, askedIPv4: String?, cluster: String) throws(AWSError) {
        let fields: [String: AWSJSON] = ["clusterName": .string(cluster)]
        guard askedIPv4 == nil else {
            throw EKSFault.invalidParameter("serviceIpv4Cidr cannot be specified when ipFamily is ipv6", fields)
        }
        guard !vpc.ipv6CIDRs.isEmpty else {
            throw EKSFault.invalidParameter(
                "VPC \(vpc.id) has no IPv6 CIDR block, which ipFamily ipv6 needs: aws ec2 associate-vpc-cidr-block --vpc-id \(vpc.id) "
                    + "--amazon-provided-ipv6-cidr-block", fields)
        }
        try check(subnets, fields)
    }

    /// Throws InvalidParameterException for subnets without an IPv6 range.
    static func check(_ subnets: [SubnetFacts], _ fields: [String: AWSJSON]) throws(AWSError) {
        let missing = subnets.filter { $0.ipv6CIDR.flatMap { IPv6Block($0) }.map { $0.prefixLength > shortestSubnet } ?? true }.map(\.id)
        guard missing.isEmpty else {
            throw EKSFault.invalidParameter(
                "Subnets of a cluster with ipFamily ipv6 must have an IPv6 CIDR block: \(missing.joined(separator: ", ")) have none", fields)
        }
    }

    /// A /108 by chance, within the unique-local addresses and without the VPC's.
    static func serviceRange(avoiding ranges: [String]) -> String {
        let taken = (ranges + ["fd00:ec2::/32"]).compactMap { IPv6Block($0) }
        while true {
            // 40 bits by chance make the /48 of RFC 4193; the Services' is the first /108 of it.
            let global = UInt128.random(in: 0..<(1 << 40)) << 80
            let block = IPv6Block(IPv6Address(UInt128(0xFD) << 120 | global), prefixLength: serviceLength)
            if !taken.contains(where: { $0.overlaps(block) }) { return block.description }
        }
    }
}
