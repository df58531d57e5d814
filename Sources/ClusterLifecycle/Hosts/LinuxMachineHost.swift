internal import AWSProtocol
internal import AWSServices
package import Machines

/// Instances as machines of Linux namespaces on this host.
package struct LinuxMachineHost: MachineHost {
    private let machines: LinuxMachines
    private let registryMirrors: [String: String]

    /// `registryMirrors` maps a registry's host to the mirror's URL as machines reach it.
    package init(machines: LinuxMachines, registryMirrors: [String: String]) {
        self.machines = machines
        self.registryMirrors = registryMirrors
    }

    package func start(_ spec: MachineSpec) async throws {
        var machine = MachineConfiguration(
            instanceID: spec.instanceID, hostName: spec.hostName, milliCPU: spec.milliCPU, memoryMiB: spec.memoryMiB,
            network: .init(
                vpcID: spec.vpcID, vpcCIDR: spec.vpcCIDR, gateway: spec.gatewayAddress, address: spec.primaryAddress,
                prefixLength: spec.prefixLength),
            podAddresses: spec.podAddresses, registryMirrors: registryMirrors)
        machine.shutdownGrace = spec.shutdownGrace
        if let ipv6 = spec.ipv6 {
            guard let subnet = IPv6Block(ipv6.subnetCIDR) else {
                throw AWSError("InternalFailure", "the IPv6 range \"\(ipv6.subnetCIDR)\" of subnet \(spec.subnetID) is no range")
            }
            machine.network.ipv6 = .init(
                vpcCIDRs: ipv6.vpcCIDRs, router: IPv6Address(subnet.base.value + 1).description, prefixLength: subnet.prefixLength,
                address: ipv6.address, podPrefix: ipv6.prefix)
        }
        try await machines.start(machine, bootstrap: spec.bootstrap.files)
    }

    package func renew(_ instanceID: String, _ bootstrap: NodeBootstrap) async throws {
        try await machines.renew(instanceID, bootstrap: bootstrap.files)
    }

    package func isPrepared(_ instanceID: String, patience: Duration) async throws -> Bool {
        try await machines.isPrepared(instanceID, patience: patience)
    }

    package func terminate(_ instanceID: String) async throws { try await machines.terminate(instanceID) }

    package func halt(_ instanceID: String) async throws { try await machines.halt(instanceID) }

    package func running() async -> Set<String> { await machines.running }

    package func exits() -> AsyncStream<String> { machines.exits }

    package func report(_ instanceID: String) async -> String { machines.report(instanceID) }
}
