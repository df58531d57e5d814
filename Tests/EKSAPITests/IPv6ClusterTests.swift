import AWSProtocol
import ClusterLifecycle
import Testing

@testable import EKSAPI

/// What DescribeCluster shows of the families of addresses.
@Suite struct IPv6ClusterTests {
    private func shown(_ change: (inout ClusterNetwork) -> Void) -> AWSJSON? {
        var network = ClusterNetwork(vpcID: "vpc-1", vpcCIDR: "10.0.0.0/16", subnetIDs: [], securityGroupIDs: [])
        change(&network)
        let record = ClusterRecord(
            name: "x", id: "0", arn: "arn", accountID: "1", region: "r", createdAt: 0, version: "1.36", roleARN: "role", network: network,
            access: ClusterAccess(creatorARN: "user"))
        return record.json()["kubernetesNetworkConfig"]
    }

    @Test("one range of Services is shown, of the cluster's family") func family() {
        let four = shown { _ in }
        #expect(four?["ipFamily"] == "ipv4" && four?["serviceIpv4Cidr"] == "10.100.0.0/16" && four?["serviceIpv6Cidr"] == nil)
        let six = shown {
            $0.serviceIPv4CIDR = ""
            $0.serviceIPv6CIDR = "fd12:3456:789a::/108"
        }
        #expect(six?["ipFamily"] == "ipv6" && six?["serviceIpv6Cidr"] == "fd12:3456:789a::/108" && six?["serviceIpv4Cidr"] == nil)
    }
}
