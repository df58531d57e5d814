import AWSServices

/// Starts an instance's machine with the files it joins its cluster with: launching becomes joining.
struct StartMachineStep {
    func run(_ instance: InstanceRecord, _ cluster: ClusterRecord, _ context: StepContext) async throws {
        let bootstrap = try await context.controlPlanes.nodeBootstrap(cluster, instance)
        // One of a warm pool waits for these files; of one that was started before a crash they change nothing.
        if await context.machines.running().contains(instance.instanceID) {
            try await context.machines.renew(instance.instanceID, bootstrap)
        } else {
            try await context.machines.start(StartMachineStep.spec(instance, bootstrap))
        }
        try await context.network.setInstanceState(instance.instanceID, "running")
        let now = context.clock.now
        let authorities = cluster.clusterAuthorities.revision
        try await context.state.update { tables in
            guard var current = tables.instances[instance.instanceID], current.phase == .launching else { return }
            current.phase = .joining
            current.startedAt = now
            current.authorities = authorities
            tables.instances[current.instanceID] = current
        }
    }

    static func spec(_ instance: InstanceRecord, _ bootstrap: NodeBootstrap) -> MachineSpec {
        let block = IPv4Block(instance.subnetCIDR)
        var spec = MachineSpec(
            instanceID: instance.instanceID, clusterName: instance.clusterName, nodegroup: instance.nodegroup, hostName: instance.nodeName,
            instanceType: instance.instanceType, vcpus: instance.vcpus, milliCPU: instance.milliCPU, memoryMiB: instance.memoryMiB,
            vpcID: instance.vpcID,
            vpcCIDR: instance.vpcCIDR,
            subnetID: instance.subnetID, subnetCIDR: instance.subnetCIDR, gatewayAddress: block?.address(at: 1)?.description ?? "",
            primaryAddress: instance.primaryAddress, prefixLength: block?.prefixLength ?? 24, podAddresses: instance.podAddresses,
            macAddress: instance.macAddress, securityGroupIDs: instance.securityGroupIDs, zone: instance.zone, region: instance.region,
            maxPods: instance.maxPods, labels: instance.labels, taints: instance.taints, bootstrap: bootstrap)
        spec.ipv6 = instance.ipv6
        spec.shutdownGrace = instance.kubelet?.node?.shutdownGrace ?? 0
        return spec
    }
}
