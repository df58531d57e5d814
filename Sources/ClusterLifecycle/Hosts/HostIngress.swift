internal import AWSProtocol
internal import AWSServices
internal import CloudControllers
internal import Machines
internal import Synchronization

/// The Application Load Balancers of one cluster: an interface's address in one of its subnets for each, and the host's proxy for all.
final class HostIngress: IngressProvider {
    private let cluster: ClusterRecord
    private let network: EC2Network
    private let proxy: HostProxy
    /// Addresses that were put on the VPC's bridge since this began, by balancer.
    private let held = Mutex<[String: String]>([:])

    init(cluster: ClusterRecord, network: EC2Network, proxy: HostProxy) {
        self.cluster = cluster
        self.network = network
        self.proxy = proxy
    }

    private var vpc: VPCNetwork { cluster.network.hostNetwork }

    /// Under what the interface is found again; removed with the cluster's own.
    private func token(_ id: String) -> String { "\(ControlPlaneInterfacesStep.token(cluster))ingress/\(id)/" }

    func check() async throws { try proxy.requireProgram() }

    func address(of id: String, name: String, tags: [String: String]) async throws -> String {
        guard let subnet = cluster.network.subnetIDs.first else { throw ServiceUnavailable("cluster \(cluster.name) has no subnet") }
        let own = ["ingress.k8s.aws/stack": id, "elbv2.k8s.aws/cluster": cluster.name, "kubernetes.io/cluster/\(cluster.name)": "owned"]
        let interface = try await network.ensureInterface(
            ownerToken: token(id), subnetID: subnet, description: "ELB app/\(name)", groupIDs: [], tags: tags.merging(own) { _, own in own })
        guard let address = await network.primaryAddresses(ofInterfaces: [interface.id]).first else {
            throw ServiceUnavailable("interface \(interface.id) has no address")
        }
        if held.withLock({ $0[id] }) != address {
            try await vpc.add(address: address, prefixLength: 32)
            held.withLock { $0[id] = address }
        }
        return address
    }

    func release(_ id: String) async throws {
        // Those of an earlier life, too.
        for address in await network.primaryAddresses(ownerTokenPrefix: token(id)) { try await vpc.remove(address: address, prefixLength: 32) }
        held.withLock { $0[id] = nil }
        try await network.removeInterfaces(ownerTokenPrefix: token(id))
    }

    func deploy(_ parts: [String: IngressPart], addresses: [String: String], keeping: Set<String>) async throws -> [String: String] {
        var served: [String: HostProxy.Part] = [:]
        for (id, part) in parts {
            guard let address = addresses[id] else { continue }
            served[id] = HostProxy.Part(text: part.text, certificates: part.certificates, address: address, ports: part.ports)
        }
        return try await proxy.deploy(served, keeping: keeping)
    }
}
