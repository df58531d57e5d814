internal import AWSProtocol
internal import AWSServices
internal import CloudControllers
internal import Machines

/// The load balancers of one cluster: an interface's address in one of its subnets, and the host's balancer for it.
struct HostLoadBalancers: LoadBalancerProvider {
    let cluster: ClusterRecord
    let network: EC2Network
    let balancers: HostBalancers

    /// What ids of a cluster's balancers begin with.
    static func prefix(_ clusterName: String) -> String { "\(clusterName)/" }

    private func id(_ uid: String) -> String { Self.prefix(cluster.name) + uid }

    /// Under what the interface is found again; removed with the cluster's own.
    private func token(_ uid: String) -> String { "\(ControlPlaneInterfacesStep.token(cluster))load-balancer/\(uid)" }

    /// Makes or changes the balancer and gives its address.
    func ensure(_ balancer: LoadBalancer) async throws -> String {
        guard let subnet = cluster.network.subnetIDs.first else { throw ServiceUnavailable("cluster \(cluster.name) has no subnet") }
        let interface = try await network.ensureInterface(
            ownerToken: token(balancer.id), subnetID: subnet, description: "ELB net/\(balancer.service)", groupIDs: [],
            tags: ["kubernetes.io/service-name": balancer.service, "kubernetes.io/cluster/\(cluster.name)": "owned"],
            hasIPv6: cluster.network.isIPv6)
        // Of the family of the nodes behind it.
        guard let address = cluster.network.isIPv6 ? interface.ipv6Addresses.first : interface.primaryAddress else {
            throw ServiceUnavailable("interface \(interface.id) has no address")
        }
        let ports = balancer.ports.map { HostBalancers.Port(transport: $0.transport.lowercased(), port: $0.port, nodePort: $0.nodePort) }
        try await balancers.set(
            id(balancer.id), .init(address: address, ports: ports, nodes: balancer.nodes, sourceRanges: balancer.sourceRanges),
            in: cluster.network.hostNetwork)
        return address
    }

    func remove(id uid: String) async throws {
        try await balancers.remove(id(uid))
        try await network.removeInterfaces(ownerTokenPrefix: token(uid))
    }
}
