internal import Machines

extension ClusterNetwork {
    /// The cluster's VPC as it stands on this host.
    var hostNetwork: VPCNetwork { VPCNetwork(vpcID: vpcID, cidr: vpcCIDR, ipv6CIDRs: vpcIPv6CIDRs ?? []) }
}
